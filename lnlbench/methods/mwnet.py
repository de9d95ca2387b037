"""Meta-Weight-Net: a small network turns the loss of a sample into its weight, and is trained so that a step under
its weights lowers the loss on clean held-out samples.

Follows RobustMW-Net, the code behind the table's re-run: weights are normalised over the batch in both steps (the
formula's mean, `normalise=false`, is MW-Net's later script), the weighting network takes Nesterov steps. Its slip
at the single iteration of each drop, where the virtual step still has the old rate, is left out.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.job import Optimizer
from lnlbench.learning.meta_weights import WeightNet, absolute_error, meta_gradient, normalised_weights
from lnlbench.methods.base import Curve, Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class WeightNetHyper(Hyperparameters):
    """What Meta-Weight-Net and its noisy siblings share."""

    hidden: int = setting(100, "hidden units of the weighting network", low=1)
    meta_lr: float = setting(1e-3, "its learning rate, constant", above=0)
    meta_momentum: float = setting(0.9, "its momentum", low=0, below=1)
    meta_nesterov: bool = setting(True, "its steps are Nesterov's")
    meta_weight_decay: float = setting(5e-4, "its weight decay", low=0)
    meta_batch_size: int | None = setting(None, "meta samples a step; null is the batch size", low=1)
    normalise: bool = setting(True, "weights of a batch sum to 1; else their mean with the losses is taken")
    gradient: Literal["exact", "finite_difference", "last_layer"] = setting(
        "exact", "how the gradient through the virtual step is had"
    )


@dataclass(frozen=True)
class Hyper(WeightNetHyper):
    meta_loss: Literal["ce", "mae"] = setting("ce", "loss of the meta batch")


SPEC = MethodSpec(
    slug="mwnet",
    title="MW-Net",
    family="meta-learning",
    summary="A network of the loss weights samples; it learns from a clean meta set through a virtual step.",
    paper="Shu et al., Meta-Weight-Net: Learning an Explicit Mapping For Sample Weighting, NeurIPS 2019",
    code="xjtushujun/meta-weight-net",
    needs=("clean_meta",),
    meta_set=True,
    version=2,
    hyperparameters=Hyper,
)


class MWNet(Method):
    """Shu et al. (2019), Algorithm 1. `weighting` is V(loss)."""

    spec = SPEC
    weighting: Any

    def setup(self) -> None:
        self.net = self.network()
        self.weighting = self.build(lambda: WeightNet(self.hp.hidden))
        hp = self.hp
        decay = {"weight_decay": hp.meta_weight_decay}
        self.optimise(
            self.weighting,
            Optimizer("sgd", hp.meta_lr, momentum=hp.meta_momentum, nesterov=hp.meta_nesterov, **decay),
        )

    def train_epoch(self, epoch: int) -> None:
        meta = self.endless_meta(batch_size=self.hp.meta_batch_size)
        for batch in self.batches():
            images, labels = batch.weak(), batch.labels
            losses = F.cross_entropy(self.net(images), labels, reduction="none")
            self.improve(images, labels, losses.detach(), next(meta))
            with torch.no_grad():
                weights = self.weights(losses)
            self.learn((weights * losses).sum(), self.net)

    def improve(self, images: Tensor, labels: Tensor, losses: Tensor, meta: Any) -> None:
        """A step of V towards weights under which the classifier's next step lowers the meta loss."""
        weights = self.weights(losses)
        pull = meta_gradient(
            self.net,
            images,
            labels,
            weights.detach(),
            self.rate(self.net),
            meta.weak(),
            meta.labels,
            self.meta_loss,
            self.hp.gradient,
        )
        self.learn((pull * weights).sum(), self.weighting)

    def weights(self, losses: Tensor) -> Tensor:
        """Weights (B,) of a batch's losses (B,), which they do not send gradients to."""
        weights = self.weighting(losses.detach())
        return normalised_weights(weights) if self.hp.normalise else weights / len(weights)

    def meta_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of the meta batch."""
        per_sample = absolute_error(logits, labels) if self.hp.meta_loss == "mae" else F.cross_entropy(logits, labels)
        return per_sample.mean()

    def predict(self, images: Tensor) -> Tensor:
        return self.net(images)

    def clean_score(self) -> Tensor:
        """V of the given label's loss; its direction is as learned."""
        with torch.no_grad():
            return self.weighting(self.losses(self.net))

    def curves(self) -> dict[str, Curve]:
        losses = torch.linspace(0, 10, 101, device=self.device)
        with torch.no_grad():
            weights = self.weighting(losses)
        return {"weight": Curve(losses.cpu(), weights.cpu(), "cross-entropy loss", "weight")}
