"""The layout of a table: which results stand in which cell, what is bold, what carries a dagger. Pure data.

`build_table` is the only way in; the renderers beside this file print what it returns and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Protocol

from lnlbench.errors import InvalidSetting
from lnlbench.job import Scale
from lnlbench.report import notes, reference
from lnlbench.report.numbers import decimals, number
from lnlbench.report.provenance import DataOf, OfData, data_of
from lnlbench.report.reference import Published
from lnlbench.report.statistics import summarise
from lnlbench.suite import Plan, PlannedCell, PlannedColumn, PlannedRow, Stat

DAGGERS = "†‡§¶‖"
"""Symbols of needs; after the last come the double ones, the triple ones."""

FIELDS: dict[Stat, str] = {
    "best": "best",
    "last": "last",
    "last10": "last10",
    "valid": "valid_pick",
    "auc": "best_auc",
    "last_auc": "last_auc",
}
"""Field of a result by statistic."""

_PRINTED: dict[Stat, tuple[str, str]] = {
    "best": ("accuracy", "best"),
    "last": ("accuracy", "last"),
    "auc": ("auc", "best"),
    "last_auc": ("auc", "last"),
}


class Result(OfData, Protocol):
    """What a table reads of a result; `store.ResultView` is one. status: 'done' or 'diverged'."""

    @property
    def key(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def best(self) -> float | None: ...
    @property
    def last(self) -> float | None: ...
    @property
    def last10(self) -> float | None: ...
    @property
    def valid_pick(self) -> float | None: ...
    @property
    def best_auc(self) -> float | None: ...
    @property
    def last_auc(self) -> float | None: ...


@dataclass(frozen=True)
class Cell:
    """One number of the table, with what it is made of.

    keys, seeds: of all its jobs. values: by seed, of the runs that finished with a number. diverged: seeds of the
    runs that diverged. mean, std, n: over `values`; mean and std are None as soon as one run diverged, since a mean
    of the survivors would hide it. best: bold. marks: stars that refer to notes about the data.
    """

    stat: Stat
    keys: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    values: Mapping[int, float] | None = None
    diverged: tuple[int, ...] = ()
    mean: float | None = None
    std: float | None = None
    n: int = 0
    best: bool = False
    marks: tuple[str, ...] = ()
    published: Published | None = None

    @property
    def difference(self) -> float | None:
        """Our mean minus the published one, None where either is missing."""
        theirs = self.published.mean if self.published else None
        return None if self.mean is None or theirs is None else self.mean - theirs


@dataclass(frozen=True)
class Line:
    """The cells of one statistic in a row, from left to right."""

    stat: Stat
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Row:
    """A method: one line a statistic. dagger: symbol of its needs, '' without."""

    label: str
    method: str
    implemented: bool
    needs: tuple[str, ...]
    dagger: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Column:
    """A column under its group: '20%', 'clean'."""

    label: str
    dataset: str
    noise: str
    rate: float | None


@dataclass(frozen=True)
class Group:
    """Neighbouring columns of one data set and noise: 'CIFAR-10, symmetric' over `span` columns."""

    label: str
    span: int


@dataclass(frozen=True)
class Table:
    """A laid out table. caption and notes are whole sentences.

    compare: whether published numbers stand beside. show_n: whether n differs, so that cells state it.
    """

    name: str
    title: str
    caption: str
    notes: tuple[str, ...]
    scale: Scale
    seeds: tuple[int, ...]
    ddof: int
    stats: tuple[Stat, ...]
    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    compare: bool
    show_n: bool

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, row by row, line by line."""
        return tuple(cell for row in self.rows for line in row.lines for cell in line.cells)


def build_table(
    plan: Plan,
    results: Iterable[Result],
    *,
    stats: Sequence[Stat] | None = None,
    compare: bool = False,
    ddof: int = 1,
) -> Table:
    """Lays out a plan with the results there are; results of other jobs are left aside.

    stats: None is the suite's. compare: put the published numbers beside. ddof: 1 sample, 0 population std.
    Raises InvalidSetting for a statistic or ddof there is not, UnknownName for a published table there is not.
    """
    chosen = tuple(stats) if stats is not None else plan.stats
    _check(chosen, ddof)
    keys = {job.key for cell in plan.cells for job in cell.jobs}
    found = {result.key: result for result in results if result.key in keys}
    data = data_of(plan, found)
    daggers = _daggers(plan.rows)
    rows = [
        Row(
            row.label,
            row.method,
            row.implemented,
            row.needs,
            daggers.get(row.needs, ""),
            tuple(
                Line(s, tuple(_cell(plan, cell, s, chosen, found, data, ddof, compare) for cell in cells))
                for s in chosen
            ),
        )
        for row, cells in zip(plan.rows, plan.grid, strict=True)
    ]
    laid_out = tuple(_with_best(rows))
    cells = [cell for row in laid_out for line in row.lines for cell in line.cells]
    measured = {cell.n for cell in cells if cell.mean is not None}
    return Table(
        name=plan.name,
        title=plan.title,
        caption=notes.caption(plan, chosen, measured, ddof),
        notes=tuple(notes.notes(plan, chosen, cells, daggers, data, found, compare)),
        scale=plan.scale,
        seeds=plan.seeds,
        ddof=ddof,
        stats=chosen,
        groups=tuple(_groups(plan.columns, data)),
        columns=tuple(_column(column) for column in plan.columns),
        rows=laid_out,
        compare=compare,
        show_n=len(measured) > 1,
    )


