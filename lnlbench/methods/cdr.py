"""CDR: only the parameters that matter for the loss follow its gradient, a share as large as the share of right labels;
the rest, taken to serve the memory of wrong labels, is left to weight decay.

Variant `official` is the released code (xiaoboxia/CDR), whose results the tables have: kernels and matrices are ranked,
biases and batch norm follow their whole gradient, the decay is the optimiser's L2. Variant `paper` is Eq. 3 to 6: all
parameters are ranked, the decay is the sign of the weight. The schedule of the share is overwritten in the code, so it
is off here. tau is the nominal noise rate. At 80 or 90% little is left of the gradient and decay wins: near chance is
right, as published. The authors stop where held-out noisy labels are fitted best; the recipe's `validation` does that.
"""

from collections.abc import Sequence
from functools import partial
from math import ceil, floor
from typing import Literal

import torch
from torch import nn

from lnlbench.learning.losses import soft_cross_entropy
from lnlbench.methods.base import Method, Stage
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    variant: Literal["official", "paper"] = setting("official", "the released code, or the equations")
    tau: float | None = setting(None, "share of parameters held back; null is the noise rate", low=0, below=1)
    num_gradual: int = setting(0, "epochs over which the share rises from 0 to tau; 0: at once", low=0)
    l1_decay: float = setting(1e-3, "paper: weight of the L1 norm, in place of the optimiser's decay", low=0)


SPEC = MethodSpec(
    slug="cdr",
    title="CDR",
    family="regularisation",
    summary="Lets only the parameters of large |gradient x value| follow the gradient; the others decay.",
    paper="Xia et al., Robust Early-learning: Hindering the Memorization of Noisy Labels, ICLR 2021",
    code="xiaoboxia/CDR",
    needs=("noise_rate",),
    hyperparameters=Hyper,
    recipe={"optimizer": {"weight_decay": 1e-3}},
)


class CDR(Method):
    """Xia et al. (2021), Algorithm 1."""

    spec = SPEC

    def setup(self) -> None:
        self.net = self.network()
        # The network's own: what others attach to it later is none of the method's parameters.
        self.own = list(self.net.parameters())

    def stages(self) -> list[Stage]:
        decay = self.recipe_optimizer.replace(weight_decay=0.0) if self.hp.variant == "paper" else None
        return [Stage("train", self.task.epochs, self.train_epoch, optimizer=decay)]

    def train_epoch(self, epoch: int) -> None:
        share = 1 - self.held_back(epoch)
        edit = partial(self.follow_equations if self.hp.variant == "paper" else self.follow_code, share)
        for batch in self.batches():
            images, targets = self.rows(self.net, batch.weak(), batch.one_hot, batch.indices, given=True)
            self.learn(soft_cross_entropy(self.net(images), targets), self.net, edit)

    def held_back(self, epoch: int) -> float:
        """The share of parameters that follow no gradient in an epoch."""
        tau = self.task.need("noise_rate") if self.hp.tau is None else self.hp.tau
        if epoch >= self.hp.num_gradual:
            return tau
        return tau * epoch / max(1, self.hp.num_gradual - 1)

    def follow_code(self, share: float) -> None:
        """Edits the gradients as the released code does."""
        kernels = [p for p in self.own if p.ndim in (2, 4)]
        keep_critical(kernels, floor(share * scalars(kernels) + ROUNDING), share)

    def follow_equations(self, share: float) -> None:
        """Edits them as Eq. 5 and 6 do: the scaled gradient for critical parameters, the decay's sign for all."""
        keep_critical(self.own, ceil(share * scalars(self.own) - ROUNDING), share)
        for p in self.own:
            if p.grad is not None:
                p.grad.add_(p.detach().sign(), alpha=self.hp.l1_decay)


# (1 - 0.9) * 10 is a hair below 1.
ROUNDING = 1e-6


def scalars(params: Sequence[nn.Parameter]) -> int:
    """How many numbers the parameters are."""
    return sum(p.numel() for p in params)


@torch.no_grad()
def keep_critical(params: Sequence[nn.Parameter], count: int, scale: float) -> None:
    """Scales the gradients of the `count` numbers of largest |gradient x value| over all parameters together, and
    sets the others to 0 (Eq. 3 and 4). Ties at the threshold are all kept; at least one number is."""
    pairs = [(p.grad, (p.grad * p).abs()) for p in params if p.grad is not None]
    ranked = torch.cat([importance.flatten() for _, importance in pairs])
    # Not kthvalue, which gives a GPU's single block the whole vector.
    threshold = ranked.topk(max(1, count), sorted=False).values.min()
    for grad, importance in pairs:
        grad.mul_((importance >= threshold) * scale)
