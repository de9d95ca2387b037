"""What the check says of runs: dropped, diverged, better, missing, not to be compared, and since when."""

from __future__ import annotations

import dataclasses

import pytest
from recorded_runs import baseline_of, plan_of, record, steady, suite_file

from lnlbench.errors import LnlbenchError
from lnlbench.regression import check
from lnlbench.regression.findings import CellCheck
from lnlbench.regression.pairing import differences
from lnlbench.store import open_store


def of_method(method: str, change: float):
    """Numbers as ever, but for one method."""

    def numbers(job):
        found = steady(job)
        return (
            {k: v + change * (0.01 if "auc" in k else 1) for k, v in found.items()} if job.method == method else found
        )

    return numbers


def jittered(job):
    """Fresh draws of the same distribution."""
    return {name: value + ((job.seed * 31 + len(job.method)) % 5 - 2) / 4 for name, value in steady(job).items()}


def cell(found, row, column="digits symmetric 40%") -> CellCheck:
    return next(c for c in found.cells if (c.row, c.column) == (row, column))


def test_runs_as_ever_pass(checked, db, watched):
    record(db, watched.jobs, jittered)
    found = checked()
    assert found.exit_code == 0
    assert len(found.moves) == 8
    assert {c.state for c in found.cells} == {"compared"}
    assert not found.with_verdict("regression")


def test_equal_numbers_are_told(checked, db, watched):
    record(db, watched.jobs)
    found = checked()
    assert all(c.same_numbers for c in found.cells)
    assert {move.change for _, move in found.moves} == {0.0}
    record(db, watched.jobs, of_method("gce", 0.01))
    assert [c.same_numbers for c in checked().cells] == [True, True, False, False]


def test_a_dropped_method_is_a_regression_in_its_cells_only(checked, db, watched):
    record(db, watched.jobs, of_method("gce", -8.0))
    found = checked()
    assert found.exit_code == 1
    assert {c.row for c, _ in found.with_verdict("regression")} == {"GCE"}
    assert len(found.with_verdict("regression")) == 4
    move = cell(found, "GCE").moves[0]
    assert move.change == pytest.approx(-8.0)
    assert (move.was.n, move.now.n) == (5, 5)
    assert move.p < 0.01 < move.p_rise


def test_an_improvement_is_told_and_passes(checked, db, watched):
    record(db, watched.jobs, of_method("gce", 8.0))
    found = checked()
    assert found.exit_code == 0
    assert {c.row for c, _ in found.with_verdict("improvement")} == {"GCE"}


def test_one_new_seed_is_enough_to_see_a_large_drop(checked, db, watched):
    record(db, [job for job in watched.jobs if job.seed == 3], of_method("ce", -30.0))
    found = checked()
    assert found.exit_code == 1
    assert {c.state for c in found.cells} == {"partly measured"}
    assert cell(found, "GCE").reason == "seeds 1, 2, 4, 5 not run since the baseline was written."


def test_the_newest_finished_run_counts(checked, db, watched):
    record(db, watched.jobs, of_method("gce", -8.0))
    record(db, watched.jobs, jittered)
    assert checked().exit_code == 0


def test_the_baselines_own_runs_are_no_measurement(checked):
    found = checked()
    assert found.exit_code == 2
    assert {c.state for c in found.cells} == {"not measured"}
    assert not found.moves


def test_cells_that_were_not_run_are_named(checked, db, watched, tmp_path, baseline):
    fresh = tmp_path / "fresh.sqlite"
    record(fresh, [job for job in watched.jobs if job.method == "ce"], jittered)
    with open_store(fresh) as store:
        found = check(watched, baseline, store)
    assert found.exit_code == 2
    assert [c.state for c in found.cells] == ["compared", "compared", "not measured", "not measured"]
    assert cell(found, "GCE").reason == "seeds 1, 2, 3, 4, 5 not run."


def test_a_failed_newest_run_does_not_let_an_older_result_stand_in(checked, db, watched):
    record(db, watched.jobs, jittered)
    record(db, [job for job in watched.jobs if job.method == "gce"], lambda job: "failed")
    found = checked()
    assert found.exit_code == 2
    assert cell(found, "GCE").state == "not measured"
    assert "out of <memory>" in cell(found, "GCE").reason


def test_a_run_that_diverges_now_is_a_regression(checked, db, watched):
    record(db, watched.jobs, lambda job: "diverged" if job.method == "gce" and job.seed == 2 else jittered(job))
    found = checked()
    assert found.exit_code == 1
    assert (cell(found, "GCE").diverged, cell(found, "GCE").moves) == ((2,), ())
    assert cell(found, "Cross-Entropy").moves


def test_what_diverged_in_the_baseline_may_diverge_again_but_not_wholly(tmp_path, watched):
    db = tmp_path / "diverging.sqlite"
    record(db, watched.jobs, lambda job: "diverged" if job.method == "gce" and job.seed == 2 else steady(job))
    baseline = baseline_of(watched, db)
    for bad, code in (((1,), 0), ((), 0), ((1, 2, 3, 4, 5), 1)):
        record(
            db,
            watched.jobs,
            lambda job, bad=bad: "diverged" if job.method == "gce" and job.seed in bad else jittered(job),
        )
        with open_store(db) as store:
            assert check(watched, baseline, store).exit_code == code, bad


def test_another_recipe_is_not_compared_and_says_what_differs(checked, db, watched, tmp_path):
    rows = [{"label": "Cross-Entropy", "method": "ce", "recipe": {"epochs": 30}}, {"label": "GCE", "method": "gce"}]
    changed = plan_of(suite_file(tmp_path, rows=rows))
    record(db, changed.jobs, jittered)
    found = checked(changed)
    assert found.exit_code == 3
    assert cell(found, "Cross-Entropy").reason == "another job than the baseline's: recipe.epochs 20 -> 30."
    assert cell(found, "GCE").state == "compared"


