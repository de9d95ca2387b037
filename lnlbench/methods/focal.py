"""Focal loss, (1 - p_y)^gamma times cross-entropy: samples the network is sure of weigh little. Made against class
imbalance; under label noise the hard samples it dwells on are often the mislabelled ones, so it is no defence.

In its softmax form without class weights, as all tables of noisy labels have it. The exponent behind the published row
is unknown: 2 is Lin et al.'s and google/mentornet's, HanxunH/Active-Passive-Losses takes 0.5. The paper differentiates
the factor; `detach_weight` holds it constant, as those two codes do.
"""

import torch.nn.functional as F
from torch import Tensor

from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    gamma: float = setting(2.0, "focusing: 0 is cross-entropy", low=0)
    detach_weight: bool = setting(False, "no gradient flows through the factor")


SPEC = MethodSpec(
    slug="focal",
    title="Focal Loss",
    family="loss",
    summary="Weighs cross-entropy by (1 - p_y)^gamma, so that samples the network is sure of pull less.",
    paper="Lin et al., Focal Loss for Dense Object Detection, ICCV 2017",
    hyperparameters=Hyper,
)


class FocalLoss(Method):
    """Lin et al. (2017), Eq. 4, of the softmax."""

    spec = SPEC

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            self.learn(self.loss(self.net(batch.weak()), batch.labels), self.net)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean of -(1 - p_y)^gamma log p_y over the batch."""
        cross_entropy = F.cross_entropy(logits, labels, reduction="none")
        # Below gamma 1 the power's slope at 0 is infinite, and times the loss of 0 there it is NaN.
        rest = (-(-cross_entropy).expm1()).clamp_min(1e-6)
        weight = (rest.detach() if self.hp.detach_weight else rest) ** self.hp.gamma
        return (weight * cross_entropy).mean()
