"""Figures of trained models, from made-up arrays: every row and class is there under its name, numbers in captions."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lnlbench.errors import UnknownName
from lnlbench.inspection.activation import GROUPS, Activation, MapNumbers, MapRow
from lnlbench.inspection.embedding import Embedding, EmbeddingRow, FeatureNumbers
from lnlbench.inspection.reconstruction import Reconstruction, RestorationNumbers, RestorationRow
from lnlbench.job import Job, Noise
from lnlbench.report.figures import embedding as points
from lnlbench.report.figures import pictures, style, to_svg
from lnlbench.report.figures.of_models import Shown, model_kind
from lnlbench.report.provenance import Variant

NAMES = ("<script>", "a$_b$", "cat")
RNG = np.random.default_rng(0)
CANONICAL = Variant(True)


@pytest.fixture(autouse=True)
def _in_our_style():
    with style.style():
        yield


def shown(count: int = 2, variant: Variant = CANONICAL) -> Shown:
    jobs = [Job(method="ce", noise=Noise("symmetric", 0.5), seed=seed, dataset="cifar10") for seed in range(count)]
    return Shown(jobs, [f"method_{k}$" for k in range(count)], variant, 7)


def maps(split: str = "train", first: int = 2, second: int = 1, names=NAMES) -> Activation:
    n = first + second
    row = MapRow(
        RNG.random((n, 8, 8), dtype=np.float32),
        np.full(n, 2),
        (MapNumbers(GROUPS[split][0], 1200, 0.25, 1.0), MapNumbers(GROUPS[split][1], 0, None, None)),
    )
    images = RNG.random((n, 8, 8, 3), dtype=np.float32)
    true = np.arange(n) % 3
    return Activation(
        split, GROUPS[split], images, np.arange(n) >= first, true[::-1], true, (row, row), names, 1200, 1300
    )


def words_of(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [text.get_text() for text in figure.texts]


def test_activation_has_the_images_and_a_row_of_maps_for_each_job():
    drawing = pictures.activation(maps(), shown())
    assert len(drawing.figure.axes) == 3 * 3
    assert [len(axes.images) for axes in drawing.figure.axes] == [1, 1, 1, 2, 2, 2, 2, 2, 2]
    words = words_of(drawing.figure)
    assert {"cat → <script>", "a$_b$ → a$_b$", "image", "method_1$", "correctly labelled", "mislabelled"} <= set(words)
    assert drawing.name.startswith("activation-train-cifar10-")
    wrong = [t.get_style() for axes in drawing.figure.axes for t in axes.texts if t.get_text() == "cat"]
    assert sorted(wrong) == ["italic"] * 4 + ["normal"] * 2


def test_a_caption_of_maps_holds_the_numbers_and_dashes_for_empty_groups():
    caption = pictures.activation(maps(), shown()).caption
    assert "Means over 1,200 of 1,300 training samples" in caption
    assert "method_0$: correctly labelled (n = 1,200) 0.250, 1.000; mislabelled (n = 0) –, –." in caption
    assert "desk scale" not in caption
    assert "paper scale" in caption
    assert "Drawn with seed 7." in caption
    assert "CIFAR-10 with symmetric 50% labels" in caption


def test_data_that_is_not_canonical_is_said():
    caption = pictures.activation(maps("test"), shown(variant=Variant(False, "two files differ.", "f" * 64))).caption
    assert "CIFAR-10 (modified)" in caption
    assert "CIFAR-10, modified data (content ffffffffffff): two files differ." in caption


@pytest.mark.parametrize(("first", "second"), [(0, 2), (2, 0), (1, 1)])
def test_a_group_may_be_empty(first, second):
    words = words_of(pictures.activation(maps("test", first, second), shown()).figure)
    assert ("correctly predicted" in words, "wrongly predicted" in words) == (bool(first), bool(second))


def test_hostile_names_make_well_formed_svg():
    figure = pictures.activation(maps(), shown()).figure
    ElementTree.fromstring(to_svg(figure))
    assert "<script" not in to_svg(figure)


def test_words_do_not_run_into_the_next_picture():
    found = maps(names=("automobile", "a very long name of a class indeed", "aeroplane"))
    figure = pictures.activation(found, shown()).figure
    style.freeze(figure)
    boxes = [text.get_window_extent() for axes in figure.axes[:3] for text in axes.texts if text.get_va() == "bottom"]
    assert all(left.x1 <= right.x0 + 1 for left, right in pairwise(boxes))
    assert all(box.y1 <= figure.bbox.y1 for box in boxes)
    labels = [text for axes in figure.axes for text in axes.texts if text.get_ha() == "right"]
    assert all(text.get_window_extent().x0 >= -1 for text in labels)


def test_restorations_have_two_rows_a_view_and_their_errors_in_the_caption():
    def row(job: int, error: float) -> RestorationRow:
        spoilt, restored = RNG.random((2, 4, 8, 8, 3), dtype=np.float32)
        return RestorationRow(job, spoilt, restored, RestorationNumbers("net", error, 0.5))

    found = Reconstruction(
        RNG.random((4, 8, 8, 3), dtype=np.float32),
        (row(0, 0.125), row(1, 0.25), row(1, 0.375)),
        ((0, RestorationNumbers("nets.1", 0.75, 0.5)),),
        0.9,
        2000,
        ((2, "gce has no decoder"),),
    )
    drawing = pictures.reconstruction(found, shown(3))
    assert len(drawing.figure.axes) == 4 * 7
    words = [" ".join(word.split()) for word in words_of(drawing.figure)]
    assert words == ["image", "method_0$", "restored", "method_1$, view 1", "restored", "method_1$, view 2", "restored"]
    assert "variance of the images 0.900" in drawing.caption
    assert "method_0$, network nets.1: restored 0.750, spoilt 0.500." in drawing.caption
    assert "Not here: gce has no decoder." in drawing.caption


def cloud(classes: int, given: bool = True) -> Embedding:
    true = np.arange(200) % classes
    row = EmbeddingRow(RNG.random((200, 2)), true[::-1] if given else None, true, FeatureNumbers(0.5, None, 0.25))
    return Embedding("train", (row, row), tuple(f"class_{c}" for c in range(classes)), 200)


def test_an_embedding_has_a_panel_by_given_and_one_by_true_labels():
    drawing = points.embedding(cloud(10), shown())
    titles = [axes.get_title() for axes in drawing.figure.axes]
    assert titles == [f"method_{k}$, {kind} labels" for k in range(2) for kind in ("given", "true")]
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"class_{c}" for c in range(10)]
    assert "method_1$: purity 0.500, silhouette –, k-NN 0.250." in drawing.caption
    for axes in drawing.figure.axes:
        assert sum(len(one.get_offsets()) for one in axes.collections) == 200


def test_labels_that_are_all_true_have_one_panel():
    assert len(points.embedding(cloud(10, given=False), shown()).figure.axes) == 2


def test_twenty_classes_are_told_apart_and_a_hundred_have_no_legend():
    looks = {(points._colour(number), points._marker(number)) for number in range(points.MOST_LOOKS)}
    assert len(looks) == points.MOST_LOOKS
    drawing = points.embedding(cloud(100), shown())
    assert not drawing.figure.legends
    assert "Colours run over the 100 classes" in drawing.caption


@pytest.mark.parametrize("number", range(points.MOST_LOOKS))
def test_the_points_of_every_class_are_seen_at_low_resolution(number):
    figure, (axes,) = style.panels(1)
    places = RNG.random((1000, 2))
    points._scatter(axes, places, np.full(1000, number), points.MOST_LOOKS)
    buffer = BytesIO()
    figure.savefig(buffer, format="rgba", dpi=80)
    pixels = np.frombuffer(buffer.getvalue(), dtype=np.uint8).reshape(-1, 4)[:, :3] / 255
    near = np.abs(pixels - to_rgb(points._colour(number))).max(1) < 0.1
    assert near.sum() > 500


def test_kinds_that_there_are_not_are_refused():
    with pytest.raises(UnknownName, match="unknown kind of figure of a trained job 'activaton'"):
        model_kind("activaton")
