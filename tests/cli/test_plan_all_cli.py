"""`lnlbench plan` without a suite, and lists of suites, where a user's folder holds a broken file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnlbench.store import ResultRow, open_store
from lnlbench.suite import load_suite, suite_names


@pytest.fixture
def one_done(tmp_path: Path) -> Path:
    """A database in which the first job of sanm-table1 at desk scale is done."""
    path = tmp_path / "one.sqlite"
    job = load_suite("sanm-table1").plan("desk").jobs[0]
    with open_store(path) as store:
        store.add_jobs([job])
        claim = store.claim([job.key], "w", 60, retry_limit=1)
        assert claim is not None
        store.finish(claim.run_uid, "done", ResultRow(96.0, 6, 96.0, 93.0, 7))
    return path


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lnlbench) -> Path:
    """A folder of suites with a good file and two that are broken in different ways."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "zz-good.yaml").write_text("like: zz-base\ntitle: Good\n")
    (folder / "zz-base.yaml").write_text(
        "title: Base\nrecipe: quickstart\ncolumns: [{dataset: digits, noise: clean}]\n"
        "rows: [{label: CE, method: ce}]\nseeds: 1\n"
    )
    (folder / "zz-broken.yaml").write_text("title: [half\n")
    (folder / "zz-wrong.yaml").write_text("like: zz-base\nrows: [{label: CE, method: ce, set: {no_such: 1}}]\n")
    monkeypatch.setenv("LNLBENCH_SUITES", str(folder))
    return folder


def test_a_line_a_suite_says_its_size_what_is_new_and_what_is_done(lnlbench, one_done):
    ended = lnlbench("plan", "--scale", "desk", "--db", one_done, "--json").json
    rows = {row["suite"]: row for row in ended["suites"]}
    plan = load_suite("sanm-table1").plan("desk")
    row = rows["sanm-table1"]
    assert (row["scale"], row["rows"], row["columns"], row["seeds"]) == ("desk", 14, 4, 2)
    assert (row["there"], row["jobs"], row["done"]) == (14 - len(plan.missing_rows), len(plan.work), 1)
    assert (rows["rmw-table3"]["new"], rows["sanm-supp-table5"]["new"], rows["sanm-table6"]["new"]) == (0, 0, 0)
    assert sum(row["new"] for row in rows.values()) == ended["distinct_jobs"]
    assert ended["done"] == 1
    assert {"quickstart", "nightly"} <= set(ended["absent"])


def test_without_a_scale_every_suite_is_planned_at_its_first(lnlbench):
    ended = lnlbench("plan", "--json").json
    scales = {row["suite"]: row["scale"] for row in ended["suites"]}
    assert list(scales) == suite_names()
    assert (scales["quickstart"], scales["sanm-table1"]) == ("smoke", "paper")
    assert ended["absent"] == []


def test_the_plan_of_all_suites_is_a_table_with_a_total(lnlbench):
    out = lnlbench("plan", "--scale", "desk").out
    assert out.splitlines()[0].split() == ["SUITE", "SCALE", "ROWS", "THERE", "COLUMNS", "SEEDS", "JOBS", "NEW", "DONE"]
    assert "distinct jobs, 0 done" in out
    assert "Without desk scale: nightly, quickstart." in out


def test_a_scale_that_there_is_not_is_refused(lnlbench):
    ended = lnlbench("plan", "--scale", "dsk")
    assert ended.code != 0
    assert "desk" in ended.err


def test_a_broken_suite_file_hides_no_other_in_the_list(lnlbench, mine):
    ended = lnlbench("list", "suites")
    assert ended.code == 0
    names = {line.split()[0] for line in ended.out.splitlines() if line}
    assert {"zz-good", "zz-base", "quickstart"} <= names
    assert "zz-broken" not in names
    assert f"caution: {mine / 'zz-broken.yaml'}, line 1: not valid YAML" in ended.err


def test_a_suite_that_cannot_be_read_or_planned_hides_no_other_in_the_plan(lnlbench, mine):
    ended = lnlbench("plan", "--json")
    assert ended.code == 0
    assert {"zz-good", "zz-base", "quickstart"} <= {row["suite"] for row in ended.json["suites"]}
    assert "zz-broken.yaml, line 1" in ended.err
    assert "zz-wrong, row 'CE': unknown hyperparameter of ce 'no_such'" in ended.err


def test_a_shown_suite_says_which_rows_and_columns_are_trained_otherwise(lnlbench):
    mixed = lnlbench("show", "suite", "rmw-table1", "--scale", "paper").out
    assert "flip2 at 0%, 20%, 40%; backbone resnet32" in mixed
    assert "MW-Net*, MNW-Net, RMNW-Net" in next(line for line in mixed.splitlines() if line.startswith("by rmw-meta"))
    common = lnlbench("show", "suite", "rmw-table1-common", "--scale", "paper").out
    assert "schedule.milestones [41, 51]" in next(
        line for line in common.splitlines() if line.startswith("with resnet32")
    )
    assert "by rmw-meta" not in common
    assert "also where a method's paper insists" in common
