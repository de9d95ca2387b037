"""How well the clean score tells right labels from wrong ones: histograms of both, and ROC curves.

Both are drawn from the bins that a run leaves (`clean_score` of its extra): of equal share over all samples, each
with its numbers of correctly labelled and of mislabelled samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from lnlbench.report.figures import captions, style
from lnlbench.report.figures.material import Drawing, Material, NotDrawn

Float64 = NDArray[np.float64]

BARS = 30
_QUANTILES = 100
_CUT = 50
"""With so many bins the lowest and the highest score are drawn at the edge: one outlier would squeeze the rest."""
_GRID = np.linspace(0, 1, 201)
_WHY = "no run here has recorded its clean scores; those without label noise, and of older versions, have none."


@dataclass(frozen=True)
class Bins:
    """Scores in K bins, edges[k] <= score < edges[k+1]. edges: (K+1,); correct, wrong: (K,) numbers of samples."""

    edges: Float64
    correct: Float64
    wrong: Float64


def scores(material: Material) -> list[Drawing]:
    """A figure a column, a panel a row: the clean scores of correctly labelled and of mislabelled samples."""
    drawings = []
    for j, column in enumerate(material.plan.columns):
        rows = _rows(material, j)
        if not rows:
            continue
        figure, axes = style.panels(len(rows), height=1.35)
        for panel, (i, found) in zip(axes, rows.items(), strict=True):
            _histograms(panel, found)
            style.title(panel, material.labels[i], 24)
            panel.set_xlabel("Clean score")
            _on_the_left(panel, "Share of its kind (%)")
        right, wrong = style.look(0), style.look(1)
        entries = [
            (Patch(facecolor=right.colour, alpha=0.55), "correctly labelled"),
            (Patch(facecolor="none", edgecolor=wrong.colour, linewidth=1.1), "mislabelled"),
        ]
        style.legend(figure, [(handle, label) for handle, label in entries])
        reading = (
            "Training samples by the clean score of the last epoch, all seeds together; each kind adds up to 100%, "
            "the outermost bars hold what lies beyond them."
        )
        title = f"Clean scores of correctly labelled and of mislabelled samples, {material.panel_title(column)}"
        caption = captions.of_runs(material, title, reading)
        drawings.append(Drawing(_name(material, "scores", j), "scores", figure, caption))
    if not drawings:
        raise NotDrawn(_WHY)
    return drawings


def roc(material: Material) -> list[Drawing]:
    """A figure a column: the share of wrong labels flagged over the share of correct ones flagged, a curve a row."""
    drawings = []
    table = material.table("last_auc")
    for j, column in enumerate(material.plan.columns):
        rows = _rows(material, j)
        if not rows:
            continue
        figure = Figure(figsize=(style.SINGLE, 2.6), layout="constrained")
        panel = figure.add_subplot()
        entries = []
        for i, found in rows.items():
            look = style.look(material.measured.index(i))
            _roc(panel, found, look)
            stored = table.rows[i].lines[0].cells[j].mean
            label = f"{style.literal(material.labels[i], 40)}: {np.mean([area(bins) for bins in found]):.3f}"
            label += "" if stored is None else f" ({stored:.3f})"
            entries.append((Line2D([], [], color=look.colour, linestyle=look.dashes), label))
        panel.plot([0, 100], [0, 100], color=style.GREY, linewidth=0.5)
        panel.set(xlim=(0, 100), ylim=(0, 101), xlabel="Correct labels flagged (%)", ylabel="Wrong labels flagged (%)")
        panel.set_box_aspect(1)
        style.title(panel, material.panel_title(column), 44)
        style.legend(figure, entries)
        reading = (
            "Mean over seeds of the ROC curve of the last epoch's clean score; band: one standard deviation. A label "
            "is flagged when its score is below a threshold. Behind each name: the area under the curve from the "
            "stored bins, in brackets the AUC measured in training."
        )
        title = f"Detection of wrong labels, {material.panel_title(column)}"
        caption = captions.of_runs(material, title, reading, ("last_auc",))
        drawings.append(Drawing(_name(material, "roc", j), "roc", figure, caption))
    if not drawings:
        raise NotDrawn(_WHY)
    return drawings


def bins_of(extra: Mapping[str, Any]) -> Bins | None:
    """The bins that a run left; None where there are none, or they make no histogram of both kinds."""
    try:
        said = extra["clean_score"]
        found = Bins(*(np.array(said[name], float) for name in ("edges", "correct", "wrong")))
    except (KeyError, TypeError, ValueError):
        return None
    counts = np.concatenate([found.correct, found.wrong])
    fits = found.edges.ndim == 1 and found.correct.shape == found.wrong.shape == (len(found.edges) - 1,)
    if not fits or not np.isfinite(counts).all() or (counts < 0).any():
        return None
    ascending = np.isfinite(found.edges).all() and (np.diff(found.edges) >= 0).all()
    return found if ascending and found.correct.sum() > 0 and found.wrong.sum() > 0 else None


def roc_points(bins: Bins) -> tuple[Float64, Float64]:
    """Shares (K+1,) of the correct and of the wrong labels that are flagged, with thresholds at the bins' edges."""
    correct, wrong = (np.concatenate([[0.0], np.cumsum(kind) / kind.sum()]) for kind in (bins.correct, bins.wrong))
    return correct, wrong


