"""Export, import and merge: nothing lost, nothing doubled, nothing overwritten, nothing altered let in."""

import gzip
import json

import pytest

from lnlbench.errors import StoreError
from lnlbench.store import ExchangeReport, RunProvenance, open_store


@pytest.fixture
def full(store, jobs, do):
    """Four jobs: done twice over, diverged, failed once and queued, and one running."""
    made = jobs(4)
    store.add_jobs(made)
    do(store, keys=[made[0].key])
    store.requeue(states=["done"])
    claim = store.claim([made[0].key], "w", 60, retry_limit=3)
    store.start_run(claim.run_uid, RunProvenance(versions={"torch": "2.6"}, data_canonical=True, git_dirty=False))
    store.finish(claim.run_uid, "interrupted")
    do(store, keys=[made[0].key])
    do(store, "diverged", keys=[made[1].key])
    do(store, "failed", keys=[made[2].key])
    store.claim([made[3].key], "w", 60, retry_limit=3)
    return store


def content(store):
    """Everything that travels."""
    return {
        view.key: (view.canonical, view.created_at, [(run, store.epochs(run.uid)) for run in store.runs(view.key)])
        for view in store.jobs()
        if view.state != "running"
    }


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
def test_an_export_taken_in_elsewhere_holds_the_same(full, other, tmp_path, name):
    assert full.export(tmp_path / name) == 4
    assert other.import_(tmp_path / name) == ExchangeReport(jobs_added=4, runs_added=5)
    mine, theirs = content(full), content(other)
    assert {key: theirs[key] for key in mine} == mine
    assert other.results() == full.results()
    assert other.counts() == {"queued": 2, "running": 0, "done": 1, "diverged": 1, "failed": 0, "stopped": 0}


def test_the_same_content_exports_to_the_same_bytes(full, other, tmp_path):
    full.export(tmp_path / "a.jsonl.gz")
    full.export(tmp_path / "b.jsonl.gz")
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).startswith(b'{"lnlbench_export"')


def test_an_export_can_be_filtered(full, other, tmp_path):
    done = full.jobs(state="done")[0].key
    assert full.export(tmp_path / "a.jsonl", state="done") == 1
    assert full.export(tmp_path / "b.jsonl", [done, *(view.key for view in full.jobs(state="queued"))]) == 2
    other.import_(tmp_path / "a.jsonl")
    assert [row.key for row in other.results()] == [done]
    assert full.export(tmp_path / "none.jsonl", method="nothing") == 0
    assert other.import_(tmp_path / "none.jsonl") == ExchangeReport()


def test_taking_in_twice_adds_nothing(full, other, tmp_path):
    full.export(tmp_path / "a.jsonl")
    other.import_(tmp_path / "a.jsonl")
    before = content(other)
    assert other.import_(tmp_path / "a.jsonl") == ExchangeReport(jobs_skipped=4, runs_skipped=5)
    assert other.merge(full.url) == ExchangeReport(jobs_skipped=4, runs_skipped=5)
    assert content(other) == before


def test_taking_ones_own_export_in_changes_nothing(full, tmp_path):
    full.export(tmp_path / "a.jsonl")
    before = (content(full), full.counts())
    full.import_(tmp_path / "a.jsonl")
    assert (content(full), full.counts()) == before


def test_a_merge_joins_runs_made_on_two_machines(full, other, jobs, do):
    other.add_jobs(jobs(2))
    mine = do(other)
    assert other.merge(full.url) == ExchangeReport(2, 2, 5, 0)
    assert {run.uid for run in other.runs(jobs(1)[0].key)} == {mine} | {run.uid for run in full.runs(jobs(1)[0].key)}
    assert other.counts()["done"] == 1
    assert other.counts()["diverged"] == 1
    assert full.counts()["running"] == 1


def test_a_job_finished_elsewhere_is_not_done_again_here(full, other, jobs):
    other.add_jobs(jobs(3))
    running = other.claim([jobs(2)[1].key], "w", 60, retry_limit=3)
    other.merge(full.url)
    assert other.counts()["done"] == 1
    assert other.counts()["running"] == 1
    assert other.renew(running.run_uid, "w", 60)


