"""Figures: what is on their axes is what is in the results, gaps are gaps, and nothing is drawn from nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_up_figures import (
    SUITE,
    Epoch,
    curves_of,
    drawn,
    epochs_of,
    error_bars,
    heights,
    legend_of,
    one,
    results_of,
    why_not,
)

from lnlbench.errors import InvalidSetting, UnknownName
from lnlbench.job import Noise
from lnlbench.report import figures

# rates and lines


def test_a_curve_over_the_rate_goes_through_the_means_and_its_bars_are_one_std(plan_of):
    plan = plan_of()
    figure = one("rates", plan, results_of(plan, lambda i, j, job: 90.0 - 10 * i - 20 * j + job.seed))
    (axes,) = figure.axes
    ce, gce = curves_of(axes)
    assert list(ce.get_xdata()) == [20, 50]
    assert list(ce.get_ydata()) == pytest.approx([91.5, 71.5])
    assert list(gce.get_ydata()) == pytest.approx([81.5, 61.5])
    std = math.sqrt(0.5)
    assert error_bars(axes)[0] == pytest.approx((91.5 - std, 91.5 + std))
    assert axes.get_title() == "CIFAR-10, symmetric"
    assert axes.get_xlabel() == "Noise rate (%)"
    assert axes.get_ylabel() == "Best test accuracy (%)"
    assert legend_of(figure) == ["CE", "GCE"]


def test_a_missing_cell_is_a_gap_and_not_a_zero(plan_of):
    plan = plan_of(columns=[{"dataset": "cifar10", "noise": "symmetric", "rates": [0.2, 0.5, 0.8]}])
    figure = one("rates", plan, results_of(plan, lambda i, j, job: None if (i, j) == (1, 1) else 50.0))
    _, gce = curves_of(figure.axes[0])
    assert np.isnan(gce.get_ydata(orig=False)).tolist() == [False, True, False]


def test_a_cell_with_a_diverged_run_has_no_point(plan_of):
    plan = plan_of()
    results = [
        r._replace(status="diverged") if i == 0 else r
        for i, r in enumerate(results_of(plan, lambda i, j, job: 50.0 + job.seed))
    ]
    ce, _ = curves_of(one("rates", plan, results).axes[0])
    assert np.isnan(ce.get_ydata(orig=False)).tolist() == [True, False]


def test_one_seed_has_no_error_bar(plan_of):
    plan = plan_of(seeds=1)
    assert not error_bars(one("rates", plan, results_of(plan, lambda i, j, job: 50.0)).axes[0])


def test_one_rate_is_no_curve(plan_of):
    plan = plan_of()
    why = why_not("rates", plan, results_of(plan, lambda i, j, job: 50.0 if j == 0 else None))
    assert "two noise rates" in why


LINES = {
    "rows": [
        {"label": "Host", "method": "ce", "series": ["Host"]},
        {"label": "mu 0", "method": "gce", "set": {"q": 0.1}, "series": ["A_1", "B"], "x": 0},
        {"label": "A 2", "method": "gce", "set": {"q": 0.3}, "series": ["A_1"], "x": 2},
        {"label": "A 1", "method": "gce", "set": {"q": 0.2}, "series": ["A_1"], "x": 1},
        {"label": "B 1", "method": "gce", "set": {"q": 0.4}, "series": ["B"], "x": 1},
    ],
    "figures": [{"draw": "lines", "title": "Over mu", "x_label": "mask ratio", "stat": "last"}],
}


def test_series_run_from_left_to_right_and_share_points(plan_of):
    plan = plan_of(**LINES)
    results = [r._replace(last=r.best) for r in results_of(plan, lambda i, j, job: 10.0 * i + j)]
    (drawing,) = drawn("lines", plan, results)
    axes = drawing.figure.axes
    assert [panel.get_title() for panel in axes] == ["CIFAR-10, symmetric 20%", "CIFAR-10, symmetric 50%"]
    level, a, b = curves_of(axes[1])
    assert list(level.get_ydata()) == [1, 1]
    assert (list(a.get_xdata()), list(a.get_ydata())) == ([0, 1, 2], [11, 31, 21])
    assert (list(b.get_xdata()), list(b.get_ydata())) == ([0, 1], [11, 41])
    assert axes[0].get_xlabel() == "mask ratio"
    assert axes[0].get_ylabel() == "Last test accuracy (%)"
    assert legend_of(drawing.figure) == ["Host", "A_1", "B"]
    assert drawing.caption.startswith("Over mu.\nAccuracy of made-up rows.")
    assert "Last: test accuracy of the last epoch." in drawing.caption


def test_panels_without_a_number_are_left_out(plan_of):
    plan = plan_of(**LINES)
    results = [r._replace(last=r.best) for r in results_of(plan, lambda i, j, job: 50.0 if j == 1 else None)]
    assert [panel.get_title() for panel in one("lines", plan, results).axes] == ["CIFAR-10, symmetric 50%"]


def test_rows_without_series_make_no_lines(plan_of):
    plan = plan_of()
    assert "series" in why_not("lines", plan, results_of(plan, lambda i, j, job: 50.0))


# bars and gains


def test_bars_are_the_means_from_zero_a_group_a_column(plan_of):
    columns = [{"dataset": d, "noise": "symmetric", "rates": [0.2, 0.5]} for d in ("cifar10", "digits")]
    plan = plan_of(columns=columns)
    figure = one("bars", plan, results_of(plan, lambda i, j, job: 90.0 - 10 * i - 20 * j + job.seed))
    cifar, digits = figure.axes
    assert heights(cifar) == pytest.approx([91.5, 81.5, 71.5, 61.5])
    assert cifar.get_ylim()[0] == 0
    assert [label.get_text() for label in cifar.get_xticklabels()] == ["symmetric 20%", "symmetric 50%"]
    assert digits.get_title() == "Digits (scikit-learn)"
    assert "91.5" in [text.get_text() for text in cifar.texts]


def test_a_missing_bar_leaves_its_place_and_says_so(plan_of):
    plan = plan_of()
    results = results_of(plan, lambda i, j, job: None if (i, j) == (0, 1) else 50.0)
    results[2] = results[2]._replace(status="diverged")
    (axes,) = one("bars", plan, results).axes
    assert len(axes.patches) == 2
    assert {"–", "fail"} <= {text.get_text() for text in axes.texts}


GAINS = {"figures": [{"draw": "gains", "baseline": "CE"}]}


def test_gains_are_paired_over_the_seeds_that_both_have(plan_of):
    plan = plan_of(**GAINS, seeds=3)
    values = {0: {1: 50.0, 2: 60.0, 3: 70.0}, 1: {1: 51.0, 2: 64.0}}
    (drawing,) = drawn("gains", plan, results_of(plan, lambda i, j, job: values[i].get(job.seed) if j == 0 else None))
    (axes,) = drawing.figure.axes
    assert heights(axes) == [2.5]
    std = math.sqrt((1.5**2 + 1.5**2) / 1)
    assert error_bars(axes)[0] == pytest.approx((2.5 - std, 2.5 + std))
    assert axes.get_ylabel() == "Gain over CE (points)"
    assert legend_of(drawing.figure) == ["GCE"]
    assert "paired differences" in drawing.caption


def test_a_gain_over_a_diverged_baseline_is_none(plan_of):
    plan = plan_of(**GAINS)
    results = results_of(plan, lambda i, j, job: 50.0 + i)
    results[0] = results[0]._replace(status="diverged")
    (axes,) = one("gains", plan, results).axes
    assert heights(axes) == [1.0]
    assert "fail" not in legend_of(axes.figure)


def test_gains_say_which_baseline_is_not_there(plan_of):
    path_plan = plan_of(**GAINS)
    results = results_of(path_plan, lambda i, j, job: None if i == 0 else 50.0)
    assert "'CE'" in why_not("gains", path_plan, results)
    assert "baseline" in why_not("gains", plan_of(), results)


def test_only_the_figures_that_a_suite_names_are_drawn_unless_asked(plan_of):
    plan = plan_of(**GAINS)
    results = results_of(plan, lambda i, j, job: 50.0 + i + j)
    assert [name for name, _ in figures.suite_figures(plan, results)] == ["made-up-paper-gains"]
    assert [name for name, _ in figures.suite_figures(plan, results, kinds=["bars"])] == ["made-up-paper-bars"]
    assert [name for name, _ in figures.suite_figures(plan_of(), results)] == [
        "made-up-paper-bars",
        "made-up-paper-rates",
    ]


# curves


def test_training_curves_are_means_with_best_and_last(plan_of):
    plan = plan_of(columns=[{"dataset": "cifar10", "noise": "symmetric", "rates": [0.5]}], rows=SUITE["rows"][:1])
    results = results_of(plan, lambda i, j, job: float(job.seed))
    tops = {1.0: [10.0, 40.0, 30.0], 2.0: [20.0, 30.0, 50.0]}
    epochs = epochs_of(results, lambda r: [Epoch(e, test_accuracy=v) for e, v in enumerate(tops[r.best])])
    (axes,) = one("curves", plan, results, epochs=epochs).axes
    mean, last, best = axes.lines
    assert list(mean.get_xdata()) == [1, 2, 3]
    assert list(mean.get_ydata()) == [15, 35, 40]
    assert (last.get_xdata()[0], last.get_ydata()[0]) == (3, 40)
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (2.5, 45)
    assert len(axes.collections) == 1


def test_epochs_that_do_not_count_and_those_not_recorded_are_left_out(plan_of):
    plan = plan_of(seeds=1)
    results = results_of(plan, lambda i, j, job: 50.0 if (i, j) == (0, 0) else None)
    rows = [Epoch(0, 99.0, counts=False), Epoch(1, 40.0, 0.5), Epoch(2, None, 0.7), Epoch(3, 60.0, 0.6)]
    epochs = epochs_of(results, lambda r: rows)
    mean = one("curves", plan, results, epochs=epochs).axes[0].lines[0]
    assert (list(mean.get_xdata()), list(mean.get_ydata())) == ([2, 4], [40, 60])
    auc = one("auc-curves", plan, results, epochs=epochs).axes[0]
    assert list(auc.lines[0].get_ydata()) == [0.5, 0.7, 0.6]
    assert not auc.collections
    assert "recorded" in why_not("memorisation", plan, results, epochs=epochs)


def test_a_row_with_a_diverged_run_has_no_mean_curve(plan_of):
    plan = plan_of(columns=[{"dataset": "cifar10", "noise": "symmetric", "rates": [0.5]}], rows=SUITE["rows"][:1])
    first, second = results_of(plan, lambda i, j, job: 50.0)
    results = [first, second._replace(status="diverged")]
    epochs = epochs_of(results, lambda r: [Epoch(e, memorisation=0.1 * e) for e in range(4 if r is first else 2)])
    (axes,) = one("memorisation", plan, results, epochs=epochs).axes
    assert [len(line.get_xdata()) for line in axes.lines] == [4, 2, 1]
    assert axes.lines[2].get_marker() == "x"
    assert list(axes.lines[0].get_ydata()) == pytest.approx([0, 10, 20, 30])


def test_the_published_best_is_a_line_where_it_is_asked_for(plan_of):
    plan = plan_of(published="sanm-table1", columns=[{"dataset": "cifar10", "noise": "symmetric", "rates": [0.5]}])
    results = results_of(plan, lambda i, j, job: 50.0)
    epochs = epochs_of(results, lambda r: [Epoch(0, 50.0)])
    (with_it,) = drawn("curves", plan, results, epochs=epochs, compare=True)
    assert [79.4, 79.4] in [list(line.get_ydata()) for line in with_it.figure.axes[0].lines]
    assert "published" in with_it.caption
    assert "published" not in drawn("curves", plan, results, epochs=epochs)[0].caption


# what the runs leave


def test_the_noise_of_rmw_figure_1_is_that_of_the_released_draw():
    noises = [Noise(name=name, rate=0.4) for name in ("uniform", "flip", "flip2")]
    drawing = figures.noise_figure(noises, 5)
    uniform, flip, flip2 = (panel.images[0].get_array() for panel in drawing.figure.axes)
    assert np.allclose(uniform, 0.08 + 0.6 * np.eye(5))
    assert [int(np.flatnonzero(np.isclose(row, 0.4))[0]) for row in flip] == [2, 4, 0, 0, 3]
    assert [set(np.flatnonzero(np.isclose(row, 0.2))) for row in flip2] == [{3, 4}, {0, 3}, {3, 4}, {2, 4}, {2, 3}]
    texts = [text.get_text() for text in drawing.figure.axes[0].texts]
    assert texts[:2] == [".68", ".08"]
    assert [panel.get_ylabel() for panel in drawing.figure.axes] == ["True class"] * 3


def test_noises_of_a_suite_that_have_no_matrix_are_named_below(plan_of, tmp_path):
    columns = [
        {"dataset": "cifar10", "noise": "asymmetric", "rates": [0.4]},
        {"dataset": "cifar10", "noise": {"name": "human", "variant": "worst"}},
        {"dataset": "cifar100", "noise": "symmetric", "rates": [0.5]},
    ]
    (drawing,) = drawn("noise", plan_of(columns=columns), [], data_dir=tmp_path)
    cat_to_dog = drawing.figure.axes[0].images[0].get_array()[3, 5]
    assert cat_to_dog == pytest.approx(0.4)
    assert [panel.get_title() for panel in drawing.figure.axes][:2] == [
        "CIFAR-10, asymmetric 40%",
        "CIFAR-100, symmetric 50%",
    ]
    assert "CIFAR-10, human worst: no human labels at" in drawing.caption


def test_human_labels_are_drawn_as_measured(plan_of, human_labels_dir):
    plan = plan_of(columns=[{"dataset": "cifar10", "noise": {"name": "human", "variant": "worst"}}])
    (drawing,) = drawn("noise", plan, [], data_dir=human_labels_dir)
    matrix = drawing.figure.axes[0].images[0].get_array()
    assert matrix[9, 1] == pytest.approx(0.282, abs=5e-4)
    assert "Measured in the labels: CIFAR-10, human worst." in drawing.caption


def test_a_noise_without_a_matrix_cannot_be_drawn():
    with pytest.raises(InvalidSetting, match="instance"):
        figures.noise_figure([Noise(name="instance", rate=0.4)], 10)


def test_kinds_that_there_are_not_are_refused(plan_of):
    with pytest.raises(UnknownName, match="curve"):
        figures.suite_figures(plan_of(), [], kinds=["curve"])