def area(bins: Bins) -> float:
    """Area under the ROC curve, 0..1; samples of one bin count as ties."""
    correct, wrong = roc_points(bins)
    return float((np.diff(correct) * (wrong[1:] + wrong[:-1])).sum() / 2)


def shares(bins: Bins, kind: Float64, limits: tuple[float, float]) -> Float64:
    """(BARS,) numbers of samples of `kind` (K,) in bars of equal width over `limits`; what lies beyond is in the last.

    A bin's samples are spread over its width, but where it holds many more than its quantile: there are ties, at its
    lower edge.
    """
    low, high = limits
    counts = bins.correct + bins.wrong
    lower, upper = bins.edges[:-1], bins.edges[1:]
    tied = counts > 2 * counts.sum() / _QUANTILES
    edges = np.linspace(low, high, BARS + 1)
    out = np.zeros(BARS)
    for a, b, number, at_edge in zip(lower, upper, kind, tied, strict=True):
        a, b = np.clip([a, a if at_edge else b], low, high)
        if b <= a:
            out[min(int((a - low) / (high - low) * BARS), BARS - 1)] += number
        else:
            overlap = np.minimum(b, edges[1:]) - np.maximum(a, edges[:-1])
            out += number * np.maximum(overlap, 0) / (b - a)
    return out


def limits(found: Sequence[Bins]) -> tuple[float, float]:
    """Lowest and highest score to draw."""
    cut = [int(len(bins.correct) >= _CUT) for bins in found]
    low = min(float(bins.edges[k]) for bins, k in zip(found, cut, strict=True))
    high = max(float(bins.edges[-1 - k]) for bins, k in zip(found, cut, strict=True))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _rows(material: Material, column: int) -> dict[int, list[Bins]]:
    """By row the bins of its runs in a column."""
    rows = {}
    for i in material.measured:
        runs = material.runs(material.plan.grid[i][column])
        found = [bins for run in runs if (bins := bins_of(material.extras.get(run.uid, {})))]
        if found:
            rows[i] = found
    return rows


def _histograms(axes: Axes, found: Sequence[Bins]) -> None:
    span = limits(found)
    edges = np.linspace(*span, BARS + 1)
    for number, name in enumerate(("correct", "wrong")):
        counts = np.sum([shares(bins, getattr(bins, name), span) for bins in found], axis=0)
        colour = style.look(number).colour
        look = {"alpha": 0.55, "facecolor": colour} if name == "correct" else {"facecolor": "none", "edgecolor": colour}
        axes.stairs(100 * counts / counts.sum(), edges, fill=name == "correct", linewidth=1.1, **look)
    axes.set_ylim(bottom=0)
    axes.set_xlim(*span)


def _roc(axes: Axes, found: Sequence[Bins], look: style.Look) -> None:
    curves = np.stack([100 * np.interp(_GRID, *_rising(bins)) for bins in found])
    mean = curves.mean(axis=0)
    axes.plot(100 * _GRID, mean, color=look.colour, linestyle=look.dashes)
    if len(curves) > 1:
        std = curves.std(axis=0, ddof=1)
        low, high = (mean - std).clip(0, 100), (mean + std).clip(0, 100)
        axes.fill_between(100 * _GRID, low, high, color=look.colour, alpha=0.18, linewidth=0)


def _rising(bins: Bins) -> tuple[Float64, Float64]:
    """The ROC curve's points with the highest one at each place, as interpolation wants them."""
    correct, wrong = roc_points(bins)
    last = np.append(np.diff(correct) > 0, True)
    return correct[last], wrong[last]


def _on_the_left(axes: Axes, label: str) -> None:
    spec = axes.get_subplotspec()
    if spec is not None and spec.is_first_col():
        axes.set_ylabel(label)


def _name(material: Material, kind: str, column: int) -> str:
    """A name of its own for each column: data sets and noises with equal labels are told apart by their place."""
    columns = material.plan.columns
    labels = [(column.dataset, column.noise.label()) for column in columns]
    twice = labels.count(labels[column]) > 1
    return material.name(kind, *labels[column], *([column + 1] if twice else []))
