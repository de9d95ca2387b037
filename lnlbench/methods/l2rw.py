"""Learning to reweight: a sample's weight is how much a little more of it would lower the loss of a clean batch, the
inner product of both gradients; negative ones are 0, a batch's sum to 1. No weight outlives its iteration.

With all weights at 0, where uber-research/learning-to-reweight-examples differentiates, its virtual network is the
network itself: one clean gradient and one forward-mode product over the noisy batch are the exact second-order answer.
Not as there: its clean loss has the weight decay in it; its labels are drawn otherwise. Its schedules, 60,000 steps on
a WRN-28-10 and 80,000 on a ResNet-32, are the recipe rmw-l2rw.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.learning.meta_weights import gradient_alignment, normalised_weights
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    meta_batch_size: int | None = setting(None, "clean samples a step; null is the batch size", low=1)
    gradient: Literal["exact", "finite_difference", "last_layer"] = setting(
        "exact", "how the inner products are had; last_layer takes those of the head alone"
    )
    score_decay: float = setting(0.9, "decay of a sample's mean inner product, its clean score", low=0, below=1)


SPEC = MethodSpec(
    slug="l2rw",
    title="L2RW",
    family="meta-learning",
    summary="Weighs each sample by how much its gradient agrees with that of a clean batch.",
    paper="Ren et al., Learning to Reweight Examples for Robust Deep Learning, ICML 2018",
    code="uber-research/learning-to-reweight-examples",
    needs=("clean_meta",),
    meta_set=True,
    version=2,
    hyperparameters=Hyper,
)


class L2RW(Method):
    """Ren et al. (2018), Algorithm 1. agreement: (N,) running mean of u_i over the batch's mean |u|, before it is cut
    at 0, so that rejected samples have their order too."""

    spec = SPEC
    agreement: Tensor

    def setup(self) -> None:
        self.net = self.network()
        self.register_buffer("agreement", torch.zeros(self.task.num_samples, device=self.device))

    def train_epoch(self, epoch: int) -> None:
        clean = self.endless_meta(batch_size=self.hp.meta_batch_size)
        for batch in self.batches():
            images, gold = batch.weak(), next(clean)
            losses = F.cross_entropy(self.net(images), batch.labels, reduction="none")
            u = gradient_alignment(
                self.net, images, batch.labels, gold.weak(), gold.labels, F.cross_entropy, self.hp.gradient
            )
            self.learn((normalised_weights(u.clamp_min(0)) * losses).sum(), self.net)
            relative = u / u.abs().mean().clamp_min(1e-30)
            self.agreement[batch.indices] = self.agreement[batch.indices].lerp(relative, 1 - self.hp.score_decay)

    def clean_score(self) -> Tensor:
        return self.agreement
