"""The layout: what stands where, what is bold, what is never averaged or mixed in silence."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import SUITE, result

from lnlbench.errors import InvalidSetting, UnknownName
from lnlbench.report import FORMATS, build_table, render
from lnlbench.report.numbers import cell_text, number, published_text, signed
from lnlbench.suite import load_suite


def cell(table, row=0, column=0, line=0):
    return table.rows[row].lines[line].cells[column]


def cell_results(plan, row, column, values, **changes):
    return [result(j, v, **changes) for j, v in zip(plan.grid[row][column].jobs, values)]


def test_mean_std_and_n_are_over_the_seeds(plan):
    table = build_table(plan, cell_results(plan, 0, 0, [90.0, 91.0, 93.0]))
    got = cell(table)
    assert got.mean == pytest.approx(274 / 3)
    assert got.std == pytest.approx(1.5275252316519468)
    assert (got.n, got.values) == (3, {1: 90.0, 2: 91.0, 3: 93.0})
    assert cell_text(got, False) == "91.3 ± 1.5"
    assert "sample standard deviation (n−1) over n = 3 seeds" in table.caption


def test_the_population_std_says_so(plan):
    table = build_table(plan, cell_results(plan, 0, 0, [90.0, 91.0, 93.0]), ddof=0)
    assert cell_text(cell(table), False) == "91.3 ± 1.2"
    assert "population standard deviation (n)" in table.caption


@pytest.mark.parametrize(("stats", "ddof"), [(["bets"], 1), ([], 1), (["best", "best"], 1), (["best"], 2)])
def test_statistics_and_ddof_there_are_not_are_refused(plan, stats, ddof):
    with pytest.raises(UnknownName if stats == ["bets"] else InvalidSetting):
        build_table(plan, [], stats=stats, ddof=ddof)


def test_each_statistic_reads_its_own_field(plan):
    fields = {"best": 9.0, "last": 8.0, "last10": 7.0, "valid_pick": 6.0, "best_auc": 0.5, "last_auc": 0.4}
    run = result(plan.grid[0][0].jobs[0], **fields)
    stats = ["best", "last", "last10", "valid", "auc", "last_auc"]
    table = build_table(plan, [run], stats=stats)
    assert [line.cells[0].mean for line in table.rows[0].lines] == list(fields.values())


def test_one_seed_has_no_std_and_the_caption_says_so(suite_plan):
    plan = suite_plan(seeds=1)
    table = build_table(plan, cell_results(plan, 0, 0, [90.0]))
    assert cell_text(cell(table), table.show_n) == "90.0"
    assert "±" not in table.caption


def test_n_stands_in_the_cells_where_it_differs(plan):
    table = build_table(plan, cell_results(plan, 0, 0, [90.0, 91.0]) + cell_results(plan, 1, 0, [80.0, 81.0, 82.0]))
    assert table.show_n
    assert [cell_text(cell(table, row), table.show_n) for row in (0, 1)] == ["90.5 ± 0.7 (2)", "81.0 ± 1.0 (3)"]
    assert "number of seeds n in brackets" in table.caption


def test_a_partial_table_says_how_much_has_finished_and_over_which_seeds_the_mean_is(plan):
    table = build_table(plan, cell_results(plan, 0, 0, [90.0, 91.0]))
    assert "n = 2 seeds (of the planned 1, 2, 3)" in table.caption
    assert "Partial: 2 of 27 jobs have finished." in table.notes


def test_missing_cells_are_dashes(plan):
    table = build_table(plan, [])
    assert {cell_text(c, table.show_n) for c in table.cells} == {"–"}
    assert "No results yet" in table.caption


def test_a_finished_run_without_the_statistic_is_a_dash(plan):
    table = build_table(plan, cell_results(plan, 0, 0, [90.0] * 3), stats=["best", "auc"])
    assert cell_text(cell(table, line=1), False) == "–"


def test_the_best_of_a_column_and_statistic_is_bold_with_all_that_print_the_same(plan):
    runs = [
        *cell_results(plan, 0, 0, [90.04] * 3),
        *cell_results(plan, 1, 0, [90.0] * 3),
        *cell_results(plan, 2, 0, [89.94] * 3),
        *cell_results(plan, 2, 1, [10.0] * 3),
    ]
    table = build_table(plan, runs)
    assert [cell(table, row, 0).best for row in range(4)] == [True, True, False, False]
    assert [cell(table, row, 1).best for row in range(4)] == [False, False, True, False]


def test_published_numbers_do_not_compete_for_bold(plan):
    table = build_table(plan, cell_results(plan, 0, 0, [10.0] * 3), compare=True)
    assert [cell(table, row, 0).best for row in range(4)] == [True, False, False, False]


def test_a_cell_whose_runs_all_diverged_prints_fail(plan):
    table = build_table(plan, cell_results(plan, 0, 0, [90.0] * 3, status="diverged"))
    assert cell_text(cell(table), False) == "fail"
    assert (cell(table).mean, cell(table).n, cell(table).best) == (None, 0, False)


def test_one_diverged_run_takes_the_mean_away_and_is_counted(plan):
    first, *rest = cell_results(plan, 0, 0, [99.0] * 3)
    table = build_table(plan, [first._replace(status="diverged"), *rest, *cell_results(plan, 1, 0, [10.0] * 3)])
    assert cell_text(cell(table), False) == "fail (1/3)"
    assert cell(table).mean is None
    assert cell(table).values == {2: 99.0, 3: 99.0}
    assert cell(table, 1).best
    assert any(note.startswith("fail:") for note in table.notes)


def test_daggers_stand_for_combinations_of_needs_and_are_explained(plan):
    table = build_table(plan, [])
    assert [row.dagger for row in table.rows] == ["", "†", "‡", ""]
    explained = [note for note in table.notes if note[0] in "†‡"]
    assert len(explained) == 2
    assert "kind of noise" not in explained[0]
    assert "nominal noise rate" in explained[1]
    assert "kind of noise" in explained[1]


def test_rows_that_need_the_same_share_a_symbol(suite_plan):
    rows = [{"label": m, "method": m} for m in ("dividemix", "sanm(dividemix)", "coteaching")]
    assert [row.dagger for row in build_table(suite_plan(rows=rows), []).rows] == ["†", "†", "‡"]


def test_rows_that_lnlbench_does_not_have_are_named(plan):
    assert "Not in lnlbench: Not here." in build_table(plan, []).notes


def test_columns_stand_under_their_data_set_and_noise(plan):
    table = build_table(plan, [])
    assert [(g.label, g.span) for g in table.groups] == [("CIFAR-10, symmetric", 2), ("Digits (scikit-learn)", 1)]
    assert [c.label for c in table.columns] == ["20%", "50%", "clean"]


def test_modified_data_is_said_in_the_heading_and_the_notes(plan):
    table = build_table(plan, cell_results(plan, 0, 0, [90.0] * 3, data_canonical=False, data_note="from JPEG"))
    assert [g.label for g in table.groups] == ["CIFAR-10 (modified), symmetric", "Digits (scikit-learn)"]
    assert "CIFAR-10, modified data (content ffffffffffff): from JPEG." in table.notes
    assert cell(table).marks == ()


def test_data_that_nobody_recorded_is_not_taken_for_canonical(plan):
    table = build_table(plan, cell_results(plan, 0, 0, [90.0] * 3, data_canonical=None))
    assert table.groups[0].label == "CIFAR-10 (unrecorded), symmetric"


def test_results_on_different_data_are_marked_cell_by_cell(plan):
    runs = [
        *cell_results(plan, 0, 0, [90.0] * 3),
        *cell_results(plan, 1, 0, [90.0] * 3, data_canonical=False, data_note="A", data_fingerprint="a" * 64),
        *cell_results(plan, 2, 0, [90.0] * 2, data_canonical=False, data_note="A", data_fingerprint="b" * 64),
        *cell_results(plan, 2, 0, [90.0] * 3)[2:],
    ]
    table = build_table(plan, runs)
    assert table.groups[0].label == "CIFAR-10, symmetric"
    assert [cell_text(cell(table, row), False) for row in range(3)] == [
        "90.0 ± 0.0",
        "90.0 ± 0.0*",
        "90.0 ± 0.0**",
    ]
    assert [note for note in table.notes if note.startswith("*")] == [
        "* CIFAR-10, modified data (content aaaaaaaaaaaa): A.",
        "** CIFAR-10, modified data (content bbbbbbbbbbbb): A.",
    ]
    assert any("do not compare" in note for note in table.notes)


def test_results_of_another_scale_are_left_aside(plan, suite_plan):
    other = [result(job, 99.0) for job in suite_plan("desk").jobs]
    assert all(c.n == 0 for c in build_table(plan, other).cells)
    for scale in ("paper", "desk", "smoke"):
        assert f"at {scale} scale" in build_table(suite_plan(scale), []).caption


def test_the_published_number_and_the_difference_stand_beside(plan):
    table = build_table(plan, cell_results(plan, 2, 0, [94.0, 95.0, 96.0]), compare=True)
    got = cell(table, 2)
    assert got.published.text == "96.1"
    assert got.difference == pytest.approx(-1.1)
    assert published_text(got) == "96.1 (−1.1)"
    assert published_text(cell(table, 0)) == "86.8"
    assert published_text(cell(table, 0, 2)) == "–"
    assert build_table(plan, []).rows[0].lines[0].cells[0].published is None


def test_a_difference_to_another_scale_is_called_incomparable(plan, suite_plan):
    said = "not comparable"
    assert not any(said in note for note in build_table(plan, [], compare=True).notes)
    assert any(said in note for note in build_table(suite_plan("desk"), [], compare=True).notes)


def test_a_published_number_of_unknown_epoch_stands_beside_the_first_statistic_only(suite_plan):
    columns = [{"dataset": "cifar10", "noise": "asymmetric", "rates": [0.4]}]
    plan = suite_plan(published="sanm-table2", columns=columns, stats=["best", "last"])
    table = build_table(plan, [], compare=True)
    assert published_text(cell(table, 2, line=0)) == "93.4"
    assert published_text(cell(table, 2, line=1)) == "–"
    assert any("does not say of which epoch" in note for note in table.notes)


def test_the_published_row_and_column_may_have_other_names(suite_plan):
    columns = [
        {"dataset": "cifar10", "noise": "pairflip", "rates": [0.4], "published": {"noise": "asymmetric"}},
    ]
    rows = [{"label": "x", "method": "gce", "published": {"method": "sl"}}]
    plan = suite_plan(published="rfl-table1", columns=columns, rows=rows)
    assert cell(build_table(plan, [], compare=True)).published is not None
    bare = suite_plan(published="rfl-table1", columns=[{**columns[0], "published": {}}], rows=rows)
    assert cell(build_table(bare, [], compare=True)).published is None


def test_what_a_paper_prints_in_place_of_a_number_is_printed(suite_plan):
    clean = {"dataset": "cifar100", "noise": "clean", "published": {"rate": 0}}
    columns = [clean, {"dataset": "cifar100", "noise": "symmetric", "rates": [0.8]}]
    rows = [{"label": name, "method": "ce", "published": {"method": name}} for name in ("pencil", "forward")]
    plan = suite_plan(published="rfl-table2", columns=columns, rows=rows, noise={})
    table = build_table(plan, cell_results(plan, 0, 1, [50.0] * 3), compare=True)
    shown = [[published_text(cell(table, row, column)) for column in range(2)] for row in range(2)]
    assert shown == [["–", "fail"], ["–", "24.83 (+25.2)"]]
    assert cell(table, 0, 0).published.text == "-"
    assert cell(table, 0, 1).difference is None
    assert "published & -- & fail" in render(table, "latex")
    assert "| published | – | fail |" in render(table, "markdown")


def test_a_published_std_stands_beside_its_mean(suite_plan):
    columns = [{"dataset": "cifar10", "noise": "uniform", "rates": [0.4]}]
    plan = suite_plan(published="rmw-table1", columns=columns)
    table = build_table(plan, cell_results(plan, 0, 0, [69.0] * 3), compare=True)
    assert published_text(cell(table)) == "68.07 ± 1.23 (+0.9)"
    assert published_text(cell(table, 1)) == "74.81 ± 0.34"


def test_a_published_auc_keeps_its_decimals(suite_plan):
    columns = [{"dataset": "cifar10", "noise": "uniform", "rates": [0.4]}]
    rows = [{"label": "MW-Net*", "method": "mwnet"}]
    plan = suite_plan(published="rmw-table3", columns=columns, rows=rows)
    assert published_text(cell(build_table(plan, [], stats=["auc"], compare=True))) == "0.9714"


def test_groups_of_rows_are_kept_and_bold_may_be_of_each(suite_plan, full):
    rows = [{**row, "group": group} for row, group in zip(SUITE["rows"], "aabb")]
    by_column, by_group = (build_table(suite_plan(rows=rows, bold=bold), full) for bold in ("column", "group"))
    assert [row.group for row in by_group.rows] == ["a", "a", "b", "b"]
    assert [cell(by_column, i).best for i in range(4)] == [True, False, False, False]
    assert [cell(by_group, i).best for i in range(4)] == [True, False, True, False]
    assert "Bold: the best of each column in each group of rows." in by_group.notes
    assert render(by_group, "latex").count(r"\midrule") == 2
    assert render(by_group, "table").count("──\n") == 2
    assert [line.split(",")[-15] for line in render(by_group, "csv").splitlines()[1:]] == list("aaaaaabbbbbb")
    assert [row["group"] for row in json.loads(render(by_group, "json"))["rows"]] == list("aabb")


@pytest.mark.parametrize("format", ["table", "latex", "markdown", "json"])
def test_a_suites_own_notes_are_printed_below_in_one_line_each_and_escaped(suite_plan, format):
    note = "Rows_1 & 2 are\nfrom <b>elsewhere</b>."
    shown = {"latex": r"Rows\_1 \& 2 are from \textless{}b", "markdown": r"- Rows\_1 &amp; 2 are from &lt;b&gt;"}
    text = render(build_table(suite_plan(notes=[note]), []), format)
    assert shown.get(format, "Rows_1 & 2 are from <b>elsewhere</b>.") in text


def test_the_caption_says_on_which_data(plan, full):
    assert "Data: canonical." in build_table(plan, full).caption
    other = [run._replace(data_canonical=False) if i < 3 else run for i, run in enumerate(full)]
    assert "Data: CIFAR-10 (modified and canonical), Digits (scikit-learn) (canonical)." in (
        build_table(plan, other).caption
    )
    assert "Data:" not in build_table(plan, []).caption


def test_a_note_on_data_does_not_announce_what_the_heading_says(plan):
    told = "cifar10: not the canonical archive (a, b differ). Results will be marked 'cifar10 (modified)'."
    table = build_table(plan, cell_results(plan, 0, 0, [90.0] * 3, data_canonical=False, data_note=told))
    assert "CIFAR-10, modified data (content ffffffffffff): cifar10: not the canonical archive (a, b differ)." in (
        table.notes
    )


def test_where_everything_diverged_the_caption_does_not_say_that_nothing_ran(plan):
    caption = build_table(plan, cell_results(plan, 0, 0, [None] * 3, status="diverged")).caption
    assert "No mean, for in every cell with results a run diverged; planned: 3 seeds (1, 2, 3)." in caption
    unrecorded = build_table(plan, cell_results(plan, 0, 0, [90.0] * 3), stats=["valid"]).caption
    assert "The finished runs have no such numbers" in unrecorded
    assert "No results yet" not in caption + unrecorded


def test_an_auc_never_stands_beside_an_accuracy(suite_plan):
    table = build_table(suite_plan(), [], stats=["auc"], compare=True)
    assert all(c.published is None for c in table.cells)


def test_an_unknown_published_table_is_an_error(suite_plan):
    with pytest.raises(UnknownName, match="sanm-table1"):
        build_table(suite_plan(published="sanm-tabel1"), [], compare=True)


@pytest.mark.parametrize(
    ("value", "stat", "text"), [(-0.04, "best", "0.0"), (99.96, "best", "100.0"), (0.12345, "auc", "0.123")]
)
def test_numbers_are_printed_to_their_precision_without_a_negative_zero(value, stat, text):
    assert number(value, stat) == text


@pytest.mark.parametrize(("value", "text"), [(0.44, "+0.4"), (-2.86, "−2.9"), (0.01, "0.0"), (-0.04, "0.0")])
def test_differences_have_a_sign(value, text):
    assert signed(value, "best") == text


# One plan for all examples: hypothesis does not renew fixtures between them.
def _plan():
    with TemporaryDirectory() as folder:
        path = Path(folder) / "made_up.yaml"
        path.write_text(yaml.safe_dump({**SUITE, "stats": ["best", "auc"]}))
        return load_suite(path).plan("paper")


PLAN = _plan()
OUTCOMES = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(["done", "diverged"]),
        st.one_of(st.none(), st.floats(0, 100)),
        st.sampled_from([True, False, None]),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(OUTCOMES, min_size=len(PLAN.jobs), max_size=len(PLAN.jobs)), st.booleans(), st.sampled_from([0, 1]))
def test_whatever_has_finished_every_cell_stands_exactly_once_and_every_number_in_its_place(outcomes, compare, ddof):
    runs = [
        result(job, outcome[1], status=outcome[0], data_canonical=outcome[2])
        for job, outcome in zip(PLAN.jobs, outcomes, strict=True)
        if outcome
    ]
    table = build_table(PLAN, runs, compare=compare, ddof=ddof)
    placed = Counter(
        (row.label, line.stat, j) for row in table.rows for line in row.lines for j in range(len(line.cells))
    )
    wanted = Counter((row.label, stat, j) for row in PLAN.rows for stat in PLAN.stats for j in range(len(PLAN.columns)))
    assert placed == wanted
    assert sum(group.span for group in table.groups) == len(table.columns)

    by_key = {run.key: run for run in runs}
    for i, row in enumerate(table.rows):
        for j, got in enumerate(row.lines[0].cells):
            jobs = PLAN.grid[i][j].jobs
            good = {
                job.seed: by_key[job.key].best
                for job in jobs
                if job.key in by_key and by_key[job.key].status == "done" and by_key[job.key].best is not None
            }
            bad = [job.seed for job in jobs if job.key in by_key and by_key[job.key].status == "diverged"]
            assert got.values == good
            assert list(got.diverged) == bad
            assert (got.mean is None) == (not good or bool(bad))
    for j in range(len(table.columns)):
        measured = [row.lines[0].cells[j] for row in table.rows if row.lines[0].cells[j].mean is not None]
        if measured:
            top = max(float(number(c.mean, "best")) for c in measured)
            assert [c.best for c in measured] == [float(number(c.mean, "best")) == top for c in measured]

    for format in FORMATS:
        assert render(table, format).endswith("\n")
    listed = [c for row in json.loads(render(table, "json"))["rows"] for c in row["cells"]]
    assert len(listed) == len(table.cells)
    assert Counter(run["key"] for c in listed for run in c["runs"]) == Counter(
        {job.key: len(PLAN.stats) for job in PLAN.jobs}
    )


def test_the_order_of_the_results_does_not_matter(plan, full):
    assert build_table(plan, full) == build_table(plan, reversed(full))


def test_a_table_is_immutable(plan):
    with pytest.raises(dataclasses.FrozenInstanceError):
        build_table(plan, []).title = "other"
