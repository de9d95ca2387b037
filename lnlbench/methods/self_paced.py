"""Self-paced learning: of every batch only the samples with a loss up to a threshold lambda are trained on.

With `pace=percentile` it is google/mentornet's version, whose numbers the tables have: lambda follows the 70th
percentile of the batch's losses by a moving average and never admits all. `anneal` is Kumar et al.'s growing lambda,
looked at once an epoch; its first half and its growth are recalled. Weight decay is not scaled by the admitted share,
as google/mentornet does. Whether the published row is of hard or linear weights, and at which pace, is not known.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    pace: Literal["percentile", "anneal"] = setting(
        "percentile", "lambda follows a percentile of the batch's losses, or grows each epoch"
    )
    weight: Literal["hard", "linear"] = setting("hard", "1 below lambda, or 1 - loss/lambda")
    p: float = setting(0.7, "percentile: which, as a fraction", low=0, high=1)
    d: float = setting(0.5, "percentile: decay of lambda's moving average", low=0, below=1)
    burn_in: int = setting(0, "epochs in which all are admitted first", low=0)
    mu: float = setting(1.3, "anneal: growth of lambda each epoch", low=1)
    max_fraction: float = setting(1.0, "anneal: most samples that are ever admitted", above=0, high=1)


SPEC = MethodSpec(
    slug="self_paced",
    title="Self-paced",
    family="selection",
    summary="Trains on the samples whose loss is below a threshold that follows the losses.",
    paper="Kumar, Packer, Koller, Self-Paced Learning for Latent Variable Models, NeurIPS 2010",
    hyperparameters=Hyper,
)


class SelfPaced(Method):
    """Kumar et al. (2010): min over v in {0, 1} of sum_i v_i l_i - lambda v_i. threshold: lambda, 0 at the start."""

    spec = SPEC
    threshold: Tensor
    admitted: Tensor

    def setup(self) -> None:
        self.net = self.network()
        self.register_buffer("threshold", torch.zeros((), device=self.device))
        self.register_buffer("admitted", torch.ones(self.task.num_samples, dtype=torch.bool, device=self.device))

    def train_epoch(self, epoch: int) -> None:
        paced, anneal = epoch >= self.hp.burn_in, self.hp.pace == "anneal"
        annealed = self.weights(self.grow()) if paced and anneal else None
        for batch in self.batches():
            losses = F.cross_entropy(self.net(batch.weak()), batch.labels, reduction="none")
            weights = torch.ones_like(losses)
            if annealed is not None:
                weights = annealed[batch.indices]
            elif not anneal:
                self.follow(losses.detach())
                weights = self.weights(losses.detach()) if paced else weights
                self.admitted[batch.indices] = weights > 0
            # Over the batch, not over the admitted ones: there may be none.
            self.learn((weights * losses).mean(), self.net)

    def follow(self, losses: Tensor) -> None:
        """Moves lambda towards the percentile of a batch's losses."""
        self.threshold.lerp_(losses.quantile(self.hp.p), 1 - self.hp.d)

    def grow(self) -> Tensor:
        """Lets lambda grow, from the median of the losses (N,) at first, and returns these losses."""
        losses = self.losses(self.net)
        grown = torch.where(self.threshold > 0, self.hp.mu * self.threshold, losses.median())
        largest = losses.sort().values[max(0, round(self.hp.max_fraction * len(losses)) - 1)]
        self.threshold.copy_(torch.minimum(grown, largest))
        self.admitted.copy_(self.weights(losses) > 0)
        return losses

    def weights(self, losses: Tensor) -> Tensor:
        """v of losses, constants in [0, 1]."""
        if self.hp.weight == "linear":
            return (1 - losses / self.threshold.clamp_min(1e-12)).clamp_min(0)
        return (losses <= self.threshold).float()

    def selected(self) -> Tensor:
        return self.admitted
