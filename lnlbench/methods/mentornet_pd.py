"""MentorNet with a predefined curriculum: all samples at first, then those with a loss below a moving percentile, in
the end a soft weight that falls with the loss. The variant that needs no clean sample; `mentornet` learns its weights.

Follows google/mentornet, but for the tiny network that it fits to this very function. Its percentiles are those its
scripts mean to set (0.75 up to 40% noise, 0.5 at 80%, a line between is ours); they misspell the flag, so the published
numbers probably had 0.7. Its self-paced variant is `self_paced`.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.learning.ramps import linear_rampup
from lnlbench.methods.base import Method, Stage
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class MentorHyper(Hyperparameters):
    """What both MentorNets share."""

    p: float | None = setting(None, "percentile of a batch's losses, as a fraction; null: by the rate", low=0, high=1)
    d: float = setting(0.5, "decay of the percentile's moving average", low=0, below=1)
    burn_in: int = setting(18, "percent of training up to which all weights are 1", low=1, high=98)
    dropout: tuple[float, float] = setting(
        (0.5, 0.05),
        "shares of a batch that are left out at random, in the first 17% of training and after",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class Hyper(MentorHyper):
    soft: int = setting(90, "percent of training from which weights fall linearly with the loss", low=0, high=100)
    gamma: float = setting(1.0, "by how much the loss may exceed the percentile then", above=0)


SPEC = MethodSpec(
    slug="mentornet_pd",
    title="MentorNet PD",
    family="selection",
    summary="Weighs samples by a fixed curriculum of their loss against a moving percentile.",
    paper="Jiang et al., MentorNet: Learning Data-Driven Curriculum for Very Deep Neural Networks, ICML 2018",
    code="google/mentornet",
    needs=("noise_rate",),
    hyperparameters=Hyper,
)


class MentorNetPD(Method):
    """Jiang et al. (2018), Algorithm 1 with a given v. threshold: the moving percentile, 0 at the start."""

    spec = SPEC
    threshold: Tensor
    trusted: Tensor

    def setup(self) -> None:
        self.net = self.network()
        self.register_buffer("threshold", torch.zeros((), device=self.device))
        self.register_buffer("trusted", torch.ones(self.task.num_samples, dtype=torch.bool, device=self.device))

    def stages(self) -> list[Stage]:
        """One, whose optimiser does not decay: `decay` does."""
        bare = self.recipe_optimizer.replace(weight_decay=0.0)
        return [Stage("train", self.task.epochs, self.train_epoch, optimizer=bare)]

    def percentile(self) -> float:
        """p for the noise rate, unless it is given."""
        if self.hp.p is not None:
            return float(self.hp.p)
        return 0.75 - 0.25 * linear_rampup(self.task.need("noise_rate"), 0.4, 0.4)

    def train_epoch(self, epoch: int) -> None:
        per_epoch, p = self.task.epoch_steps, self.percentile()
        total = per_epoch * self.task.epochs
        for step, batch in enumerate(self.batches(), epoch * per_epoch):
            percent = 100 * step // total
            if step and percent != 100 * (step - 1) // total:
                self.look(percent)
            losses = F.cross_entropy(self.net(batch.weak()), batch.labels, reduction="none")
            seen = losses.detach()
            self.threshold.lerp_(seen.quantile(p), 1 - self.hp.d)
            weights = self.weights(seen, seen - self.threshold, percent)
            self.trusted[batch.indices] = weights >= 0.5
            weights = weights * self.drawn(len(batch), percent)
            self.learn((weights * losses).mean(), self.net, partial(self.decay, weights.mean()))

    def look(self, percent: int) -> None:
        """What is done before the first step of each percent of training."""

    def weights(self, losses: Tensor, differences: Tensor, percent: int) -> Tensor:
        """v (B,) in [0, 1] of losses (B,), their differences to the threshold, and the percent of training done."""
        if percent <= self.hp.burn_in:
            return torch.ones_like(losses)
        if percent < self.hp.soft:
            return (differences <= 0).float()
        return (1 - differences / self.hp.gamma).clamp(0, 1)

    def drawn(self, size: int, percent: int) -> Tensor:
        """(B,) 1 for the samples that example dropout leaves in, else 0."""
        share = self.hp.dropout[0] if percent < 17 else self.hp.dropout[1]
        kept = torch.randperm(size, generator=self.generator, device=self.device)[: int(size * (1 - share) + 1e-9)]
        return torch.zeros(size, device=self.device).index_fill_(0, kept, 1.0)

    @torch.no_grad()
    def decay(self, mean: Tensor) -> None:
        """Adds the weight decay's gradient, scaled by a batch's mean weight."""
        moved = [(p, p.grad) for p in self.net.parameters() if p.grad is not None]
        pull = torch._foreach_mul([p for p, _ in moved], self.recipe_optimizer.weight_decay * mean)
        torch._foreach_add_([gradient for _, gradient in moved], list(pull))

    def selected(self) -> Tensor:
        return self.trusted
