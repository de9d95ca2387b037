"""Tables in the terminal, by rich. A table wider than the terminal is split by columns, never cut within a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import groupby

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from lnlbench.report.cells import Table
from lnlbench.report.numbers import Printed, has_headings, headings, printed_lines

_GAP = "  "
_MARKS = "*↑↓"


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
    heads = headings(table)
    texts = _with_room([[text for text, _ in line.all(table)] for lines in printed for line in lines])
    start = 0
    while start < len(heads):
        stop = start + 1
        while stop < len(heads) and _length(front, _widths(heads, texts, start, stop + 1)) <= width:
            stop += 1
        widths = _widths(heads, texts, start, stop)
        yield [*_head(front, heads[start:stop], widths), *_body(table, printed, front, texts, widths, start)]
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


def _with_room(lines: Sequence[Sequence[str]]) -> list[list[str]]:
    """The same texts, those with fewer marks padded, so that digits stand under digits and marks hang over."""
    hanging = [max(map(_marks, column)) for column in zip(*lines, strict=True)]
    return [[text + " " * (most - _marks(text)) for text, most in zip(line, hanging, strict=True)] for line in lines]


def _marks(text: str) -> int:
    return len(text) - len(text.rstrip(_MARKS))


def _widths(heads: Sequence[tuple[str, str]], lines: Sequence[Sequence[str]], start: int, stop: int) -> list[int]:
    """Width of each column from `start` to `stop`; the first of a group also makes room for the group's heading."""
    widths = [max(map(len, [heads[j][1], *(line[j] for line in lines)])) for j in range(start, stop)]
    for group, members in groupby(range(start, stop), key=lambda j: heads[j][0]):
        own = [j - start for j in members]
        missing = len(group) - sum(widths[i] for i in own) - len(_GAP) * (len(own) - 1)
        widths[own[0]] += max(0, missing)
    return widths


def _length(front: Sequence[Sequence[str]], widths: Sequence[int]) -> int:
    return cell_len(front[0][0]) + sum(len(_GAP) + width for width in widths)


def _head(front: Sequence[Sequence[str]], heads: Sequence[tuple[str, str]], widths: Sequence[int]) -> Iterator[Text]:
    room = cell_len(front[0][0])
    top = " " * room
    for group, members in groupby(range(len(heads)), key=lambda i: heads[i][0]):
        own = list(members)
        top += _GAP + group.center(sum(widths[i] for i in own) + len(_GAP) * (len(own) - 1))
    below = _left("Method", room)
    below += "".join(_GAP + label.rjust(width) for (_, label), width in zip(heads, widths, strict=True))
    yield _unwrapped(top)
    yield _unwrapped(below)
    yield _unwrapped("─" * _length(front, widths))


def _body(
    table: Table,
    printed: Sequence[Sequence[Printed]],
    front: Sequence[Sequence[str]],
    texts: Sequence[Sequence[str]],
    widths: Sequence[int],
    start: int,
) -> Iterator[Text]:
    below = iter(texts)
    for i, (lines, labels) in enumerate(zip(printed, front, strict=True)):
        if i and table.rows[i].group != table.rows[i - 1].group:
            yield _unwrapped("─" * _length(front, widths))
        elif i and len(lines) > 1:
            yield Text()
        for line, label, own in zip(lines, labels, below, strict=False):
            out = _unwrapped(label)
            bold = [each for _, each in line.all(table)]
            for j, width in enumerate(widths, start):
                out.append(_GAP)
                out.append(own[j].rjust(width), "bold" if bold[j] else "dim" if line.published else "")
            yield out


def _left(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _unwrapped(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ignore", end="\n")
