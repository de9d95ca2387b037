"""Forward correction: the network models the true class, its prediction p T of the given label is what the loss
sees. T is read off a first network, trained on the noisy labels; `forward_true` is told the true T instead.

In the order of the paper's Algorithm 1. Unlike the released code (giorgiop/loss-correction): the search for anchors
does not zero the outliers of one class in the others' columns, and an epoch is one pass over what is trained on. Its
second split of noisy labels only picks the epoch to report, which is the recipe's `validation` here, so the second
network trains on all samples. The backward correction fills no row of any table.
"""

from copy import deepcopy
from math import inf
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.learning.transitions import estimated_by_anchors, forward_cross_entropy, log_posterior_correct
from lnlbench.methods.base import Method, Stage
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    stage1_epochs: int | None = setting(None, "epochs of the first network; null: as many as the second's", low=1)
    val_fraction: float = setting(0.1, "share of noisy samples that choose the first network's epoch", above=0, below=1)
    percentile: float | None = setting(
        97.0, "from it on, predictions are outliers and no anchors; null: no filter", low=0, high=100
    )
    alpha: float = setting(0.0, "share of the identity mixed into the estimated matrix", low=0, high=1)


SPEC = MethodSpec(
    slug="forward",
    title="Forward",
    family="correction",
    summary="Estimates the noise transition matrix with a first network, and trains a second one through it.",
    paper="Patrini et al., Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach, CVPR 2017",
    code="giorgiop/loss-correction",
    hyperparameters=Hyper,
    table=(Row(dataset="cifar100", set={"percentile": None}),),
)


class Forward(Method):
    """Patrini et al. (2017), Algorithm 1 with the forward loss. `matrix` is T (C, C), NaN until it is known."""

    spec = SPEC
    snapshot: Any
    held_out: Tensor
    trained: Tensor
    lowest: Tensor
    matrix: Tensor

    def setup(self) -> None:
        self.net = self.network()
        self.snapshot = deepcopy(self.net).requires_grad_(False)
        order = torch.randperm(self.task.num_samples, generator=self.generator, device=self.device)
        held = max(1, int(self.hp.val_fraction * len(order)))
        self.register_buffer("held_out", order[:held])
        self.register_buffer("trained", order[held:])
        self.register_buffer("lowest", torch.tensor(inf, device=self.device))
        self.register_buffer("matrix", torch.full((self.task.num_classes,) * 2, torch.nan, device=self.device))

    def stages(self) -> list[Stage]:
        first = self.hp.stage1_epochs or self.task.epochs
        return [
            Stage("noisy labels", first, self.train_on_noise, counts=False),
            Stage("corrected", self.task.epochs, self.train_epoch, begin=self.estimate),
        ]

    def train_on_noise(self, epoch: int) -> None:
        """Cross-entropy; the snapshot is the epoch of least loss on held-out noisy labels."""
        for batch in self.batches(self.draw(self.trained)):
            self.learn(F.cross_entropy(self.net(batch.weak()), batch.labels), self.net)
        loss = self.scores(
            lambda b: F.cross_entropy(self.net(b.plain()), b.labels, reduction="none"), self.held_out
        ).mean()
        if loss < self.lowest:
            self.lowest.copy_(loss)
            self.snapshot.load_state_dict(self.net.state_dict())

    def estimate(self) -> None:
        """T from the snapshot's anchors, held-out samples among them; then a new network."""
        probs = self.scores(lambda batch: self.snapshot(batch.plain()).softmax(1))
        identity = torch.eye(self.task.num_classes, device=self.device)
        self.matrix.copy_(estimated_by_anchors(probs, self.hp.percentile).lerp(identity, self.hp.alpha))
        self.net.load_state_dict(self.network().state_dict())

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            self.learn(forward_cross_entropy(self.net(batch.weak()), batch.labels, self.matrix), self.net)

    def clean_score(self) -> Tensor | None:
        """log P(the given label is the true one | image, given label) under T."""
        if bool(self.matrix.isnan().any()):
            return None
        return self.scores(lambda b: log_posterior_correct(self.net(b.plain()), b.labels, self.matrix))
