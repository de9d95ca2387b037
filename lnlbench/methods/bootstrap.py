"""Bootstrapping: the target is a fixed mix of the given label and the network's own prediction, hard (its argmax) or
soft (its softmax, through which the gradient flows: held constant, it would only scale the learning rate).

No code of the authors is known; the losses and both betas agree in four re-implementations. RFL and the released
soft versions do not say which mode their rows are: hard is the default, as RMW-Net's row is named Reed-Hard.
"""

from typing import Literal

import torch.nn.functional as F

from lnlbench.learning.losses import soft_cross_entropy
from lnlbench.learning.pseudo_labels import one_hot
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    mode: Literal["hard", "soft"] = setting("hard", "mix the label with the prediction's argmax, or its softmax")
    beta: float = setting(0.8, "weight of the given label", above=0, high=1)
    warmup_epochs: int = setting(0, "epochs of cross-entropy first", low=0)


SPEC = MethodSpec(
    slug="bootstrap",
    title="Bootstrap",
    family="loss",
    summary="Mixes each label with the network's own current prediction, hard or soft.",
    paper="Reed et al., Training Deep Neural Networks on Noisy Labels with Bootstrapping, ICLR workshop 2015",
    hyperparameters=Hyper,
    table=(Row(given={"mode": "soft"}, set={"beta": 0.95}),),
)


class Bootstrap(Method):
    """Reed et al. (2015): loss = -sum_k (beta e_y + (1 - beta) t)_k log p_k, t = p (Eq. 6) or its argmax (Eq. 7)."""

    spec = SPEC

    def train_epoch(self, epoch: int) -> None:
        beta = 1.0 if epoch < self.hp.warmup_epochs else self.hp.beta
        for batch in self.batches():
            logits = self.net(batch.weak())
            soft = self.hp.mode == "soft"
            own = F.softmax(logits, 1) if soft else one_hot(logits.argmax(1), self.task.num_classes)
            self.learn(soft_cross_entropy(logits, beta * batch.one_hot + (1 - beta) * own), self.net)
