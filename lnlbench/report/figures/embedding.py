"""Points of a t-SNE (RFL, Fig. 1): a row a job, a panel by given labels and one by true labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from lnlbench.report.figures import style
from lnlbench.report.figures.material import Drawing
from lnlbench.report.figures.of_models import Shown, name_of, told

if TYPE_CHECKING:
    from lnlbench.inspection.embedding import Embedding

MOST_LOOKS = 20
"""Most classes that are told apart by colour and marker; of more, neighbours share a colour and no legend is drawn."""
_COLOURS = (
    *("#332288", "#88CCEE", "#117733", "#CC6677", "#DDCC77"),
    *("#AA4499", "#44AA99", "#882255", "#999933", "#888888"),
)
"""Ten colours of Paul Tol's scheme `muted`, which colour-blind readers tell apart; rows of other figures need fewer."""
_MARKERS = ("o", "^", "s", "D", "v", "X", "p")
"""Not the plus, whose arms fall between the pixels when it is this small."""


def embedding(found: Embedding, shown: Shown) -> Drawing:
    """A panel for each job and kind of label, with a legend of the classes where there are few."""
    views = [
        (label, row.points, labels, kind)
        for label, row in zip(shown.labels, found.rows, strict=True)
        for kind, labels in (("given labels", row.given), ("true labels", row.true))
        if labels is not None
    ]
    a_line = 2 if any(row.given is not None for row in found.rows) else min(2, len(views))
    figure, axes = style.panels(len(views), a_line=a_line, height=2.4 if a_line == 2 else 2.0)
    classes = max(len(found.class_names), *(int(row.true.max()) + 1 for row in found.rows))
    for panel, (label, points, labels, kind) in zip(axes, views, strict=True):
        _scatter(panel, points, labels, classes)
        style.title(panel, f"{style.literal(label, 40)}, {kind}", 60)
    if classes <= MOST_LOOKS:
        entries: list[tuple[Artist, str]] = [
            (_entry(number), name_of(found.class_names, number)) for number in range(classes)
        ]
        style.legend(figure, entries, 24)
    return Drawing(shown.name("embedding"), "embedding", figure, _caption(found, shown, classes))


def _caption(found: Embedding, shown: Shown, classes: int) -> str:
    kind = "training" if found.split == "train" else "test"
    what = f"t-SNE of the features before the last layer, {found.of:,} {kind} samples of {shown.data()}."
    reading = "Each point is a sample, coloured by its label. Axes and distances between groups have no meaning."
    if classes > MOST_LOOKS:
        reading += f" Colours run over the {classes} classes in their order."
    if found.split == "test":
        reading += " Of test samples, for the true labels of the training samples are unknown."
    numbers = [
        "In the features themselves, against true labels: purity of as many k-means clusters as classes, silhouette "
        "(−1 to 1), accuracy of the 20 nearest neighbours."
    ]
    for label, row in zip(shown.labels, found.rows, strict=True):
        one = row.numbers
        numbers.append(
            f"{label}: purity {told(one.purity)}, silhouette {told(one.silhouette)}, k-NN {told(one.knn_accuracy)}."
        )
    return shown.caption(what, reading, numbers)


def _scatter(axes: Axes, points: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> None:
    size = 7.0 if len(points) <= 500 else 4.0
    if classes > MOST_LOOKS:
        axes.scatter(points[:, 0], points[:, 1], c=labels, cmap="turbo", vmin=0, vmax=classes - 1, s=size, linewidths=0)
    else:
        # Classes that are drawn one after the other would hide each other; a few rounds mix them.
        for turn in range(4):
            for number in range(classes):
                chosen = points[turn::4][labels[turn::4] == number]
                axes.scatter(
                    chosen[:, 0], chosen[:, 1], color=_colour(number), marker=_marker(number), s=size, linewidths=0
                )
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)


def _entry(number: int) -> Artist:
    return Line2D([], [], linestyle="", color=_colour(number), marker=_marker(number), markersize=4, markeredgewidth=0)


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _marker(number: int) -> str:
    """Classes of one colour have different markers; so have neighbours."""
    return _MARKERS[(number + number // len(_COLOURS)) % len(_MARKERS)]
