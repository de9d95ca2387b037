"""Which way round a LaTeX table stands, and into how many parts its columns go, so that it can be read on paper.

Lengths are estimated in points for the text block and the ten-point type of LaTeX's article class. The table is
scaled to what room there really is, so that a wrong estimate costs size and never digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

SMALLEST = 0.6
"""Scale below which type is too small to read: six points of ten."""

_TEXT_WIDTH, _TEXT_HEIGHT = 345.0, 598.0
_CHARACTER, _BETWEEN_COLUMNS, _LINE = 5.0, 12.0, 12.0
_NOTE_CHARACTER, _NOTE_LINE = 4.0, 9.5
_LEAST_SHARE = 0.3


class Fit(NamedTuple):
    """sideways: turned by 90 degrees. parts: first and one past the last column of each. shares: of the page's height
    that the numbers of each part may take, the rest is for caption and notes. scale: expected, 1 is as large as text.
    """

    sideways: bool
    parts: tuple[tuple[int, int], ...]
    shares: tuple[float, ...]
    scale: float


class Size(NamedTuple):
    """What is to be fitted. groups: of the columns; front: characters before the first column; columns: of each
    column's widest text; lines: of the body and head; caption, notes: characters of the one and of each of the other.
    """

    groups: Sequence[str]
    front: int
    columns: Sequence[int]
    lines: float
    caption: int
    notes: Sequence[int]


def fit(size: Size) -> Fit:
    """Upright in one part where it can be read so; else the way with the fewest parts that can, else the largest."""
    ways = [_way(size, sideways, parted) for parted in (False, True) for sideways in (False, True)]
    readable = [way for way in ways if way.scale >= SMALLEST]
    return min(readable, key=lambda way: len(way.parts)) if readable else max(ways, key=lambda way: way.scale)


def _way(size: Size, sideways: bool, parted: bool) -> Fit:
    width, height = (_TEXT_HEIGHT, _TEXT_WIDTH) if sideways else (_TEXT_WIDTH, _TEXT_HEIGHT)
    parts = tuple(_parts(size, width / SMALLEST)) if parted else ((0, len(size.columns)),)
    # The notes stand below the last part only.
    words = [_words(size, width, i == len(parts) - 1) for i in range(len(parts))]
    shares = tuple(round(max(_LEAST_SHARE, 0.95 - each / height), 2) for each in words)
    widest = max(_length(size, *part) for part in parts)
    scale = min(1.0, width / widest, min(shares) * height / (size.lines * _LINE))
    return Fit(sideways, parts, shares, scale)


def _parts(size: Size, room: float) -> Iterator[tuple[int, int]]:
    """Greedily, whole groups where a group fits; a part has one column at least."""
    start = stop = 0
    for first, last in _units(size, room):
        if stop > start and _length(size, start, last) > room:
            yield start, stop
            start = first
        stop = last
    yield start, stop


def _units(size: Size, room: float) -> Iterator[tuple[int, int]]:
    for _, members in groupby(range(len(size.columns)), key=size.groups.__getitem__):
        own = list(members)
        if _length(size, own[0], own[-1] + 1) <= room:
            yield own[0], own[-1] + 1
        else:
            yield from ((j, j + 1) for j in own)


def _length(size: Size, start: int, stop: int) -> float:
    texts = [size.front, *size.columns[start:stop]]
    return sum(_CHARACTER * text + _BETWEEN_COLUMNS for text in texts)


def _words(size: Size, width: float, with_notes: bool) -> float:
    """Height of the caption, and of the notes."""
    caption = 2 + size.caption * _CHARACTER // width
    notes = sum(1 + n * _NOTE_CHARACTER // width for n in size.notes) if with_notes else 0
    return float(caption * _LINE + notes * _NOTE_LINE)
