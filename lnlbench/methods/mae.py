"""Mean absolute error between softmax and one-hot label, 2 (1 - p_y): summed over all labels it is constant, so that
uniform noise leaves its minimiser alone. Its gradient nearly vanishes on samples far from their label: with many
classes it hardly learns at all, which is the published result and not to be tuned away.

The factor 2 is the definition's (Ghosh et al. sum over the classes); HanxunH/Active-Passive-Losses takes 1 - p_y.
"""

from lnlbench.learning.losses import lq_loss
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    scale: float = setting(2.0, "factor on 1 - p_y", above=0)


SPEC = MethodSpec(
    slug="mae",
    title="MAE",
    family="loss",
    summary="Trains on the absolute error between prediction and label, whose minimiser uniform noise does not move.",
    paper="Ghosh, Kumar, Sastry, Robust Loss Functions under Label Noise for Deep Neural Networks, AAAI 2017",
    hyperparameters=Hyper,
)


class MeanAbsoluteError(Method):
    """Ghosh et al. (2017): loss = sum_k |p_k - e_yk| = 2 (1 - p_y), GCE at q = 1 times 2."""

    spec = SPEC

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            self.learn(self.hp.scale * lq_loss(self.net(batch.weak()), batch.labels, q=1.0), self.net)
