"""Fine-tuning: cross-entropy on the noisy labels, and then on a small clean set, from the last weights of the first.
The baseline that asks whether a thousand clean labels are better spent on meta-learning.

Meta-Weight-Net defines it and gives no settings: 5,000 steps at a constant rate of 1e-3 are the --finetune mode of
uber-research/learning-to-reweight-examples. Momentum starts anew. The first stage is `ce`; only the second counts,
since the best epoch of the first would hide it. RMW-Net prints the row among those without clean samples, but copied it
from Meta-Weight-Net, which used them; `meta_labels=noisy` is the literal reading of its caption.
"""

from math import ceil
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from lnlbench.data.task import Batch
from lnlbench.job import Schedule
from lnlbench.methods.base import Method, Stage
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    ft_steps: int = setting(5000, "steps on the clean set; 0 is plain cross-entropy", low=0)
    ft_lr: float = setting(1e-3, "their learning rate, constant", above=0)
    ft_batch: int | None = setting(None, "clean samples a step; null is the batch size", low=1)
    meta_labels: Literal["clean", "noisy"] = setting("clean", "labels of the clean set, or those that noise left of it")


SPEC = MethodSpec(
    slug="fine_tuning",
    title="Fine-tuning",
    family="correction",
    summary="Trains on the noisy labels, then goes on with a small clean set.",
    paper="Shu et al., Meta-Weight-Net: Learning an Explicit Mapping For Sample Weighting, NeurIPS 2019",
    needs=("clean_meta",),
    meta_set=True,
    version=2,
    hyperparameters=Hyper,
)


class FineTuning(Method):
    """The baseline of Shu et al. (2019)."""

    spec = SPEC

    def stages(self) -> list[Stage]:
        epochs = ceil(self.hp.ft_steps / self.task.epoch_steps)
        optimizer, constant = self.recipe_optimizer.replace(lr=self.hp.ft_lr), Schedule(name="constant")
        first = Stage("noisy labels", self.task.epochs, self.train_epoch, counts=epochs == 0)
        second = Stage("clean labels", epochs, self.fine_tune, optimizer=optimizer, schedule=constant)
        return [first, second] if epochs else [first]

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            self.learn(F.cross_entropy(self.net(batch.weak()), batch.labels), self.net)

    def fine_tune(self, epoch: int) -> None:
        """All layers, batch norm in train mode, no noisy sample."""
        steps = min(self.task.epoch_steps, self.hp.ft_steps - epoch * self.task.epoch_steps)
        clean = self.endless_meta(batch_size=self.hp.ft_batch)
        for _ in range(steps):
            batch = next(clean)
            self.learn(F.cross_entropy(self.net(batch.weak()), self.labels(batch)), self.net)

    def labels(self, batch: Batch) -> Tensor:
        """The meta batch's labels (B,)."""
        if self.hp.meta_labels == "clean" or self.task.noisy_meta_labels is None:
            return batch.labels
        return self.task.noisy_meta_labels[batch.indices]
