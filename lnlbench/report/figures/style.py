"""One look for every figure: sizes of a two-column paper, colours that colour-blind readers and grey prints tell apart.

Figures are made and saved inside `style()`, which puts matplotlib's settings aside and back again under a lock:
neither a matplotlibrc nor another thread moves a figure. pyplot is not used.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import wrap
from threading import RLock
from typing import Any, NamedTuple

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

SINGLE, DOUBLE = 3.35, 6.9
"""Widths in inches of a column, and of a page of two."""
PANEL_HEIGHT = 1.65
PANELS_A_LINE = 4
_LEGEND_LINE = 0.128
SMALL, NORMAL = 6.0, 7.0
"""Font sizes in points."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette without its yellow, which is lost on white paper."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (4, 1.2, 1, 1.2)), (0, (7, 1.5)))
HATCHES = ("", "////", "..", "xxx", "---", "\\\\\\\\", "+++", "|||")
GREY = "#666666"

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": NORMAL,
    "axes.titlesize": NORMAL,
    "axes.labelsize": NORMAL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL + 0.5,
    "axes.titlepad": 4.0,
    "axes.labelpad": 2.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "lines.markeredgewidth": 0.5,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.4,
    "legend.labelspacing": 0.35,
    "axes.formatter.useoffset": False,
    # Labels are printed as they are: a dollar sign opens no formula.
    "text.parse_math": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "lnlbench",
    "savefig.dpi": 300,
}

_LOCK = RLock()


class Look(NamedTuple):
    """How one row or series is drawn, told apart by three things at once."""

    colour: str
    dashes: Any
    marker: str
    hatch: str


def look(number: int) -> Look:
    """The look of the row `number` (0, 1, ...); 35 are different, and neighbours differ in all."""
    return Look(
        COLOURS[number % len(COLOURS)],
        DASHES[(number + number // len(COLOURS)) % len(DASHES)],
        MARKERS[number % len(MARKERS)],
        HATCHES[number % len(HATCHES)],
    )


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's defaults with our style, for as long as the block runs; other threads' figures wait."""
    ours: dict[Any, Any] = {n: value for n, value in matplotlib.rcParamsDefault.items() if not n.startswith("backend")}
    with _LOCK, matplotlib.rc_context(ours | _STYLE), warnings.catch_warnings():
        # A label may hold characters that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def literal(text: object, limit: int = 60) -> str:
    """A label as it is printed: one line, no control characters, cut at `limit`."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return plain if len(plain) <= limit else plain[: limit - 1].rstrip() + "…"


def panels(
    number: int, *, height: float = PANEL_HEIGHT, a_line: int = PANELS_A_LINE, width: float | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of `number` panels, `a_line` beside each other at most: a column wide for one, a page for more."""
    columns = min(number, a_line)
    lines = math.ceil(number / columns)
    size = (width or (SINGLE if number == 1 else DOUBLE), lines * (height * (1.25 if number == 1 else 1)))
    figure = Figure(figsize=size, layout="constrained")
    axes = [figure.add_subplot(lines, columns, i + 1) for i in range(number)]
    return figure, axes


def title(axes: Axes, text: str, characters: int = 34) -> None:
    """A panel's title, broken where it would be wider than `characters`: after its comma, else between words."""
    plain = literal(text, 2 * characters)
    parts = plain.replace(", ", ",\n", 1).split("\n") if len(plain) > characters else [plain]
    axes.set_title("\n".join(line for part in parts for line in wrap(part, characters)))


def legend(figure: Figure, entries: Sequence[tuple[Artist, str]], characters: int = 60) -> None:
    """A legend below the panels, where it covers nothing; the figure grows by its lines."""
    labels = [literal(label, characters) for _, label in entries]
    width, height = figure.get_size_inches()
    columns = max(1, min(len(labels), int((width - 0.1) / (0.052 * max(map(len, labels)) + 0.5))))
    # Even lines: five entries where four fit are three and two, not four and one.
    lines = math.ceil(len(labels) / columns)
    room = _LEGEND_LINE * lines + 0.06
    figure.set_size_inches(width, height + room)
    above = (0.0, room / (height + room), 1.0, height / (height + room))
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=above))
    drawn = figure.legend(
        [handle for handle, _ in entries],
        ["x"] * len(labels),
        loc="lower center",
        ncols=math.ceil(len(labels) / lines),
        borderpad=0,
        borderaxespad=0.2,
    )
    # Set afterwards: matplotlib leaves out labels that begin with an underscore.
    for text, label in zip(drawn.get_texts(), labels, strict=True):
        text.set_text(label)


def freeze(figure: Figure) -> None:
    """Lays a figure out once and for all, so that every format and every order of saving has the same picture."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
