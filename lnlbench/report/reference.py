"""The papers' printed numbers, read from `lnlbench/reference/published.csv` and looked up by what they are of."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lnlbench.errors import unknown_name
from lnlbench.suite import PlannedCell

FILE = Path(__file__).parent.parent / "reference" / "published.csv"


class Published(NamedTuple):
    """One printed number. text: mean and std as printed, or what stands in their place ('fail', '-').

    metric: accuracy (percent) or auc (0..1). mean and std are None where nothing is printed.
    """

    text: str
    mean: float | None
    std: float | None
    metric: str
    bold: bool
    note: str


class Cell(NamedTuple):
    """What identifies a printed number. rate: fraction, None for real noise; stat: best, last or final."""

    table: str
    method: str
    variant: str
    dataset: str
    noise: str
    rate: float | None
    stat: str


def lookup(cell: Cell) -> Published | None:
    """The printed number, None where the paper has no such cell. Raises UnknownName for a table there is not."""
    return _table(cell.table).get(cell)


def beside(table: str, planned: PlannedCell, stat: str) -> Published | None:
    """The number that `table` prints for a suite's cell under `stat`: best, last or final; None where it has none."""
    row, column = planned.row, planned.column
    return lookup(
        Cell(
            table,
            row.published.get("method", row.method),
            row.published.get("variant", ""),
            column.published.get("dataset", column.dataset),
            column.published.get("noise", column.noise.name),
            column.published.get("rate", column.noise.rate),
            stat,
        )
    )


def stats_of(table: str) -> frozenset[str]:
    """The statistics that a table prints: best, last; final where the paper names no epoch."""
    return frozenset(cell.stat for cell in _table(table))


def cells(table: str) -> tuple[Cell, ...]:
    """All cells of a table, in the paper's order. Raises UnknownName for a table there is not."""
    return tuple(_table(table))


def table_names() -> tuple[str, ...]:
    """All tables, in the papers' order."""
    return tuple(_tables())


def _table(name: str) -> dict[Cell, Published]:
    if name not in _tables():
        raise unknown_name("published table", name, _tables())
    return _tables()[name]


@cache
def _tables() -> dict[str, dict[Cell, Published]]:
    tables: dict[str, dict[Cell, Published]] = {}
    with FILE.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            tables.setdefault(line["table"], {})[_cell(line)] = _published(line)
    return tables


def _cell(line: dict[str, Any]) -> Cell:
    rate = _number(line["rate"])
    return Cell(line["table"], line["method"], line["variant"], line["dataset"], line["noise"], rate, line["stat"])


def _published(line: dict[str, Any]) -> Published:
    return Published(
        text=" ± ".join(filter(None, (line["mean"], line["std"]))) or line["note"].partition(";")[0] or "-",
        mean=_number(line["mean"]),
        std=_number(line["std"]),
        metric=line["metric"],
        bold="bold" in line["extra"].split(";"),
        note=line["note"],
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
