"""SimCLR pre-training: an encoder learns to tell images apart under augmentation and looks at no label, so that no
label can be wrong for it. Other methods start from the encoder; a job of its own trains it, once for all noises.

The recipe is SupContrast's (HobbitLong/SupContrast), to which C2D's authors send the reader: its loss is multiplied by
temperature / 0.07, which its learning rate is made for. Its cosine moves once an epoch, ours with every step. The
accuracy is that of a linear probe that learns beside it from the features as they are: it only watches, and neither it
nor any label touches the encoder.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lnlbench.errors import LnlbenchError
from lnlbench.job import Optimizer
from lnlbench.learning.contrastive import nt_xent
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting
from lnlbench.networks.base import Backbone


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    temperature: float = setting(0.5, "t, temperature of the similarities", above=0)
    base_temperature: float = setting(0.07, "the loss is multiplied by t over this; t itself: it is not", above=0)
    embedding: int = setting(128, "dimensions in which views are compared", low=1)
    view: str = setting("simclr", "the two views of each image")


SPEC = MethodSpec(
    slug="simclr",
    title="SimCLR (pre-training)",
    family="pre-training",
    summary="Pre-trains an encoder on the images alone; its accuracy is a linear probe's, which only watches.",
    paper="Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020",
    code="HobbitLong/SupContrast",
    hyperparameters=Hyper,
    # Larger images: not published for C2D. These are ours, the same rate per image, as 1,024 of them do not fit.
    table=(
        Row(
            dataset=("clothing1m", "webvision"),
            set={"recipe.batch_size": 256, "recipe.optimizer.lr": 0.125, "recipe.schedule.warmup": 0.0},
        ),
    ),
    recipe={
        "epochs": 1000,
        "batch_size": 1024,
        "optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.9, "nesterov": False, "weight_decay": 1e-4},
        # Whole, so that methods with other schedules share one job.
        "schedule": {
            "name": "cosine",
            "milestones": (),
            "gamma": 0.1,
            "floor": 0.001,
            "warmup": 10.0,
            "warmup_start": 0.02,
            "per": "iteration",
        },
    },
)


class SimCLR(Method):
    """Chen et al. (2020), Algorithm 1."""

    spec = SPEC
    model: Any

    def setup(self) -> None:
        encoder = self.network()
        for module in encoder.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=self.generator)
        # Whoever starts from the encoder brings a head of its own.
        encoder.head.requires_grad_(False)
        width, classes = encoder.feature_dim, self.task.num_classes
        projector = self.build(
            lambda: nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, self.hp.embedding))
        )
        self.model = nn.ModuleDict({"encoder": encoder, "projector": projector})
        self.probe = self.build(lambda: nn.Linear(width, classes))
        self.optimise(self.probe, Optimizer(name="adam", lr=1e-3, weight_decay=0.0))

    def train_epoch(self, epoch: int) -> None:
        encoder, projector = self.model["encoder"], self.model["projector"]
        for batch in self.batches():
            features = encoder.features(torch.cat([batch.view(self.hp.view), batch.view(self.hp.view)]))
            loss = nt_xent(projector(features), self.hp.temperature)
            self.learn(self.hp.temperature / self.hp.base_temperature * loss, self.model)
            watched = self.probe(features.detach()).float()
            self.learn(F.cross_entropy(watched, batch.labels.repeat(2)), self.probe)

    def predict(self, images: Tensor) -> Tensor:
        """The linear probe's logits."""
        logits: Tensor = self.probe(self.model["encoder"].features(images)).float()
        return logits


def load_encoder(net: Backbone, networks: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Gives `net` all weights and statistics of a pre-trained encoder but the head's, which stays as it is.

    networks: those of a finished `simclr` job, by name. LnlbenchError where it is not one network, or lacks a weight:
    part of an encoder would train all the same, and nobody would see it.
    """
    wanted = [name for name in net.state_dict() if not name.startswith("head.")]
    states = list(networks.values())
    lacking = len(wanted) if len(states) != 1 else sum(name not in states[0] for name in wanted)
    if lacking:
        raise LnlbenchError(
            f"the pre-trained encoder lacks {lacking} of {len(wanted)} weights of the {type(net).__name__} that is to "
            "start from it.",
            "Pre-train with the same backbone and width.",
        )
    net.load_state_dict({name: states[0][name] for name in wanted}, strict=False)
