"""An example of a plug-in over other methods, label smoothing: whatever the host trains towards, a little of the
uniform distribution is mixed in. It knows no host; the host knows no plug-in.

Run it: lnlbench run --plugin docs/examples/my_plugin.py --method "smoothing(dividemix)"
"""

from typing import Any

from torch import Tensor

from lnlbench.methods.base import Plugin
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting
from lnlbench.networks.base import Backbone


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    epsilon: float = setting(0.1, "share of the uniform distribution in the target", low=0, high=1)


SPEC = MethodSpec(
    slug="smoothing",
    title="Smoothing",
    family="regularisation (plug-in)",
    summary="Mixes a little of the uniform distribution into every target of its host.",
    paper="Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016, sec. 7",
    hyperparameters=Hyper,
    plugin=True,
    hosts=("ce", "dividemix"),
)


class Smoothing(Plugin):
    """target = (1 - epsilon) target + epsilon / C."""

    spec = SPEC

    def rows(
        self, net: Backbone, images: Tensor, targets: Tensor, indices: Tensor, **known: Any
    ) -> tuple[Tensor, Tensor]:
        return images, (1 - self.hp.epsilon) * targets + self.hp.epsilon / self.task.num_classes
