"""C2D: DivideMix whose two networks start from one encoder that SimCLR pre-trained on the same images without labels,
so that five epochs of warm-up are enough at every noise rate.

Differs from DivideMix as the released code does (ContrastToDivide/C2D): schedule, iterations of the mixture, threshold
and the order of evaluation; on CIFAR each split is made just before it is used, by networks as they are then. Its
numbers were made with a ResNet-18 of the usual kind (`resnet18_cifar`), though the paper says PreAct; at paper scale it
insists on that. Weights lambda_u were swept and mostly not published: 0 and 500 are documented (CIFAR-10 asymmetric,
CIFAR-100 80%), the others start as DivideMix's; 0.03 is the threshold of two documented commands. Pre-training on
Clothing1M is not published; its 100 epochs are ours, and an epoch of stage 2 is all images there.
"""

from typing import Literal

from torch import Tensor

from lnlbench.methods.dividemix import DivideMix
from lnlbench.methods.dividemix import Hyper as DivideMixHyper
from lnlbench.methods.simclr import load_encoder
from lnlbench.methods.spec import ASYMMETRIC, SYMMETRIC, MethodSpec, Requires, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(DivideMixHyper):
    warmup_epochs: int = setting(5, "W, epochs of cross-entropy before the first split", low=0)
    warmup_clip: float | None = setting(1.0, "gradient norm at which the warm-up is clipped", above=0)
    pretrain_epochs: int = setting(1000, "epochs of SimCLR before, by a job of its own", low=1)
    gmm_iterations: int = setting(200, "steps of the mixture's fit at most", low=1)
    split: Literal["alternating", "joint"] = setting(
        "alternating",
        "each split just before it is used, threshold within its range; or both before either, as DivideMix",
    )


CIFAR = ("cifar10", "cifar100")
STREAMED = {"lambda_u": 0.0, "alpha": 0.5, "split": "joint"}

SPEC = MethodSpec(
    slug="c2d",
    title="C2D",
    family="semi-supervised",
    summary="DivideMix from an encoder pre-trained by SimCLR, which cannot see the noise.",
    paper="Zheltonozhskii et al., Contrast To Divide: Self-Supervised Pre-Training for Learning with Noisy Labels, "
    "WACV 2022",
    code="ContrastToDivide/C2D",
    needs=("noise_rate", "noise_type", "pretrained_encoder"),
    requires=(Requires("pretrained_encoder", method="simclr", recipe={"epochs": "pretrain_epochs"}),),
    hyperparameters=Hyper,
    table=(
        Row(
            dataset=CIFAR,
            set={
                "p_threshold": 0.03,
                "recipe.backbone": "resnet18_cifar",
                "recipe.epochs": 360,
                "recipe.schedule.milestones": (150, 300),
            },
        ),
        Row(dataset="cifar10", noise=SYMMETRIC, rate=0.2, set={"lambda_u": 0.0}),
        Row(dataset="cifar10", noise=SYMMETRIC, rate=(0.9, 1.0), set={"lambda_u": 50.0}),
        Row(dataset="cifar10", noise=ASYMMETRIC, set={"lambda_u": 0.0}),
        Row(dataset="cifar100", set={"lambda_u": 150.0}),
        Row(dataset="cifar100", noise=SYMMETRIC, rate=0.2, set={"lambda_u": 25.0}),
        Row(dataset="cifar100", noise=SYMMETRIC, rate=(0.8, 1.0), set={"lambda_u": 500.0}),
        Row(rate=(0.9, 1.0), set={"loss_window": 5}),
        Row(noise=ASYMMETRIC, set={"conf_penalty": True}),
        Row(
            dataset="clothing1m",
            set={
                **STREAMED,
                "p_threshold": 0.7,
                "conf_penalty": True,
                "gmm_iterations": 100,
                "pretrain_epochs": 100,
                "guess_view": "simclr",
                "warmup_view": "simclr",
                "recipe.pretrained": None,
                "recipe.normalisation": "imagenet",
                "recipe.epochs": 120,
                "recipe.batch_size": 32,
                "recipe.optimizer.name": "adamw",
                "recipe.optimizer.lr": 0.002,
                "recipe.optimizer.weight_decay": 1e-3,
                "recipe.schedule.milestones": (40,),
            },
        ),
        Row(
            dataset="webvision",
            set={
                **STREAMED,
                "p_threshold": 0.03,
                "warmup_clip": None,
                "gmm_iterations": 10,
                "recipe.backbone": "resnet50",
                "recipe.epochs": 80,
                "recipe.batch_size": 32,
                "recipe.optimizer.lr": 0.01,
                "recipe.schedule.milestones": (40,),
            },
        ),
    ),
)


class C2D(DivideMix):
    """Zheltonozhskii et al. (2022), sec. 4: DivideMix after self-supervised pre-training."""

    spec = SPEC

    def setup(self) -> None:
        super().setup()
        for net, mixture in zip(self.nets, self.mixtures, strict=True):
            # One encoder for both: their heads and the order of the data alone tell them apart.
            load_encoder(net, self.task.need("pretrained_encoder"))
            mixture.max_iter = self.hp.gmm_iterations

    def train_epoch(self, epoch: int) -> None:
        if epoch < self.hp.warmup_epochs:
            super().train_epoch(epoch)
            # Losses of the warm-up are in the history already.
            self.divide()
        elif self.hp.split == "joint":
            super().train_epoch(epoch)
        else:
            self.divide_by(1)
            self.mixmatch(epoch, 0)
            self.divide_by(0)
            self.mixmatch(epoch, 1)

    def trusted(self, clean: Tensor) -> Tensor:
        """(M,) bool, the labelled set for w (M,); neither it nor the rest is empty where w is not constant."""
        if self.hp.split == "joint":
            return super().trusted(clean)
        threshold = clean.new_tensor(self.hp.p_threshold).clamp(clean.min() + 1e-5, clean.max() - 1e-5)
        return clean > threshold

    @property
    def forwards_unlabelled(self) -> bool:
        """Not where their loss has no weight; DivideMix's CIFAR script forwards them all the same."""
        return super().forwards_unlabelled and self.hp.lambda_u > 0
