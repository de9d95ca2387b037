"""Co-teaching: two networks, each trained on the samples of smallest loss under the other.

Follows bhanML/Co-teaching, its ramp F(e) = tau^c e/(T_k - 1) included, but for two things: its loss divides an
already averaged cross-entropy by the number of samples once more (Adam hides that, SGD does not), and its first
epoch only evaluates. tau is the nominal noise rate; where only a part of the classes is flipped, the true share of
wrong labels is lower, and forget_rate takes it.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lnlbench.learning.losses import soft_cross_entropy
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    forget_rate: float | None = setting(
        None, "tau, the share dropped in the end; null is the noise rate", low=0, below=1
    )
    num_gradual: int = setting(10, "T_k, epochs over which the dropped share rises from 0", low=1)
    exponent: float = setting(1.0, "c: the share rises to tau^c", above=0)


SPEC = MethodSpec(
    slug="coteaching",
    title="Co-teaching",
    family="selection",
    summary="Two networks pick the samples of small loss in each batch for each other.",
    paper="Han et al., Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels, NeurIPS 2018",
    code="bhanML/Co-teaching",
    needs=("noise_rate",),
    hyperparameters=Hyper,
    table=(
        Row(dataset="cifar100", set={"recipe.schedule.start": 100}),
        # kaist-dmlab/SELFIE, where the published number comes from; its images are standardised one by one.
        Row(
            dataset="animal10n",
            set={
                "forget_rate": 0.08,
                "num_gradual": 15,
                "recipe.epochs": 100,
                "recipe.optimizer.name": "sgd",
                "recipe.optimizer.lr": 0.1,
                "recipe.optimizer.nesterov": True,
                "recipe.optimizer.weight_decay": 5e-4,
                "recipe.schedule.name": "multistep",
                "recipe.schedule.milestones": (0.5, 0.75),
                "recipe.schedule.gamma": 0.2,
                "recipe.schedule.adam_beta1": None,
            },
        ),
    ),
    recipe={
        "backbone": "cnn9",
        "epochs": 200,
        "batch_size": 128,
        "optimizer": {"name": "adam", "lr": 1e-3, "weight_decay": 0.0},
        "schedule": {"name": "linear", "start": 80, "adam_beta1": 0.1},
        "augment": "none",
        "normalisation": "none",
    },
)


class CoTeaching(Method):
    """Han et al. (2018), Algorithm 1."""

    spec = SPEC
    nets: Any
    trusted: Tensor

    def setup(self) -> None:
        self.nets = nn.ModuleList([self.network(), self.network()])
        self.register_buffer("trusted", torch.zeros(self.task.num_samples, dtype=torch.bool, device=self.device))

    def forgotten(self, epoch: int) -> float:
        """F(e): the share of a batch left out in an epoch, from 0 to tau over num_gradual epochs."""
        rate = self.task.need("noise_rate") if self.hp.forget_rate is None else self.hp.forget_rate
        if epoch >= self.hp.num_gradual:
            return rate
        return rate**self.hp.exponent * epoch / max(1, self.hp.num_gradual - 1)

    def train_epoch(self, epoch: int) -> None:
        keep = 1 - self.forgotten(epoch)
        self.trusted.zero_()
        for batch in self.batches(drop_last=True):
            n, count = len(batch), max(1, int(keep * len(batch)))
            rows = [
                self.rows(net, images, batch.one_hot, batch.indices, given=True, keep=True)
                for net, images in zip(self.nets, [batch.weak()] * 2, strict=True)
            ]
            losses = [
                soft_cross_entropy(net(x[:n]), t[:n], "none") for net, (x, t) in zip(self.nets, rows, strict=True)
            ]
            chosen = [loss.detach().topk(count, largest=False).indices for loss in losses]
            for net, (x, t), loss, peers in zip(self.nets, rows, losses, reversed(chosen), strict=True):
                extra = soft_cross_entropy(net(x[n:]), t[n:]) if len(x) > n else 0.0
                self.learn(loss[peers].mean() + extra, net)
                self.trusted[batch.indices[peers]] = True

    def predict(self, images: Tensor) -> Tensor:
        """Two predictors: the method's number is the mean of their accuracies, as its authors report both."""
        return torch.stack([net(images) for net in self.nets])

    def selected(self) -> Tensor:
        return self.trusted
