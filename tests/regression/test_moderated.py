"""The statistics of the check: false alarms over whole suites, power, steps of accuracy, and what the prior is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from lnlbench.regression import moderated, power
from lnlbench.regression.moderated import Pair, judge
from lnlbench.report.significance import holm

SPREADS = {"alike": 0.0, "unlike": 0.5, "very unlike": 1.0}
"""Standard deviation of the logarithm of the cells' standard deviations. Digits at smoke scale: about 0.6."""
IMAGES = 360


def suite(rng: np.random.Generator, cells: int, was: int, now: int, spread: float) -> list[list[Pair]]:
    """An unbroken suite with two correlated statistics: accuracies near 90% in steps of one of 360 test images."""
    stds = np.exp(spread * rng.standard_normal((cells, 1, 1)))
    shared, own = rng.standard_normal((cells, was + now, 1)), rng.standard_normal((cells, was + now, 2))
    values = 90 + stds * (np.sqrt(0.7) * shared + np.sqrt(0.3) * own)
    values = np.minimum(np.round(values * IMAGES / 100), IMAGES) * 100 / IMAGES
    return [[Pair(v[:was, s].tolist(), v[was:, s].tolist(), 100 / IMAGES) for v in values] for s in range(2)]


def smallest_p(by_stat: list[list[Pair]]) -> float:
    """Corrected over everything, as the check does."""
    return min(holm([one.p_drop for pairs in by_stat for one in judge(pairs)]))


@pytest.mark.parametrize(
    ("was", "now", "spread"),
    [(5, 5, "alike"), (5, 5, "unlike"), (5, 5, "very unlike"), (3, 3, "unlike"), (20, 5, "unlike")],
)
def test_false_alarms_over_whole_suites_are_as_rare_as_stated(was, now, spread):
    """2,000 reseeded unbroken suites of 10 cells; 1% is stated, and 35 of 2,000 are 3.3 standard errors above it."""
    rng = np.random.default_rng([was, now, round(10 * SPREADS[spread])])
    alarms = sum(smallest_p(suite(rng, 10, was, now, SPREADS[spread])) <= 0.01 for _ in range(2000))
    assert alarms <= 35, alarms


@pytest.mark.parametrize("spread", SPREADS)
def test_a_drop_of_the_stated_size_is_found_about_as_often_as_stated(spread):
    rng = np.random.default_rng(8)
    found = []
    for _ in range(300):
        pairs = suite(rng, 10, 5, 5, SPREADS[spread])[0]
        detectable = power.detectable(judge(pairs)[0], 0.01 / 20)
        was, now, floor = pairs[0]
        pairs[0] = Pair(was, [value - detectable for value in now], floor)
        found.append(judge(pairs)[0].p_drop <= 0.01 / 20)
    # The standard deviation is estimated, so that 'four of five' is an estimate too.
    assert 0.6 < np.mean(found) < 0.95


def test_alone_it_is_students_test():
    was, now = [90.0, 91.0, 92.5, 90.5], [88.0, 89.5, 87.0]
    (alone,) = judge([Pair(was, now, 0.01)])
    theirs = reference.ttest_ind(now, was, alternative="less")
    assert alone.p_drop == pytest.approx(theirs.pvalue)
    assert alone.p_rise == pytest.approx(1 - theirs.pvalue)
    assert alone.df == 5
    assert alone.change == pytest.approx(np.mean(now) - np.mean(was))


def test_alike_cells_lend_each_other_strength_but_never_more_than_half_a_cells_own():
    rng = np.random.default_rng(3)
    pairs = [Pair(list(rng.normal(90, 1, 5)), list(rng.normal(90, 1, 5)), 0.01) for _ in range(30)]
    together = judge(pairs)
    assert {one.df for one in together} == {12}
    alone = [judge([pair])[0].std for pair in pairs]
    assert np.std([one.std for one in together]) < 0.75 * np.std(alone)


def test_unlike_cells_keep_their_own_variance():
    rng = np.random.default_rng(4)
    stds = np.geomspace(0.1, 100, 12)
    pairs = [Pair(list(rng.normal(0, std, 5)), list(rng.normal(0, std, 5)), 1e-6) for std in stds]
    for pair, one in zip(pairs, judge(pairs), strict=True):
        assert one.df < 9
        assert one.std == pytest.approx(judge([pair])[0].std, rel=0.5)


def test_the_prior_is_found_again_where_the_model_holds(monkeypatch):
    """Variances drawn from a scaled inverse chi-square with 6 degrees of freedom around 4."""
    monkeypatch.setattr(moderated, "CAUTION", 0.5)
    rng = np.random.default_rng(5)
    variances = 4 * 6 / rng.chisquare(6, 4000) * rng.chisquare(8, 4000) / 8
    df, variance = moderated._prior(list(variances), [8] * 4000)
    assert df == pytest.approx(6, rel=0.15)
    assert variance == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("x", [1e-3, 0.4, 3.0, 500.0])
def test_trigamma_is_inverted(x):
    from scipy.special import polygamma

    assert moderated._inverse_trigamma(float(polygamma(1, x))) == pytest.approx(x, rel=1e-6)


def test_one_test_image_less_in_every_run_of_a_saturated_cell_is_no_alarm():
    step = 100 / IMAGES
    saturated = [Pair([100.0] * 5, [100.0 - step] * 5, step)] * 4
    assert all(one.p_drop > 0.05 / 4 for one in judge(saturated))
    (equal,) = judge([Pair([100.0] * 5, [100.0] * 5, step)])
    assert (equal.change, equal.p_drop) == (0.0, 0.5)
    (broken,) = judge([Pair([100.0] * 5, [97.0] * 5, step)])
    assert broken.p_drop < 1e-6


def test_two_values_of_one_seed_each_cannot_be_judged():
    with pytest.raises(ValueError, match="no spread"):
        judge([Pair([90.0], [89.0], 0.1)])


def test_power_grows_with_seeds_and_level_and_is_what_the_noncentral_t_says():
    rng = np.random.default_rng(6)
    sizes = {}
    for seeds in (3, 5, 20):
        values = rng.normal(0, 1, 20)
        (one,) = judge([Pair(list(values[:seeds]), list(values[-seeds:]), 0.01)])
        sizes[seeds] = power.detectable(one, 0.01 / 20) / one.std
        critical = reference.t.isf(0.01 / 20, one.df)
        assert reference.nct.sf(critical, one.df, sizes[seeds] * one.std / one.error) == pytest.approx(0.8, abs=1e-4)
        assert power.detectable(one, 0.01) < power.detectable(one, 0.01 / 20)
    assert sizes[3] > sizes[5] > sizes[20]
