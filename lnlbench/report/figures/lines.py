"""Curves over a setting (SANM's Figure 4: sensitivity to mu) and over the noise rate, means with error bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lnlbench.report import Cell, Table
from lnlbench.report.figures import captions, style
from lnlbench.report.figures.material import Drawing, Material, NotDrawn
from lnlbench.suite import Figure as Wanted

READING = "Markers: means over seeds; error bars: one standard deviation; a gap is a cell without a mean."
ACROSS = " Lines and bands across: rows without a place on the axis."
_TICKS = 8


def lines(material: Material) -> list[Drawing]:
    """A panel a column, a curve a series: a statistic over the rows' `x`."""
    return [_lines(material, wanted, i) for i, wanted in enumerate(material.wanted("lines"))]


def rates(material: Material) -> list[Drawing]:
    """A panel a data set and noise, a curve a row: a statistic over the noise rate."""
    return [_rates(material, wanted, i) for i, wanted in enumerate(material.wanted("rates"))]


def _lines(material: Material, wanted: Wanted, number: int) -> Drawing:
    table = material.table(wanted.stat)
    series = _series(material)
    if not any(points for points, _ in series.values()):
        raise NotDrawn("no row of this suite is a point of a series.")
    columns = _measured_columns(table)
    figure, axes = style.panels(len(columns))
    entries: dict[str, Artist] = {}
    for panel, j in zip(axes, columns, strict=True):
        for k, (name, (points, levels)) in enumerate(series.items()):
            cells = [(x, table.rows[i].lines[0].cells[j]) for x, i in points]
            if any(cell.mean is not None for _, cell in cells):
                entries[name] = errorbars(panel, [x for x, _ in cells], [cell for _, cell in cells], k)
            for i in levels:
                entries.setdefault(name, Line2D([], [], color=style.look(k).colour, linestyle=style.look(k).dashes))
                _level(panel, table.rows[i].lines[0].cells[j], k)
        style.title(panel, material.panel_title(material.plan.columns[j]))
        panel.set_xlabel(style.literal(wanted.x_label or "x"))
        _ticks(panel, sorted({x for points, _ in series.values() for x, _ in points}))
    _y_label(axes, table)
    style.legend(figure, [(handle, _with_daggers(name, table, *series[name])) for name, handle in entries.items()])
    return Drawing(
        material.name("lines", *([number + 1] if number else [])),
        "lines",
        figure,
        captions.of_table(table, wanted.title, READING + ACROSS * any(levels for _, levels in series.values())),
    )


def _rates(material: Material, wanted: Wanted, number: int) -> Drawing:
    table = material.table(wanted.stat)
    there = _measured_columns(table)
    panels = []
    for _, members in groupby(
        enumerate(material.plan.columns), key=lambda at: (at[1].dataset, at[1].noise.replace(rate=None))
    ):
        places = sorted((c.noise.rate, j) for j, c in members if c.noise.rate is not None)
        if sum(j in there for _, j in places) > 1:
            panels.append(places)
    if not panels:
        raise NotDrawn("no data set has results at two noise rates.")
    figure, axes = style.panels(len(panels))
    entries: dict[int, Artist] = {}
    for panel, places in zip(axes, panels, strict=True):
        for k, i in enumerate(material.measured):
            cells = [table.rows[i].lines[0].cells[j] for _, j in places]
            if any(cell.mean is not None for cell in cells):
                entries[i] = errorbars(panel, [100 * rate for rate, _ in places], cells, k)
        column = material.plan.columns[places[0][1]]
        noise = column.noise.replace(rate=None).label()
        style.title(panel, f"{material.data.title(column.dataset)}, {noise}")
        panel.set_xlabel("Noise rate (%)")
        _ticks(panel, [100 * rate for rate, _ in places])
    _y_label(axes, table)
    style.legend(figure, [(entries[i], material.labels[i]) for i in sorted(entries)])
    return Drawing(
        material.name("rates", *([number + 1] if number else [])),
        "rates",
        figure,
        captions.of_table(table, wanted.title, READING),
    )


def errorbars(axes: Axes, xs: Sequence[float], cells: Sequence[Cell], number: int) -> Line2D:
    """A curve through the cells' means with their std; the curve is broken where a cell has no mean."""
    look = style.look(number)
    drawn = axes.errorbar(
        xs,
        [math.nan if cell.mean is None else cell.mean for cell in cells],
        yerr=[math.nan if cell.mean is None or cell.std is None else cell.std for cell in cells],
        color=look.colour,
        linestyle=look.dashes,
        marker=look.marker,
        markeredgecolor="white",
        elinewidth=0.7,
        capsize=1.5,
        capthick=0.7,
    )
    return drawn.lines[0]


def _level(axes: Axes, cell: Cell, number: int) -> None:
    """A row that stands nowhere on the axis, as a line through all of it."""
    look = style.look(number)
    if cell.mean is not None:
        axes.axhline(cell.mean, color=look.colour, linestyle=look.dashes, linewidth=0.9)
        if cell.std is not None:
            axes.axhspan(cell.mean - cell.std, cell.mean + cell.std, color=look.colour, alpha=0.12, linewidth=0)


def _series(material: Material) -> dict[str, tuple[list[tuple[float, int]], list[int]]]:
    """By series the (x, row) of its points, from left to right, and the rows without a place on the axis."""
    found: dict[str, tuple[list[tuple[float, int]], list[int]]] = {}
    for i, row in enumerate(material.plan.rows):
        for name in row.series:
            points, levels = found.setdefault(name, ([], []))
            if row.x is None:
                levels.append(i)
            else:
                points.append((row.x, i))
    return {name: (sorted(points), levels) for name, (points, levels) in found.items()}


def _with_daggers(name: str, table: Table, points: Sequence[tuple[float, int]], levels: Sequence[int]) -> str:
    rows = [*(i for _, i in points), *levels]
    return " ".join([name, *sorted({table.rows[i].dagger for i in rows} - {""})])


def _measured_columns(table: Table) -> list[int]:
    found = [j for j in range(len(table.columns)) if any(row.lines[0].cells[j].mean is not None for row in table.rows)]
    if not found:
        raise NotDrawn("no cell has a mean of this statistic.")
    return found


def _ticks(axes: Axes, places: Sequence[float]) -> None:
    if len(places) <= _TICKS:
        axes.set_xticks(list(places), [f"{place:g}" for place in places])


def _y_label(axes: Sequence[Axes], table: Table) -> None:
    """On the left panel of each line."""
    for panel in axes:
        spec = panel.get_subplotspec()
        if spec is not None and spec.is_first_col():
            panel.set_ylabel(captions.AXES[table.stats[0]])
