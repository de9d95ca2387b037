"""Tests of one sample of seeds against another, by SciPy, and Holm's correction. Numbers only, no table.

SciPy is imported when the first test is made: its import takes longer than a whole report.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple, get_args

from lnlbench.report.statistics import summarise

Kind = Literal["welch", "paired"]
KINDS: tuple[Kind, ...] = get_args(Kind)

NO_SPREAD = 1e-9
"""A standard deviation below this is of equal numbers: one test image in ten billion moves an accuracy more."""


class Comparison(NamedTuple):
    """A sample against another. difference: its mean minus the other's; low, high: of its confidence interval at
    1 - alpha, not corrected. df: degrees of freedom. p: two-sided; p_holm: after Holm, over the table's family.
    n, n_other: numbers of seeds that went in. verdict: 'better' or 'worse' where p_holm < alpha, else ''.
    """

    difference: float
    low: float
    high: float
    df: float
    p: float
    n: int
    n_other: int
    p_holm: float = math.nan
    verdict: Literal["better", "worse", ""] = ""


def compare(ours: Mapping[int, float], theirs: Mapping[int, float], kind: Kind, alpha: float) -> Comparison | str:
    """The test of two samples, values by seed; or, where there is none to be made, why."""
    return _paired(ours, theirs, alpha) if kind == "paired" else _welch(ours, theirs, alpha)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected p-values in the same order (Holm 1979): the k-th smallest of m times m - k + 1, never falling, at
    most 1. Rejecting where they are below alpha keeps the chance of any false rejection below alpha.
    """
    m = len(p_values)
    corrected = [0.0] * m
    largest = 0.0
    for k, i in enumerate(sorted(range(m), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (m - k) * p_values[i]))
        corrected[i] = largest
    return corrected


def _welch(ours: Mapping[int, float], theirs: Mapping[int, float], alpha: float) -> Comparison | str:
    a, b = list(ours.values()), list(theirs.values())
    if min(len(a), len(b)) < 2:
        return "fewer than two seeds"
    if _equal(a) and _equal(b):
        return "no spread over seeds"
    from scipy.stats import ttest_ind

    with _quiet():
        return _comparison(ttest_ind(a, b, equal_var=False), a, b, alpha)


def _paired(ours: Mapping[int, float], theirs: Mapping[int, float], alpha: float) -> Comparison | str:
    common = [seed for seed in ours if seed in theirs]
    a, b = [ours[seed] for seed in common], [theirs[seed] for seed in common]
    if len(common) < 2:
        return "fewer than two seeds in common"
    if _equal([x - y for x, y in zip(a, b, strict=True)]):
        return "no spread over seeds"
    from scipy.stats import ttest_rel

    with _quiet():
        return _comparison(ttest_rel(a, b), a, b, alpha)


@contextmanager
def _quiet() -> Iterator[None]:
    # SciPy warns of a sample without spread, which one of the two may well have.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _equal(values: Sequence[float]) -> bool:
    return (summarise(values).std or 0.0) < NO_SPREAD


def _comparison(tested: object, a: Sequence[float], b: Sequence[float], alpha: float) -> Comparison:
    interval = tested.confidence_interval(1 - alpha)  # type: ignore[attr-defined]
    return Comparison(
        difference=(summarise(a).mean or 0.0) - (summarise(b).mean or 0.0),
        low=float(interval.low),
        high=float(interval.high),
        df=float(tested.df),  # type: ignore[attr-defined]
        p=float(tested.pvalue),  # type: ignore[attr-defined]
        n=len(a),
        n_other=len(b),
    )
