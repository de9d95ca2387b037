"""What stands behind `self.batches`, `self.learn` and `self.scores` of a method: data on the device, mixed
precision, optimisers and their schedules, the guard against NaN, and the wish to stop. It knows no true label.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from lnlbench import networks
from lnlbench.data.augment.views import Views
from lnlbench.data.sources import ImageSource
from lnlbench.data.task import Batch
from lnlbench.errors import InvalidSetting, LnlbenchError
from lnlbench.job import Optimizer, Recipe, Schedule
from lnlbench.learning.draws import balanced_draw
from lnlbench.networks.base import Backbone
from lnlbench.training.devices import Place
from lnlbench.training.schedules import make_optimizer, set_rate
from lnlbench.training.seeds import Streams, derive

GUARD_EVERY = 50
"""Steps between looks at the NaN flag: a look waits for the device."""
EVAL_BATCH = 1000
"""Most images of a batch in evaluation."""
EVAL_PIXELS = EVAL_BATCH * 64 * 64
"""Most pixels of one: larger images come in smaller batches, or their feature maps would fill the device."""


class Diverged(Exception):
    """The loss became NaN or infinite."""


class Interrupted(Exception):
    """The run was asked to stop."""


def eval_batch(shape: Sequence[int]) -> int:
    """Images (N, 3, H, W) of a batch in evaluation."""
    return max(1, min(EVAL_BATCH, EVAL_PIXELS // (shape[-2] * shape[-1])))


class Engine:
    """One run's machinery. source: the N training images; noisy_labels: (N,) int64 on the device.

    meta: images (M, 3, H, W) and labels (M,) of the meta set, as the method may know them.
    """

    def __init__(
        self,
        recipe: Recipe,
        source: ImageSource,
        noisy_labels: Tensor,
        num_classes: int,
        views: Views,
        place: Place,
        streams: Streams,
        stop: Callable[[], bool] = lambda: False,
        meta: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.recipe = recipe
        self.source = source
        self.noisy_labels = noisy_labels
        self.num_classes = num_classes
        self.views = views
        self.place = place
        self.device = place.device
        self.rng = streams.scalars
        self.generator = streams.tensors
        self.stop = stop
        self.meta = meta
        self.samples = 0
        self.lr = 0.0
        self._seed = streams.seed
        self._built = 0
        self._settings: dict[nn.Module, tuple[Optimizer, Schedule | None]] = {}
        self._optimizers: dict[str, torch.optim.Optimizer] = {}
        self._pending: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        # Weak, or method and engine would keep each other in memory.
        self._modules: WeakValueDictionary[str, nn.Module] = WeakValueDictionary()
        self._stage: tuple[Optimizer, Schedule, int] = (recipe.optimizer, recipe.schedule, recipe.epochs)
        self._epoch = 0
        self._steps: dict[str, int] = {}
        self._bad = torch.zeros((), dtype=torch.bool, device=self.device)
        self._loss_sum = torch.zeros((), device=self.device)
        self._loss_count = 0
        self._started = time.monotonic()

    # For methods, through methods.base.

    def build(self, make: Callable[[], nn.Module]) -> Any:
        """A module made under its own stream of initial weights, on the run's device."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(derive(self._seed, "weights", self._built))
            module = make()
        self._built += 1
        return module.to(device=self.device, memory_format=self.place.memory_format)  # type: ignore[call-overload]

    def network(self, backbone: str | None) -> Backbone:
        """The recipe's network, or the named one."""
        recipe = self.recipe
        size = self.views.side(self.source.shape[-1])
        net: Backbone = self.build(
            lambda: networks.build(
                backbone or recipe.backbone,
                self.num_classes,
                width=recipe.width,
                image_size=size,
                pretrained=recipe.pretrained,
            )
        )
        return net

    def configure(self, net: nn.Module, optimizer: Optimizer, schedule: Schedule | None) -> None:
        """An optimiser of its own for one module; without a schedule its rate stays."""
        self._settings[net] = (optimizer, schedule)

    def batches(self, subset: Tensor | None, batch_size: int | None, shuffle: bool, drop_last: bool) -> Iterator[Batch]:
        """One pass in random order; see Method.batches. The last partial batch is kept unless drop_last."""
        size = batch_size or self.recipe.batch_size
        order = self.draw(None, size) if subset is None and shuffle else self._order(subset)
        if shuffle:
            order = order[torch.randperm(len(order), generator=self.generator, device=self.device)]
        last = len(order) - len(order) % size if drop_last and len(order) > size else len(order)
        for batch in self._stream(order[:last], size):
            self.samples += len(batch)
            yield batch

    def draw(self, subset: Tensor | None, batch_size: int | None) -> Tensor:
        """The indices of one pass, (M,); see Method.draw."""
        order = self._order(subset)
        if self.recipe.epoch_batches is None:
            return order
        most = self.recipe.epoch_batches * (batch_size or self.recipe.batch_size)
        return order[balanced_draw(self.noisy_labels[order], most, self.num_classes, self.generator)]

    def meta_batches(self, batch_size: int | None, shuffle: bool) -> Iterator[Batch]:
        """One pass over the meta set; see Method.meta_batches."""
        if self.meta is None:
            raise InvalidSetting(
                "this method learns from a meta set, and the recipe holds none out.",
                "Give its size: --set meta_size=1000. A method that always needs one sets meta_set=True in its SPEC.",
            )
        images, labels = self.meta
        order = torch.arange(len(labels), device=self.device)
        if shuffle:
            order = order[torch.randperm(len(order), generator=self.generator, device=self.device)]
        for indices in order.split(batch_size or self.recipe.batch_size):
            yield Batch(images[indices], indices, labels[indices], self.num_classes, self.views)

    def rate(self, net: nn.Module) -> float:
        """The learning rate of a network's next step."""
        return float(self._ready(self._name(net), net).param_groups[0]["lr"])

    def learn(self, loss: Tensor, net: nn.Module, edit: Callable[[], None] | None) -> None:
        """One step of `net`'s optimiser; non-finite losses raise Diverged within GUARD_EVERY steps."""
        if self.stop():
            raise Interrupted
        name = self._name(net)
        optimizer = self._ready(name, net)
        self._steps[name] = self._steps.get(name, 0) + 1
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, enabled=False):
            loss.backward()
            if edit is not None:
                edit()
            if self.recipe.clip_norm is not None:
                nn.utils.clip_grad_norm_(net.parameters(), self.recipe.clip_norm)
            optimizer.step()
        value = loss.detach()
        self._bad |= ~torch.isfinite(value)
        # The loss that is told is the networks', not that of a weighting network or a probe beside them.
        if isinstance(net, Backbone) or net not in self._settings:
            self._loss_sum += value
            self._loss_count += 1
        if sum(self._steps.values()) % GUARD_EVERY == 0:
            self.guard()

    def scores(self, method: nn.Module, fn: Callable[[Batch], Tensor], subset: Tensor | None) -> Tensor:
        """`fn` over the training set (or a subset) in order, every module in eval mode: float32 (N, ...)."""
        return self._scored(method, fn, self._stream(self._order(subset), eval_batch(self.source.shape)))

    def meta_scores(self, method: nn.Module, fn: Callable[[Batch], Tensor]) -> Tensor:
        """`fn` over the meta set in order, every module in eval mode: float32 (M, ...)."""
        return self._scored(method, fn, self.meta_batches(eval_batch(self.source.shape), shuffle=False))

    # For the trainer.

    def register(self, method: nn.Module) -> None:
        """Learns the names of a method's modules; an optimiser's state is saved under its network's name."""
        self._names = {id(module): name for name, module in method.named_modules()}
        self._modules = WeakValueDictionary(method.named_modules())

    def begin_stage(self, optimizer: Optimizer | None, schedule: Schedule | None, epochs: int) -> None:
        """New optimisers for a new stage."""
        self._optimizers.clear()
        self._pending.clear()
        self._stage = (optimizer or self.recipe.optimizer, schedule or self.recipe.schedule, epochs)

    def begin_epoch(self, method: nn.Module, epoch: int) -> None:
        """Train mode, rates for the epoch, counters at zero."""
        self._epoch = epoch
        self._steps.clear()
        self.samples = 0
        self._loss_sum.zero_()
        self._loss_count = 0
        self._started = time.monotonic()
        method.train()
        for name, optimizer in self._optimizers.items():
            self._move(name, method.get_submodule(name), optimizer, 0)

    def end_epoch(self) -> tuple[float, float]:
        """(mean loss of the networks' steps, seconds the epoch took); raises Diverged if any step was not finite."""
        self.guard()
        loss = float(self._loss_sum) / self._loss_count if self._loss_count else math.nan
        return loss, time.monotonic() - self._started

    def guard(self) -> None:
        """Raises Diverged if a loss since the start was NaN or infinite."""
        if bool(self._bad):
            raise Diverged("the training loss became NaN or infinite")

    def state(self) -> dict[str, Any]:
        """State of the optimisers and what `configure` was told, by network name, and of the stream of weights."""
        made = {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}
        configured = {
            self._names[id(net)]: [optimizer.to_dict(), schedule and schedule.to_dict()]
            for net, (optimizer, schedule) in self._settings.items()
            if id(net) in self._names
        }
        return {"optimizers": {**self._pending, **made}, "configured": configured, "built": self._built, "lr": self.lr}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a saved state; an optimiser takes up its own when it is made."""
        self._pending = dict(state["optimizers"])
        # A stage's begin, which is not called again, may have configured them. Older checkpoints lack this.
        for name, (optimizer, schedule) in state.get("configured", {}).items():
            if name in self._modules:
                settings = Optimizer.from_dict(optimizer), schedule and Schedule.from_dict(schedule)
                self._settings[self._modules[name]] = settings
        self._built = state["built"]
        self.lr = state.get("lr", self.lr)

    # Inside.

    @torch.no_grad()
    def _scored(self, method: nn.Module, fn: Callable[[Batch], Tensor], batches: Iterator[Batch]) -> Tensor:
        modes = [(module, module.training) for module in method.modules()]
        method.eval()
        try:
            parts = []
            for batch in batches:
                if self.stop():
                    raise Interrupted
                parts.append(fn(batch).float())
        finally:
            for module, mode in modes:
                module.training = mode
        return torch.cat(parts)

    def _order(self, subset: Tensor | None) -> Tensor:
        if subset is None:
            return torch.arange(len(self.noisy_labels), device=self.device)
        return subset.nonzero().squeeze(1) if subset.dtype == torch.bool else subset

    def _stream(self, order: Tensor, size: int) -> Iterator[Batch]:
        for start, images in zip(range(0, len(order), size), self.source.stream(order, size), strict=True):
            indices = order[start : start + size]
            yield Batch(images, indices, self.noisy_labels[indices], self.num_classes, self.views)

    def _name(self, net: nn.Module) -> str:
        name = self._names.get(id(net))
        if name is None:
            raise LnlbenchError(
                f"learn() was given a {type(net).__name__} that is no submodule of the method.",
                "Make it in setup() or in a stage's begin(), and assign it to an attribute: self.net = self.network().",
            )
        return name

    def _optimizer(self, name: str, net: nn.Module) -> torch.optim.Optimizer:
        if name not in self._optimizers:
            settings, _ = self._settings.get(net, (self._stage[0], None))
            optimizer = make_optimizer(settings, net.parameters())
            if name in self._pending:
                optimizer.load_state_dict(self._pending.pop(name))
            self._optimizers[name] = optimizer
            self._move(name, net, optimizer, 0)
        return self._optimizers[name]

    def _ready(self, name: str, net: nn.Module) -> torch.optim.Optimizer:
        """A network's optimiser, at the rate of its next step."""
        optimizer = self._optimizer(name, net)
        if self._schedule_of(net).per == "iteration":
            self._move(name, net, optimizer, self._steps.get(name, 0))
        return optimizer

    def _schedule_of(self, net: nn.Module) -> Schedule:
        if net in self._settings:
            return self._settings[net][1] or Schedule(name="constant")
        return self._stage[1]

    def _move(self, name: str, net: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        settings = self._settings.get(net, (self._stage[0], None))[0]
        per_epoch = self.recipe.epoch_batches or max(1, math.ceil(len(self.noisy_labels) / self.recipe.batch_size))
        position = self._epoch + min(steps / per_epoch, 1.0)
        rate = set_rate(optimizer, settings, self._schedule_of(net), position, self._stage[2])
        if net not in self._settings:
            self.lr = rate
