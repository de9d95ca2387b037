"""ELR: networks learn right labels first; a running mean of their own predictions remembers that, and a penalty keeps
the predictions near it when the wrong labels begin to pull. No sample is dropped and no label is changed.

Probabilities are held off 0 and 1 and renormalised before they are averaged, as in the released code
(shengliu66/ELR); the paper's equations have neither. The cosine schedule with warm restarts that the code has for
symmetric noise is the recipe's matter, as are its ResNet-34 and its 150 epochs.
"""

import torch
from torch import Tensor

from lnlbench.learning.losses import PROB_FLOOR, early_learning_penalty, soft_cross_entropy
from lnlbench.methods.base import Method
from lnlbench.methods.spec import ASYMMETRIC, Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    lambda_elr: float = setting(3.0, "lambda, weight of the penalty", low=0)
    beta: float = setting(0.7, "decay of the running mean of predictions, once an epoch", low=0, below=1)


SPEC = MethodSpec(
    slug="elr",
    title="ELR",
    family="regularisation",
    summary="Holds predictions near their own running mean, which knew the right labels before it knew the wrong ones.",
    paper="Liu et al., Early-Learning Regularization Prevents Memorization of Noisy Labels, NeurIPS 2020",
    code="shengliu66/ELR",
    needs=("noise_type",),
    hyperparameters=Hyper,
    table=(
        Row(noise=ASYMMETRIC, set={"lambda_elr": 1.0, "beta": 0.9}),
        Row(dataset="cifar100", set={"lambda_elr": 7.0, "beta": 0.9}),
    ),
)


class ELR(Method):
    """Liu et al. (2020), sec. 4. targets: t (N, C), which sum to 1 - beta^n after n epochs."""

    spec = SPEC
    targets: Tensor

    def setup(self) -> None:
        self.net = self.network()
        self.register_buffer("targets", torch.zeros(self.task.num_samples, self.task.num_classes, device=self.device))

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            logits = self.net(batch.weak())
            probs = logits.softmax(1)
            targets = self.remember(batch.indices, probs.detach())
            penalty = early_learning_penalty(probs, targets)
            self.learn(soft_cross_entropy(logits, batch.labels) + self.hp.lambda_elr * penalty, self.net)

    def remember(self, indices: Tensor, probs: Tensor) -> Tensor:
        """Moves t of some samples towards their probabilities (B, C) and returns it."""
        held = probs.clamp(PROB_FLOOR, 1 - PROB_FLOOR)
        self.targets[indices] = (held / held.sum(1, keepdim=True)).lerp(self.targets[indices], self.hp.beta)
        return self.targets[indices]

    def clean_score(self) -> Tensor:
        """(N,) t of the given label."""
        return self.targets.gather(1, self.task.noisy_labels[:, None]).squeeze(1)
