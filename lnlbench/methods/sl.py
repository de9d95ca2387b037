"""Symmetric cross-entropy: cross-entropy plus its reverse, -sum_k p_k log q_k with log 0 taken for A, which for one
label is -A (1 - p_y): mean absolute error, which is robust, with cross-entropy to converge on hard classes.

A is log(1e-4) as in the released code, whose numbers the tables have; the paper's text says -6. The weights belong to
the data set: those of CIFAR-10 hardly converge on CIFAR-100, whose alpha of 6 may diverge at lr 0.1 (set clip_norm).
None is published for Clothing1M, where CIFAR-10's are used.
"""

from lnlbench.learning.losses import symmetric_cross_entropy
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    alpha: float = setting(0.1, "weight of cross-entropy", low=0)
    beta: float = setting(1.0, "weight of the reverse cross-entropy", low=0)
    A: float = setting(-9.210340371976182, "what log 0 is taken for; log(1e-4)", below=0)


SPEC = MethodSpec(
    slug="sl",
    title="SL",
    family="loss",
    summary="Adds to cross-entropy the reverse cross-entropy, in which label and prediction change places.",
    paper="Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels, ICCV 2019",
    code="YisenWang/symmetric_cross_entropy_for_noisy_labels",
    hyperparameters=Hyper,
    table=(
        Row(dataset="cifar100", set={"alpha": 6.0, "beta": 0.1}),
        # HanxunH/Active-Passive-Losses; the authors have no values for it.
        Row(dataset="webvision", set={"alpha": 10.0, "beta": 1.0}),
    ),
)


class SymmetricCrossEntropy(Method):
    """Wang et al. (2019), Eq. 7: alpha CE + beta RCE, RCE = -A (1 - p_y)."""

    spec = SPEC

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            logits = self.net(batch.weak())
            loss = symmetric_cross_entropy(logits, batch.labels, self.hp.alpha, self.hp.beta, self.hp.A)
            self.learn(loss, self.net)
