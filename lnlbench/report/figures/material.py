"""What figures are drawn from: a plan with its results, their epochs and what else the runs left. No matplotlib.

Every mean and gap comes from the table of the same plan, so that a figure never says another number than a table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lnlbench.report import Table, build_table, table
from lnlbench.report.provenance import DataOf, data_of
from lnlbench.suite import Figure as Wanted
from lnlbench.suite import Plan, PlannedCell, PlannedColumn, Stat

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Result(table.Result, Protocol):
    """What figures read of a result; `store.ResultView` is one."""

    @property
    def run_uid(self) -> str: ...


class Epoch(Protocol):
    """What figures read of an epoch; `store.EpochRow` is one. Accuracy in percent, AUC and share in 0..1."""

    @property
    def epoch(self) -> int: ...
    @property
    def counts(self) -> bool: ...
    @property
    def test_accuracy(self) -> float | None: ...
    @property
    def clean_auc(self) -> float | None: ...
    @property
    def memorisation(self) -> float | None: ...


class NotDrawn(Exception):
    """A kind of figure that the material does not give; the message is why, as a sentence."""


@dataclass(frozen=True)
class Drawing:
    """A figure with its file name, without ending, and the caption that belongs below it."""

    name: str
    kind: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Run:
    """A finished run of a cell."""

    seed: int
    uid: str
    diverged: bool
    result: Result


@dataclass(frozen=True)
class Material:
    """A plan and what there is of it.

    results: by job key. epochs, extras: by run uid, as `Store.epochs_of` and `Store.extras_of` return them.
    compare: draw published numbers where a kind can. data_dir: where label files of people lie.
    """

    plan: Plan
    results: Mapping[str, Result]
    epochs: Mapping[str, Sequence[Epoch]]
    extras: Mapping[str, Mapping[str, Any]]
    compare: bool = False
    data_dir: Path | None = None

    def table(self, *stats: Stat | None, compare: bool = False) -> Table:
        """The table of these statistics; None, or none given, is the suite's first. compare: with published numbers."""
        chosen = [stat or self.plan.stats[0] for stat in stats] or [self.plan.stats[0]]
        return build_table(self.plan, self.results.values(), stats=chosen, compare=compare)

    @cached_property
    def data(self) -> DataOf:
        """On which data the results were measured."""
        return data_of(self.plan, self.results)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The rows' labels with the daggers of their needs, as in the table."""
        return tuple(f"{row.label} {row.dagger}".rstrip() for row in self.table().rows)

    @cached_property
    def measured(self) -> tuple[int, ...]:
        """The rows with a finished run, by their place in the plan. Their order gives each its colour."""
        return tuple(i for i, cells in enumerate(self.plan.grid) if any(self.runs(cell) for cell in cells))

    def runs(self, cell: PlannedCell) -> tuple[Run, ...]:
        """The finished runs of a cell in the order of its seeds."""
        there = [(job.seed, self.results[job.key]) for job in cell.jobs if job.key in self.results]
        return tuple(Run(seed, result.run_uid, result.status == "diverged", result) for seed, result in there)

    def wanted(self, draw: Literal["lines", "rates", "bars", "gains"]) -> tuple[Wanted, ...]:
        """The suite's figures of that kind; one that says nothing where the suite names none."""
        return tuple(f for f in self.plan.layout.figures if f.draw == draw) or (
            () if draw == "gains" else (Wanted(draw=draw),)
        )

    def panel_title(self, column: PlannedColumn) -> str:
        """'CIFAR-10, symmetric 50%'."""
        return f"{self.data.title(column.dataset)}, {column.noise.label()}"

    def name(self, *parts: object) -> str:
        """A file name of the suite, its scale and the parts."""
        words = (self.plan.name, self.plan.scale, *map(str, parts))
        return "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", word).strip("-.") or "x" for word in words)
