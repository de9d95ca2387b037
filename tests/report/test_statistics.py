"""Mean and std: numpy's to the last bits, exact where floats are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnlbench.report.statistics import Summary, summarise

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


@given(NUMBERS, st.sampled_from([0, 1]))
def test_it_agrees_with_numpy(values, ddof):
    got = summarise(values, ddof)
    assert got.n == len(values)
    assert got.mean == pytest.approx(np.mean(values), rel=1e-12, abs=1e-9)
    if len(values) > ddof:
        assert got.std == pytest.approx(np.std(values, ddof=ddof), rel=1e-9, abs=1e-6)
    else:
        assert got.std is None


@given(st.floats(0, 100), st.integers(2, 9))
def test_equal_values_have_no_spread_at_all(value, n):
    assert summarise([value] * n) == Summary(value, 0.0, n)


def test_it_is_exact_where_sums_of_floats_are_not():
    assert summarise([1e16, 1.0, -1e16], ddof=0).mean == pytest.approx(1 / 3, rel=1e-15)
    assert summarise([0.1, 0.2, 0.3]).mean == pytest.approx(0.2, rel=1e-16)


def test_nothing_has_no_mean():
    assert summarise([]) == Summary(None, None, 0)


@pytest.mark.parametrize("values", [[float("nan")], [1.0, float("inf")]])
def test_numbers_that_are_not_finite_are_refused(values):
    with pytest.raises(ValueError, match="not finite"):
        summarise(values)


def test_a_negative_ddof_is_refused():
    with pytest.raises(ValueError, match="ddof"):
        summarise([1.0], ddof=-1)
