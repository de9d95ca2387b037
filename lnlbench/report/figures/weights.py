"""Learned weight curves: what meta-weighting gives a sample for its loss. All seeds thin, their mean thick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from lnlbench.report.figures import captions, style
from lnlbench.report.figures.material import Drawing, Material, NotDrawn

Float64 = NDArray[np.float64]


class Learned(NamedTuple):
    """A function that a run learned: y (P,) over ascending x (P,), and what both are called."""

    x: Float64
    y: Float64
    x_label: str
    y_label: str


def weights(material: Material) -> list[Drawing]:
    """A panel a column, a colour a row: weight against loss."""
    columns = []
    for j in range(len(material.plan.columns)):
        rows = {}
        for i in material.measured:
            runs = material.runs(material.plan.grid[i][j])
            found = [learned for run in runs if (learned := learned_of(material.extras.get(run.uid, {})))]
            if found:
                rows[i] = found
        if rows:
            columns.append((j, rows))
    if not columns:
        raise NotDrawn("no run here has a learned weight curve; methods of meta-weighting leave one.")
    figure, axes = style.panels(len(columns))
    entries: dict[int, Artist] = {}
    for panel, (j, rows) in zip(axes, columns, strict=True):
        for i, found in rows.items():
            look = style.look(material.measured.index(i))
            for learned in found:
                panel.plot(learned.x, learned.y, color=look.colour, linewidth=0.5, alpha=0.6)
            if len(found) > 1:
                panel.plot(*mean_of(found), color=look.colour, linestyle=look.dashes, linewidth=1.6)
            entries[i] = Line2D([], [], color=look.colour, linestyle=look.dashes, linewidth=1.6)
        first = next(iter(rows.values()))[0]
        style.title(panel, material.panel_title(material.plan.columns[j]))
        panel.set(xlabel=style.literal(first.x_label, 40), ylabel=style.literal(first.y_label, 40))
    style.legend(figure, [(entries[i], material.labels[i]) for i in sorted(entries)])
    reading = "Thin: the function that each seed's run ended with; thick: their mean where all are defined."
    caption = captions.of_runs(material, "Learned weight of a sample against its loss", reading)
    return [Drawing(material.name("weights"), "weights", figure, caption)]


def learned_of(extra: Mapping[str, Any]) -> Learned | None:
    """The weight curve that a run left; None where there is none, or it is no function."""
    try:
        said = extra["curves"]["weight"]
        x, y = np.array(said["x"], float), np.array(said["y"], float)
    except (KeyError, TypeError, ValueError):
        return None
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2 or not np.isfinite([x, y]).all():
        return None
    order = np.argsort(x, kind="stable")
    return Learned(x[order], y[order], str(said.get("x_label") or "loss"), str(said.get("y_label") or "weight"))


def mean_of(found: list[Learned]) -> tuple[Float64, Float64]:
    """Mean of several curves over the places of the first that lie where all are defined."""
    low, high = max(learned.x[0] for learned in found), min(learned.x[-1] for learned in found)
    x = found[0].x[(found[0].x >= low) & (found[0].x <= high)]
    return x, np.mean([np.interp(x, learned.x, learned.y) for learned in found], axis=0)
