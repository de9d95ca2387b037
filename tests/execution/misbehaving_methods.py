"""A plug-in file of methods for tests of the engine: one that can be held in the middle of a job, and some that
go wrong, each in its own way. What they do beyond training is told by files in the folder $LNLBENCH_TEST_GATE."""

import os
import time
from pathlib import Path

import torch
from torch import Tensor

from lnlbench.learning.losses import soft_cross_entropy
from lnlbench.methods.base import Method
from lnlbench.methods.spec import MethodSpec

HELD_AT = 2
"""The epoch, counted from 0, before whose first step `held` waits."""


def gate() -> Path | None:
    folder = os.environ.get("LNLBENCH_TEST_GATE")
    return Path(folder) if folder else None


class Held(Method):
    """Mixup with a record of losses: state in buffers, an optimiser and both random streams.

    With a gate, the first job of all that comes to HELD_AT leaves its process id in `held` and waits for the file
    `open`, or until it is told to stop.
    """

    spec = MethodSpec(slug="held", title="Held", summary="", paper="")
    record: Tensor

    def setup(self) -> None:
        self.net = self.network()
        self.register_buffer("record", torch.zeros(self.task.num_samples, device=self.device))

    def train_epoch(self, epoch: int) -> None:
        if epoch == HELD_AT:
            self.wait()
        for batch in self.batches():
            mix, images, targets = self.rng.beta(1, 1), batch.weak(), batch.one_hot
            order = torch.randperm(len(images), generator=self.generator, device=self.device)
            images = mix * images + (1 - mix) * images[order]
            losses = soft_cross_entropy(self.net(images), mix * targets + (1 - mix) * targets[order], "none")
            self.record[batch.indices] = 0.9 * self.record[batch.indices] + losses.detach()
            self.learn(losses.mean(), self.net)

    def wait(self) -> None:
        folder = gate()
        if folder is None:
            return
        try:
            with (folder / "held").open("x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            return
        while not (folder / "open").exists() and not self.engine.stop():  # type: ignore[attr-defined]
            time.sleep(0.01)

    def clean_score(self) -> Tensor:
        return -self.record


class Raising(Method):
    """A bug, until the file `repaired` is there."""

    spec = MethodSpec(slug="raising", title="Raising", summary="", paper="")

    def train_epoch(self, epoch: int) -> None:
        folder = gate()
        if folder is None or not (folder / "repaired").exists():
            raise RuntimeError("a bug in this method")
        for batch in self.batches():
            self.learn(soft_cross_entropy(self.net(batch.weak()), batch.labels), self.net)


class Dying(Method):
    """Takes its process along, before its first step."""

    spec = MethodSpec(slug="dying", title="Dying", summary="", paper="")

    def setup(self) -> None:
        os._exit(7)


class Diverging(Method):
    """Its loss is NaN from the second epoch on."""

    spec = MethodSpec(slug="diverging", title="Diverging", summary="", paper="")

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            loss = soft_cross_entropy(self.net(batch.weak()), batch.labels)
            self.learn(loss if epoch == 0 else loss * torch.nan, self.net)
