"""Joint Optimization: at a high, constant learning rate labels are not memorised, so the network's running mean
prediction is better than they are; every epoch it replaces them all. Two penalties keep the predictions spread over the
classes and certain. When labels have settled, a fresh network is trained on the soft ones; only it counts.

The constants are the released code's (DaikiTanaka-UT/JointOptimization), whose lengths of 200 and 120 epochs, with the
first update after 70, are shares of the recipe's here. Rate, alpha and beta were tuned for each noise: 70% symmetric
and 40% asymmetric are from its README, 10, 30, 50 and 90% symmetric are recalled; rates between take a line nearby.
The code has soft labels only. It picks its best epoch on clean validation labels; nothing here does.
"""

from typing import Literal

import torch
from torch import Tensor

from lnlbench.job import Schedule
from lnlbench.learning.losses import confidence_penalty, prior_penalty, soft_cross_entropy
from lnlbench.learning.pseudo_labels import one_hot
from lnlbench.methods.base import Method, Stage
from lnlbench.methods.spec import ASYMMETRIC, SYMMETRIC, Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    alpha: float = setting(1.2, "weight of the prior: the mean prediction is to match it", low=0)
    beta: float = setting(0.8, "weight of the predictions' entropy", low=0)
    step1: float = setting(200 / 320, "share of the epochs in which labels are corrected", low=0, high=1)
    begin: float = setting(70 / 320, "share of the epochs after which labels are first replaced", low=0, high=1)
    window: int = setting(10, "epochs of predictions that the new labels average", low=1)
    lr2: float = setting(0.2, "learning rate on the final labels", above=0)
    drops2: tuple[float, ...] = setting(
        (1 / 3, 2 / 3), "shares of that part after which its rate is divided by 10", above=0, below=1
    )
    prior: Literal["uniform", "given"] = setting("uniform", "all classes alike, or as frequent as the given labels")


SPEC = MethodSpec(
    slug="joint_optim",
    title="Joint-Optim",
    family="correction",
    summary="Replaces all labels by the network's running mean predictions, then trains a fresh network on them.",
    paper="Tanaka et al., Joint Optimization Framework for Learning with Noisy Labels, CVPR 2018",
    code="DaikiTanaka-UT/JointOptimization",
    needs=("noise_rate", "noise_type"),
    hyperparameters=Hyper,
    table=(
        Row(noise=SYMMETRIC, rate=(0.15, 0.35), set={"recipe.optimizer.lr": 0.03}),
        Row(noise=SYMMETRIC, rate=(0.35, 0.55), set={"recipe.optimizer.lr": 0.04}),
        Row(noise=SYMMETRIC, rate=(0.55, 0.85), set={"recipe.optimizer.lr": 0.08}),
        Row(noise=SYMMETRIC, rate=(0.85, 1.0), set={"recipe.optimizer.lr": 0.12, "alpha": 0.8, "beta": 0.4}),
        Row(
            noise=ASYMMETRIC,
            set={"recipe.optimizer.lr": 0.03, "alpha": 0.8, "beta": 0.4},
        ),
        # Recalled but for alpha, beta and lr2, which are a start.
        Row(
            dataset="clothing1m",
            set={
                "alpha": 0.8,
                "beta": 0.4,
                "step1": 0.5,
                "begin": 0.05,
                "lr2": 5e-4,
                "drops2": (0.5,),
                "prior": "given",
                "recipe.epochs": 20,
                "recipe.batch_size": 32,
                "recipe.optimizer.lr": 8e-4,
                "recipe.optimizer.weight_decay": 1e-3,
            },
        ),
    ),
    recipe={
        "epochs": 320,
        "batch_size": 128,
        "optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": {"name": "constant"},
    },
)


class JointOptimization(Method):
    """Tanaka et al. (2018), Algorithm 1 with soft labels, and the training after it.

    soft: (N, C) labels in use; history: (window, N, C) predictions of the last epochs, NaN before there were any.
    """

    spec = SPEC
    soft: Tensor
    history: Tensor
    class_prior: Tensor

    def setup(self) -> None:
        n, c = self.task.num_samples, self.task.num_classes
        self.net = self.network()
        given = one_hot(self.task.noisy_labels, c)
        self.register_buffer("soft", given.clone())
        self.register_buffer("history", torch.full((self.hp.window, n, c), torch.nan, device=self.device))
        self.register_buffer(
            "class_prior", torch.full_like(given[0], 1 / c) if self.hp.prior == "uniform" else given.mean(0)
        )

    def stages(self) -> list[Stage]:
        epochs = self.task.epochs
        first = min(epochs - 1, round(self.hp.step1 * epochs))
        return [
            Stage("correction", first, self.correct, counts=False, schedule=Schedule(name="constant")),
            Stage(
                "training",
                epochs - first,
                self.train_epoch,
                begin=self.start_anew,
                optimizer=self.recipe_optimizer.replace(lr=self.hp.lr2),
                schedule=Schedule(name="multistep", milestones=self.hp.drops2, gamma=0.1),
            ),
        ]

    def correct(self, epoch: int) -> None:
        """Step 1: one epoch on the labels in use; at its end, from `begin` on, new labels."""
        slot = epoch % self.hp.window
        for batch in self.batches():
            logits = self.net(batch.weak())
            probs = logits.softmax(1)
            self.history[slot, batch.indices] = probs.detach()
            loss = soft_cross_entropy(logits, self.soft[batch.indices])
            loss = loss + self.hp.alpha * prior_penalty(probs, self.class_prior)
            self.learn(loss - self.hp.beta * confidence_penalty(logits), self.net)
        if epoch + 1 >= round(self.hp.begin * self.task.epochs):
            self.soft.copy_(self.history.nanmean(0))

    def start_anew(self) -> None:
        """Step 2: a fresh network."""
        self.net.load_state_dict(self.network().state_dict())

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            self.learn(soft_cross_entropy(self.net(batch.weak()), self.soft[batch.indices]), self.net)

    def clean_score(self) -> Tensor | None:
        """(N,) mean prediction of the given label over the last epochs of step 1; before the first, the default."""
        mean = self.history.nanmean(0)
        if bool(mean.isnan().any()):
            return None
        return mean.gather(1, self.task.noisy_labels[:, None]).squeeze(1)

    def corrected_labels(self) -> Tensor:
        return self.soft.argmax(1)
