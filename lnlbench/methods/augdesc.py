"""AugDesc: DivideMix in which weak views describe the data (guessed and refined labels) and strong ones, which no label
came from, are what gradients are taken on.

`dividemix.py` with other views, and the settings of the released code's presets (KentoNishi/Augmentation-for-LNL):
lengths, drops and batches on CIFAR at paper scale too, since the paper tunes them for each noise. The default is
AugDesc-WS with a weak warm-up (WAW), the row of SANM's Table 1; Clothing1M's is the strong warm-up (SAW), whose policy
is CIFAR-10's there, as in the code. The other forms are views as well: WW and SS set `descent_view` or `guess_view`;
with a null `descent_view` it is trained on the views that were guessed from (DivideMix; Runtime-S if they are strong).
Losses for the split are of plain images, as in the code; the paper says weak.
"""

from torch import Tensor

from lnlbench.data.task import Batch
from lnlbench.methods.dividemix import DivideMix, Pair
from lnlbench.methods.dividemix import Hyper as DivideMixHyper
from lnlbench.methods.spec import ASYMMETRIC, SYMMETRIC, MethodSpec, Row, dataclass, setting
from lnlbench.networks.base import Backbone, Output


@dataclass(frozen=True)
class Hyper(DivideMixHyper):
    descent_view: str | None = setting("autoaugment", "the two views trained on; null: those that were guessed from")
    warmup_factor: int = setting(1, "samples in a batch of the warm-up, in batch sizes", low=1)


SPEC = MethodSpec(
    slug="augdesc",
    title="AugDesc",
    family="semi-supervised",
    summary="DivideMix whose labels come from weak views and whose gradients come from strong ones.",
    paper="Nishi, Ding, Rich, Höllerer, Augmentation Strategies for Learning With Noisy Labels, CVPR 2021",
    code="KentoNishi/Augmentation-for-LNL",
    needs=("noise_rate", "noise_type"),
    hyperparameters=Hyper,
    # presets.json of the released code.
    table=(
        Row(dataset="cifar10", noise=SYMMETRIC, rate=0.2, set={"lambda_u": 0.0}),
        Row(dataset="cifar10", noise=SYMMETRIC, rate=(0.8, 0.9), set={"recipe.epochs": 350}),
        Row(dataset="cifar10", noise=SYMMETRIC, rate=0.8, set={"recipe.schedule.milestones": [200]}),
        Row(dataset="cifar10", noise=SYMMETRIC, rate=0.9, set={"lambda_u": 50.0, "recipe.schedule.milestones": [250]}),
        Row(
            dataset="cifar10",
            noise=ASYMMETRIC,
            set={"lambda_u": 0.0, "recipe.epochs": 350, "recipe.schedule.milestones": [250]},
        ),
        Row(
            dataset="cifar10",
            noise=SYMMETRIC,
            rate=0.5,
            given={"warmup_view": "autoaugment"},
            set={"recipe.schedule.milestones": [200]},
        ),
        Row(
            dataset="cifar10",
            noise=ASYMMETRIC,
            given={"warmup_view": "autoaugment"},
            set={"recipe.epochs": 300, "recipe.schedule.milestones": [150]},
        ),
        Row(
            dataset="cifar100",
            set={"warmup_epochs": 30, "lambda_u": 150.0, "recipe.epochs": 400, "recipe.schedule.milestones": [300]},
        ),
        Row(dataset="cifar100", noise=SYMMETRIC, rate=0.2, set={"lambda_u": 25.0}),
        Row(dataset=("cifar10", "cifar100"), noise=SYMMETRIC, rate=0.9, set={"p_threshold": 0.6, "loss_window": 5}),
        Row(noise=ASYMMETRIC, set={"conf_penalty": True}),
        Row(
            dataset="clothing1m",
            set={
                "warmup_epochs": 1,
                "lambda_u": 0.0,
                "alpha": 0.5,
                "unlabelled_rows": False,
                "conf_penalty": True,
                "descent_view": "autoaugment-imagenet",
                "warmup_view": "autoaugment",
                "warmup_factor": 2,
                "recipe.epochs": 80,
                "recipe.batch_size": 32,
                "recipe.optimizer.lr": 0.002,
                "recipe.optimizer.weight_decay": 1e-3,
                "recipe.schedule.milestones": [40],
            },
        ),
    ),
    recipe={
        "epochs": 300,
        "batch_size": 128,
        "optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 5e-4},
        "schedule": {"name": "multistep", "milestones": (150,), "gamma": 0.1},
    },
)


class AugDesc(DivideMix):
    """Nishi et al. (2021), sec. 3, over DivideMix's Algorithm 1."""

    spec = SPEC

    @property
    def warmup_batch(self) -> int:
        """Samples in a batch of the warm-up."""
        return int(self.hp.warmup_factor * self.task.batch_size)

    def trained_rows(
        self, net: Backbone, batch: Batch, guessed: Pair, targets: Tensor, clean: Tensor, seen: Output | None
    ) -> list[tuple[Tensor, Tensor]]:
        """The blocks of a step that show `batch`: two views of their own, under what was guessed from the others."""
        view = self.hp.descent_view
        if view is not None:
            guessed, seen = (batch.view(view), batch.view(view)), None
        return super().trained_rows(net, batch, guessed, targets, clean, seen)
