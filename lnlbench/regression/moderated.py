"""The test of the check: a two-sample t test whose variances lend each other strength. Numbers only.

Null hypothesis: both samples are draws from one distribution, so their variance is one and is pooled (Welch's test
gives this away, and with 20 seeds against 5 it raises three times the false alarms it states). With a handful of
seeds the variance is still the weak point, and cells of one statistic resemble each other; so each cell's variance
is shrunk towards the cells' common one by what the data say of their likeness (Smyth 2004, 'Linear models and
empirical Bayes methods', section 6.2), held back twice: the likeness is taken at the low end of what the cells allow,
and neighbours never count more than half of a cell's own seeds. docs/regression.md has the measured error rates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

OWN_SHARE = 0.5
"""Most that the neighbours count, in degrees of freedom of the cell's own."""
CAUTION = 0.2
"""Quantile of the chi-square distribution at which the spread of the cells' variances is taken: 0.5 is the estimate."""


class Pair(NamedTuple):
    """A cell's values then and now, in one unit; larger is better.

    floor: standard deviation below which none is believed, for values that come in steps. At least one value on
    either side and three in all.
    """

    was: Sequence[float]
    now: Sequence[float]
    floor: float


class Judged(NamedTuple):
    """The test of a pair. change: mean now minus mean then. std: moderated, df its degrees of freedom.

    error: standard error of the change. p_drop, p_rise: one-sided, not corrected.
    """

    change: float
    std: float
    df: float
    error: float
    p_drop: float
    p_rise: float


def judge(pairs: Sequence[Pair]) -> list[Judged]:
    """Tests pairs of one statistic together, in their order."""
    from scipy.special import stdtr

    own = [_pooled(pair) for pair in pairs]
    prior_df, prior_variance = _prior([max(v, pair.floor**2) for (v, _), pair in zip(own, pairs)], [d for _, d in own])
    judged = []
    for pair, (variance, df) in zip(pairs, own):
        borrowed = min(prior_df, OWN_SHARE * df)
        floored = max(variance, pair.floor**2)
        std = math.sqrt(max((borrowed * prior_variance + df * floored) / (borrowed + df), pair.floor**2))
        error = std * math.sqrt(1 / len(pair.was) + 1 / len(pair.now))
        change = _mean(pair.now) - _mean(pair.was)
        t, total = change / error, df + borrowed
        judged.append(Judged(change, std, total, error, float(stdtr(total, t)), float(stdtr(total, -t))))
    return judged


def _pooled(pair: Pair) -> tuple[float, int]:
    """Variance around both means, and its degrees of freedom."""
    df = len(pair.was) + len(pair.now) - 2
    if df < 1:
        raise ValueError(f"{len(pair.was)} values against {len(pair.now)} have no spread to judge by")
    squares = math.fsum((value - _mean(values)) ** 2 for values in (pair.was, pair.now) for value in values)
    return squares / df, df


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _prior(variances: Sequence[float], dfs: Sequence[int]) -> tuple[float, float]:
    """Degrees of freedom and variance that the cells have in common (Smyth 2004, section 6.2); (0, 1) for one cell.

    If variances are draws of a scaled inverse chi-square distribution, log s^2 has the variance
    trigamma(df/2) + trigamma(prior_df/2): what is left above the first part says how alike the cells are.
    """
    from scipy.special import gammaincinv, polygamma, psi

    cells = len(variances)
    if cells < 2:
        return 0.0, 1.0
    logs = [math.log(v) - float(psi(d / 2)) + math.log(d / 2) for v, d in zip(variances, dfs)]
    centre = sum(logs) / cells
    squares = sum((value - centre) ** 2 for value in logs)
    spread = squares / (2 * float(gammaincinv((cells - 1) / 2, CAUTION)))
    excess = spread - sum(float(polygamma(1, d / 2)) for d in dfs) / cells
    if excess <= 0:
        return math.inf, math.exp(centre)
    half = _inverse_trigamma(excess)
    return 2 * half, math.exp(centre + float(psi(half)) - math.log(half))


def _inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value > 0, by Newton's method on 1/trigamma, which is nearly linear."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        at = float(polygamma(1, x))
        step = at * (1 - at / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-9 * x:
            break
    return x
