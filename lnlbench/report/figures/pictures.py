"""Grids of small pictures: images with heat maps over them (SANM, Fig. 1), spoilt and restored images (SANM, supp.
Fig. 2; RFL, Fig. 2). Takes arrays, a row of them a job or a view."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lnlbench.report.figures import style
from lnlbench.report.figures.material import Drawing
from lnlbench.report.figures.of_models import Shown, name_of, told

if TYPE_CHECKING:
    from lnlbench.inspection.activation import Activation
    from lnlbench.inspection.reconstruction import Reconstruction

_LEFT = 0.66
"""Inches for the rows' labels."""
_HEADER = 0.36
"""Inches for the groups' names and two lines of classes."""
_WRONG = style.COLOURS[1]
_ALPHA = 0.55
_WORD = 17
"""Letters that are as wide as a picture."""
_MAP = "viridis"


def activation(found: Activation, shown: Shown) -> Drawing:
    """The images in the first row, below them each job's maps; the two groups of samples side by side."""
    count = len(found.images)
    split = int((~found.second).sum())
    figure, grid = _grid(count, 1 + len(found.rows), gap=split, labelled=True)
    for j in range(count):
        _picture(grid[0][j], found.images[j])
        given, true = (name_of(found.class_names, labels[j]) for labels in (found.given, found.true))
        _words(grid[0][j], [f"{given} →", true] if found.split == "train" else [true], above=True)
        for i, row in enumerate(found.rows, 1):
            _overlay(grid[i][j], found.images[j], row.maps[j])
            wrong = bool(row.predicted[j] != found.true[j])
            _words(grid[i][j], [name_of(found.class_names, row.predicted[j])], wrong=wrong)
    _rows(grid, ["image", *shown.labels])
    _groups(figure, grid, split, found.groups)
    return Drawing(shown.name("activation", found.split), "activation", figure, _of_maps(found, shown))


def _of_maps(found: Activation, shown: Shown) -> str:
    training = found.split == "train"
    what = f"Activation maps of {'training' if training else 'test'} samples of {shown.data()}"
    what += ", correctly labelled and mislabelled." if training else f", by what {shown.labels[0]} predicts."
    above = "given → true class" if training else "true class"
    reading = (
        f"Above: {above}. Below: the class that is predicted, slanted where it is not the true one. Heat: "
        "evidence for the predicted class (CAM; squared features where the head is not linear; mean over the networks "
        "that predict), each map from its least to its greatest value."
    )
    of = f"{found.of:,}" if found.of == found.there else f"{found.of:,} of {found.there:,}"
    numbers = [
        f"Means over {of} {'training' if training else 'test'} samples: share of the map in the central half of rows "
        "and columns (0.25 where even), and its entropy (1 where even)."
    ]
    for label, row in zip(shown.labels, found.rows, strict=True):
        told_of = [
            f"{one.group} (n = {one.samples:,}) {told(one.central_share)}, {told(one.entropy)}" for one in row.numbers
        ]
        numbers.append(f"{label}: {'; '.join(told_of)}.")
    return shown.caption(what, reading, numbers)


def reconstruction(found: Reconstruction, shown: Shown) -> Drawing:
    """The images in the first row, below them for each view what a decoder was given and what it made of it."""
    figure, grid = _grid(len(found.images), 1 + 2 * len(found.rows))
    labels = ["image"]
    for k, row in enumerate(found.rows):
        jobs = [other.job for other in found.rows]
        view = f", view {jobs[: k + 1].count(row.job)}" if jobs.count(row.job) > 1 else ""
        labels += [f"{shown.labels[row.job]}{view}", "restored"]
        for j in range(len(found.images)):
            _picture(grid[1 + 2 * k][j], row.corrupted[j])
            _picture(grid[2 + 2 * k][j], row.restored[j])
    for j, image in enumerate(found.images):
        _picture(grid[0][j], image)
    _rows(grid, labels)
    return Drawing(shown.name("reconstruction"), "reconstruction", figure, _of_errors(found, shown))


