"""Grouped bars (RMW-Net's Figure 2): a panel a data set, a group a noise, a bar a row, from zero."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from lnlbench.report import Cell
from lnlbench.report.figures import captions, style
from lnlbench.report.figures.material import Drawing, Material, NotDrawn
from lnlbench.report.numbers import DASH, number
from lnlbench.suite import Figure as Wanted
from lnlbench.suite import Stat

_GROUP = 0.84
"""Share of a group's place that its bars take."""
_TEXT_INCHES = 0.085
"""A bar at least this wide carries its number, upright."""
_FLAT_INCHES = 0.24
"""A bar at least this wide carries it level."""


class Bar(NamedTuple):
    """A bar: its height, None where it has none, its error, its number as text, what stands where it is missing."""

    height: float | None
    error: float | None
    text: str
    instead: str = DASH


def bars(material: Material) -> list[Drawing]:
    """A panel a data set, a group a column, a bar a row."""
    return [_bars(material, wanted, i) for i, wanted in enumerate(material.wanted("bars"))]


def _bars(material: Material, wanted: Wanted, order: int) -> Drawing:
    table = material.table(wanted.stat)
    stat = table.stats[0]
    panels = []
    for _, members in groupby(enumerate(material.plan.columns), key=lambda at: at[1].dataset):
        places = [j for j, _ in members if any(row.lines[0].cells[j].mean is not None for row in table.rows)]
        if places:
            panels.append(places)
    if not panels:
        raise NotDrawn("no cell has a mean of this statistic.")
    figure, axes = style.panels(len(panels), a_line=2, height=1.9)
    looks = range(len(material.measured))
    for panel, places in zip(axes, panels, strict=True):
        groups = [[_bar(table.rows[i].lines[0].cells[j], stat) for i in material.measured] for j in places]
        columns = [material.plan.columns[j] for j in places]
        draw_groups(panel, [column.noise.label() for column in columns], groups, looks)
        panel.set_ylim(bottom=0)
        style.title(panel, material.data.title(columns[0].dataset), 60)
        panel.set_ylabel(captions.AXES[stat])
    style.legend(figure, entries((material.labels[i] for i in material.measured), looks))
    reading = (
        "Bars: means over seeds, from zero; error bars: one standard deviation; – is a cell without a result, "
        "fail one with a diverged run."
    )
    name = material.name("bars", *([order + 1] if order else []))
    return Drawing(name, "bars", figure, captions.of_table(table, wanted.title, reading))


def draw_groups(axes: Axes, names: Sequence[str], groups: Sequence[Sequence[Bar]], looks: Sequence[int]) -> None:
    """Groups of bars with their numbers where these fit; a bar that is not there leaves its place and says so.

    looks: numbers of the bars' looks, in the order of each group.
    """
    each = _GROUP / len(groups[0])
    inches = _width_of_a_bar(axes, len(groups), each)
    for g, group in enumerate(groups):
        for k, bar in enumerate(group):
            place = g - _GROUP / 2 + (k + 0.5) * each
            if bar.height is None:
                _note(axes, place, 0.0, bar.instead, style.GREY, upright=bar.instead != DASH)
                continue
            look = style.look(looks[k])
            axes.bar(
                place, bar.height, each * 0.94, color=look.colour, hatch=look.hatch, edgecolor="white", linewidth=0
            )
            error = bar.error or 0.0
            if error:
                cap = 1.5 if inches >= _TEXT_INCHES else 0.8
                axes.errorbar(place, bar.height, error, ecolor="black", elinewidth=0.7, capsize=cap, capthick=0.7)
            if inches >= _TEXT_INCHES:
                end = bar.height - error if bar.height < 0 else bar.height + error
                _note(axes, place, end, bar.text, "black", upright=inches < _FLAT_INCHES, below=bar.height < 0)
    axes.set_xticks(range(len(names)), [style.literal(name) for name in names])
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.2 if _TEXT_INCHES <= inches < _FLAT_INCHES else 0.1)


def entries(labels: Iterable[str], looks: Iterable[int]) -> list[tuple[Artist, str]]:
    """Legend entries of bars; looks: their numbers."""
    there = ((style.look(number), label) for number, label in zip(looks, labels, strict=True))
    return [(Patch(facecolor=x.colour, hatch=x.hatch, edgecolor="white", linewidth=0), label) for x, label in there]


def _bar(cell: Cell, stat: Stat) -> Bar:
    text = "" if cell.mean is None else number(cell.mean, stat)
    return Bar(cell.mean, cell.std, text, "fail" if cell.diverged else DASH)


def _note(axes: Axes, x: float, y: float, text: str, colour: str, *, upright: bool, below: bool = False) -> None:
    axes.annotate(
        text,
        (x, y),
        (0, -2 if below else 2),
        textcoords="offset points",
        rotation=90 if upright else 0,
        ha="center",
        va="top" if below else "bottom",
        fontsize=style.NORMAL if text == DASH else style.SMALL - 0.5,
        color=colour,
    )


def _width_of_a_bar(axes: Axes, groups: int, each: float) -> float:
    """About how many inches a bar is wide."""
    spec = axes.get_subplotspec()
    columns = spec.get_gridspec().ncols if spec is not None else 1
    figure = axes.figure
    return float((figure.get_figwidth() / columns - 0.5) / groups * each)  # type: ignore[union-attr]
