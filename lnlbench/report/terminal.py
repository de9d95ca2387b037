"""Tables in the terminal, by rich. A table wider than the terminal is split by columns, never cut within a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import groupby

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from lnlbench.report.numbers import Printed, has_headings, printed_lines
from lnlbench.report.table import Table

_GAP = "  "


def render(table: Table, width: int) -> RenderableType:
    """What rich prints: caption, one or several blocks of columns, notes. width: characters of the terminal.

    Print it with `crop=False`: where not even one column fits, its lines run over instead of losing digits.
    """
    parts: list[RenderableType] = [Text(table.caption), Text()]
    for block in _blocks(table, width):
        parts += [*block, Text()]
    parts += [Padding(Text(note, style="dim"), (0, 0, 0, 1)) for note in table.notes]
    return Group(*parts)


def render_text(table: Table, width: int) -> str:
    """The same as plain text, without colours."""
    out = StringIO()
    Console(file=out, width=width, color_system=None, highlight=False).print(render(table, width), crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _blocks(table: Table, width: int) -> Iterator[list[Text]]:
    """The table in as few blocks of columns as fit, at least one column each, the row labels in front of all."""
    printed = [list(printed_lines(table, row)) for row in table.rows]
    front = _front(table, printed)
    groups = [group.label for group in table.groups for _ in range(group.span)]
    start = 0
    while start < len(groups):
        stop = start + 1
        while stop < len(groups) and _length(front, _widths(table, printed, groups, start, stop + 1)) <= width:
            stop += 1
        widths = _widths(table, printed, groups, start, stop)
        yield [*_head(table, front, groups[start:stop], widths, start), *_body(printed, front, widths, start)]
        start = stop


def _front(table: Table, printed: Sequence[Sequence[Printed]]) -> list[list[str]]:
    """What stands before the numbers of each line, padded: the label in a row's first line, the heading."""
    labels = [f"{' '.join(row.label.split())} {row.dagger}".rstrip() for row in table.rows]
    first = max(map(cell_len, [*labels, "Method"]))
    second = max(len(line.heading) for lines in printed for line in lines) if has_headings(table) else 0
    return [
        [
            _left(label if i == 0 else "", first) + (_GAP + _left(line.heading, second) if second else "")
            for i, line in enumerate(lines)
        ]
        for label, lines in zip(labels, printed, strict=True)
    ]


def _widths(
    table: Table, printed: Sequence[Sequence[Printed]], groups: Sequence[str], start: int, stop: int
) -> list[int]:
    """Width of each column from `start` to `stop`; the first of a group also makes room for the group's heading."""
    widths = [
        max(map(len, [table.columns[j].label, *(line.texts[j] for lines in printed for line in lines)]))
        for j in range(start, stop)
    ]
    for label, members in groupby(range(start, stop), key=lambda j: groups[j]):
        own = [j - start for j in members]
        missing = len(label) - sum(widths[i] for i in own) - len(_GAP) * (len(own) - 1)
        widths[own[0]] += max(0, missing)
    return widths


def _length(front: Sequence[Sequence[str]], widths: Sequence[int]) -> int:
    return cell_len(front[0][0]) + sum(len(_GAP) + width for width in widths)


def _head(
    table: Table, front: Sequence[Sequence[str]], groups: Sequence[str], widths: Sequence[int], start: int
) -> Iterator[Text]:
    room = cell_len(front[0][0])
    top = " " * room
    for label, members in groupby(range(len(groups)), key=groups.__getitem__):
        own = list(members)
        top += _GAP + label.center(sum(widths[i] for i in own) + len(_GAP) * (len(own) - 1))
    below = _left("Method", room) + "".join(
        _GAP + table.columns[start + i].label.rjust(width) for i, width in enumerate(widths)
    )
    yield _unwrapped(top)
    yield _unwrapped(below)
    yield _unwrapped("─" * _length(front, widths))


def _body(
    printed: Sequence[Sequence[Printed]], front: Sequence[Sequence[str]], widths: Sequence[int], start: int
) -> Iterator[Text]:
    for row, (lines, labels) in enumerate(zip(printed, front, strict=True)):
        if row and len(lines) > 1:
            yield Text()
        for line, label in zip(lines, labels, strict=True):
            out = _unwrapped(label)
            for i, width in enumerate(widths):
                style = "bold" if line.bold[start + i] else "dim" if line.published else ""
                out.append(_GAP)
                out.append(line.texts[start + i].rjust(width), style)
            yield out


def _left(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _unwrapped(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ignore", end="\n")
