"""A rig for methods: one method on a few made-up images, with its engine at hand and every step written down.

Training on real data is test_learns_on_digits.py's; here single steps are held against numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

from lnlbench.data.augment.views import Views
from lnlbench.data.sources import TensorSource
from lnlbench.data.task import Task
from lnlbench.job import Noise
from lnlbench.methods.base import Method
from lnlbench.networks.base import Output
from lnlbench.resolve import resolve_job
from lnlbench.training.devices import Place
from lnlbench.training.engine import Engine
from lnlbench.training.seeds import Streams
from lnlbench.training.trainer import build_method

RECIPE = {
    "backbone": "smallcnn",
    "width": 0.25,
    "epochs": 3,
    "batch_size": 8,
    "augment": "none",
    "optimizer": {"lr": 0.05, "momentum": 0.0, "weight_decay": 0.0},
    "schedule": {"name": "constant"},
}


@dataclass
class Step:
    """One call of `learn`: which network, its loss, and the gradients it left by parameter name."""

    net: nn.Module
    loss: float
    grads: dict[str, torch.Tensor | None]


@dataclass
class Rig:
    """A method with what it runs on. images: (N, 3, S, S) uint8; labels: (N,)."""

    method: Method
    engine: Engine
    images: torch.Tensor
    labels: torch.Tensor
    steps: list[Step] = field(default_factory=list)

    def epoch(self, number: int) -> list[Step]:
        """Trains one epoch of the first stage and returns its steps."""
        self.steps.clear()
        self.engine.begin_epoch(self.method, number)
        self.method.stages()[0].train(number)
        return list(self.steps)

    def batch(self):
        """All samples in order, as one batch."""
        return next(self.engine.batches(None, len(self.labels), False, False))

    def replace_nets(self, *nets: nn.Module) -> None:
        """Puts other networks in the place of the method's."""
        if len(nets) == 1:
            self.method.net = nets[0]
        else:
            self.method.nets = nn.ModuleList(nets)
        self.engine.register(self.method)


class Table(nn.Module):
    """A network whose logits are one free row a sample; the sample is told by its first pixel."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits.clone())
        self.modes: list[bool] = []
        self.seen: list[int] = []

    def outputs(self, images: torch.Tensor) -> Output:
        self.modes.append(self.training)
        self.seen.append(len(images))
        out = self.logits[images[:, 0, 0, 0].round().long()]
        return Output(out, out, out[:, :, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.outputs(images).logits


@pytest.fixture
def table():
    """`table(logits)`: a network of free logits (N, C), for a rig with `numbered=True`."""
    return Table


@pytest.fixture
def rig():
    """`rig(method, n=..., num_classes=..., ...)`: settings of the method and, in `recipe`, of the recipe.

    meta: size of the meta set, whose labels are 0, 1, 2, ... modulo the classes; noisy_meta: those of its labels
    that the noise changed, by index.
    """

    def make(
        method: str,
        *,
        n: int = 16,
        num_classes: int = 4,
        size: int = 8,
        seed: int = 0,
        numbered: bool = False,
        recipe: dict[str, Any] | None = None,
        granted: dict[str, Any] | None = None,
        labels: torch.Tensor | None = None,
        meta: int = 0,
        noisy_meta: dict[int, int] | None = None,
        **settings: Any,
    ) -> Rig:
        job = resolve_job(
            method,
            "digits",
            Noise("clean"),
            seed,
            scale="desk",
            recipe=RECIPE,
            recipe_overrides=recipe,
            overrides=[settings],
        )
        draw = torch.Generator().manual_seed(99)
        images = torch.randint(256, (n, 3, size, size), generator=draw, dtype=torch.uint8)
        if labels is None:
            labels = torch.arange(n) % num_classes
        mean, std = torch.full((3,), 0.4), torch.full((3,), 0.3)
        if numbered:
            images[:, :, 0, 0] = torch.arange(n, dtype=torch.uint8)[:, None]
            mean, std = torch.zeros(3), torch.full((3,), 1 / 255)
        streams, place = Streams(seed, torch.device("cpu")), Place(torch.device("cpu"), "fp32")
        views = Views(job.recipe, mean, std, streams.tensors)
        held_out = (torch.randint(256, (meta, 3, size, size), generator=draw, dtype=torch.uint8), torch.arange(meta))
        known = (held_out[0], held_out[1] % num_classes) if meta else None
        engine = Engine(job.recipe, TensorSource(images), labels, num_classes, views, place, streams, meta=known)
        given = held_out[1] % num_classes if meta else None
        for index, label in (noisy_meta or {}).items():
            given[index] = label
        task = Task(
            num_classes,
            labels,
            (3, size, size),
            job.recipe.epochs,
            job.recipe.batch_size,
            granted or {},
            given,
            job.recipe.epoch_batches,
        )
        built = build_method(job, task, engine)
        engine.begin_stage(None, None, job.recipe.epochs)
        made = Rig(built, engine, images, labels)
        learn = engine.learn

        def recorded(loss: torch.Tensor, net: nn.Module, edit: Any) -> None:
            def look() -> None:
                if edit is not None:
                    edit()
                grads = {name: None if p.grad is None else p.grad.clone() for name, p in net.named_parameters()}
                made.steps.append(Step(net, loss.item(), grads))

            learn(loss, net, look)

        engine.learn = recorded
        return made

    return make
