"""Training curves: a metric by epoch, a panel a column, a curve a row, mean over seeds with a band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from lnlbench.report.figures import captions, style
from lnlbench.report.figures.material import Drawing, Epoch, Material, NotDrawn, Run
from lnlbench.suite import Stat

Metric = Callable[[Epoch], "float | None"]


@dataclass(frozen=True)
class _Kind:
    """A metric by epoch. stats: the statistics that belong to it; with some there is a best epoch to mark."""

    name: str
    title: str
    axis: str
    metric: Metric
    stats: tuple[Stat, ...] = ()


def curves(material: Material) -> list[Drawing]:
    """Test accuracy by epoch, with its best and last."""
    title = "Test accuracy by epoch"
    return [_draw(material, _Kind("curves", title, "Test accuracy (%)", lambda e: e.test_accuracy, ("best", "last")))]


def auc_curves(material: Material) -> list[Drawing]:
    """AUC of noisy-sample detection by epoch."""
    title = "AUC of noisy-sample detection by epoch"
    return [_draw(material, _Kind("auc-curves", title, "Detection AUC", lambda e: e.clean_auc, ("auc", "last_auc")))]


def memorisation(material: Material) -> list[Drawing]:
    """Share of mislabelled training samples that are predicted as their wrong label, by epoch."""
    title = "Share of mislabelled training samples that are predicted as their wrong label, by epoch"
    return [_draw(material, _Kind("memorisation", title, "Memorised wrong labels (%)", _memorised))]


def _memorised(epoch: Epoch) -> float | None:
    return None if epoch.memorisation is None else 100 * epoch.memorisation


@dataclass(frozen=True)
class _Curve:
    """The metric of one run at its epochs, counted from 1."""

    epochs: NDArray[np.float64]
    values: NDArray[np.float64]
    diverged: bool


def _draw(material: Material, kind: _Kind) -> Drawing:
    columns = [
        (j, rows)
        for j in range(len(material.plan.columns))
        if (rows := {i: found for i in material.measured if (found := _curves(material, i, j, kind.metric))})
    ]
    if not columns:
        raise NotDrawn("no run here has recorded it by epoch.")
    figure, axes = style.panels(len(columns))
    entries: dict[int, Artist] = {}
    for panel, (j, rows) in zip(axes, columns, strict=True):
        for i, found in rows.items():
            entries[i] = _row(panel, found, material.measured.index(i), bool(kind.stats))
        if material.compare and kind.name == "curves":
            _published(panel, material, j)
        style.title(panel, material.panel_title(material.plan.columns[j]))
        panel.set_xlabel("Epoch")
        spec = panel.get_subplotspec()
        if spec is not None and spec.is_first_col():
            panel.set_ylabel(kind.axis)
    style.legend(figure, [*((entries[i], material.labels[i]) for i in sorted(entries)), *_marks(bool(kind.stats))])
    return Drawing(material.name(kind.name), kind.name, figure, _caption(material, kind))


def _curves(material: Material, row: int, column: int, metric: Metric) -> list[_Curve]:
    runs = material.runs(material.plan.grid[row][column])
    found = (_curve(run, material.epochs.get(run.uid, ()), metric) for run in runs)
    return [curve for curve in found if len(curve.epochs)]


def _curve(run: Run, epochs: Sequence[Epoch], metric: Metric) -> _Curve:
    there = [(e.epoch + 1, value) for e in epochs if e.counts and (value := metric(e)) is not None]
    places, values = zip(*there, strict=True) if there else ((), ())
    return _Curve(np.array(places, float), np.array(values, float), run.diverged)


def _row(axes: Axes, found: Sequence[_Curve], number: int, has_best: bool) -> Artist:
    """Mean with band where every run of the row ended well, else each run for itself, its end marked."""
    look = style.look(number)
    if any(curve.diverged for curve in found):
        for curve in found:
            axes.plot(curve.epochs, curve.values, color=look.colour, linestyle=look.dashes, linewidth=0.6)
            if curve.diverged:
                axes.plot(curve.epochs[-1:], curve.values[-1:], marker="x", color=look.colour, markersize=5)
    else:
        epochs, values = _together(found)
        mean = values.mean(axis=0)
        axes.plot(epochs, mean, color=look.colour, linestyle=look.dashes)
        if len(values) > 1:
            std = values.std(axis=0, ddof=1)
            axes.fill_between(epochs, mean - std, mean + std, color=look.colour, alpha=0.18, linewidth=0)
        axes.plot(epochs[-1:], mean[-1:], marker="o", color=look.colour, markersize=3.5)
        if has_best:
            at = values.argmax(axis=1)
            place = epochs[at].mean(), values.max(axis=1).mean()
            axes.plot(*place, marker="*", color=look.colour, markersize=6, markeredgecolor="white", zorder=4)
    return Line2D([], [], color=look.colour, linestyle=look.dashes)


def _together(found: Sequence[_Curve]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(epochs, values (runs, epochs)) at the epochs that every run has: a mean over changing seeds would jump."""
    shared = found[0].epochs
    for curve in found[1:]:
        shared = np.intersect1d(shared, curve.epochs)
    if not len(shared):
        shared, found = found[0].epochs, found[:1]
    return shared, np.stack([curve.values[np.isin(curve.epochs, shared)] for curve in found])


def _published(axes: Axes, material: Material, column: int) -> None:
    table = material.table("best", compare=True)
    for k, i in enumerate(material.measured):
        there = table.rows[i].lines[0].cells[column].published
        if there is not None and there.mean is not None:
            axes.axhline(there.mean, color=style.look(k).colour, linewidth=0.5, linestyle=(0, (1, 3)))


def _marks(has_best: bool) -> list[tuple[Artist, str]]:
    best, last = (
        Line2D([], [], color=style.GREY, linestyle="none", marker=marker, markersize=size)
        for marker, size in (("*", 6), ("o", 3.5))
    )
    return [(best, "best epoch"), (last, "last epoch")] if has_best else [(last, "last epoch")]


def _caption(material: Material, kind: _Kind) -> str:
    reading = "Curves: means over seeds; bands: one standard deviation, none with one seed; dot: last epoch"
    if kind.stats:
        reading += "; star: mean over seeds of each run's best value, at the mean of their epochs"
    reading += ". A row with a diverged run is drawn run by run, thin, × where it diverged."
    if material.compare and kind.name == "curves":
        reading += " Dotted lines: the published best accuracy, from the paper's recipe"
        reading += "." if material.plan.scale == "paper" else f"; not comparable with {material.plan.scale} scale."
    return captions.of_runs(material, kind.title, reading, kind.stats)
