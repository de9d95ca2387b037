"""Figures of a suite's results, as the papers draw them, and of its noises.

`suite_figures` draws what there is, `to_svg` and `save` put it out; `KINDS` says which kinds there are and what each
needs. matplotlib is imported when something is drawn. Trains nothing and reads no database: results come in as rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnlbench.job import Noise
from lnlbench.report.figures.kinds import KINDS, Kind, kind
from lnlbench.report.figures.material import Drawing, Epoch, Material, NotDrawn, Result
from lnlbench.suite import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "KINDS",
    "Drawing",
    "Kind",
    "Material",
    "NotDrawn",
    "default_kinds",
    "draw",
    "kind",
    "material",
    "noise_figure",
    "save",
    "suite_figures",
    "to_svg",
]


def suite_figures(
    plan: Plan,
    results: Iterable[Result],
    epochs: Mapping[str, Sequence[Epoch]] | None = None,
    extras: Mapping[str, Mapping[str, Any]] | None = None,
    kinds: Collection[str] | None = None,
) -> list[tuple[str, Figure]]:
    """Every figure that the plan and its results make possible, as (name, figure).

    results: `store.ResultView`s; those of other jobs are left aside. epochs, extras: by run uid, as
    `Store.epochs_of` and `Store.extras_of` return them; without them the kinds that need them are not drawn.
    kinds: names of `KINDS`; None is `default_kinds` without those that show no results. Raises UnknownName for another.
    """
    chosen = [name for name in default_kinds(plan) if KINDS[name].of_results] if kinds is None else kinds
    drawn, _ = draw(material(plan, results, epochs, extras), chosen)
    return [(drawing.name, drawing.figure) for drawing in drawn]


def default_kinds(plan: Plan) -> list[str]:
    """Every kind; of those that draw the suite's own numbers only the ones that it names, where it names some."""
    named = {figure.draw for figure in plan.layout.figures}
    return [name for name, of in KINDS.items() if not (named and of.of_table) or name in named]


def material(
    plan: Plan,
    results: Iterable[Result],
    epochs: Mapping[str, Sequence[Epoch]] | None = None,
    extras: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    compare: bool = False,
    data_dir: Path | None = None,
) -> Material:
    """What `draw` draws from; results of jobs that are not the plan's are left aside."""
    keys = {job.key for job in plan.jobs}
    found = {result.key: result for result in results if result.key in keys}
    return Material(plan, found, epochs or {}, extras or {}, compare, data_dir)


def draw(of: Material, kinds: Iterable[str]) -> tuple[list[Drawing], list[tuple[str, str]]]:
    """The drawings of these kinds, and (kind, why) for each that could not be drawn. Raises UnknownName."""
    drawn: list[Drawing] = []
    missing: list[tuple[str, str]] = []
    for chosen in [kind(name) for name in kinds]:
        try:
            drawn += _finished(lambda chosen=chosen: chosen.load()(of))  # type: ignore[misc]
        except NotDrawn as reason:
            missing.append((chosen.name, str(reason)))
    return drawn, missing


def noise_figure(
    noises: Sequence[Noise], classes: int, dataset: str | None = None, data_dir: Path | None = None
) -> Drawing:
    """Transition matrices of these noises side by side, without any suite; RMW-Net's Figure 1 is such a figure.

    classes: how many; a data set's own number where one is given. Raises LnlbenchError for a noise without a matrix.
    """
    from lnlbench.report.figures import noise

    return _finished(lambda: [noise.of_noises(noises, classes, dataset, data_dir)])[0]


def _finished(make: Callable[[], list[Drawing]]) -> list[Drawing]:
    """The drawings, made in our style, named and laid out."""
    from lnlbench.report.figures import style

    with style.style():
        drawings = make()
        for drawing in drawings:
            drawing.figure.set_label(drawing.name)
            style.freeze(drawing.figure)
    return drawings


def to_svg(figure: Figure) -> str:
    """See `output.to_svg`."""
    from lnlbench.report.figures import output

    return output.to_svg(figure)


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str] = ("pdf",), dpi: int = 300) -> list[Path]:
    """See `output.save`."""
    from lnlbench.report.figures import output

    return output.save(figure, folder, name, formats, dpi)
