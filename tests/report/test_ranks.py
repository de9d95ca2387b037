"""Average ranks over columns, and Kendall's tau with the published column."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import result
from scipy.stats import kendalltau, rankdata

from lnlbench.report import build_table, render
from lnlbench.report.ranks import ranks, tau_b

VALUES = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=9)


def runs(plan, row, column, value, **changes):
    return [result(job, value, **changes) for job in plan.grid[row][column].jobs]


def of_rows(table, line=0):
    return [row.lines[line].rank for row in table.rows]


def test_ties_share_the_mean_of_their_places():
    assert ranks([80.0, 95.0, 90.0, 90.0]) == [4, 1, 2.5, 2.5]
    assert ranks([1.0, 1.0, 1.0]) == [2, 2, 2]


@given(VALUES)
def test_ranks_add_up_to_what_places_do_whatever_is_tied(values):
    assert sum(ranks(values)) == len(values) * (len(values) + 1) / 2
    assert ranks(values) == pytest.approx(rankdata([-v for v in values]))


@given(VALUES, st.randoms())
def test_ranks_do_not_depend_on_the_order_of_the_rows(values, random):
    order = random.sample(range(len(values)), len(values))
    assert ranks([values[i] for i in order]) == [ranks(values)[i] for i in order]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=8))
def test_tau_b_is_scipys(pairs):
    x, y = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    theirs = kendalltau(x, y).statistic
    assert tau_b(x, y) == (None if theirs != theirs else pytest.approx(theirs, abs=1e-12))


def test_tau_b_by_hand():
    assert tau_b([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(4 / 6)  # five pairs agree, one does not
    assert tau_b([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / (2**0.5 * 3**0.5))
    assert tau_b([1, 1], [1, 2]) is None


def test_the_average_is_over_the_columns_and_one_is_best(plan):
    columns = {(0, 0): 90, (0, 1): 50, (0, 2): 70, (1, 0): 91, (1, 1): 60, (1, 2): 60, (2, 0): 92, (2, 1): 55}
    found = [r for (i, j), v in {**columns, (2, 2): 60}.items() for r in runs(plan, i, j, float(v))]
    table = build_table(plan, found, ranked=True)
    assert of_rows(table) == [pytest.approx(7 / 3), pytest.approx(5.5 / 3), pytest.approx(5.5 / 3), None]
    assert "Rank: average over all columns of the rank among the 3 rows that have results there; 1 is best." in (
        table.notes
    )
    markdown = render(table, "markdown")
    assert "| Rank |" in markdown
    assert "| 2.33 |" in markdown
    assert markdown.count("**1.83** |") == 2


def test_numbers_that_print_the_same_are_tied(plan):
    table = build_table(plan, [*runs(plan, 0, 0, 90.01), *runs(plan, 1, 0, 90.04)], ranked=True)
    assert of_rows(table) == [1.5, 1.5, None, None]


def test_a_row_with_a_missing_or_diverged_cell_is_left_out_and_named(plan, full):
    keys = {job.key for job in plan.grid[2][2].jobs}
    for found in (
        [run for run in full if run.key not in keys],
        [run._replace(status="diverged") if run.key in keys else run for run in full],
    ):
        table = build_table(plan, found, ranked=True)
        assert of_rows(table) == [1, 2, None, None]
        assert table.notes[-1].endswith("1 is best. Left out, for a missing cell: DivideMix.")


def test_columns_that_fewer_than_two_rows_have_do_not_count(plan):
    found = [*runs(plan, 0, 0, 80.0), *runs(plan, 1, 0, 90.0), *runs(plan, 0, 1, 99.0)]
    table = build_table(plan, found, ranked=True)
    assert of_rows(table) == [2, 1, None, None]
    assert "average over CIFAR-10, symmetric 20% of the rank" in table.notes[-1]


def test_columns_on_different_data_do_not_count(plan):
    found = [*runs(plan, 0, 0, 80.0), *runs(plan, 1, 0, 90.0, data_canonical=False)]
    table = build_table(plan, found, ranked=True)
    assert of_rows(table) == [None] * 4
    assert table.notes[-1] == "Rank: no two rows have results in the same columns."
    assert "Rank |" not in render(table, "markdown")


def test_each_statistic_has_its_own_ranks(plan, full):
    swapped = [r._replace(last=100 - r.last) for r in full]
    table = build_table(plan, swapped, ranked=True, stats=["best", "last"])
    assert of_rows(table) == [1, 2, 3, None]
    assert of_rows(table, 1) == [3, 2, 1, None]
    assert len([note for note in table.notes if note.startswith("Rank")]) == 1
    rows = json.loads(render(table, "json"))["rows"]
    assert rows[0]["ranks"] == {"best": 1.0, "last": 3.0}


def test_ranks_are_there_when_asked_for_only(plan, full):
    assert not build_table(plan, full).ranked


@pytest.fixture
def four(suite_plan):
    """Four rows with published numbers at two rates: ce, coteaching+, mixup and dividemix of SANM's Table 1."""
    names = ["ce", "coteaching_plus", "mixup", "dividemix"]
    rows = [{"label": n, "method": "ce", "set": {}, "published": {"method": n}} for n in names]
    rows = [{**row, "recipe": {"epochs": 10 + i}} for i, row in enumerate(rows)]
    columns = [{"dataset": "cifar10", "noise": "symmetric", "rates": [0.2, 0.5]}]
    return suite_plan(rows=rows, columns=columns, seeds=1)


def test_the_note_names_tau_and_the_rows_of_each_column_and_their_mean(four):
    # Published at 20%: 86.8, 89.5, 95.6, 96.1; at 50%: 79.4, 85.7, 87.1, 94.6.
    found = [r for i, v in enumerate([80, 82, 81, 83]) for r in runs(four, i, 0, float(v))]
    found += [r for i, v in enumerate([80, 79, 78]) for r in runs(four, i, 1, float(v))]
    table = build_table(four, found, compare=True)
    assert [(a.tau, a.n) for a in table.agreement] == [(pytest.approx(2 / 3), 4), (pytest.approx(-1), 3)]
    assert table.notes[-1] == (
        "Kendall's tau with the published column, in brackets the number of rows: CIFAR-10, symmetric 20% 0.67 (4), "
        "50% −1.00 (3); mean −0.17."
    )
    taus = json.loads(render(table, "json"))["kendall_tau"]
    assert [(t["rate"], t["n"]) for t in taus] == [(0.2, 4), (0.5, 3)]


def test_of_fewer_than_three_rows_tau_is_a_dash(four):
    found = [r for i, v in enumerate([80, 82]) for r in runs(four, i, 0, float(v))]
    table = build_table(four, found, compare=True)
    assert [(a.tau, a.n) for a in table.agreement] == [(None, 2), (None, 0)]
    assert "Kendall's tau with the published column: –" in table.notes[-1]


def test_without_published_numbers_there_is_no_tau(suite_plan, plan, full):
    assert build_table(plan, full).agreement == ()
    bare = suite_plan(published=None)
    assert build_table(bare, full, compare=True).agreement == ()
