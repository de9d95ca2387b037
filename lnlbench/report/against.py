"""Tests every cell of a table against the same column of one row, and says in a note what was tested and what not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import repeat

from lnlbench.errors import InvalidSetting, UnknownName, unknown_name
from lnlbench.report.cells import Against, Cell, Line, Row
from lnlbench.report.significance import KINDS, Comparison, Kind, compare, holm
from lnlbench.suite.plan import normal

_NAMES: dict[Kind, str] = {"welch": "Welch's t-test over seeds", "paired": "paired t-test over common seeds"}


def tested(rows: Sequence[Row], name: str, kind: str, alpha: float) -> tuple[tuple[Row, ...], Against]:
    """The rows with every cell that can be compared with the row `name`, its label or method expression.

    All tests of the table are one family. Raises UnknownName for a row there is not, or a name of several,
    InvalidSetting for another test or alpha.
    """
    if kind not in KINDS:
        raise unknown_name("test", kind, KINDS)
    if not 0 < alpha < 1:
        raise InvalidSetting(f"alpha is {alpha:g}, allowed: above 0 and below 1.", "The usual one is 0.05.")
    place = _find(rows, name)
    reference = rows[place]
    raw = [_row(row, reference if i != place else None, KINDS[KINDS.index(kind)], alpha) for i, row in enumerate(rows)]
    found = [cell.compared for row in raw for line in row.lines for cell in line.cells if cell.compared]
    corrected = iter(holm([comparison.p for comparison in found]))
    done = tuple(_corrected(row, corrected, alpha) for row in raw)
    return done, Against(reference.label, reference.method, kind, alpha, len(found))


def notes(rows: Sequence[Row], against: Against) -> Iterator[str]:
    """Which test, over which family, what its marks mean; how many comparisons could not be tested, and why."""
    cells = [cell for row in rows for line in row.lines for cell in line.cells]
    reasons = Counter(cell.untested for cell in cells if cell.untested)
    if not against.family:
        yield f"No cell could be tested against {against.label}: {_listed(reasons)}."
        return
    verdicts = {cell.compared.verdict for cell in cells if cell.compared}
    test = next(text for kind, text in _NAMES.items() if kind == against.test)
    how = f"{test}, Holm-corrected over the {_tests(against.family)} of this table, α = {against.alpha:g}"
    if verdicts - {""}:
        yield f"↑, ↓: significantly better, worse than {against.label} ({how})."
    else:
        yield f"No cell differs significantly from {against.label} ({how})."
    if reasons:
        yield f"Not tested: {_listed(reasons)}."


def _find(rows: Sequence[Row], name: str) -> int:
    # Labels first: two rows may be of one method, a label is what the reader sees.
    for wanted, names in ((_label(name), [_label(r.label) for r in rows]), (normal(name), [r.method for r in rows])):
        there = [i for i, other in enumerate(names) if other == wanted]
        if len(there) == 1:
            return there[0]
        if there:
            labels = ", ".join(repr(rows[i].label) for i in there)
            raise UnknownName(f"{name!r} is the name of several rows: {labels}.", "Name one by its label.")
    raise unknown_name("row of this table", name, dict.fromkeys([*(r.method for r in rows), *(r.label for r in rows)]))


def _label(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()


def _row(row: Row, reference: Row | None, kind: Kind, alpha: float) -> Row:
    if reference is None:
        return row
    lines = []
    for line, other in zip(row.lines, reference.lines, strict=True):
        cells = tuple(map(_cell, line.cells, other.cells, repeat(kind), repeat(alpha)))
        lines.append(replace(line, cells=cells))
    return replace(row, lines=tuple(lines))


def _cell(ours: Cell, theirs: Cell, kind: Kind, alpha: float) -> Cell:
    found = _obstacle(ours, theirs) or compare(ours.values or {}, theirs.values or {}, kind, alpha)
    return replace(ours, untested=found) if isinstance(found, str) else replace(ours, compared=found)


def _obstacle(ours: Cell, theirs: Cell) -> str:
    if ours.diverged or theirs.diverged:
        return "diverged"
    if ours.mean is None or theirs.mean is None:
        return "no result in one of the two"
    return "measured on different data" if ours.marks != theirs.marks else ""


def _corrected(row: Row, corrected: Iterator[float], alpha: float) -> Row:
    def judged(cell: Cell) -> Cell:
        if cell.compared is None:
            return cell
        return replace(cell, compared=_judged(cell.compared, next(corrected), alpha))

    return replace(row, lines=tuple(Line(s.stat, tuple(map(judged, s.cells)), s.rank) for s in row.lines))


def _judged(comparison: Comparison, corrected: float, alpha: float) -> Comparison:
    if corrected >= alpha:
        return comparison._replace(p_holm=corrected)
    return comparison._replace(p_holm=corrected, verdict="better" if comparison.difference > 0 else "worse")


def _tests(n: int) -> str:
    return "only test" if n == 1 else f"{n} tests"


def _listed(reasons: Counter[str]) -> str:
    count = sum(reasons.values())
    cells = "1 cell" if count == 1 else f"{count} cells"
    return f"{cells} ({'; '.join(f'{reason}: {n}' for reason, n in reasons.most_common())})"
