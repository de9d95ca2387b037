"""Tables in GitHub's Markdown; what LaTeX spans over columns stands in every heading here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lnlbench.report.numbers import has_headings, printed_lines
from lnlbench.report.table import Table


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
    groups = [group.label for group in table.groups for _ in range(group.span)]
    heads = [escape(f"{group} {column.label}") for group, column in zip(groups, table.columns, strict=True)]
    headings = has_headings(table)
    yield _line(["Method", *([""] if headings else []), *heads])
    yield _line(["---", *(["---"] if headings else []), *("---:" for _ in heads)])
    for row in table.rows:
        for i, line in enumerate(printed_lines(table, row)):
            label = "" if i else escape(f"{row.label} {row.dagger}".strip())
            cells = [f"**{escape(t)}**" if bold else escape(t) for t, bold in zip(line.texts, line.bold, strict=True)]
            yield _line([label, *([line.heading] if headings else []), *cells])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
