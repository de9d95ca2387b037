"""An example of a method of one's own, soft bootstrapping: the target of a sample is beta of its given label and
1 - beta of what the network itself says, so that a label which the network firmly contradicts pulls less.

Run it: lnlbench run --plugin docs/examples/my_method.py --method my_bootstrap
"""

from lnlbench.learning.losses import soft_cross_entropy
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    beta: float = setting(0.95, "share of the given label in the target", low=0, high=1)


SPEC = MethodSpec(
    slug="my_bootstrap",
    title="Bootstrap (soft)",
    family="loss",
    summary="Mixes each label with the network's own prediction.",
    paper="Reed et al., Training Deep Neural Networks on Noisy Labels with Bootstrapping, ICLR workshop 2015, Eq. 6",
    hyperparameters=Hyper,
)


class Bootstrap(Method):
    """loss = -sum_c (beta y_c + (1 - beta) p_c) log p_c, p = softmax(logits); the gradient goes through both p."""

    spec = SPEC

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            logits = self.net(batch.weak())
            target = self.hp.beta * batch.one_hot + (1 - self.hp.beta) * logits.softmax(1)
            self.learn(soft_cross_entropy(logits, target), self.net)
