"""What a laid out table is made of: cells in lines in rows, under columns in groups. Pure data.

`table.build_table` makes them, the renderers print them; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lnlbench.job import Scale
from lnlbench.report.reference import Published
from lnlbench.report.significance import Comparison
from lnlbench.suite import Stat


@dataclass(frozen=True)
class Cell:
    """One number of the table, with what it is made of.

    keys, seeds: of all its jobs. values: by seed, of the runs that finished with a number. diverged: seeds of the
    runs that diverged. mean, std, n: over `values`; mean and std are None as soon as one run diverged, since a mean
    of the survivors would hide it. best: bold. marks: stars that refer to notes about the data. compared: with the
    cell of the row that the table is tested against; untested: why it is not, '' where there is nothing to say.
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
    compared: Comparison | None = None
    untested: str = ""

    @property
    def difference(self) -> float | None:
        """Our mean minus the published one, None where either is missing."""
        theirs = self.published.mean if self.published else None
        return None if self.mean is None or theirs is None else self.mean - theirs


@dataclass(frozen=True)
class Line:
    """The cells of one statistic in a row, from left to right. rank: the row's average rank in it, 1 is best."""

    stat: Stat
    cells: tuple[Cell, ...]
    rank: float | None = None


@dataclass(frozen=True)
class Row:
    """A method: one line a statistic. dagger: symbol of its needs, '' without. group: of the rows it stands with."""

    label: str
    method: str
    implemented: bool
    needs: tuple[str, ...]
    dagger: str
    lines: tuple[Line, ...]
    group: str = ""


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


class Against(NamedTuple):
    """What the cells were tested against. family: number of tests, over which p-values are corrected."""

    label: str
    method: str
    test: str
    alpha: float
    family: int


class Agreement(NamedTuple):
    """How alike a column of ours and the published one rank their rows. tau: None where it is not defined.

    n: rows that have both numbers.
    """

    stat: Stat
    column: Column
    tau: float | None
    n: int


@dataclass(frozen=True)
class Table:
    """A laid out table. caption and notes are whole sentences.

    compare: whether published numbers stand beside. show_n: whether n differs, so that cells state it. against:
    None where nothing was asked to be tested. agreement: with the published columns, those that have numbers.
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
    against: Against | None = None
    agreement: tuple[Agreement, ...] = ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, row by row, line by line."""
        return tuple(cell for row in self.rows for line in row.lines for cell in line.cells)

    @property
    def ranked(self) -> bool:
        """Whether a row has a rank, so that there is a column for it."""
        return any(line.rank is not None for row in self.rows for line in row.lines)
