"""Tests between samples of seeds: closed forms of Student's t at 1 and 2 degrees of freedom, Holm's steps by hand."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnlbench.report.significance import compare, holm

T_AT_2 = 4.302652729911275
"""Two-sided 95% point of t with 2 degrees of freedom: sqrt(2 * 0.95**2 / (1 - 0.95**2))."""


def seeded(*values: float) -> dict[int, float]:
    return dict(enumerate(values, 1))


def test_welch_of_equal_variances_is_the_closed_form_at_two_degrees_of_freedom():
    got = compare(seeded(0, 2), seeded(3, 5), "welch", 0.05)
    t = 3 / math.sqrt(2)  # variances 2 and 2, so the standard error is sqrt(2/2 + 2/2)
    assert got.df == pytest.approx(2)
    assert got.p == pytest.approx(1 - t / math.sqrt(t**2 + 2))
    assert got.difference == -3
    assert (got.low, got.high) == pytest.approx((-3 - T_AT_2 * math.sqrt(2), -3 + T_AT_2 * math.sqrt(2)))
    assert (got.n, got.n_other) == (2, 2)


def test_welch_has_the_degrees_of_freedom_of_welch_and_satterthwaite():
    got = compare(seeded(1, 2, 3), seeded(2, 4, 6), "welch", 0.05)
    a, b = 1 / 3, 4 / 3
    assert got.df == pytest.approx((a + b) ** 2 / (a**2 / 2 + b**2 / 2))


def test_the_paired_test_is_the_closed_form_of_its_differences_over_common_seeds():
    ours, theirs = {1: 3.0, 2: 5.0, 9: 77.0}, {8: -5.0, 2: 2.0, 1: 2.0}
    got = compare(ours, theirs, "paired", 0.05)
    assert (got.n, got.n_other, got.df) == (2, 2, 1)  # differences 1 and 3: mean 2, standard error 1, t = 2
    assert got.difference == 2
    assert got.p == pytest.approx(1 - 2 / math.pi * math.atan(2))
    three = compare(seeded(1, 4, 9), seeded(0, 2, 6), "paired", 0.05)  # differences 1, 2, 3
    assert three.p == pytest.approx(1 - math.sqrt(12) / math.sqrt(12 + 2))


def test_pairing_sees_what_the_spread_between_seeds_hides():
    ours, theirs = seeded(50.3, 60.2, 70.1, 80.4), seeded(50.0, 60.0, 70.0, 80.0)
    assert compare(ours, theirs, "paired", 0.05).p < 0.05 < 0.9 < compare(ours, theirs, "welch", 0.05).p


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "why"),
    [
        (seeded(1), seeded(1, 2), "welch", "fewer than two seeds"),
        (seeded(1, 2), seeded(), "welch", "fewer than two seeds"),
        ({1: 1.0, 2: 2.0}, {2: 1.0, 3: 2.0}, "paired", "fewer than two seeds in common"),
        (seeded(90, 90), seeded(80, 80), "welch", "no spread over seeds"),
        (seeded(0.1, 0.1, 0.1), seeded(0.3, 0.3, 0.3), "welch", "no spread over seeds"),
        (seeded(90.1, 80.1), seeded(80, 70), "paired", "no spread over seeds"),
    ],
)
def test_what_cannot_be_tested_says_why(ours, theirs, kind, why):
    assert compare(ours, theirs, kind, 0.05) == why


def test_one_sample_without_spread_is_tested_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = compare(seeded(90, 90, 90), seeded(80, 81, 82), "welch", 0.05)
    assert got.df == pytest.approx(2)
    assert got.p == pytest.approx(1 - (9 * math.sqrt(3)) / math.sqrt(9**2 * 3 + 2))


@given(st.lists(st.floats(0, 100), min_size=2, max_size=6), st.lists(st.floats(0, 100), min_size=2, max_size=6))
def test_swapping_the_samples_turns_the_sign_and_nothing_else(a, b):
    there, back = compare(seeded(*a), seeded(*b), "welch", 0.05), compare(seeded(*b), seeded(*a), "welch", 0.05)
    if isinstance(there, str):
        assert there == back
        return
    assert there.difference == -back.difference
    assert there.p == pytest.approx(back.p, abs=1e-12)
    assert there.low <= there.difference <= there.high
    assert 0 <= there.p <= 1


def test_holms_steps():
    # 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04 * 1, which may not be below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=9))
def test_holm_keeps_the_order_and_lies_between_the_raw_and_bonferronis(p):
    corrected = holm(p)
    assert all(raw <= own <= min(1, len(p) * raw) for raw, own in zip(p, corrected, strict=True))
    order = sorted(range(len(p)), key=p.__getitem__)
    assert [corrected[i] for i in order] == sorted(corrected)


def test_scipy_is_imported_for_a_test_and_not_before():
    code = (
        "import sys; from lnlbench.report import significance as s\n"
        "print('scipy' in sys.modules); s.compare({1: 1.0, 2: 2.0}, {1: 3.0, 2: 5.0}, 'welch', 0.05)\n"
        "print('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
