"""Tables in GitHub's Markdown; what LaTeX spans over columns stands in every heading here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lnlbench.report.cells import Table
from lnlbench.report.numbers import has_headings, headings, printed_lines


def render(table: Table) -> str:
    """Caption, table, notes as a list."""
    blocks = [escape(table.caption), "\n".join(_lines(table))]
    if table.notes:
        blocks.append("\n".join(f"- {escape(note)}" for note in table.notes))
    return "\n\n".join(blocks) + "\n"


def escape(text: str) -> str:
    """Any text as Markdown that shows it: no markup, no HTML, no table rule, no formula."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~$#])", r"\\\1", text)


def _lines(table: Table) -> Iterator[str]:
    heads = [escape(f"{group} {label}") for group, label in headings(table)]
    front = [""] if has_headings(table) else []
    yield _line(["Method", *front, *heads])
    yield _line(["---", *("---" for _ in front), *("---:" for _ in heads)])
    for row in table.rows:
        for i, line in enumerate(printed_lines(table, row)):
            label = "" if i else escape(f"{row.label} {row.dagger}".strip())
            cells = [f"**{escape(text)}**" if bold else escape(text) for text, bold in line.all(table)]
            yield _line([label, *(line.heading for _ in front), *cells])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
