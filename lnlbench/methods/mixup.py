"""Mixup: the network sees convex combinations of two images under the same combination of their labels, never an
image alone, so that a single wrong label is hard to learn by heart. No sample is selected, weighted or corrected.

As in the released code (facebookresearch/mixup-cifar10) one coefficient serves a whole batch, which is paired with a
permutation of itself; the paper draws one a pair. The table's rows have alpha 32 at every rate; the code's default of
1 is for clean training. The paper tunes alpha for each rate, and its authors use a weight decay of 1e-4.
"""

import torch
from torch import Tensor

from lnlbench.learning.losses import soft_cross_entropy
from lnlbench.learning.mixup import draw_lambda, draw_lambdas, mix
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    alpha: float = setting(32.0, "Beta parameter of the coefficient; 0 mixes nothing", low=0)
    per_sample_lambda: bool = setting(False, "a coefficient for each pair instead of one for the batch")


SPEC = MethodSpec(
    slug="mixup",
    title="Mixup",
    family="regularisation",
    summary="Trains on convex combinations of pairs of images and of their labels.",
    paper="Zhang, Cisse, Dauphin, Lopez-Paz, mixup: Beyond Empirical Risk Minimization, ICLR 2018",
    code="facebookresearch/mixup-cifar10",
    hyperparameters=Hyper,
)


class Mixup(Method):
    """Zhang et al. (2018), Eq. 1, with lambda ~ Beta(alpha, alpha), which is not folded to its upper half."""

    spec = SPEC

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            order = torch.randperm(len(batch), generator=self.generator, device=self.device)
            images, targets = mix(batch.weak(), batch.one_hot, self.coefficient(len(batch)), order)
            self.learn(soft_cross_entropy(self.net(images), targets), self.net)

    def coefficient(self, pairs: int) -> float | Tensor:
        """lambda in [0, 1]: one number, or one a pair (B,)."""
        if self.hp.per_sample_lambda:
            return draw_lambdas(self.hp.alpha, self.rng, pairs)
        return draw_lambda(self.hp.alpha, self.rng, at_least_half=False)
