"""Transition matrices of noises as heat maps (RMW-Net's Figure 1): true class down, given class across."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lnlbench.data.catalogue import dataset_info
from lnlbench.data.noise import measure, read_human_labels, transition_matrix
from lnlbench.data.noise.human import HUMAN_FILES, check_variant
from lnlbench.errors import LnlbenchError
from lnlbench.job import Noise
from lnlbench.report.figures import style
from lnlbench.report.figures.material import Drawing, Material, NotDrawn

Float64 = NDArray[np.float64]

NUMBERED = 12
"""Most classes for which every cell has its number."""
_DARK = 0.55


class Model(NamedTuple):
    """A noise to draw: its matrix (C, C), rows true class, and whether it was measured in labels."""

    title: str
    matrix: Float64
    measured: bool = False


def noise(material: Material) -> list[Drawing]:
    """A panel for each noise of the suite's columns; those that are defined by labels as measured in them."""
    models: dict[tuple[str, Noise], Model] = {}
    reasons = []
    for column in material.plan.columns:
        if (column.dataset, column.noise) in models:
            continue
        try:
            matrix, measured = matrix_of(
                column.noise, dataset_info(column.dataset).classes, column.dataset, material.data_dir
            )
        except LnlbenchError as error:
            reasons.append(f"{material.panel_title(column)}: {error.message.rstrip('.')}")
            continue
        title = f"{dataset_info(column.dataset).title}, {column.noise.label()}"
        models[column.dataset, column.noise] = Model(title, matrix, measured)
    if not models:
        raise NotDrawn("; ".join(reasons) + ".")
    return [drawing(list(models.values()), material.name("noise"), reasons)]


def of_noises(noises: Sequence[Noise], classes: int, dataset: str | None, data_dir: Path | None) -> Drawing:
    """A panel for each of these noises."""
    where = "" if dataset is None else f"{dataset_info(dataset).title}, "
    count = classes if dataset is None else dataset_info(dataset).classes
    models = [Model(f"{where}{noise.label()}", *matrix_of(noise, count, dataset, data_dir)) for noise in noises]
    words = [dataset or f"{classes}-classes", *dict.fromkeys(noise.label() for noise in noises)]
    name = "-".join(["noise", *(re.sub(r"[^A-Za-z0-9.]+", "-", word).strip("-.") for word in words)])
    return drawing(models, name)


def matrix_of(noise: Noise, classes: int, dataset: str | None, data_dir: Path | None) -> tuple[Float64, bool]:
    """P(given = j | true = i), (C, C), and whether it was measured: as defined, or as it is in people's labels.

    Raises LnlbenchError for a noise without a matrix, and where the labels are not at hand.
    """
    if noise.name == "human" and data_dir is not None and dataset in HUMAN_FILES:
        check_variant(noise.variant, dataset)
        arrays = read_human_labels(data_dir / HUMAN_FILES[dataset].name)
        return measure(arrays["clean"], arrays[str(noise.variant)], classes).transition_matrix, True
    return (np.eye(classes), False) if noise.name == "clean" else (transition_matrix(noise, classes, dataset), False)


def drawing(models: Sequence[Model], name: str, reasons: Sequence[str] = ()) -> Drawing:
    """The figure of these noises. reasons: why others are not in it."""
    most = max(len(model.matrix) for model in models)
    a_line = 3 if most <= 6 else 2
    width = style.SINGLE if len(models) == 1 else style.DOUBLE
    side = width / min(len(models), a_line)
    figure, axes = style.panels(len(models), a_line=a_line, width=width, height=side * (0.8 if len(models) == 1 else 1))
    for panel, model in zip(axes, models, strict=True):
        _heat_map(panel, model)
        style.title(panel, model.title, 40)
    caption = "Label noise: the probability that a sample of a true class (down) carries a given label (across)"
    caption += "; cells below 0.005 are left empty.\n" if most <= NUMBERED else ".\n"
    if any("flip" in model.title.split() or "flip2" in model.title.split() for model in models):
        caption += "Target classes of flip and flip2: those of the released code, unless others are given.\n"
    measured = [model.title for model in models if model.measured]
    if measured:
        caption += f"Measured in the labels: {'; '.join(measured)}.\n"
    caption += "".join(f"Not drawn: {reason}.\n" for reason in reasons)
    return Drawing(name, "noise", figure, caption)


def _heat_map(axes: Axes, model: Model) -> None:
    count = len(model.matrix)
    image = axes.imshow(model.matrix, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    places = range(count) if count <= NUMBERED else range(0, count, 10 if count <= 100 else 100)
    axes.set_xticks(places, [str(place) for place in places])
    axes.set_yticks(places, [str(place) for place in places])
    axes.tick_params(length=0)
    axes.set(xlabel="Noisy class", ylabel="True class")
    if count > NUMBERED:
        axes.figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
        return
    size = style.NORMAL if count <= 6 else style.SMALL - 0.5
    for i in range(count):
        for j in range(count):
            value = model.matrix[i, j]
            if value >= 0.005:
                colour = "white" if value > _DARK else "black"
                axes.text(j, i, probability(value), ha="center", va="center", fontsize=size, color=colour)


def probability(value: float) -> str:
    """'1', '.68': two digits, no leading zero."""
    return f"{value:.2f}".removeprefix("0") if round(value, 2) < 1 else "1"
