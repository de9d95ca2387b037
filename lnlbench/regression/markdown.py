"""A check as GitHub's Markdown, for the summary of a workflow: the text of the terminal, and below it every number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lnlbench.regression.findings import Check
from lnlbench.regression.words import MOVED, Where, headline, row, sections
from lnlbench.report.markdown import escape

_MARKS = {0: "✅", 1: "❌", 2: "⚠️", 3: "⚠️"}


def markdown(check: Check, where: Where) -> str:
    """The page."""
    blocks = [f"## {_MARKS[check.exit_code]} {escape(headline(check))}"]
    for section in sections(check, where):
        if section.title:
            blocks.append(f"### {escape(section.title)}")
        if section.columns:
            blocks.append(_table(section.columns, section.rows, section.right))
        blocks += [escape(text) for text in section.text if text != headline(check)]
    if check.moves:
        every = _table(MOVED, (row(cell, move, move.p) for cell, move in check.moves), MOVED[2:])
        blocks.append(f"<details><summary>Every comparison</summary>\n\n{every}\n\n</details>")
    return "\n\n".join(blocks) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str]) -> str:
    return "\n".join(_lines(columns, rows, right))


def _lines(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str]) -> Iterator[str]:
    yield _line([column.capitalize() for column in columns])
    yield f"| {' | '.join('---:' if column in right else '---' for column in columns)} |"
    for cells in rows:
        yield _line(cells)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escape, cells))} |"
