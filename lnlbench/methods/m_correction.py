"""M-correction: a beta mixture of the losses tells after every epoch how likely each label is wrong, and by that much
the target moves from the label to the network's own prediction, all of it under mixup.

Follows the released code (PaulAlbert31/LabelNoiseCorrection): posteriors come from its table of 100 losses, where the
paper has one for each sample; epochs count from 0 here. `variant` is the paper's name of the form; the table's rows
are the better one of M-DYR-H and MD-DYR-SH at each rate, hence the need. Different from the code: the mixture sees
plain images, not augmented ones, and the penalty knows the number of classes in all forms. On Clothing1M, of which
there is no code, the warm-up ends six epochs after the rate falls, as it does on CIFAR.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.data.task import Batch
from lnlbench.learning.beta_mixture import BetaMixture
from lnlbench.learning.losses import prior_penalty, soft_cross_entropy
from lnlbench.learning.mixtures import normalised
from lnlbench.learning.mixup import draw_lambda, mixed
from lnlbench.learning.pseudo_labels import one_hot
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    variant: Literal["M-DYR-H", "M-DYR-S", "MD-DYR-SH"] = setting(
        "M-DYR-H", "mixup and hard or soft predictions; or mixup by the posterior and soft ones that harden"
    )
    alpha: float = setting(32.0, "Beta parameter of mixup", low=0)
    eta: float = setting(1.0, "weight of the penalty on uneven predictions", low=0)
    warmup_epochs: int = setting(105, "epochs of mixup alone", low=0)
    mixup_epochs: int = setting(5, "MD-DYR-SH: epochs of mixup by the posterior before labels move", low=0)
    temperature_epochs: int = setting(89, "MD-DYR-SH: epochs over which the temperature falls from 1", low=1)
    T_end: float = setting(0.001, "MD-DYR-SH: the temperature in the end", above=0, high=1)


CIFAR = ("cifar10", "cifar100")
SPEC = MethodSpec(
    slug="m_correction",
    title="M-correction",
    family="correction",
    summary="Moves targets to the own prediction by a beta mixture's posterior of a wrong label, under mixup.",
    paper="Arazo et al., Unsupervised Label Noise Modeling and Loss Correction, ICML 2019",
    code="PaulAlbert31/LabelNoiseCorrection",
    needs=("noise_rate",),
    hyperparameters=Hyper,
    table=(
        Row(dataset="cifar10", rate=0.9, set={"variant": "MD-DYR-SH"}),
        Row(dataset="cifar100", rate=(0.2, 0.5), set={"variant": "MD-DYR-SH"}),
        Row(dataset="cifar100", rate=0.9, set={"variant": "MD-DYR-SH"}),
        Row(
            dataset=CIFAR,
            set={
                "recipe.batch_size": 128,
                "recipe.optimizer.lr": 0.1,
                "recipe.optimizer.weight_decay": 1e-4,
                "recipe.schedule.milestones": [99, 249],
            },
        ),
        Row(dataset="clothing1m", set={"warmup_epochs": 46}),
    ),
)


Mixing = float | Tensor


class MCorrection(Method):
    """Arazo et al. (2019), sec. 3. clean: 1 - w (N,), w the posterior of a wrong label at the last epoch's end."""

    spec = SPEC
    clean: Tensor
    corrected: Tensor

    def setup(self) -> None:
        self.net = self.network()
        self.mixture = BetaMixture()
        self.register_buffer("clean", torch.ones(self.task.num_samples, device=self.device))
        self.register_buffer("corrected", self.task.noisy_labels.clone())

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            images = batch.weak()
            order = torch.randperm(len(batch), generator=self.generator, device=self.device)
            targets, share, weight = self.pairing(epoch, batch, images, order)
            logits = self.net(mixed(images, share, order))
            loss = soft_cross_entropy(logits, mixed(targets, weight, order))
            penalty = prior_penalty(logits.softmax(1)) if self.bootstraps(epoch) else 0.0
            self.learn(loss + self.hp.eta * penalty, self.net)
        losses = self.losses(self.net)
        # The posterior is flat at both ends: there the loss itself decides.
        self.clean.copy_(1 - self.mixture.fit(losses) - 1e-3 * normalised(losses))

    def bootstraps(self, epoch: int) -> bool:
        """Whether targets move in an epoch."""
        extra = self.hp.mixup_epochs if self.hp.variant == "MD-DYR-SH" else 0
        return epoch >= self.hp.warmup_epochs + extra

    def pairing(self, epoch: int, batch: Batch, images: Tensor, order: Tensor) -> tuple[Tensor, Mixing, Mixing]:
        """Targets (B, C), and by what coefficients the images and the targets of a step are mixed."""
        lam = draw_lambda(self.hp.alpha, self.rng, at_least_half=False)
        if epoch < self.hp.warmup_epochs:
            return batch.one_hot, lam, lam
        targets, wrong = self.correct(epoch, batch, images)
        if self.hp.variant != "MD-DYR-SH":
            return targets, lam, lam
        share = (1 - wrong) / (2 - wrong - wrong[order])
        return targets, share, 0.5 if self.bootstraps(epoch) else lam

    @torch.no_grad()
    def correct(self, epoch: int, batch: Batch, images: Tensor) -> tuple[Tensor, Tensor]:
        """(1 - w) e_y + w z (B, C), and w (B,): z is the network's own prediction, with statistics of the batch."""
        targets = batch.one_hot
        own = self.own(epoch, self.net(images)) if self.bootstraps(epoch) else targets
        self.net.eval()
        wrong = self.mixture.wrong(F.cross_entropy(self.net(images), batch.labels, reduction="none"))
        self.net.train()
        targets = targets.lerp(own, wrong[:, None])
        self.corrected[batch.indices] = targets.argmax(1)
        return targets, wrong

    def own(self, epoch: int, logits: Tensor) -> Tensor:
        """z (B, C): the prediction as its argmax, as it is, or sharpened more with each epoch."""
        if self.hp.variant == "M-DYR-H":
            return one_hot(logits.argmax(1), self.task.num_classes)
        return (logits.float() / self.temperature(epoch)).softmax(1)

    def temperature(self, epoch: int) -> float:
        """1; in MD-DYR-SH it falls linearly to T_end once targets move."""
        if self.hp.variant != "MD-DYR-SH":
            return 1.0
        done = (epoch - self.hp.warmup_epochs - self.hp.mixup_epochs) / max(1, self.hp.temperature_epochs - 1)
        return 1 - min(1.0, done) * (1 - self.hp.T_end)

    def clean_score(self) -> Tensor | None:
        """(N,) 1 - w, w the posterior itself and not the table's; None before the first fit."""
        return self.clean if self.mixture.started else None

    def corrected_labels(self) -> Tensor:
        return self.corrected
