"""Meta-Weight-Net whose meta samples carry the same label noise as the training set: RMW-Net's control, which tells
the noisy meta set from the robust meta loss. The algorithm is `mwnet.py`'s; only the labels it is shown differ.
"""

from lnlbench.methods.mwnet import Hyper, MWNet
from lnlbench.methods.spec import MethodSpec

SPEC = MethodSpec(
    slug="mnwnet",
    title="MNW-Net",
    family="meta-learning",
    summary="Meta-Weight-Net on a noisy meta set.",
    paper="Ghosh and Lan, Do We Really Need Gold Samples for Sample Weighting under Label Noise?, WACV 2021",
    code="arghosh/RobustMW-Net",
    meta_set=True,
    version=2,
    hyperparameters=Hyper,
)


class MNWNet(MWNet):
    """Ghosh and Lan (2021), sec. 3, with cross-entropy as the meta loss."""

    spec = SPEC