def _of_errors(found: Reconstruction, shown: Shown) -> str:
    what = f"Test images of {shown.data()}, spoilt, and as decoders restore them from a network's features."
    reading = (
        "Top: the images. Then for each job the spoilt view that its decoder is given, and what comes out, values "
        "outside the range of pixels cut off."
    )
    numbers = [
        f"Mean squared errors against the image over {found.of:,} test images, in normalised pixels; variance of the "
        f"images {told(found.variance)}."
    ]
    all_numbers = [(row.job, row.numbers) for row in found.rows] + list(found.others)
    for job, one in sorted(all_numbers, key=lambda of: of[0]):
        of = f"{shown.labels[job]}, network {one.network}"
        numbers.append(f"{of}: restored {told(one.restored)}, spoilt {told(one.corrupted)}.")
    numbers += [f"Not here: {why}." for _, why in found.without]
    return shown.caption(what, reading, numbers)


def _grid(columns: int, rows: int, gap: int = 0, labelled: bool = False) -> tuple[Figure, list[list[Axes]]]:
    """A page-wide figure of square cells. gap: the column before which a gap stands. labelled: room for words."""
    widths = [1.0] * columns
    if 0 < gap < columns:
        widths.insert(gap, 0.12)
    side = min((style.DOUBLE - _LEFT) / sum(widths), 1.0)
    room = 0.13 if labelled else 0.03
    width, height = (
        max(_LEFT + side * sum(widths), style.SINGLE),
        rows * (side + room) + (_HEADER if labelled else 0.02),
    )
    figure = Figure(figsize=(width, height))
    top = _HEADER if labelled else 0.01
    spec = figure.add_gridspec(
        rows,
        len(widths),
        width_ratios=widths,
        left=_LEFT / width,
        right=(_LEFT + side * sum(widths)) / width,
        bottom=(room if labelled else 0.01) / height,
        top=1 - top / height,
        wspace=0.04,
        hspace=room / side,
    )
    places = [j for j in range(len(widths)) if not (0 < gap < columns) or j != gap]
    return figure, [[figure.add_subplot(spec[i, j]) for j in places] for i in range(rows)]


def _picture(axes: Axes, image: NDArray[np.float32]) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _overlay(axes: Axes, image: NDArray[np.float32], heat: NDArray[np.float32]) -> None:
    """The heat map over the image in grey, whose colours would be taken for heat."""
    axes.imshow(
        image @ np.array([0.299, 0.587, 0.114], dtype=np.float32), cmap="gray", vmin=0, vmax=1, interpolation="nearest"
    )
    axes.imshow(heat, cmap=_MAP, vmin=0, vmax=1, alpha=_ALPHA, interpolation="bilinear")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _words(axes: Axes, words: Sequence[str], *, wrong: bool = False, above: bool = False) -> None:
    """Names of classes above or below a picture, on one line where they are no wider than it."""
    names = [style.literal(word, _WORD) for word in words]
    axes.annotate(
        ("\n" if sum(map(len, names)) >= _WORD else " ").join(names),
        (0.5, 1.0 if above else 0.0),
        (0, 1.5 if above else -1.5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="bottom" if above else "top",
        fontsize=style.SMALL - 0.5,
        color=_WRONG if wrong else "black",
        style="italic" if wrong else "normal",
    )


def _rows(grid: Sequence[Sequence[Axes]], labels: Sequence[str]) -> None:
    for row, label in zip(grid, labels, strict=True):
        # sanm(dividemix) may be broken after its bracket.
        lines = [line.replace("( ", "(") for line in wrap(style.literal(label, 60).replace("(", "( "), 13)][:5]
        row[0].annotate(
            "\n".join(lines),
            (0, 0.5),
            (-4, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=style.SMALL,
        )


def _groups(figure: Figure, grid: Sequence[Sequence[Axes]], split: int, names: Sequence[str]) -> None:
    """The groups' names above their columns."""
    height = figure.get_figheight()
    for name, cells in zip(names, (grid[0][:split], grid[0][split:]), strict=True):
        if cells:
            middle = (cells[0].get_position().x0 + cells[-1].get_position().x1) / 2
            figure.text(middle, 1 - 0.02 / height, name, ha="center", va="top", fontsize=style.NORMAL)
