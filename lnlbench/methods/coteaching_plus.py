"""Co-teaching+: after some epochs of Co-teaching the networks pick for each other from those samples only on whose
class they disagree, which keeps them from becoming one network.

`variant` official is the loss of the released code (xingruiyu/coteaching_plus): it takes the softmax twice once
disagreement counts, and where nobody disagrees trains on the whole batch in some early steps. The default takes it
once and makes no step without disagreement, as the paper's rule implies. The division of a mean by its count is left
out as in `coteaching.py`, and so is the paper's slower schedule of forgetting, which the code has as a comment. The
published row is DivideMix's rerun on PreAct ResNet-18, whose recipe is unknown: ours is the suite's at batch 128.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.methods.coteaching import CoTeaching
from lnlbench.methods.coteaching import Hyper as CoTeachingHyper
from lnlbench.methods.spec import MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(CoTeachingHyper):
    init_epoch: int = setting(20, "E_0, epochs of Co-teaching before disagreement counts", low=0)
    variant: Literal["paper", "official"] = setting("paper", "cross-entropy of the logits, or of their softmax")


SPEC = MethodSpec(
    slug="coteaching_plus",
    title="Co-teaching+",
    family="selection",
    summary="Co-teaching on the samples whose class the two networks disagree about.",
    paper="Yu et al., How does Disagreement Help Generalization against Label Corruption?, ICML 2019",
    code="xingruiyu/coteaching_plus",
    needs=("noise_rate",),
    hyperparameters=Hyper,
    table=(Row(dataset="cifar100", set={"init_epoch": 5}),),
    recipe={"batch_size": 128},
)

WHOLE_BATCH_UNTIL = 5000
"""The released code's bound on epoch times step, under which a batch without disagreement is trained on whole."""


class CoTeachingPlus(CoTeaching):
    """Yu et al. (2019), Algorithm 1."""

    spec = SPEC

    def train_epoch(self, epoch: int) -> None:
        if epoch < self.hp.init_epoch:
            super().train_epoch(epoch)
            return
        keep = 1 - self.forgotten(epoch)
        self.trusted.zero_()
        for step, batch in enumerate(self.batches(drop_last=True)):
            images = batch.weak()
            logits = [net(images) for net in self.nets]
            losses = [self.loss(z, batch.labels) for z in logits]
            # How many disagree must be read back: without any there is no step.
            apart = (logits[0].argmax(1) != logits[1].argmax(1)).nonzero().squeeze(1)
            if len(apart):
                count = int(keep * len(apart)) or len(apart)
                chosen = [apart[loss.detach()[apart].topk(count, largest=False).indices] for loss in losses]
            elif self.hp.variant == "official" and (epoch + 1) * step < WHOLE_BATCH_UNTIL:
                chosen = [torch.arange(len(batch), device=self.device)] * 2
            else:
                continue
            for net, loss, peers in zip(self.nets, losses, reversed(chosen), strict=True):
                self.learn(loss[peers].mean(), net)
                self.trusted[batch.indices[peers]] = True

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy (B,); of probabilities taken for logits in the released code."""
        scores = logits.softmax(1) if self.hp.variant == "official" else logits
        return F.cross_entropy(scores, labels, reduction="none")
