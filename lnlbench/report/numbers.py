"""How a number, a cell and its published counterpart are written, in plain Unicode. Renderers only translate it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lnlbench.suite import Stat

if TYPE_CHECKING:
    from lnlbench.report.cells import Cell, Line, Row, Table

DASH = "–"
ARROWS = {"better": "↑", "worse": "↓", "": ""}

HEADINGS: dict[Stat, str] = {
    "best": "Best",
    "last": "Last",
    "last10": "Last 10",
    "valid": "Valid",
    "auc": "AUC",
    "last_auc": "Last AUC",
}


class Printed(NamedTuple):
    """One printed line of a row. published: it holds the paper's numbers, with differences.

    texts, bold: of the columns. rank, first: the text of the row's average rank, and whether it is the best.
    """

    heading: str
    texts: tuple[str, ...]
    bold: tuple[bool, ...]
    published: bool
    rank: str = ""
    first: bool = False

    def all(self, table: Table) -> list[tuple[str, bool]]:
        """Text and boldness under every heading of `headings`."""
        ranks = [(self.rank, self.first)] if table.ranked else []
        return [*zip(self.texts, self.bold, strict=True), *ranks]


def headings(table: Table) -> list[tuple[str, str]]:
    """Group and label of every printed column: the table's, then that of the ranks, which has no group."""
    groups = [group.label for group in table.groups for _ in range(group.span)]
    labels = [column.label for column in table.columns]
    return [*zip(groups, labels, strict=True), *([("", "Rank")] if table.ranked else [])]


def decimals(stat: Stat) -> int:
    """1 for percent, 3 for AUC."""
    return 3 if stat in ("auc", "last_auc") else 1


def number(value: float, stat: Stat) -> str:
    """A number at the printed precision, never '-0.0'."""
    return f"{round(value, decimals(stat)) + 0.0:.{decimals(stat)}f}"


def signed(value: float, stat: Stat) -> str:
    """A difference with its sign: '+0.4', '−2.9', '0.0'."""
    text = number(abs(value), stat)
    sign = "" if float(text) == 0 else "+" if value > 0 else "−"
    return sign + text


def has_headings(table: Table) -> bool:
    """Whether a row has several lines, so that each needs its heading."""
    return len(table.stats) + len(published_stats(table)) > 1


def published_stats(table: Table) -> frozenset[Stat]:
    """The statistics that have a published number somewhere in the table, hence a line for them in each row."""
    return frozenset(cell.stat for cell in table.cells if cell.published)


def printed_lines(table: Table, row: Row) -> Iterator[Printed]:
    """The lines of a row from top to bottom; the published ones under ours."""
    compared = published_stats(table)
    for i, line in enumerate(row.lines):
        ours = tuple(cell_text(cell, table.show_n) for cell in line.cells)
        bold = tuple(cell.best for cell in line.cells)
        rank, first = _rank(line, [other.lines[i] for other in table.rows])
        yield Printed(HEADINGS[line.stat], ours, bold, False, rank, first)
        if line.stat in compared:
            theirs = tuple(published_text(cell) for cell in line.cells)
            yield Printed("published", theirs, (False,) * len(theirs), True)


def _rank(line: Line, lines: Sequence[Line]) -> tuple[str, bool]:
    """How the rank of a line is written, and whether it is the best of `lines`."""
    if line.rank is None:
        return DASH, False
    return f"{line.rank:.2f}", all(other.rank is None or other.rank >= line.rank for other in lines)


def cell_text(cell: Cell, show_n: bool) -> str:
    """'93.2 ± 0.2', '93.2 ± 0.2 (2)' with its n, 'fail', 'fail (1/3)', a dash without a number; then its marks:
    stars for its data, an arrow where it is significantly better or worse than the row it is tested against.
    """
    marks = "".join(cell.marks) + (ARROWS[cell.compared.verdict] if cell.compared else "")
    if cell.diverged:
        finished = len(cell.diverged) + cell.n
        share = "" if len(cell.diverged) == finished else f" ({len(cell.diverged)}/{finished})"
        return f"fail{share}{marks}"
    if cell.mean is None:
        return DASH
    std = f" ± {number(cell.std, cell.stat)}" if cell.std is not None else ""
    n = f" ({cell.n})" if show_n else ""
    return f"{number(cell.mean, cell.stat)}{std}{n}{marks}"


def published_text(cell: Cell) -> str:
    """'96.1 (−2.9)': the paper's number as printed, and ours minus it."""
    if cell.published is None or cell.published.text in ("-", "—"):
        return DASH
    if cell.difference is None:
        return cell.published.text
    return f"{cell.published.text} ({signed(cell.difference, cell.stat)})"
