"""Figures of what runs leave: clean scores as histograms and ROC curves, learned weight curves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from made_up_figures import SUITE, curves_of, drawn, legend_of, one, results_of, why_not
from sklearn.metrics import roc_auc_score

from lnlbench.report.figures.scores import area, bins_of, limits, roc_points, shares

COLUMN = [{"dataset": "cifar10", "noise": "symmetric", "rates": [0.5]}]


def left(score: np.ndarray, wrong: np.ndarray) -> dict[str, Any]:
    """The extra of a run with these scores (N,), wrong (N,) bool, in bins of equal share."""
    edges = np.unique(np.sort(score)[np.linspace(0, len(score) - 1, 101).round().astype(int)])
    edges = np.append(edges, edges[-1] + 0.01 * ((edges[-1] - edges[0]) or 1))
    place = np.searchsorted(edges, score, side="right") - 1
    counts = {
        name: np.bincount(place[kind], minlength=len(edges) - 1).tolist()
        for name, kind in (("correct", ~wrong), ("wrong", wrong))
    }
    return {"clean_score": {"edges": edges.tolist(), **counts}}


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:
    """2,000 scores, and which labels are wrong: those score lower."""
    rng = np.random.default_rng(0)
    wrong = rng.random(2000) < 0.4
    return rng.normal(np.where(wrong, -1.0, 1.0)), wrong


def test_the_area_of_the_bins_is_the_auc_to_a_hundredth(scores):
    score, wrong = scores
    bins = bins_of(left(score, wrong))
    assert area(bins) == pytest.approx(roc_auc_score(~wrong, score), abs=0.005)


def test_scores_of_two_values_keep_their_auc_and_their_two_bars(scores):
    score, wrong = scores
    two = (score > 0).astype(float)
    bins = bins_of(left(two, wrong))
    assert area(bins) == pytest.approx(roc_auc_score(~wrong, two), abs=1e-12)
    right = shares(bins, bins.correct, limits([bins]))
    assert right.nonzero()[0].tolist() == [0, 29]
    assert right[-1] == ((two == 1) & ~wrong).sum()


def test_the_roc_curve_goes_from_nothing_flagged_to_everything(scores):
    correct, wrong = roc_points(bins_of(left(*scores)))
    assert (correct[0], wrong[0], correct[-1], wrong[-1]) == pytest.approx((0, 0, 1, 1))
    assert (np.diff(correct) >= 0).all()
    assert (wrong >= correct - 1e-12).all()


def test_a_histogram_holds_every_sample_and_follows_the_scores(scores):
    score, wrong = scores
    bins = bins_of(left(score, wrong))
    low, high = limits([bins])
    assert score.min() < low < high <= bins.edges[-1]
    mine = shares(bins, bins.wrong, (low, high))
    assert mine.sum() == pytest.approx(wrong.sum())
    real, _ = np.histogram(score[wrong].clip(low, high), np.linspace(low, high, 31))
    assert np.abs(mine - real).max() < 15


def test_scores_and_roc_are_drawn_of_all_seeds(plan_of, scores):
    plan = plan_of(columns=COLUMN, rows=[{"label": "_CE", "method": "ce"}, SUITE["rows"][1]])
    results = results_of(plan, lambda i, j, job: 50.0, last_auc=0.912)
    extras = {r.run_uid: left(*scores) for r in results[:2]}
    figure = one("scores", plan, results, extras=extras)
    assert [panel.get_title() for panel in figure.axes] == ["_CE"]
    right, wrong = (patch.get_data().values for patch in figure.axes[0].patches)
    assert right.sum() == pytest.approx(100)
    assert wrong.sum() == pytest.approx(100)
    assert legend_of(figure) == ["correctly labelled", "mislabelled"]
    roc = one("roc", plan, results, extras=extras)
    assert legend_of(roc) == [f"_CE: {area(bins_of(left(*scores))):.3f} (0.912)"]
    assert list(curves_of(roc.axes[0])[0].get_ydata())[-1] == pytest.approx(100)


BAD = [
    {},
    {"clean_score": None},
    {"clean_score": {"edges": [0, 1]}},
    {"clean_score": {"edges": [0, 1, 2], "correct": [1], "wrong": [1]}},
    {"clean_score": {"edges": [1, 0], "correct": [1], "wrong": [1]}},
    {"clean_score": {"edges": [0, math.inf], "correct": [1], "wrong": [1]}},
    {"clean_score": {"edges": [0, 1], "correct": [-1], "wrong": [1]}},
    {"clean_score": {"edges": [0, 1], "correct": [5], "wrong": [0]}},
    {"clean_score": {"edges": ["<script>", 1], "correct": [5], "wrong": [1]}},
]


@pytest.mark.parametrize("extra", BAD)
def test_bins_that_make_no_histogram_of_both_kinds_are_left_aside(plan_of, extra):
    plan = plan_of(columns=COLUMN)
    results = results_of(plan, lambda i, j, job: 50.0)
    extras = {r.run_uid: extra for r in results}
    assert "clean scores" in why_not("scores", plan, results, extras=extras)
    assert "clean scores" in why_not("roc", plan, results, extras=extras)


def test_one_score_for_all_samples_is_one_bar():
    bins = bins_of({"clean_score": {"edges": [3.0, 3.01], "correct": [6], "wrong": [4]}})
    assert area(bins) == 0.5
    assert (shares(bins, bins.wrong, limits([bins])) > 0).sum() == 1


def test_two_columns_are_two_figures_with_names_of_their_own(plan_of, scores):
    plan = plan_of()
    results = results_of(plan, lambda i, j, job: 50.0)
    extras = {r.run_uid: left(*scores) for r in results}
    assert [d.name for d in drawn("roc", plan, results, extras=extras)] == [
        "made-up-paper-roc-cifar10-symmetric-20",
        "made-up-paper-roc-cifar10-symmetric-50",
    ]


def weight(x: list[float], y: list[float]) -> dict[str, Any]:
    return {"curves": {"weight": {"x": x, "y": y, "x_label": "cross-entropy loss", "y_label": "weight $v$"}}}


def test_weight_curves_are_thin_a_seed_and_thick_in_the_mean(plan_of):
    plan = plan_of(columns=COLUMN, rows=SUITE["rows"][:1])
    results = results_of(plan, lambda i, j, job: 50.0)
    curves = [weight([0, 1, 2], [1, 0.5, 0]), weight([2, 0], [0.5, 1])]
    extras = {r.run_uid: curve for r, curve in zip(results, curves, strict=True)}
    (axes,) = one("weights", plan, results, extras=extras).axes
    first, second, mean = axes.lines
    assert list(second.get_xdata()) == [0, 2]
    assert list(mean.get_ydata()) == pytest.approx([1, 0.625, 0.25])
    assert mean.get_linewidth() > first.get_linewidth()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("cross-entropy loss", "weight $v$")


@pytest.mark.parametrize(
    "extra", [{}, {"curves": {}}, weight([1], [1]), weight([0, 1], [1]), weight([0, 1], [1, math.nan])]
)
def test_what_is_no_curve_is_not_drawn(plan_of, extra):
    plan = plan_of()
    results = results_of(plan, lambda i, j, job: 50.0)
    assert "weight" in why_not("weights", plan, results, extras={r.run_uid: extra for r in results})
