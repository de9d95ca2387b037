"""The runs of a plan's jobs as the check reads them: those that finished with their numbers, and what failed since."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from lnlbench.regression.baseline import STATS
from lnlbench.report.table import FIELDS
from lnlbench.store import RunView
from lnlbench.store.tidy import RUN_COLUMNS, finished_runs

if TYPE_CHECKING:
    from lnlbench.store import Glance, Store

_BROKEN = ("failed", "lost")


class Measured(NamedTuple):
    """A finished run. values: by statistic, those it has; none of a diverged run counts."""

    run: RunView
    values: Mapping[str, float]

    @property
    def diverged(self) -> bool:
        """Whether its training diverged."""
        return self.run.status == "diverged"


class Runs(NamedTuple):
    """By job key: the finished runs, the one that ended last at the end, and the newest attempt where it failed."""

    finished: Mapping[str, list[Measured]]
    failed: Mapping[str, RunView]


def measured(source: Store | Glance, keys: Collection[str]) -> Runs:
    """Every finished run of some jobs with its numbers; a fixed number of statements."""
    names = [column.partition(".")[2] for column in RUN_COLUMNS.split(", ")]
    numbers = {row[names.index("uid")]: dict(zip(names, row, strict=True)) for row in finished_runs(source, keys)}
    finished: dict[str, list[Measured]] = {}
    failed: dict[str, RunView] = {}
    for key, runs in source.runs_of(keys).items():
        ended = sorted((r for r in runs if r.ended_at is not None), key=lambda r: r.ended_at or r.started_at)
        there = [Measured(r, _values(r, numbers[r.uid])) for r in ended if r.uid in numbers]
        if there:
            finished[key] = there
        if ended and ended[-1].status in _BROKEN:
            failed[key] = ended[-1]
    return Runs(finished, failed)


def _values(run: RunView, row: Mapping[str, object]) -> dict[str, float]:
    if run.status == "diverged":
        return {}
    found = {stat: row[FIELDS[stat]] for stat in STATS}
    return {stat: value for stat, value in found.items() if isinstance(value, float)}
