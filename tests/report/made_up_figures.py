"""Made-up suites, results and epochs for the tests of figures, and what is read off a drawn one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from lnlbench.job import Job
from lnlbench.report import figures
from lnlbench.report.figures import Drawing
from lnlbench.suite import Plan


class Result(NamedTuple):
    """A result as the store returns it, as far as a figure reads it."""

    key: str
    run_uid: str
    best: float | None
    status: str = "done"
    last: float | None = None
    last10: float | None = None
    valid_pick: float | None = None
    best_auc: float | None = None
    last_auc: float | None = None
    data_fingerprint: str | None = "f" * 64
    data_canonical: bool | None = True
    data_note: str | None = None


class Epoch(NamedTuple):
    epoch: int
    test_accuracy: float | None = None
    clean_auc: float | None = None
    memorisation: float | None = None
    counts: bool = True


SUITE: dict[str, Any] = {
    "title": "Accuracy of made-up rows",
    "recipe": "sanm-cifar",
    "seeds": 2,
    "columns": [{"dataset": "cifar10", "noise": "symmetric", "rates": [0.2, 0.5]}],
    "rows": [{"label": "CE", "method": "ce"}, {"label": "GCE", "method": "gce"}],
}


def results_of(plan: Plan, value: Callable[[int, int, Job], float | None], **changes: Any) -> list[Result]:
    """A result for every job whose value, by row, column and job, is not None; its run is called after its key."""
    return [
        Result(job.key, f"run {job.key}", found, **changes)
        for i, cells in enumerate(plan.grid)
        for j, cell in enumerate(cells)
        for job in cell.jobs
        if (found := value(i, j, job)) is not None
    ]


def drawn(kind: str, plan: Plan, results: Sequence[Result], **more: Any) -> list[Drawing]:
    found, missing = figures.draw(figures.material(plan, results, **more), [kind])
    assert not missing
    return found


def one(kind: str, plan: Plan, results: Sequence[Result], **more: Any) -> Figure:
    (drawing,) = drawn(kind, plan, results, **more)
    return drawing.figure


def why_not(kind: str, plan: Plan, results: Sequence[Result], **more: Any) -> str:
    found, missing = figures.draw(figures.material(plan, results, **more), [kind])
    assert not found
    ((name, why),) = missing
    assert name == kind
    return why


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def error_bars(axes: Any) -> list[tuple[float, float]]:
    """Lower and upper end of every error bar that is there, in the order of drawing."""
    segments = (segment for lines in axes.collections for segment in lines.get_segments())
    return [(float(s[0, 1]), float(s[1, 1])) for s in segments if len(s) == 2]


def curves_of(axes: Any) -> list[Any]:
    """The lines that are no caps of error bars."""
    return [line for line in axes.lines if line.get_linestyle() != "None"]


def epochs_of(results: Sequence[Result], values: Callable[[Result], list[Epoch]]) -> dict[str, list[Epoch]]:
    return {result.run_uid: values(result) for result in results}


def heights(axes: Any) -> list[float]:
    return [patch.get_height() for patch in axes.patches]
