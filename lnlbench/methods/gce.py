"""Generalised cross-entropy, L_q(p_y) = (1 - p_y^q)/q, between CE (q -> 0) and MAE (q = 1).

The truncated variant drops, from time to time, every sample that the best snapshot so far contradicts. Its
snapshot is chosen by accuracy on held-out *noisy* labels, which are not trained on; the best-known
re-implementation uses test labels. Ours too: pruning looks at plain views, the loss is divided by B (the paper
sums), and training goes on from the current weights, not from the snapshot's.
"""

from copy import deepcopy
from math import inf, log
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.learning.losses import lq_loss
from lnlbench.methods.base import Method, Stage
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    variant: Literal["plain", "truncated"] = setting("plain", "plain, or truncated with pruning")
    q: float = setting(0.7, "between cross-entropy (0) and mean absolute error (1)", above=0, high=1)
    k: float = setting(0.5, "truncated: a sample is kept while p_y > k", low=0, below=1)
    start_prune: int = setting(40, "truncated: first epoch that prunes, counted from 1", low=1)
    prune_every: int = setting(10, "truncated: epochs between prunings", low=1)
    holdout: float = setting(0.1, "truncated: share of noisy samples that choose the snapshot", above=0, below=1)


SPEC = MethodSpec(
    slug="gce",
    title="GCE",
    family="loss",
    summary="Weighs each sample's cross-entropy gradient by p_y^q, so that labels the net contradicts pull less.",
    paper="Zhang, Sabuncu, Generalized Cross Entropy Loss for Training DNNs with Noisy Labels, NeurIPS 2018",
    hyperparameters=Hyper,
    table=(Row(dataset="cifar100", set={"start_prune": 80}),),
)


class GeneralisedCrossEntropy(Method):
    """Zhang and Sabuncu (2018): Eq. 6 plain, Algorithm 1 truncated."""

    spec = SPEC
    held_out: Tensor
    trained: Tensor
    kept: Tensor
    best: Tensor

    def setup(self) -> None:
        self.net = self.network()
        if self.hp.variant == "truncated":
            order = torch.randperm(self.task.num_samples, generator=self.generator, device=self.device)
            held = max(1, int(self.hp.holdout * len(order)))
            self.snapshot = deepcopy(self.net).requires_grad_(False)
            self.register_buffer("held_out", order[:held])
            self.register_buffer("trained", order[held:])
            self.register_buffer("kept", torch.ones(len(order), dtype=torch.bool, device=self.device))
            self.register_buffer("best", torch.tensor(-1.0, device=self.device))

    def stages(self) -> list[Stage]:
        train = self.train_truncated if self.hp.variant == "truncated" else self.train_epoch
        return [Stage("train", self.task.epochs, train)]

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            self.learn(lq_loss(self.net(batch.weak()), batch.labels, self.hp.q), self.net)

    def train_truncated(self, epoch: int) -> None:
        if epoch + 1 >= self.hp.start_prune and (epoch + 1) % self.hp.prune_every == 0:
            # L_q(p_y) < L_q(k) exactly when p_y > k; compared as logarithms, since p_y may underflow to k = 0.
            self.kept = self.snapshot_score() > (log(self.hp.k) if self.hp.k > 0 else -inf)
        constant = (1 - self.hp.k**self.hp.q) / self.hp.q
        for batch in self.batches(self.draw(self.trained)):
            losses = lq_loss(self.net(batch.weak()), batch.labels, self.hp.q, "none") - constant
            self.learn((self.kept[batch.indices] * losses).mean(), self.net)
        accuracy = self.scores(lambda b: self.net(b.plain()).argmax(1) == b.labels, self.held_out).mean()
        if accuracy > self.best:
            self.best.copy_(accuracy)
            self.snapshot.load_state_dict(self.net.state_dict())

    def snapshot_score(self) -> Tensor:
        """(N,) log p_y under the snapshot, on plain views."""
        return self.scores(lambda b: -F.cross_entropy(self.snapshot(b.plain()), b.labels, reduction="none"))

    def clean_score(self) -> Tensor | None:
        return None if self.hp.variant == "plain" else self.snapshot_score()

    def selected(self) -> Tensor | None:
        return self.kept if self.hp.variant == "truncated" else None
