"""Cross-entropy on the given labels: the row without defence, and the simplest host for plug-ins."""

from lnlbench.learning.losses import soft_cross_entropy
from lnlbench.methods.base import Method
from lnlbench.methods.spec import MethodSpec

SPEC = MethodSpec(
    slug="ce",
    title="Cross-Entropy",
    family="loss",
    summary="Trains on the given labels as if they were right; best and last accuracy drift apart as it memorises.",
    paper="the baseline of every table",
)


class CrossEntropy(Method):
    """loss = mean_b -log p(y_b)."""

    spec = SPEC

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            images, targets = self.rows(self.net, batch.weak(), batch.one_hot, batch.indices, given=True)
            self.learn(soft_cross_entropy(self.net(images), targets), self.net)
