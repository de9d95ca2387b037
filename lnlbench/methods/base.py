"""The base of all methods: what a method is given, what it must answer, and the seam for plug-ins.

A method file contains the algorithm and nothing else. Mixed precision, backward, optimisers, schedules,
progress, the NaN guard and checkpoints stand behind `self.batches`, `self.learn` and `self.scores`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lnlbench.data.task import Batch, Task
from lnlbench.job import Optimizer, Recipe, Schedule
from lnlbench.methods.spec import MethodSpec
from lnlbench.networks.base import Backbone, Output

if TYPE_CHECKING:
    from lnlbench.data.augment.views import Views


class Engine(Protocol):
    """What the trainer does for a method; `lnlbench.training.engine` is the real one."""

    recipe: Recipe
    device: torch.device
    rng: np.random.Generator
    generator: torch.Generator
    views: Views

    def batches(
        self, subset: Tensor | None, batch_size: int | None, shuffle: bool, drop_last: bool
    ) -> Iterator[Batch]: ...

    def draw(self, subset: Tensor | None, batch_size: int | None) -> Tensor: ...

    def meta_batches(self, batch_size: int | None, shuffle: bool) -> Iterator[Batch]: ...

    def rate(self, net: nn.Module) -> float: ...

    def learn(self, loss: Tensor, net: nn.Module, edit: Callable[[], None] | None) -> None: ...

    def scores(self, method: nn.Module, fn: Callable[[Batch], Tensor], subset: Tensor | None) -> Tensor: ...

    def meta_scores(self, method: nn.Module, fn: Callable[[Batch], Tensor]) -> Tensor: ...

    def network(self, backbone: str | None) -> Backbone: ...

    def build(self, make: Callable[[], nn.Module]) -> Any: ...

    def configure(self, net: nn.Module, optimizer: Optimizer, schedule: Schedule | None) -> None: ...


class Curve(NamedTuple):
    """A learned function of one variable: y (P,) over x (P,), finite."""

    x: Tensor
    y: Tensor
    x_label: str
    y_label: str


class Restoration(NamedTuple):
    """What a network makes of spoilt images, all normalised floats: `restored` (B, 3, h, w) from the features of
    `corrupted` (B, 3, H, W), to be compared with `original` (B, 3, h, w). network: its name in the method."""

    network: str
    original: Tensor
    corrupted: Tensor
    restored: Tensor


@dataclass(frozen=True)
class Stage:
    """A part of training with its own optimisers and schedule: pre-training, a round, fine-tuning.

    train: called with the stage's own epoch 0..epochs-1. counts: whether the prediction after these epochs
    is the method's, so that best and last are taken over them. begin: called once before the first epoch.
    schedule, optimizer: in place of the recipe's.
    """

    name: str
    epochs: int
    train: Callable[[int], None]
    begin: Callable[[], None] | None = None
    counts: bool = True
    optimizer: Optimizer | None = None
    schedule: Schedule | None = None


class Method(nn.Module):
    """One method of learning with noisy labels. Subclasses set `spec` and write `setup` and `train_epoch`.

    Whatever must survive a restart (corrected labels, loss histories, EMA weights) lives in submodules and
    buffers, so that a checkpoint is one `state_dict`.
    """

    spec: ClassVar[MethodSpec]
    lends_clean: ClassVar[bool] = False
    """Whether `rows` is told the probability that each label is right, so that a plug-in need not estimate it."""

    def __init__(self, task: Task, hp: Any, engine: Engine) -> None:
        super().__init__()
        self.task = task
        self.hp: Any = hp
        self.engine = engine
        self._plugins: list[Plugin] = []
        self.setup()

    # What a method writes.

    def setup(self) -> None:
        """Makes networks and buffers. The default: one network, `self.net`."""
        self.net = self.network()

    def train_epoch(self, epoch: int) -> None:
        """One epoch of training, in plain code over `self.batches` and `self.learn`."""
        raise TypeError(f"{type(self).__name__} must define train_epoch or stages")

    def stages(self) -> list[Stage]:
        """The stages of training in order; the default is one, of the recipe's length."""
        return [Stage("train", self.task.epochs, self.train_epoch)]

    def predict(self, images: Tensor) -> Tensor:
        """(B, C) logits (or log-probabilities) for normalised images (B, 3, H, W), the ensemble's where there are
        two nets; or (K, B, C) for K predictors whose mean accuracy is the method's number."""
        return self.net(images)

    def clean_score(self) -> Tensor | None:
        """(N,) a number per training sample that should rank correctly labelled above mislabelled ones.
        None, the default, stands for log p(noisy label) under `predict` on the plain view."""
        return None

    def selected(self) -> Tensor | None:
        """(N,) bool, the samples the last epoch trusted, for methods that select."""
        return None

    def corrected_labels(self) -> Tensor | None:
        """(N,) int64, the labels the last epoch trained towards, for methods that correct."""
        return None

    def watched(self) -> Mapping[str, float]:
        """Finite numbers of the last epoch that tell whether the method works, by name, for the epoch's record."""
        return {}

    def curves(self) -> Mapping[str, Curve]:
        """Functions that the method has learned, for figures: {"weight": weight against loss}."""
        return {}

    def restorations(self, batch: Batch) -> list[Restoration]:
        """Images as the method's decoders restore them, for figures; none for a method without decoders.

        Called in eval mode without gradient. The batch is of test images: its labels and indices mean nothing.
        """
        return []

    # What a method calls.

    @property
    def device(self) -> torch.device:
        """Where the run's tensors live."""
        return self.engine.device

    @property
    def recipe_optimizer(self) -> Optimizer:
        """The recipe's optimiser, for a stage that changes a part of it: `self.recipe_optimizer.replace(lr=0.2)`."""
        return self.engine.recipe.optimizer

    @property
    def rng(self) -> np.random.Generator:
        """The run's generator for scalar draws (mixup coefficients, seeds of a mixture's start)."""
        return self.engine.rng

    @property
    def generator(self) -> torch.Generator:
        """The run's generator for tensors on the device (permutations, masks)."""
        return self.engine.generator

    def network(self, backbone: str | None = None) -> Backbone:
        """A new network, the recipe's unless named, with initial weights from the run's own stream."""
        return self.engine.network(backbone)

    def build(self, make: Callable[[], nn.Module]) -> Any:
        """Any other module (a head, a decoder), with initial weights from the run's own stream."""
        return self.engine.build(make)

    def optimise(self, net: nn.Module, optimizer: Optimizer, schedule: Schedule | None = None) -> None:
        """Gives one module an optimiser other than the recipe's (a weighting network, a transition matrix)."""
        self.engine.configure(net, optimizer, schedule)

    def batches(
        self,
        subset: Tensor | None = None,
        *,
        batch_size: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
    ) -> Iterator[Batch]:
        """One pass in new random order over `draw()`, which is all samples unless the recipe says otherwise, or over
        `subset`: (M,) int64 indices or (N,) bool. Not shuffled, it is all samples in any case."""
        return self.engine.batches(subset, batch_size, shuffle, drop_last)

    def draw(self, subset: Tensor | None = None, *, batch_size: int | None = None) -> Tensor:
        """(M,) int64 indices of a pass, ascending: all samples or all of `subset`; under the recipe's `epoch_batches`
        a new draw of so many batches from them, balanced over the given labels."""
        return self.engine.draw(subset, batch_size)

    def endless(self, subset: Tensor | None = None, *, batch_size: int | None = None) -> Iterator[Batch | None]:
        """Passes over `subset` without end, each in new order; None for ever if the subset is empty."""
        empty = subset is not None and (subset.numel() == 0 or (subset.dtype == torch.bool and not bool(subset.any())))
        if empty:
            return cycle([None])
        return (batch for _ in cycle([0]) for batch in self.batches(subset, batch_size=batch_size))

    def meta_batches(self, *, batch_size: int | None = None, shuffle: bool = True) -> Iterator[Batch]:
        """One pass over the meta set, whose labels are noisy unless `clean_meta` is declared; indices count in it."""
        return self.engine.meta_batches(batch_size, shuffle)

    def endless_meta(self, *, batch_size: int | None = None) -> Iterator[Batch]:
        """Passes over the meta set without end, each in new order."""
        return (batch for _ in cycle([0]) for batch in self.meta_batches(batch_size=batch_size))

    def rate(self, net: nn.Module) -> float:
        """The learning rate that the next step of `net` will have, for virtual steps."""
        return self.engine.rate(net)

    def learn(self, loss: Tensor, net: nn.Module, edit: Callable[[], None] | None = None) -> None:
        """One optimiser step of `net` on a scalar loss. `edit` may change gradients before the step."""
        for plugin in self._plugins:
            penalty = plugin.penalty(net)
            if penalty is not None:
                loss = loss + penalty
        self.engine.learn(loss, net, edit)

    def scores(self, fn: Callable[[Batch], Tensor], subset: Tensor | None = None) -> Tensor:
        """`fn` over the training set in order, in large batches, in eval mode without gradient: (N, ...) float32."""
        return self.engine.scores(self, fn, subset)

    def meta_scores(self, fn: Callable[[Batch], Tensor]) -> Tensor:
        """`fn` over the meta set in order, in large batches, in eval mode without gradient: (M, ...) float32."""
        return self.engine.meta_scores(self, fn)

    def losses(self, net: Backbone, subset: Tensor | None = None) -> Tensor:
        """(N,) cross-entropy of every given label, or those of a subset, under a network; plain views, eval mode."""
        return self.scores(lambda batch: F.cross_entropy(net(batch.plain()), batch.labels, reduction="none"), subset)

    def rows(
        self,
        net: Backbone,
        images: Tensor,
        targets: Tensor,
        indices: Tensor,
        *,
        given: bool = False,
        keep: bool = False,
        clean: Tensor | None = None,
        output: Output | None = None,
        predicted: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The seam for plug-ins: the rows of a step, as its host would train on them, pass through here.

        images (B, 3, H, W) and targets (B, C) come back as (R, 3, H, W) and (R, C), in blocks of the B samples in
        their order; without plug-ins unchanged.
        given: the targets are the noisy labels as given, not an estimate by the host; a plug-in may refine them
        and may train on its own rows instead. keep: the B rows must come first and unchanged all the same.
        clean: (B,) probability that the given label is right, where the host has one. output: the host's
        forward pass of `net` on `images`, predicted: (B, C) the host's best prediction for them, where it has them.
        """
        for plugin in self._plugins:
            images, targets = plugin.rows(
                net, images, targets, indices, given=given, keep=keep, clean=clean, output=output, predicted=predicted
            )
        return images, targets

    def backbones(self) -> dict[str, Backbone]:
        """The networks that are trained, by their name in the module tree."""
        return {
            name: module
            for name, module in self.named_modules()
            if isinstance(module, Backbone) and any(p.requires_grad for p in module.parameters())
        }


class Plugin(Method):
    """A regulariser over a host method, which it owns: `slug(host)`. It answers as its host does.

    A plug-in overrides `rows`, `penalty` and what must happen at an epoch's start; it knows no host by name.
    """

    host: Method

    def __init__(self, task: Task, hp: Any, engine: Engine, host: Method) -> None:
        nn.Module.__init__(self)
        self.task, self.hp, self.engine = task, hp, engine
        self._plugins = []
        self.host = host
        host._plugins.append(self)
        self.setup()

    def setup(self) -> None:
        """Attaches what the plug-in trains to the host's networks."""

    def penalty(self, net: nn.Module) -> Tensor | None:
        """A scalar added to the loss of the step that `net` is about to take, or None."""
        return None

    def begin_epoch(self, epoch: int) -> None:
        """Called before each epoch of the host's stages that train on labels, with the stage's epoch."""

    def stages(self) -> list[Stage]:
        """The host's stages, each epoch preceded by `begin_epoch`."""

        def with_begin(stage: Stage) -> Callable[[int], None]:
            def train(epoch: int) -> None:
                self.begin_epoch(epoch)
                stage.train(epoch)

            return train

        return [replace(stage, train=with_begin(stage)) if stage.counts else stage for stage in self.host.stages()]

    def train_epoch(self, epoch: int) -> None:
        self.begin_epoch(epoch)
        self.host.train_epoch(epoch)

    def predict(self, images: Tensor) -> Tensor:
        return self.host.predict(images)

    def clean_score(self) -> Tensor | None:
        return self.host.clean_score()

    def selected(self) -> Tensor | None:
        return self.host.selected()

    def watched(self) -> Mapping[str, float]:
        return self.host.watched()

    def curves(self) -> Mapping[str, Curve]:
        return self.host.curves()

    def restorations(self, batch: Batch) -> list[Restoration]:
        return self.host.restorations(batch)

    def corrected_labels(self) -> Tensor | None:
        return self.host.corrected_labels()
