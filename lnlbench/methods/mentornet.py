"""MentorNet, data-driven: a tiny network learns from samples whose true and noisy labels are both known how likely a
label is right at a loss, and then weighs the training samples. The student is trained as in `mentornet_pd`.

Follows google/mentornet: its networks, the fit, example dropout (whose last phase its frozen clock never reaches) and
the frozen moment itself. What it learns from is ours, since the paper has nothing for 1,000 clean samples: during
burn-in, once a percent of training, the losses of the meta set under its *noisy* labels, each against the percentile
of that moment. It is told where noise struck, so the row is one with clean samples, as in Meta-Weight-Net's paper
(RMW-Net prints it without its asterisk). Which mentor made the published row is not known. The paper updates it again
later; the released scripts do not. The percentile is theirs at 20 and 40% noise, 1 - rate, and 0.5 from 50% on.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.learning.mentor import Mentor
from lnlbench.methods.mentornet_pd import MentorHyper, MentorNetPD
from lnlbench.methods.spec import MethodSpec, dataclass, setting


@dataclass(frozen=True)
class Hyper(MentorHyper):
    mentor_steps: int = setting(30_000, "steps in which the mentor is fitted", low=1)


SPEC = MethodSpec(
    slug="mentornet",
    title="MentorNet",
    family="meta-learning",
    summary="A tiny network learns on a clean meta set which losses wrong labels have, and weighs samples by it.",
    paper="Jiang et al., MentorNet: Learning Data-Driven Curriculum for Very Deep Neural Networks, ICML 2018",
    code="google/mentornet",
    needs=("noise_rate", "clean_meta"),
    meta_set=True,
    version=2,
    hyperparameters=Hyper,
)


class MentorNet(MentorNetPD):
    """Jiang et al. (2018), Algorithm 1 with a learned v. table: (burn_in, M) losses of the meta set at each percent of
    burn-in, NaN where there was none; fitted: whether the mentor is."""

    spec = SPEC
    mentor: Any
    table: Tensor
    fitted: Tensor

    def setup(self) -> None:
        super().setup()
        self.mentor = self.build(Mentor)
        size = len(self.task.need("clean_meta"))
        self.register_buffer("table", torch.full((self.hp.burn_in, size), torch.nan, device=self.device))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool, device=self.device))

    def percentile(self) -> float:
        return float(self.hp.p) if self.hp.p is not None else max(0.5, 1 - self.task.need("noise_rate"))

    def look(self, percent: int) -> None:
        """Up to the end of burn-in, the meta set's losses are noted; after it, the mentor is fitted to them."""
        if percent <= self.hp.burn_in:
            self.note(percent)
        elif not bool(self.fitted):
            if bool(self.table.isnan().all()):
                # So short a training that no percent of burn-in began.
                self.note(self.hp.burn_in)
            self.fit()

    @property
    def noisy(self) -> Tensor:
        """(M,) the meta set's noisy labels."""
        labels = self.task.noisy_meta_labels
        assert labels is not None
        return labels

    def note(self, percent: int) -> None:
        """A row of the table."""
        noisy = self.noisy
        self.table[percent - 1] = self.meta_scores(
            lambda batch: F.cross_entropy(self.net(batch.plain()), noisy[batch.indices], reduction="none")
        )

    def fit(self) -> None:
        """The mentor learns from the table which losses wrong labels have."""
        noisy = self.noisy
        right = self.meta_scores(lambda batch: batch.labels == noisy[batch.indices])
        noted = (~self.table.isnan()).all(1).nonzero().squeeze(1)
        losses = self.table[noted]
        differences = losses - losses.quantile(self.percentile(), dim=1, keepdim=True)
        moments = (noted + 1).repeat_interleave(losses.shape[1])
        self.mentor.fit(
            losses.flatten(),
            differences.flatten(),
            moments,
            right.repeat(len(noted)),
            self.hp.mentor_steps,
            self.generator,
        )
        self.fitted.fill_(True)

    @torch.no_grad()
    def weights(self, losses: Tensor, differences: Tensor, percent: int) -> Tensor:
        if percent <= self.hp.burn_in:
            return torch.ones_like(losses)
        return self.mentor(losses, differences, self.hp.burn_in).sigmoid()

    @torch.no_grad()
    def clean_score(self) -> Tensor | None:
        """The mentor's logit of each sample's loss in eval mode."""
        if not bool(self.fitted):
            return None
        losses = self.losses(self.net)
        return self.mentor(losses, losses - self.threshold, self.hp.burn_in)
