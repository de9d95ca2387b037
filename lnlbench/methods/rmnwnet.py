"""Robust Meta-Noisy-Weight-Network: Meta-Weight-Net on a noisy meta set whose loss is the mean absolute error, under
which uniform noise leaves the direction of the expected meta gradient as it is (Theorem 1). The algorithm is
`mwnet.py`'s.
"""

from typing import Literal

from lnlbench.methods.mwnet import MWNet, WeightNetHyper
from lnlbench.methods.spec import MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(WeightNetHyper):
    meta_loss: Literal["ce", "mae"] = setting("mae", "loss of the meta batch")


SPEC = MethodSpec(
    slug="rmnwnet",
    title="RMNW-Net",
    family="meta-learning",
    summary="Meta-Weight-Net on a noisy meta set, with the mean absolute error as the meta loss.",
    paper="Ghosh and Lan, Do We Really Need Gold Samples for Sample Weighting under Label Noise?, WACV 2021",
    code="arghosh/RobustMW-Net",
    meta_set=True,
    version=2,
    hyperparameters=Hyper,
)


class RMNWNet(MWNet):
    """Ghosh and Lan (2021), sec. 3."""

    spec = SPEC
