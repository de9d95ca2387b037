"""S-Model, the noise adaptation layer: a channel P(given label | true class), itself a softmax, on top of the network,
both learned by the likelihood of the given labels. Forward correction is this with a channel that stands.

Which hidden class means what is settled by the start alone: the channel starts at the confusion of a first network,
trained on the noisy labels and kept at its lowest held-out loss, with them; the second stage goes on from its weights.
`init=identity` is uber-research/learning-to-reweight-examples' version, from scratch and with a floor of 1e-3. Counts
are hard as in udibr/noisy_labels, soft as in the paper. The published row, from Meta-Weight-Net, is of an unknown
version and far below cross-entropy without noise; nothing here is degraded to match it. Ours: both stages have the
recipe's full length, and the second trains on all samples. The complex model, whose channel sees images, is left out.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lnlbench.learning.transitions import estimated_by_confusion
from lnlbench.methods.base import Stage
from lnlbench.methods.forward import Forward
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    init: Literal["confusion", "identity"] = setting("confusion", "start of the channel; identity has no first stage")
    confusion: Literal["hard", "soft"] = setting("hard", "count predicted classes, or their probabilities")
    eps: float = setting(1e-8, "floor of the start, inside the logarithm", above=0)
    beta: float = setting(0.0, "weight of cross-entropy without the channel", low=0, high=1)
    lr_channel: float | None = setting(None, "the channel's learning rate; null is the network's", above=0)
    wd_channel: float = setting(0.0, "its weight decay, which pulls it to uniform", low=0)
    stage1_epochs: int | None = setting(None, "epochs of the first stage; null: as many as the second's", low=1)
    val_fraction: float = setting(0.1, "share of noisy samples that choose the first stage's epoch", above=0, below=1)


SPEC = MethodSpec(
    slug="s_model",
    title="S-Model",
    family="correction",
    summary="Learns a noise channel on top of the network, from the confusion of a first network with the labels.",
    paper="Goldberger, Ben-Reuven, Training Deep Neural-Networks Using a Noise Adaptation Layer, ICLR 2017",
    code="udibr/noisy_labels",
    hyperparameters=Hyper,
    table=(Row(given={"init": "identity"}, set={"eps": 1e-3}),),
)


class Channel(nn.Module):
    """log P(given label j | true class i), (C, C): the log-softmax of each row of `b`."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.zeros(num_classes, num_classes))

    def forward(self) -> Tensor:
        return self.b.log_softmax(1)


class SModel(Forward):
    """Goldberger and Ben-Reuven (2017), the simple model. `matrix` is the channel as it was after the last epoch."""

    spec = SPEC
    channel: Any

    def setup(self) -> None:
        super().setup()
        self.channel = self.build(lambda: Channel(self.task.num_classes))
        self.start_at(torch.eye(self.task.num_classes, device=self.device))
        own = self.recipe_optimizer.replace(weight_decay=self.hp.wd_channel)
        rate = self.recipe_optimizer.lr if self.hp.lr_channel is None else self.hp.lr_channel
        self.optimise(self.channel, own.replace(lr=rate), self.engine.recipe.schedule)

    def stages(self) -> list[Stage]:
        stages = super().stages()
        return [Stage("train", self.task.epochs, self.train_epoch)] if self.hp.init == "identity" else stages

    def start_at(self, matrix: Tensor) -> None:
        """The channel from row-stochastic (C, C)."""
        self.channel.b.data.copy_((matrix + self.hp.eps).log())

    def estimate(self) -> None:
        """Between the stages: the channel from the snapshot's confusion with the labels, and its weights."""
        probs = self.scores(lambda batch: self.snapshot(batch.plain()).softmax(1))
        self.start_at(estimated_by_confusion(probs, self.task.noisy_labels, self.hp.confusion == "hard"))
        self.net.load_state_dict(self.snapshot.state_dict())

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            log_probs = self.net(batch.weak()).log_softmax(1)
            channel = self.channel()
            # Two losses with one value, so that each module takes its own step along one gradient.
            for_net = self.loss(log_probs, channel.detach(), batch.labels)
            for_channel = self.loss(log_probs.detach(), channel, batch.labels)
            self.learn(for_net, self.net)
            self.learn(for_channel, self.channel)
        self.matrix.copy_(self.channel().exp().detach())

    def loss(self, log_probs: Tensor, channel: Tensor, labels: Tensor) -> Tensor:
        """(1 - beta) CE of the given labels through the channel + beta CE without it."""
        corrected = -(log_probs + channel.T[labels]).logsumexp(1).mean()
        return (1 - self.hp.beta) * corrected + self.hp.beta * F.nll_loss(log_probs, labels)
