"""Gold loss correction: a first network on the noisy labels alone; its mean prediction for the trusted samples of a
class is that class's row of T; then a second one from the same initial weights, on trusted samples by cross-entropy
and on noisy ones by the forward-corrected loss.

Follows mmazeika/glc, whose CIFAR recipe of 75 epochs a stage (batch 128, one cosine each) is kept where the paper's
scale is run. Not as there: momentum starts anew with the second stage, and trusted and noisy samples of a batch go
through the network together; apart, a batch norm would see statistics of three images in turn. Ours: trusted samples
are spread evenly over the batches of an epoch, where the code shuffles all in one stream. Its quadratic programme,
calibration and counts by argmax are left out.
"""

from collections.abc import Iterator
from copy import deepcopy
from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.data.task import Batch
from lnlbench.learning.transitions import estimated_by_trusted, forward_cross_entropy, log_posterior_correct
from lnlbench.methods.base import Method, Stage
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    stage1_epochs: int | None = setting(None, "epochs of the first network; null: as many as the second's", low=1)


SPEC = MethodSpec(
    slug="glc",
    title="GLC",
    family="correction",
    summary="Reads the noise transition matrix off a clean meta set, and trains through it, the meta set included.",
    paper="Hendrycks et al., Using Trusted Data to Train Deep Networks on Labels Corrupted by Severe Noise, "
    "NeurIPS 2018",
    code="mmazeika/glc",
    needs=("clean_meta",),
    meta_set=True,
    version=2,
    hyperparameters=Hyper,
    recipe={
        "epochs": 75,
        "batch_size": 128,
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4},
        "schedule": {"name": "cosine", "per": "iteration"},
    },
)


class GoldLossCorrection(Method):
    """Hendrycks et al. (2018), Algorithm 1. `matrix` is T (C, C), NaN until it is known; `initial` has the weights
    that both networks start from."""

    spec = SPEC
    initial: Any
    matrix: Tensor

    def setup(self) -> None:
        self.net = self.network()
        self.initial = deepcopy(self.net).requires_grad_(False)
        self.register_buffer("matrix", torch.full((self.task.num_classes,) * 2, torch.nan, device=self.device))

    def stages(self) -> list[Stage]:
        first = self.hp.stage1_epochs or self.task.epochs
        return [
            Stage("noisy labels", first, self.train_on_noise, counts=False),
            Stage("corrected", self.task.epochs, self.train_epoch, begin=self.estimate),
        ]

    def train_on_noise(self, epoch: int) -> None:
        """Cross-entropy on the noisy samples; no trusted one enters."""
        for batch in self.batches():
            self.learn(F.cross_entropy(self.net(batch.weak()), batch.labels), self.net)

    def estimate(self) -> None:
        """T from the last epoch's network, then back to the initial weights."""
        trusted = self.meta_scores(lambda batch: batch.labels).long()
        self.matrix.copy_(estimated_by_trusted(self.meta_scores(lambda b: self.net(b.plain()).softmax(1)), trusted))
        self.net.load_state_dict(self.initial.state_dict())

    def train_epoch(self, epoch: int) -> None:
        for batch, images, labels in self.mixed():
            n = len(batch)
            logits = self.net(batch.views.weak(torch.cat([batch.images, images])))
            noisy = n * forward_cross_entropy(logits[:n], batch.labels, self.matrix)
            trusted = F.cross_entropy(logits[n:], labels, reduction="sum")
            self.learn((noisy + trusted) / self.task.batch_size, self.net)

    def mixed(self) -> Iterator[tuple[Batch, Tensor, Tensor]]:
        """One pass over all samples: a noisy batch, with raw images and labels of its share of the trusted ones."""
        whole = next(self.meta_batches(batch_size=len(self.task.need("clean_meta"))))
        samples, size = self.task.num_samples, self.task.batch_size
        noisy = ceil(samples / ceil((samples + len(whole)) / size))
        steps = self.task.epoch_batches or ceil(samples / noisy)
        parts = zip(whole.images.tensor_split(steps), whole.labels.tensor_split(steps), strict=True)
        for batch, (images, labels) in zip(self.batches(batch_size=noisy), parts, strict=True):
            yield batch, images, labels

    def clean_score(self) -> Tensor | None:
        """log P(the given label is the true one | image, given label) under T."""
        if bool(self.matrix.isnan().any()):
            return None
        return self.scores(lambda b: log_posterior_correct(self.net(b.plain()), b.labels, self.matrix))
