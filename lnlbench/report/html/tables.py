"""Tables as HTML that reads without a script: the same lines as in every other format, one `tbody` a row.

The script of the page finds its way by `data-place` (row and column) and `data-stat`; it adds sorting and tooltips.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape as _escape

from lnlbench.report.cells import Row, Table
from lnlbench.report.numbers import DASH, Printed, has_headings, printed_lines

# What HTML forbids in a text, and halves of characters that cannot be encoded.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def escape(text: object) -> str:
    """Any text as HTML that shows it, in an element or between double quotes."""
    return _escape(_FORBIDDEN.sub("\ufffd", str(text)), quote=True)


def render_table(table: Table, heading: str, start: int) -> str:
    """The table element. heading: id of what names it. start: number of its first place in the page's data."""
    return "\n".join(
        [
            f'<table aria-labelledby="{heading}" data-start="{start}">',
            "<thead>",
            *_head(table),
            "</thead>",
            *_bodies(table, start),
            "</table>",
        ]
    )


def _head(table: Table) -> Iterator[str]:
    statistic = '<th scope="col" rowspan="2"><span class="quiet">Statistic</span></th>' if has_headings(table) else ""
    groups = "".join(
        f'<th scope="colgroup" colspan="{group.span}"><span>{escape(group.label)}</span></th>' for group in table.groups
    )
    rank = f'<th scope="col" rowspan="2" data-column="{len(table.columns)}">Rank</th>' if table.ranked else ""
    yield f'<tr><th scope="col" rowspan="2" data-column="-1">Method</th>{statistic}{groups}{rank}</tr>'
    columns = "".join(
        f'<th scope="col" data-column="{i}">{escape(column.label)}</th>' for i, column in enumerate(table.columns)
    )
    yield f"<tr>{columns}</tr>"


def _bodies(table: Table, start: int) -> Iterator[str]:
    group = ""
    for i, row in enumerate(table.rows):
        if row.group != group:
            group = row.group
            if group:
                width = 1 + has_headings(table) + len(table.columns) + table.ranked
                yield (
                    f'<tbody class="group"><tr><th scope="rowgroup" colspan="{width}">'
                    f"<span>{escape(group)}</span></th></tr></tbody>"
                )
        yield from _body(table, row, start + i * len(table.columns))


def _body(table: Table, row: Row, place: int) -> Iterator[str]:
    lines = list(printed_lines(table, row))
    searched = escape(f"{row.label} {row.method} {row.group}".lower())
    yield f'<tbody class="{"row" if row.implemented else "row absent"}" data-search="{searched}">'
    dagger = f"<sup>{escape(row.dagger)}</sup>" if row.dagger else ""
    group = f'<span class="of-group">{escape(row.group)}</span>' if row.group else ""
    label = f'<th scope="row" rowspan="{len(lines)}"><bdi>{escape(row.label)}</bdi>{dagger}{group}</th>'
    stat = ""
    for i, line in enumerate(lines):
        stat = stat if line.published else table.stats[i - sum(other.published for other in lines[:i])]
        kind = ' class="published"' if line.published else ""
        heading = f'<td class="heading">{escape(line.heading)}</td>' if has_headings(table) else ""
        rank = f"<td>{_text(line.rank, line.first)}</td>" if table.ranked else ""
        cells = "".join(_cells(line, place))
        yield f'<tr data-stat="{stat}"{kind}>{"" if i else label}{heading}{cells}{rank}</tr>'
    yield "</tbody>"


def _cells(line: Printed, place: int) -> Iterator[str]:
    for i, (text, bold) in enumerate(zip(line.texts, line.bold, strict=True)):
        kind = ' class="none"' if text == DASH else ""
        yield f'<td data-place="{place + i}"{kind}>{_text(text, bold)}</td>'


def _text(text: str, bold: bool) -> str:
    return f"<strong>{escape(text)}</strong>" if bold else escape(text)
