"""ELR+: two networks under mixup, each held near a running mean of what the other one's weight average predicts.

Follows the released code (shengliu66/ELR) on one device: the networks train in turns, an epoch each, and the averages
predict with the batch's statistics. Its slip, that each network sees another draw of the noise, is left out. In its
CIFAR-100 configuration labels are multiplied by the targets and the penalty is ramped up; both are hyperparameters.
Ramps count steps, as there: 40,000 are 114 of its epochs.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lnlbench.data.task import Batch
from lnlbench.learning.ema import ema_update
from lnlbench.learning.losses import early_learning_penalty, soft_cross_entropy
from lnlbench.learning.mixup import draw_lambda, mix
from lnlbench.learning.ramps import sigmoid_rampup
from lnlbench.methods.base import Method
from lnlbench.methods.spec import ASYMMETRIC, Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    lambda_elr: float = setting(3.0, "lambda, weight of the penalty", low=0)
    beta: float = setting(0.7, "decay of the targets, once an epoch", low=0, below=1)
    alpha: float = setting(1.0, "Beta parameter of mixup; 0 mixes nothing", low=0)
    gamma: float = setting(0.997, "decay of the weight averages, once a step", low=0, high=1)
    ema_step: int | None = setting(
        40000, "steps over which gamma rises from 0.007 of itself; null: it is min(1 - 1/(step + 1), gamma)", low=0
    )
    coef_step: int = setting(0, "steps over which lambda rises from 0.007 of itself; 0: none", low=0)
    label_product: bool = setting(False, "labels are multiplied by the targets and renormalised")


SPEC = MethodSpec(
    slug="elr_plus",
    title="ELR+",
    family="regularisation",
    summary="ELR with mixup and two networks, each of which takes its targets from the other's weight average.",
    paper="Liu et al., Early-Learning Regularization Prevents Memorization of Noisy Labels, NeurIPS 2020",
    code="shengliu66/ELR",
    needs=("noise_type",),
    hyperparameters=Hyper,
    table=(
        Row(noise=ASYMMETRIC, set={"lambda_elr": 1.0, "beta": 0.9}),
        Row(
            dataset="cifar100",
            set={"lambda_elr": 7.0, "beta": 0.9, "coef_step": 40000, "label_product": True},
        ),
        Row(dataset="clothing1m", set={"gamma": 0.9999, "ema_step": None}),
        Row(dataset="webvision", set={"alpha": 1.5}),
    ),
)


class ELRPlus(Method):
    """Liu et al. (2020), sec. 4 and its appendix. targets: t of both networks (2, N, C)."""

    spec = SPEC
    nets: Any
    averages: Any
    targets: Tensor

    def setup(self) -> None:
        n, c = self.task.num_samples, self.task.num_classes
        self.nets = nn.ModuleList([self.network(), self.network()])
        # With weights of their own, which the first steps replace.
        self.averages = nn.ModuleList(self.network().requires_grad_(False) for _ in self.nets)
        self.register_buffer("targets", torch.zeros(2, n, c, device=self.device))

    def train_epoch(self, epoch: int) -> None:
        # Both count from the same step: a step is one of each network.
        done = epoch * self.task.epoch_steps
        for k in (0, 1):
            for step, batch in enumerate(self.batches(), done + 1):
                self.train_step(k, batch, step)

    def train_step(self, k: int, batch: Batch, step: int) -> None:
        """One step of network k, on which the other's average teaches. step: counted from 1 over all epochs."""
        net, hp = self.nets[k], self.hp
        images = batch.weak()
        with torch.no_grad():
            taught = self.averages[1 - k](images).softmax(1)
        targets = taught.lerp(self.targets[k, batch.indices], hp.beta)
        self.targets[k, batch.indices] = targets
        images, labels = self.rows(net, images, batch.one_hot, batch.indices, given=True, keep=True, predicted=taught)
        # A plug-in's rows come in blocks of the batch, in its order.
        targets = targets.repeat(len(images) // len(targets), 1)
        lam = draw_lambda(hp.alpha, self.rng, at_least_half=True)
        order = torch.randperm(len(images), generator=self.generator, device=self.device)
        images, both = mix(images, torch.cat([labels, targets], 1), lam, order)
        labels, targets = both.chunk(2, 1)
        if hp.label_product:
            labels = labels * targets
            labels = labels / (labels.sum(1, keepdim=True) + 1e-8)
        logits = net(images)
        penalty = early_learning_penalty(logits.softmax(1), targets)
        weight = hp.lambda_elr * sigmoid_rampup(step, hp.coef_step)
        self.learn(soft_cross_entropy(logits, labels) + weight * penalty, net)
        ema_update(self.averages[k], net, self.decay(step))

    def decay(self, step: int) -> float:
        """The weight average's decay after a step."""
        if self.hp.ema_step is None:
            return min(1 - 1 / (step + 1), self.hp.gamma)
        return self.hp.gamma * sigmoid_rampup(step + 1, self.hp.ema_step)

    def predict(self, images: Tensor) -> Tensor:
        """The mean of both trained networks' logits."""
        return (self.nets[0](images) + self.nets[1](images)) / 2

    def clean_score(self) -> Tensor:
        """(N,) t of the given label, the mean over both networks."""
        return self.targets.mean(0).gather(1, self.task.noisy_labels[:, None]).squeeze(1)
