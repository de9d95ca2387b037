"""Dimensionality-driven learning: the local intrinsic dimensionality (LID) of the features falls while the network
learns what is right and rises when it begins to memorise. From that turning point on it trains on a mixture of given
label and own prediction, in which the label's share falls with the progress of training and the growth of the LID.

Follows xingjunm/dimensionality-driven-learning: the window of 5, the first check after a third of training (0.3 with
CIFAR-100), the current epoch's LID among those whose minimum it is compared with. The paper has a window of 12, and
goes back to an earlier epoch's weights, which in the code reloads the present ones: left out, and so is the code's
momentum that starts anew in every epoch after. Before the turning point it is cross-entropy as in the paper;
`pre_loss=sce` is the symmetric one that the code has since October 2019.
"""

from math import exp
from typing import Literal

import torch
from torch import Tensor

from lnlbench.learning.losses import soft_cross_entropy, symmetric_cross_entropy
from lnlbench.learning.pseudo_labels import one_hot
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    k: int = setting(20, "neighbours of an image within its group", low=2)
    group: int = setting(128, "images of a group", low=3)
    groups: int = setting(10, "groups drawn each epoch", low=1)
    E0: float = setting(1 / 3, "share of the epochs before the first that can begin a window", low=0, high=1)
    window: int = setting(5, "epochs whose mean LID a rise is held against", low=1)
    threshold: float = setting(2.0, "by how many of their standard deviations it must rise", low=0)
    pre_loss: Literal["ce", "sce"] = setting("ce", "before the turning point: cross-entropy, or the symmetric one")
    sce_alpha: float = setting(0.1, "sce: weight of cross-entropy", low=0)
    sce_beta: float = setting(1.0, "sce: weight of the reverse cross-entropy", low=0)


SPEC = MethodSpec(
    slug="d2l",
    title="D2L",
    family="correction",
    summary="Mixes labels with predictions from the epoch on in which the features' dimensionality begins to rise.",
    paper="Ma et al., Dimensionality-Driven Learning with Noisy Labels, ICML 2018",
    code="xingjunm/dimensionality-driven-learning",
    hyperparameters=Hyper,
    table=(
        Row(dataset="cifar100", set={"E0": 0.3}),
        Row(dataset="cifar100", given={"pre_loss": "sce"}, set={"sce_alpha": 6.0, "sce_beta": 0.1}),
    ),
)


class D2L(Method):
    """Ma et al. (2018), Algorithm 1. lids: (T,) mean LID at the start of each epoch, NaN before it; turned: whether the
    turning point is found; targets: (N,) the likeliest class of what the last epoch trained towards."""

    spec = SPEC
    lids: Tensor
    turned: Tensor
    targets: Tensor

    def setup(self) -> None:
        self.net = self.network()
        self.register_buffer("lids", torch.full((self.task.epochs,), torch.nan, device=self.device))
        self.register_buffer("turned", torch.zeros((), dtype=torch.bool, device=self.device))
        self.register_buffer("targets", self.task.noisy_labels.clone())

    def train_epoch(self, epoch: int) -> None:
        self.record(epoch, self.lid())
        alpha = self.alpha(epoch)
        for batch in self.batches():
            logits = self.net(batch.weak())
            if alpha == 1 and self.hp.pre_loss == "sce":
                loss = symmetric_cross_entropy(logits, batch.labels, self.hp.sce_alpha, self.hp.sce_beta)
            else:
                mixed = alpha * batch.one_hot + (1 - alpha) * one_hot(logits.argmax(1), self.task.num_classes)
                self.targets[batch.indices] = mixed.argmax(1)
                loss = soft_cross_entropy(logits, mixed)
            self.learn(loss, self.net)

    def lid(self) -> Tensor:
        """Mean LID of the features of images drawn at random, each among its group."""
        n = self.task.num_samples
        size = min(self.hp.group, n)
        count = min(self.hp.groups, n // size) * size
        drawn = torch.randperm(n, generator=self.generator, device=self.device)[:count]
        features = self.scores(lambda batch: self.net.features(batch.plain()), drawn)
        return intrinsic_dimensionality(features.view(-1, size, features.shape[1]), self.hp.k).mean()

    def record(self, epoch: int, lid: Tensor) -> None:
        """Keeps an epoch's LID, the previous one's where it is none, and looks for the turning point."""
        previous = self.lids[epoch - 1] if epoch else torch.ones_like(lid)
        self.lids[epoch] = torch.where(lid.isfinite() & (lid > 0), lid, previous)
        if epoch >= round(self.hp.E0 * self.task.epochs) + self.hp.window:
            before = self.lids[epoch - self.hp.window : epoch]
            rise = self.lids[epoch] - before.mean()
            self.turned |= rise > self.hp.threshold * before.std(correction=0)

    def alpha(self, epoch: int) -> float:
        """The given label's share: 1 up to the turning point, then exp(-(e/T) LID_e / min LID)."""
        if not bool(self.turned):
            return 1.0
        known = self.lids[: epoch + 1]
        return exp(-epoch / self.task.epochs * float(known[-1] / known.min()))

    def corrected_labels(self) -> Tensor:
        return self.targets


def intrinsic_dimensionality(features: Tensor, k: int) -> Tensor:
    """(G, m) maximum-likelihood LID of each of m points among its group: -k / sum_j log(r_j / r_k + 1e-8), r_1..r_k the
    distances to the k nearest others (Ma et al., Eq. 4).

    features (G, m, D); where a group has no k others, k is m - 1. NaN or infinite where the points are all one.
    """
    k = min(k, features.shape[1] - 1)
    # By differences: expanding the square cancels where points are close.
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distances.topk(k + 1, largest=False).values[..., 1:]
    return -k / (nearest / nearest[..., -1:] + 1e-8).log().sum(-1)