def _check(stats: Sequence[Stat], ddof: int) -> None:
    for stat in stats:
        if stat not in FIELDS:
            raise InvalidSetting(f"unknown statistic {stat!r}.", f"Choose from: {', '.join(FIELDS)}.")
    if not stats or len(set(stats)) < len(stats):
        raise InvalidSetting(f"statistics {', '.join(stats) or 'none'}: give each once, at least one.")
    if ddof not in (0, 1):
        raise InvalidSetting(f"ddof {ddof!r} is neither 1 (sample std, n-1) nor 0 (population std, n).")


def _daggers(rows: Sequence[PlannedRow]) -> dict[tuple[str, ...], str]:
    """A symbol for each combination of needs, in the order of the rows."""
    combinations = dict.fromkeys(row.needs for row in rows if row.needs)
    return {c: DAGGERS[i % len(DAGGERS)] * (i // len(DAGGERS) + 1) for i, c in enumerate(combinations)}


def _cell(
    plan: Plan,
    planned: PlannedCell,
    stat: Stat,
    stats: Sequence[Stat],
    found: Mapping[str, Result],
    data: DataOf,
    ddof: int,
    compare: bool,
) -> Cell:
    runs = [(job, found[job.key]) for job in planned.jobs if job.key in found]
    diverged = tuple(job.seed for job, run in runs if run.status == "diverged")
    values = {
        job.seed: value
        for job, run in runs
        if run.status != "diverged" and (value := getattr(run, FIELDS[stat])) is not None
    }
    summary = summarise(list(values.values()), ddof)
    return Cell(
        stat=stat,
        keys=tuple(job.key for job in planned.jobs),
        seeds=tuple(job.seed for job in planned.jobs),
        values=values,
        diverged=diverged,
        mean=None if diverged else summary.mean,
        std=None if diverged else summary.std,
        n=summary.n,
        marks=data.marks(planned.column.dataset, [run for _, run in runs]),
        published=_published(plan, planned, stat, stats) if compare else None,
    )


def _published(plan: Plan, planned: PlannedCell, stat: Stat, stats: Sequence[Stat]) -> Published | None:
    table = plan.layout.published
    if table is None or stat not in _PRINTED:
        return None
    metric, printed = _PRINTED[stat]
    # Where a paper names no epoch, its number stands beside the first statistic only.
    if stat == stats[0] and printed not in reference.stats_of(table):
        printed = "final"
    row, column = planned.row, planned.column
    where = reference.Cell(
        table,
        row.published.get("method", row.method),
        row.published.get("variant", ""),
        column.published.get("dataset", column.dataset),
        column.published.get("noise", column.noise.name),
        column.published.get("rate", column.noise.rate),
        printed,
    )
    there = reference.lookup(where)
    return there if there and there.metric == metric else None


def _with_best(rows: Sequence[Row]) -> Iterable[Row]:
    """Marks the best cells of every column and statistic: all that print the same number."""
    best: dict[tuple[Stat, int], float] = {}
    for row in rows:
        for line in row.lines:
            for j, cell in enumerate(line.cells):
                if cell.mean is not None:
                    place = (line.stat, j)
                    best[place] = max(best.get(place, float("-inf")), round(cell.mean, decimals(line.stat)))
    for row in rows:
        lines = [
            Line(
                line.stat,
                tuple(
                    replace(c, best=c.mean is not None and number(c.mean, c.stat) == number(best[line.stat, j], c.stat))
                    for j, c in enumerate(line.cells)
                ),
            )
            for line in row.lines
        ]
        yield replace(row, lines=tuple(lines))


def _column(column: PlannedColumn) -> Column:
    noise = column.noise
    label = noise.label() if noise.rate is None else f"{100 * noise.rate:g}%"
    return Column(label, column.dataset, noise.replace(rate=None).label(), noise.rate)


def _groups(columns: Sequence[PlannedColumn], data: DataOf) -> Iterable[Group]:
    for (dataset, noise), members in groupby(
        columns, key=lambda c: (c.dataset, "" if c.noise.rate is None else c.noise.name)
    ):
        title = data.title(dataset)
        yield Group(f"{title}, {noise}" if noise else title, len(list(members)))
