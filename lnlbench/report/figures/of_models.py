"""The figures of trained models: which there are, what each needs, and their look in common. Imports no matplotlib.

Their drawing functions take arrays, which `lnlbench.inspection` computes; nothing here knows how.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lnlbench.errors import unknown_name
from lnlbench.report.notes import SCALES
from lnlbench.report.provenance import DataOf, Variant

if TYPE_CHECKING:
    from lnlbench.job import Job


@dataclass(frozen=True)
class ModelKind:
    """A kind of figure that is drawn from trained jobs. title, needs: for people."""

    name: str
    title: str
    needs: str


MODEL_KINDS: dict[str, ModelKind] = {
    kind.name: kind
    for kind in (
        ModelKind("activation", "where networks look: maps of right and of wrong labels", "--job, a kept model"),
        ModelKind("reconstruction", "spoilt images and what decoders restore", "--job of a method with a decoder"),
        ModelKind("embedding", "t-SNE of features, by given and by true label", "--job, a kept model"),
    )
}
"""Every kind that is drawn from trained jobs, by name, in the order of drawing."""


def model_kind(name: str) -> ModelKind:
    """The kind of that name. Raises UnknownName."""
    if name not in MODEL_KINDS:
        raise unknown_name("kind of figure of a trained job", name, MODEL_KINDS, "lnlbench plot --list")
    return MODEL_KINDS[name]


@dataclass(frozen=True)
class Shown:
    """The jobs of a figure, all of one data set, in the order of its rows. labels: one a job, told apart.

    variant: of the data set's files that are looked at. seed: of the figure's own draws.
    """

    jobs: Sequence[Job]
    labels: Sequence[str]
    variant: Variant
    seed: int

    def name(self, *parts: str) -> str:
        """A file name: the parts, the data set, and the start of each job's key."""
        words = (*parts, self.jobs[0].dataset, *(job.key[:8] for job in self.jobs))
        return "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", word).strip("-.") or "x" for word in words)

    def data(self) -> str:
        """'CIFAR-10 with symmetric 50% noise', the data set marked where its files are not the canonical ones."""
        noises = dict.fromkeys(job.noise.label() for job in self.jobs)
        return f"{self._files.title(self.jobs[0].dataset)} with {' and '.join(noises)} labels"

    @property
    def _files(self) -> DataOf:
        return DataOf({self.jobs[0].dataset: (self.variant,)})

    def caption(self, what: str, reading: str, numbers: Sequence[str]) -> str:
        """The caption: what is shown, of which jobs, how to read it, and the numbers, a line each."""
        jobs = "; ".join(
            f"{label} (seed {job.seed}, job {job.key[:12]})" for label, job in zip(self.labels, self.jobs, strict=True)
        )
        scales = " and ".join(dict.fromkeys(SCALES[job.scale] for job in self.jobs))
        lines = [f"{what} Run by lnlbench at {scales}. Jobs: {jobs}.", f"{reading} Drawn with seed {self.seed}."]
        return "\n".join([*lines, *numbers, *self._files.notes()]) + "\n"


def told(value: float | None, digits: int = 3) -> str:
    """A number as captions print it; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def name_of(names: Sequence[str], label: Any) -> str:
    """The name of a class; its number where it has none."""
    return names[int(label)] if int(label) < len(names) else str(int(label))
