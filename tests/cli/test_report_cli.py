"""`lnlbench report` with statistics between rows, ranks, seeds, and several suites at once."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from lnlbench.cli.selection import Chosen, seed_numbers
from lnlbench.errors import InvalidSetting
from lnlbench.store import ResultRow, RunProvenance, open_store
from lnlbench.suite import load_suite
from lnlbench.suite.suite import SUITES

SEEDS = ["--seeds", "1-4"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """quickstart with four seeds, a point between its rows; a suite of desk jobs that nobody has run beside it."""
    path = tmp_path_factory.mktemp("report") / "measured.sqlite"
    jobs = load_suite("quickstart").plan(None, seeds=4, methods=["ce", "gce", "coteaching"]).jobs
    place = {"ce": 80.0, "gce": 90.0, "coteaching": 79.9}
    with open_store(path) as store:
        store.add_jobs([*jobs, *load_suite("sanm-table1").plan("desk").jobs])
        for _ in jobs:
            claim = store.claim([job.key for job in jobs], "w", 60, retry_limit=1)
            store.start_run(claim.run_uid, RunProvenance(data_canonical=True, data_fingerprint="f"))
            best = place[claim.job.method] + claim.job.seed / 4
            store.finish(claim.run_uid, "done", ResultRow(best, 3, best - 1, best - 1, 5, best_auc=0.9, last_auc=0.8))
    return path


@pytest.fixture
def report(lnlbench, measured, monkeypatch):
    monkeypatch.setenv("LNLBENCH_DB", str(measured))

    def run(*words):
        return lnlbench("report", *words)

    return run


def test_rows_are_tested_against_one_and_the_note_says_how(report):
    out = report("--suite", "quickstart", *SEEDS, "--stat", "best", "--against", "ce").out
    rows = {line.split()[0]: line for line in out.splitlines() if line[:1].isalpha()}
    assert rows["GCE"].endswith("↑")
    assert not rows["Co-teaching"].endswith(("↑", "↓"))
    assert "better, worse than Cross-Entropy (Welch's t-test over seeds, Holm-corrected over the 2 tests" in out


def test_a_paired_test_sees_a_small_constant_difference_and_alpha_can_be_chosen(report):
    words = ("--suite", "quickstart", *SEEDS, "--stat", "auc", "--stat", "best", "--against", "Cross-Entropy")
    lines = list(csv.DictReader(io.StringIO(report(*words, "--format", "csv", "--test", "paired").out)))
    assert {line["untested"] for line in lines if line["stat"] == "auc" and line["method"] == "gce"} == {
        "no spread over seeds"
    }
    tested = report(*words, "--alpha", "0.01", "--format", "csv").out
    found = next(x for x in csv.DictReader(io.StringIO(tested)) if (x["method"], x["stat"]) == ("gce", "best"))
    assert float(found["p"]) <= float(found["p_holm"]) < 0.01
    assert (found["verdict"], found["n"], found["n_against"], float(found["effect"])) == ("better", "4", "4", 10)


def test_ranks_stand_in_a_column_of_their_own(report):
    out = report("--suite", "quickstart", *SEEDS, "--stat", "best", "--ranks", "--format", "markdown").out
    assert "| Rank |" in out
    assert "| GCE | **90.6 ± 0.3** | **1.00** |" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--against", "gcee"], "'gce'"),
        (["--against", "ce", "--test", "t"], "welch"),
        (["--against", "ce", "--alpha", "5"], "alpha"),
        (["--test", "paired"], "--against ROW"),
        (["--alpha", "0.01"], "--against ROW"),
        (["--stat", "bets"], "Did you mean 'best'"),
        (["--recipe", "rfl-cifar"], "jobs without a suite"),
        (["--seeds", "1-"], "1-5"),
        (["--seed", "one"], "1-5"),
    ],
)
def test_what_cannot_be_is_one_message(report, words, told):
    ended = report("--suite", "quickstart", *words)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


def test_a_table_without_the_row_says_so_where_there_are_several(report, tmp_path, monkeypatch):
    suites = tmp_path / "suites"
    suites.mkdir()
    source = SUITES / "quickstart.yaml"
    (suites / "without.yaml").write_text(source.read_text().replace("  - {label: GCE, method: gce}\n", ""))
    monkeypatch.setenv("LNLBENCH_SUITES", str(suites))
    out = report(*SEEDS, "--against", "gce").out
    assert out.count("Nothing is tested: the table has no row 'gce'.") == 1
    assert out.count("better, worse than GCE") == 1
    assert "'gcee'" in report(*SEEDS, "--against", "gcee").err


def test_a_broken_suite_file_is_named_and_hides_no_other(report, tmp_path, monkeypatch):
    (tmp_path / "broken.yaml").write_text("title: [")
    monkeypatch.setenv("LNLBENCH_SUITES", str(tmp_path))
    ended = report(*SEEDS)
    assert (ended.code, "broken.yaml" in ended.err) == (0, True)
    assert "Cross-Entropy" in ended.out


def test_only_suites_that_can_have_results_are_planned(report, monkeypatch):
    planned = []
    plan_of = Chosen.plan_of
    monkeypatch.setattr(
        Chosen,
        "plan_of",
        lambda self, suite, scale, also=(): planned.append((suite.name, scale)) or plan_of(self, suite, scale, also),
    )
    assert "Cross-Entropy" in report(*SEEDS).out
    assert ("quickstart", "smoke") in planned
    assert {scale for _, scale in planned} <= {"smoke", "desk"}


def test_seeds_are_named_one_by_one_in_lists_and_in_ranges(report):
    out = report("--suite", "quickstart", "--seed", "1", "--seeds", "3-4", "--stat", "best").out
    assert "n = 3 seeds (1, 3, 4)" in out
    assert "n = 2 seeds (2, 4)" in report("--suite", "quickstart", "--seeds", "2,4", "--stat", "best").out


@pytest.mark.parametrize(
    ("texts", "seeds"), [(["3"], [3]), (["1-3"], [1, 2, 3]), (["4, 1"], [4, 1]), (["0", "2 - 3,9"], [0, 2, 3, 9])]
)
def test_what_seeds_a_text_names(texts, seeds):
    assert seed_numbers(texts) == seeds


@pytest.mark.parametrize("text", ["", "1,,2", "3-1", "-1", "1-99999999999", "1.5", "a", "²"])
def test_texts_that_name_no_seeds(text):
    with pytest.raises(InvalidSetting, match="names no seeds"):
        seed_numbers([text])
