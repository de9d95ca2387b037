"""The layout of a table: which results stand in which cell, what is bold, what carries a dagger. Pure data.

`build_table` is the only way in; the renderers beside this file print what it returns and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from lnlbench.errors import InvalidSetting, unknown_name
from lnlbench.report import against as testing
from lnlbench.report import notes, ranks, reference
from lnlbench.report.cells import Against, Cell, Column, Group, Line, Row, Table
from lnlbench.report.numbers import decimals, number
from lnlbench.report.provenance import DataOf, OfData, data_of
from lnlbench.report.reference import Published
from lnlbench.report.statistics import summarise
from lnlbench.suite import Plan, PlannedCell, PlannedColumn, PlannedRow, Stat

__all__ = ["DAGGERS", "FIELDS", "Cell", "Column", "Group", "Line", "Result", "Row", "Table", "build_table"]

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


def build_table(
    plan: Plan,
    results: Iterable[Result],
    *,
    stats: Sequence[Stat] | None = None,
    compare: bool = False,
    ddof: int = 1,
    against: str | None = None,
    test: str = "welch",
    alpha: float = 0.05,
    ranked: bool = False,
) -> Table:
    """Lays out a plan with the results there are; results of other jobs are left aside.

    stats: None is the suite's. compare: put the published numbers beside, and say how well the ranks agree.
    ddof: 1 sample, 0 population std. against: label or method of the row to test all others against, with the
    test 'welch' or 'paired' at level alpha (imports SciPy). ranked: give each row its average rank.
    Raises InvalidSetting for a ddof or alpha there is not, UnknownName for a statistic, a published table, a row or a
    test there is not.
    """
    chosen = tuple(stats) if stats is not None else plan.stats
    _check(chosen, ddof)
    keys = {job.key for cell in plan.cells for job in cell.jobs}
    found = {result.key: result for result in results if result.key in keys}
    data = data_of(plan, found)
    daggers = _daggers(plan.rows)
    groups, columns = tuple(_groups(plan.columns, data)), tuple(_column(column) for column in plan.columns)
    rows = tuple(_with_best(_rows(plan, chosen, found, data, daggers, ddof, compare), plan.layout.bold == "group"))
    more: list[str] = []
    tested: Against | None = None
    if against is not None:
        rows, tested = testing.tested(rows, against, test, alpha)
        more += testing.notes(rows, tested)
    if ranked:
        rows, said = ranks.ranked(rows, _names(groups, columns))
        more += said
    agreement = ranks.agreements(rows, columns) if compare else ()
    cells = [cell for row in rows for line in row.lines for cell in line.cells]
    return Table(
        name=plan.name,
        title=plan.title,
        caption=notes.caption(plan, chosen, cells, ddof, data, found),
        notes=(
            *notes.notes(plan, chosen, cells, daggers, data, found, compare),
            *ranks.agreement_notes(agreement, groups, columns),
            *more,
        ),
        scale=plan.scale,
        seeds=plan.seeds,
        ddof=ddof,
        stats=chosen,
        groups=groups,
        columns=columns,
        rows=rows,
        compare=compare,
        show_n=len({cell.n for cell in cells if cell.mean is not None}) > 1,
        against=tested,
        agreement=agreement,
    )


def _check(stats: Sequence[Stat], ddof: int) -> None:
    for stat in stats:
        if stat not in FIELDS:
            raise unknown_name("statistic", stat, FIELDS)
    if not stats or len(set(stats)) < len(stats):
        raise InvalidSetting(f"statistics {', '.join(stats) or 'none'}: give each once, at least one.")
    if ddof not in (0, 1):
        raise InvalidSetting(f"ddof {ddof!r} is neither 1 (sample std, n-1) nor 0 (population std, n).")


def _daggers(rows: Sequence[PlannedRow]) -> dict[tuple[str, ...], str]:
    """A symbol for each combination of needs, in the order of the rows."""
    combinations = dict.fromkeys(row.needs for row in rows if row.needs)
    return {c: DAGGERS[i % len(DAGGERS)] * (i // len(DAGGERS) + 1) for i, c in enumerate(combinations)}


def _rows(
    plan: Plan,
    stats: Sequence[Stat],
    found: Mapping[str, Result],
    data: DataOf,
    daggers: Mapping[tuple[str, ...], str],
    ddof: int,
    compare: bool,
) -> list[Row]:
    return [
        Row(
            label=row.label,
            method=row.method,
            implemented=row.implemented,
            needs=row.needs,
            dagger=daggers.get(row.needs, ""),
            lines=tuple(
                Line(s, tuple(_cell(plan, cell, s, stats, found, data, ddof, compare) for cell in cells)) for s in stats
            ),
            group=row.group,
        )
        for row, cells in zip(plan.rows, plan.grid, strict=True)
    ]


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
    there = reference.beside(table, planned, printed)
    return there if there and there.metric == metric else None


def _with_best(rows: Sequence[Row], by_group: bool) -> Iterable[Row]:
    """Marks the best cells of every column and statistic, or of every group of rows in it: all that print the same."""
    best: dict[tuple[str, Stat, int], float] = {}
    for row in rows:
        for line in row.lines:
            for j, cell in enumerate(line.cells):
                if cell.mean is not None:
                    place = (row.group if by_group else "", line.stat, j)
                    best[place] = max(best.get(place, float("-inf")), round(cell.mean, decimals(line.stat)))
    for row in rows:
        group = row.group if by_group else ""
        yield replace(
            row,
            lines=tuple(
                replace(
                    line,
                    cells=tuple(
                        replace(c, best=c.mean is not None and _same(c.mean, best[group, c.stat, j], c.stat))
                        for j, c in enumerate(line.cells)
                    ),
                )
                for line in row.lines
            ),
        )


def _same(a: float, b: float, stat: Stat) -> bool:
    return number(a, stat) == number(b, stat)


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


def _names(groups: Sequence[Group], columns: Sequence[Column]) -> list[str]:
    """What a note calls each column: 'CIFAR-10, symmetric 20%'."""
    of_groups = (group.label for group in groups for _ in range(group.span))
    return [f"{group} {column.label}" for group, column in zip(of_groups, columns, strict=True)]