def test_a_job_queued_again_here_stays_queued_when_nothing_new_comes(full, other):
    other.merge(full.url)
    other.requeue(states=["done"])
    other.merge(full.url)
    assert other.counts()["done"] == 0


def test_a_merge_with_nothing_there_is_refused(store, tmp_path):
    with pytest.raises(StoreError, match="no database at"):
        store.merge(tmp_path / "typo.sqlite")
    assert not (tmp_path / "typo.sqlite").exists()


def test_sqlite_and_another_kind_of_database_exchange(full, tmp_path):
    with open_store(tmp_path / "other.sqlite") as lite:
        lite.merge(full.url)
        assert lite.results() == full.results()


def edited(path, change):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return path


def done(lines):
    return next(line for line in lines[1:] if line["state"] == "done")


def other_seed(lines):
    lines[1]["canonical"] = lines[1]["canonical"].replace('"seed":', '"seed":1')


ALTERED = {
    "job": (other_seed, "the data was altered"),
    "key": (lambda lines: lines[1].update(key="0" * 64), "the data was altered"),
    "cut short": (lambda lines: lines.pop(), "1 jobs too few"),
    "lengthened": (lambda lines: lines[0]["lnlbench_export"].update(jobs=3), "1 jobs too many"),
    "doubled": (lambda lines: lines.append(lines[1]), "twice"),
    "text for a number": (lambda lines: done(lines)["runs"][0]["result"].update(best="99"), "'best' is '99'"),
    "unknown column": (lambda lines: done(lines)["runs"][0].update(mood="good"), "unknown column 'mood'"),
    "missing column": (lambda lines: done(lines)["runs"][0].pop("uid"), "'uid' is missing"),
    "ragged epochs": (lambda lines: done(lines)["runs"][0]["epochs"]["epoch"].pop(), "line"),
    "not ended": (lambda lines: done(lines)["runs"][0].update(status="running"), "has not ended"),
    "time without zone": (lambda lines: done(lines).update(created_at="2026-01-01"), "time zone"),
    "newer": (lambda lines: lines[0]["lnlbench_export"].update(schema="9999"), "newer than this one"),
    "no export": (lambda lines: lines.pop(0), "not an export"),
}


@pytest.mark.parametrize("change", ALTERED)
def test_an_altered_export_is_refused_whole(full, other, tmp_path, change):
    full.export(tmp_path / "a.jsonl")
    alter, message = ALTERED[change]
    with pytest.raises(StoreError, match=message):
        other.import_(edited(tmp_path / "a.jsonl", alter))
    assert other.jobs() == []


@pytest.mark.parametrize("keep", [10, 200, -8])
def test_a_cut_off_gzip_file_is_refused_whole(full, other, tmp_path, keep):
    full.export(tmp_path / "a.jsonl.gz")
    (tmp_path / "a.jsonl.gz").write_bytes((tmp_path / "a.jsonl.gz").read_bytes()[:keep])
    with pytest.raises(StoreError):
        other.import_(tmp_path / "a.jsonl.gz")
    assert other.jobs() == []


@pytest.mark.parametrize("text", ["", "hello", "[]", '{"a": 1}', "\x00\xff"])
def test_what_is_no_export_is_refused(store, tmp_path, text):
    (tmp_path / "a.jsonl").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match="lnlbench db export"):
        store.import_(tmp_path / "a.jsonl")


def test_a_missing_file_is_said(store, tmp_path):
    with pytest.raises(StoreError, match="No such file"):
        store.import_(tmp_path / "typo.jsonl")


def test_an_export_that_cannot_be_written_leaves_the_old_file(full, tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        full.export(tmp_path / "nowhere" / "a.jsonl")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        full.export(tmp_path / "file" / "a.jsonl")
    (tmp_path / "a.jsonl").write_text("old")
    with pytest.raises(Exception, match="filter"):
        full.export(tmp_path / "a.jsonl", methd="x")
    assert [file.name for file in tmp_path.glob("a.jsonl*")] == ["a.jsonl"]
    assert (tmp_path / "a.jsonl").read_text() == "old"
