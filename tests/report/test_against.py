"""`--against`: which cells are tested, over which family, what is marked, and what is said of those that are not."""

from __future__ import annotations

import json

import pytest
from made_up import result

from lnlbench.errors import InvalidSetting, UnknownName
from lnlbench.report import build_table, render
from lnlbench.report.numbers import cell_text
from lnlbench.report.significance import holm


def runs(plan, row, column, values, **changes):
    return [result(j, v, **changes) for j, v in zip(plan.grid[row][column].jobs, values)]


def cell(table, row, column=0, line=0):
    return table.rows[row].lines[line].cells[column]


@pytest.fixture
def some(plan):
    """First column: ce far below, coteaching beside, dividemix the reference; nothing else but a single seed."""
    return [
        *runs(plan, 0, 0, [70.0, 70.5, 71.0]),
        *runs(plan, 1, 0, [90.0, 91.0, 92.0]),
        *runs(plan, 2, 0, [90.2, 91.1, 92.3]),
        *runs(plan, 2, 1, [80.0, 81.0, 82.0]),
        *runs(plan, 0, 1, [79.0]),
    ]


def test_only_what_differs_is_marked_and_the_note_names_the_test_the_row_and_the_family(plan, some):
    table = build_table(plan, some, against="dividemix")
    assert [cell_text(cell(table, i), False) for i in range(3)] == ["70.5 ± 0.5↓", "91.0 ± 1.0", "91.2 ± 1.1"]
    assert cell(table, 0).compared.verdict == "worse"
    assert cell(table, 1).compared.verdict == ""
    assert cell(table, 2).compared is None
    assert (
        "↑, ↓: significantly better, worse than DivideMix (Welch's t-test over seeds, Holm-corrected over the 2 tests "
        "of this table, α = 0.05)." in table.notes
    )


def test_the_other_way_round_it_is_better(plan, some):
    table = build_table(plan, some, against="ce")
    assert [cell_text(cell(table, i), False)[-1] for i in (1, 2)] == ["↑", "↑"]
    assert cell(table, 1).compared.difference == pytest.approx(20.5)


def test_p_values_are_corrected_over_all_columns_and_statistics_at_once(plan, full):
    table = build_table(plan, full, against="ce", stats=["best", "last"])
    found = [c.compared for c in table.cells if c.compared]
    assert len(found) == 2 * 2 * 3
    assert table.against.family == 12
    assert [c.p_holm for c in found] == pytest.approx(holm([c.p for c in found]))
    assert "over the 12 tests" in " ".join(table.notes)


def test_what_could_not_be_tested_is_counted_by_reason(plan, some):
    diverged = runs(plan, 1, 1, [50.0, 51.0, 52.0], status="diverged")
    table = build_table(plan, [*some, *diverged], against="dividemix")
    assert cell(table, 0, 1).untested == "fewer than two seeds"
    assert cell(table, 1, 1).untested == "diverged"
    assert "Not tested: 7 cells (no result in one of the two: 5; fewer than two seeds: 1; diverged: 1)." in table.notes
    assert all(not c.untested for c in table.rows[2].lines[0].cells)


def test_without_any_difference_the_note_says_so(plan):
    same = [*runs(plan, 0, 0, [90.0, 91.0, 92.0]), *runs(plan, 1, 0, [90.1, 91.0, 92.0])]
    notes = " ".join(build_table(plan, same, against="ce").notes)
    assert "No cell differs significantly from Cross-Entropy (CE) (Welch's t-test over seeds, Holm-corrected" in notes
    assert "over the only test of this table" in notes


def test_without_anything_to_test_the_note_says_why(plan):
    notes = build_table(plan, runs(plan, 0, 0, [90.0] * 3), against="ce").notes
    assert notes[-1].startswith("No cell could be tested against Cross-Entropy (CE): 9 cells (no result")


def test_equal_numbers_are_no_test(plan):
    equal = [*runs(plan, 0, 0, [90.0] * 3), *runs(plan, 1, 0, [80.0] * 3)]
    assert cell(build_table(plan, equal, against="ce"), 1).untested == "no spread over seeds"


def test_cells_measured_on_different_data_are_not_tested(plan, some):
    other = [r._replace(data_canonical=False) if i < 3 else r for i, r in enumerate(some)]
    table = build_table(plan, other, against="dividemix")
    assert cell(table, 0).untested == "measured on different data"
    assert cell(table, 1).compared is not None


def test_paired_tests_use_common_seeds(plan):
    table = build_table(
        plan,
        [*runs(plan, 0, 0, [50.0, 60.0, 70.0]), *runs(plan, 1, 0, [50.9, 61.0, 71.1])],
        against="ce",
        test="paired",
    )
    assert cell_text(cell(table, 1), False).endswith("↑")
    assert "paired t-test over common seeds" in table.notes[-2]


def test_alpha_is_the_level_of_marks_and_the_width_of_intervals(plan, some):
    strict, loose = (build_table(plan, some, against="dividemix", alpha=alpha) for alpha in (1e-9, 0.5))
    assert cell(strict, 0).compared.verdict == ""
    assert cell(strict, 0).compared.low < cell(loose, 0).compared.low
    assert any("α = 1e-09" in note for note in strict.notes)


@pytest.mark.parametrize("name", ["dividemix", "DivideMix", "  DIVIDEMIX ", "cross-entropy (ce)", "ce"])
def test_the_row_is_named_by_method_or_label(plan, name):
    assert build_table(plan, [], against=name).against.method in ("ce", "dividemix")


def test_a_label_names_one_of_several_rows_of_a_method(suite_plan):
    rows = [{"label": "with", "method": "ce"}, {"label": "without", "method": "ce"}, {"label": "x", "method": "gce"}]
    plan = suite_plan(rows=rows)
    assert build_table(plan, [], against="without").against.label == "without"
    with pytest.raises(UnknownName, match="'with', 'without'"):
        build_table(plan, [], against="ce")


@pytest.mark.parametrize(
    ("given", "told"),
    [({"against": "dividmix"}, "dividemix"), ({"against": "ce", "test": "wlch"}, "welch"), ({"against": ""}, "row")],
)
def test_a_row_or_test_there_is_not_gets_the_nearest_name(plan, given, told):
    with pytest.raises(UnknownName) as error:
        build_table(plan, [], **given)
    assert told in f"{error.value.message} {error.value.hint}"


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 2, float("nan")])
def test_an_impossible_alpha_is_refused(plan, alpha):
    with pytest.raises(InvalidSetting, match="alpha"):
        build_table(plan, [], against="ce", alpha=alpha)


def test_json_carries_p_values_effect_interval_and_sizes(plan, some):
    table = json.loads(render(build_table(plan, some, against="dividemix"), "json"))
    assert table["against"] == {
        "label": "DivideMix",
        "method": "dividemix",
        "test": "welch",
        "alpha": 0.05,
        "family": 2,
    }
    found = table["rows"][0]["cells"][0]["compared"]
    assert found["low"] < found["difference"] < found["high"]
    assert found["difference"] == pytest.approx(-20.7)
    assert found["p"] <= found["p_holm"] < 0.05
    assert (found["n"], found["n_other"], found["verdict"]) == (3, 3, "worse")
    assert table["rows"][0]["cells"][1]["untested"] == "fewer than two seeds"


def test_without_a_row_to_test_against_nothing_is_said(plan, some):
    table = build_table(plan, some)
    assert (table.against, {c.compared for c in table.cells}, {c.untested for c in table.cells}) == (None, {None}, {""})