def test_a_new_version_of_a_method_asks_for_a_new_baseline(checked, db, watched, baseline):
    old = dataclasses.replace(
        baseline, cells=tuple(dataclasses.replace(c, job={**c.job, "method_version": 0}) for c in baseline.cells)
    )
    record(db, watched.jobs, jittered)
    found = checked(known=old)
    assert found.exit_code == 3
    assert "method_version 0 -> 1" in found.cells[0].reason


def test_a_regression_is_not_hidden_by_a_cell_that_cannot_be_compared(checked, db, tmp_path):
    rows = [{"label": "Cross-Entropy", "method": "ce", "recipe": {"epochs": 30}}, {"label": "GCE", "method": "gce"}]
    changed = plan_of(suite_file(tmp_path, rows=rows))
    record(db, changed.jobs, of_method("gce", -8.0))
    assert checked(changed).exit_code == 1


def test_rows_that_came_or_went_are_not_compared(checked, db, watched, tmp_path):
    rows = [{"label": "GCE", "method": "gce"}, {"label": "Co-teaching", "method": "coteaching"}]
    changed = plan_of(suite_file(tmp_path, rows=rows))
    record(db, changed.jobs, jittered)
    found = checked(changed)
    assert found.exit_code == 3
    reasons = {c.row: c.reason for c in found.in_state("not comparable")}
    assert reasons == {
        "Co-teaching": "the baseline has no such cell.",
        "Cross-Entropy": "the suite has no such cell now, or lnlbench no such method.",
    }


def test_other_data_is_not_compared(checked, db, watched):
    record(db, watched.jobs, jittered, data_fingerprint="e" * 64)
    found = checked()
    assert found.exit_code == 3
    assert found.cells[0].reason == "measured on other data: content eeeeeeeeeeee, the baseline's dddddddddddd."


def test_other_seeds_are_compared_with_the_same_cells(checked, db, tmp_path):
    other = plan_of(suite_file(tmp_path), seeds=[11, 12, 13])
    record(db, other.jobs, of_method("gce", -8.0))
    found = checked(other)
    assert found.exit_code == 1
    assert (found.moves[0][1].was.n, found.moves[0][1].now.n) == (5, 3)


def test_cells_of_the_same_names_are_told_apart(db, tmp_path):
    columns = [
        {"dataset": "digits", "noise": {"name": "asymmetric", "map": [[1, 2]]}, "rates": [0.4]},
        {"dataset": "digits", "noise": {"name": "asymmetric", "map": [[3, 4]]}, "rates": [0.4]},
    ]
    plan = plan_of(suite_file(tmp_path, columns=columns))
    record(db, plan.jobs)
    places = [c.column for c in baseline_of(plan, db).cells]
    assert places == ["digits asymmetric 40%", "digits asymmetric 40% #2"] * 2


def test_the_history_says_which_commit_brought_the_drop(checked, db, watched):
    record(db, watched.jobs, jittered, git_commit="b" * 40)
    record(db, watched.jobs, of_method("gce", -8.0), git_commit="c" * 40)
    record(db, watched.jobs, of_method("gce", -8.5), git_commit="d" * 40)
    found = cell(checked(), "GCE").moves[0].since
    assert found is not None
    assert (found.good, found.bad, found.measured) == ("b" * 10, "c" * 10, 2)


def test_without_a_history_the_drop_is_since_the_baseline(checked, db, watched):
    record(db, watched.jobs, of_method("gce", -8.0), git_commit=None, lnlbench_version="0.2.0")
    found = cell(checked(), "GCE").moves[0].since
    assert found is not None
    assert (found.good, found.bad, found.measured) == ("a" * 10, "lnlbench 0.2.0", 0)


def test_statistics_can_be_chosen_and_those_that_a_cell_lacks_are_left_out(checked, db, watched):
    record(db, watched.jobs, jittered)
    assert {move.stat for _, move in checked(stats=["auc", "valid"]).moves} == {"auc"}


def test_small_drops_can_be_let_pass(checked, db, watched):
    record(db, watched.jobs, of_method("gce", -8.0))
    assert checked(min_drop=9).exit_code == 0
    assert checked(min_drop=7).exit_code == 1
    assert checked(min_drop=9).moves[0][1].detectable > 9


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"alpha": 0.0}, "above 0"),
        ({"alpha": 1.5}, "at most 0.5"),
        ({"alpha": float("nan")}, "alpha"),
        ({"stats": ["bset"]}, "'best'"),
        ({"stats": ["best", "best"]}, "once"),
        ({"min_drop": -1.0}, "0 to 100"),
    ],
)
def test_bad_options_are_told(checked, options, told):
    with pytest.raises(LnlbenchError, match=told):
        checked(**options)


def test_a_baseline_of_another_suite_or_scale_is_refused(checked, baseline):
    for changes in ({"suite": "other"}, {"scale": "paper"}):
        with pytest.raises(LnlbenchError, match="the baseline is of the"):
            checked(known=dataclasses.replace(baseline, **changes))


def test_differences_are_told_by_dotted_names():
    was = {"recipe": {"epochs": 1, "gone": None}, "hyperparameters": {}, "same": [1]}
    now = {"recipe": {"epochs": 2}, "hyperparameters": {"q": 0.7, "on": True}, "same": [1]}
    assert list(differences(was, now)) == [
        "recipe.epochs 1 -> 2",
        "recipe.gone null -> (none)",
        "hyperparameters.q (none) -> 0.7",
        "hyperparameters.on (none) -> true",
    ]
