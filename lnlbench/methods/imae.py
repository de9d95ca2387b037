"""IMAE: the direction of cross-entropy's gradient, scaled to length 1, times exp(T p_y (1 - p_y)): samples the network
is undecided about weigh most. It is a gradient, not a loss: its integral diverges at p_y = 1.

Variant `paper` divides by the batch size, `official` by the sum of the weights, as the authors' later PyTorch code
(XinshaoAmosWang/ProSelfLC-AT) does; the published numbers are from Caffe and follow the paper. The two differ by up to
exp(T/4) = 7.4 in the effective learning rate. Neither vanishes on labels learnt by heart: where the logits blow up,
clip the gradient's norm or lower the rate. The loss that is shown is cross-entropy.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.learning.pseudo_labels import one_hot
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    variant: Literal["paper", "official"] = setting("paper", "divide by the batch size, or by the sum of the weights")
    T: float = setting(8.0, "spread of the weights; the largest is exp(T/4)", low=0)


SPEC = MethodSpec(
    slug="imae",
    title="IMAE",
    family="loss",
    summary="Gives each sample a gradient of fixed length times a weight that is largest where the net is undecided.",
    paper="Wang et al., IMAE for Noise-Robust Learning: MAE Does Not Treat Examples Equally, arXiv 1903.12141",
    code="XinshaoAmosWang/ProSelfLC-AT",
    hyperparameters=Hyper,
)


class IMAE(Method):
    """Wang et al. (2019): gradients of L1 norm exp(T p_y (1 - p_y)) on the logits."""

    spec = SPEC

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            logits = self.net(batch.weak())
            # Its gradient is the one wanted; its value is replaced by one that means something.
            surrogate = (self.gradient(logits.detach(), batch.labels) * logits).sum()
            shown = F.cross_entropy(logits.detach(), batch.labels)
            self.learn(surrogate - surrogate.detach() + shown, self.net)

    def gradient(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(B, C) the gradient by the logits (B, C), constant."""
        given = one_hot(labels, logits.shape[1]).bool()
        # A softmax over the other classes, since p_j/(1 - p_y) is 0/0 for a sample that is learnt by heart.
        others = logits.masked_fill(given, -torch.inf).softmax(1)
        p = logits.softmax(1).gather(1, labels[:, None])
        weight = torch.exp(self.hp.T * p * (1 - p))
        total = len(logits) if self.hp.variant == "paper" else weight.sum()
        direction = others.masked_fill(given, -1.0) / 2
        return weight * direction / total
