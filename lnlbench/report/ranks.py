"""Ranks: the average rank of a row over columns, and how well our order of the rows agrees with the published one.

Both are of the numbers as printed, so that a reader finds them again with the table alone. Pure Python: SciPy's
import takes longer than a whole report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Sized
from dataclasses import replace
from itertools import combinations

from lnlbench.report.cells import Agreement, Cell, Column, Group, Line, Row
from lnlbench.report.numbers import DASH, HEADINGS, number

FEWEST = 3
"""Rows below which Kendall's tau says nothing: of two, it can only be 1 or -1."""


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each number, 1 for the largest; equal ones share the mean of their places."""
    return [sum(w > v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]


def tau_b(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Kendall's tau-b of two rankings of the same things (Kendall 1945): concordant minus discordant pairs, over the
    geometric mean of the numbers of pairs not tied in x and in y. None where all of x or all of y are tied.
    """
    pairs = [(_sign(a - b), _sign(c - d)) for (a, c), (b, d) in combinations(zip(x, y, strict=True), 2)]
    untied = math.sqrt(sum(a != 0 for a, _ in pairs)) * math.sqrt(sum(b != 0 for _, b in pairs))
    return sum(a * b for a, b in pairs) / untied if untied else None


def ranked(rows: Sequence[Row], columns: Sequence[str]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The rows with their average rank in every statistic, and what a note says of it. columns: their names.

    A column counts where two rows have a mean, all on the same data; a row is ranked where it has all of these.
    """
    done: list[Row] = list(rows)
    said: dict[str, list[str]] = {}
    for i, line in enumerate(rows[0].lines if rows else ()):
        lines = [row.lines[i] for row in rows]
        used = [j for j in range(len(columns)) if _comparable([line.cells[j] for line in lines])]
        whole = [k for k, line in enumerate(lines) if used and all(line.cells[j].mean is not None for j in used)]
        if len(whole) > 1:
            places = zip(*(ranks([_printed(lines[k].cells[j]) for k in whole]) for j in used), strict=True)
            for k, own in zip(whole, places, strict=True):
                done[k] = _with_rank(done[k], i, sum(own) / len(used))
        partial = [rows[k].label for k, line in enumerate(lines) if k not in whole and _measured(line)]
        sentence = _sentence(len(whole), [columns[j] for j in used], len(columns), partial)
        said.setdefault(sentence, []).append(HEADINGS[line.stat])
    return tuple(done), tuple(f"Rank{_which(headings, said)}: {text}" for text, headings in said.items())


def agreements(rows: Sequence[Row], columns: Sequence[Column]) -> tuple[Agreement, ...]:
    """Kendall's tau-b between our means and the published numbers, of every statistic and column that has some."""
    found = []
    for i, line in enumerate(rows[0].lines if rows else ()):
        for j, column in enumerate(columns):
            cells = [row.lines[i].cells[j] for row in rows]
            if any(cell.published and cell.published.mean is not None for cell in cells):
                pairs = [(_printed(c), p.mean) for c in cells if (p := c.published) and c.mean is not None]
                both = [(ours, theirs) for ours, theirs in pairs if theirs is not None]
                tau = tau_b(*zip(*both, strict=True)) if len(both) >= FEWEST else None
                found.append(Agreement(line.stat, column, tau, len(both)))
    return tuple(found)


def agreement_notes(found: Sequence[Agreement], groups: Sequence[Group], columns: Sequence[Column]) -> Iterator[str]:
    """One sentence a statistic: every column's tau with its n, and their mean."""
    group_of = dict(zip(columns, (g.label for g in groups for _ in range(g.span)), strict=True))
    stats = list(dict.fromkeys(a.stat for a in found))
    for stat in stats:
        own = [a for a in found if a.stat == stat]
        taus = [a.tau for a in own if a.tau is not None]
        start = f"Kendall's tau with the published column{f' ({HEADINGS[stat]})' if len(stats) > 1 else ''}"
        if not taus:
            yield f"{start}: {DASH} (no column has {FEWEST} rows with both numbers that are not all equal)."
            continue
        texts: dict[str, list[str]] = {}
        for a in own:
            texts.setdefault(group_of[a.column], []).append(f"{a.column.label} {_tau(a.tau)} ({a.n})")
        listed = "; ".join(f"{group} {', '.join(each)}" for group, each in texts.items())
        mean = f"; mean {_tau(sum(taus) / len(taus))}" if len(taus) > 1 else ""
        yield f"{start}, in brackets the number of rows: {listed}{mean}."


def _tau(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _printed(cell: Cell) -> float:
    assert cell.mean is not None
    return float(number(cell.mean, cell.stat))


def _measured(line: Line) -> bool:
    return any(cell.mean is not None or cell.diverged for cell in line.cells)


def _comparable(cells: Sequence[Cell]) -> bool:
    there = [cell for cell in cells if cell.mean is not None]
    return len(there) > 1 and len({cell.marks for cell in there}) == 1


def _with_rank(row: Row, i: int, rank: float) -> Row:
    return replace(row, lines=(*row.lines[:i], replace(row.lines[i], rank=rank), *row.lines[i + 1 :]))


def _which(headings: Sequence[str], said: Sized) -> str:
    return f" ({', '.join(headings)})" if len(said) > 1 else ""


def _sentence(n: int, used: Sequence[str], columns: int, partial: Sequence[str]) -> str:
    if n < 2:
        return "no two rows have results in the same columns."
    which = ", ".join(used) if len(used) < columns else "all columns"
    average = f"average over {which} of the rank" if columns > 1 else "place"
    left_out = f" Left out, for a missing cell: {', '.join(partial)}." if partial else ""
    return f"{average} among the {n} rows that have results there; 1 is best.{left_out}"
