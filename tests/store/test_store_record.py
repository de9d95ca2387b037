"""What workers write: provenance, epochs, endings, and that only the lease's holder can."""

import math
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from lnlbench.errors import StoreError
from lnlbench.store import EpochRow, LeaseLost, RunProvenance, open_store


@pytest.fixture
def claim(store, jobs):
    store.add_jobs(jobs(1))
    return store.claim(None, "w1", 60, retry_limit=2)


def test_provenance_is_filled_in_step_by_step(store, claim):
    store.start_run(claim.run_uid, RunProvenance(host="h", device="cuda:0", versions={"torch": "2.6"}, threads=4))
    store.start_run(claim.run_uid, RunProvenance(data_canonical=False, noise_realised=0.49, git_dirty=True))
    (run,) = store.runs(claim.job_key)
    assert (run.host, run.device, run.versions, run.threads) == ("h", "cuda:0", {"torch": "2.6"}, 4)
    assert (run.data_canonical, run.noise_realised, run.git_dirty, run.git_commit) == (False, 0.49, True, None)


def test_epochs_come_back_as_they_were_written(store, claim):
    row = EpochRow(
        epoch=7, stage="warmup", test_accuracy=12.5, clean_auc=0.75, lr=0.02, counts=False, extra={"kept": [1, 2]}
    )
    assert store.record_epochs(claim.run_uid, [row, EpochRow(0)]) == 2
    assert store.epochs(claim.run_uid) == [EpochRow(0), row]


def test_an_epoch_that_is_there_is_never_changed(store, claim):
    store.record_epochs(claim.run_uid, [EpochRow(0, loss=1.0)])
    assert store.record_epochs(claim.run_uid, [EpochRow(0, loss=2.0), EpochRow(1, loss=3.0)]) == 1
    assert [row.loss for row in store.epochs(claim.run_uid)] == [1.0, 3.0]


def test_numbers_that_are_not_finite_are_stored_as_missing(store, claim):
    store.record_epochs(claim.run_uid, [EpochRow(0, loss=math.nan, lr=math.inf, extra={"gap": [math.nan, 1.0]})])
    (row,) = store.epochs(claim.run_uid)
    assert (row.loss, row.lr, row.extra) == (None, None, {"gap": [None, 1.0]})


def test_a_resumed_run_takes_over_the_epochs_of_the_one_before(store, claim, result):
    store.record_epochs(claim.run_uid, [EpochRow(e, loss=float(e)) for e in range(3)])
    store.finish(claim.run_uid, "interrupted")
    again = store.claim(None, "w2", 60, retry_limit=2)
    assert again.resumed_from == claim.run_uid
    store.start_run(again.run_uid, RunProvenance(resumed_from=again.resumed_from, start_epoch=3))
    store.record_epochs(again.run_uid, store.epochs(again.resumed_from))
    store.record_epochs(again.run_uid, [EpochRow(3, loss=3.0)])
    assert store.finish(again.run_uid, "done", result) == "done"
    assert [row.loss for row in store.epochs(again.run_uid)] == [0.0, 1.0, 2.0, 3.0]
    assert store.runs(claim.job_key)[1].resumed_from == claim.run_uid


@pytest.mark.parametrize("status", ["done", "diverged"])
def test_a_finished_run_finishes_its_job(store, claim, result, status):
    assert store.finish(claim.run_uid, status, result) == status
    (run,) = store.runs(claim.job_key)
    assert run.status == status
    assert run.seconds == 1.5
    assert run.started_at <= run.ended_at <= datetime.now(UTC)
    (job,) = store.jobs()
    assert (job.state, job.lease_owner, job.lease_until) == (status, None, None)


def test_a_run_may_diverge_without_numbers(store, claim):
    store.finish(claim.run_uid, "diverged", error="the loss is not finite")
    (row,) = store.results()
    assert (row.status, row.best, row.epochs_done) == ("diverged", None, None)


def test_a_failed_run_queues_its_job_until_the_attempts_are_used_up(store, claim):
    assert store.finish(claim.run_uid, "failed", error="boom", traceback="T") == "queued"
    second = store.claim(None, "w1", 60, retry_limit=2)
    assert second.resumed_from == claim.run_uid
    assert store.finish(second.run_uid, "failed", error="boom", traceback="T") == "failed"
    assert store.claim(None, "w1", 60, retry_limit=2) is None


def test_an_interruption_does_not_count_as_an_attempt(store, claim):
    for _ in range(5):
        assert store.finish(claim.run_uid, "interrupted") == "queued"
        claim = store.claim(None, "w1", 60, retry_limit=2)
    assert store.jobs()[0].attempts == 1
    assert claim.attempt == 6


def test_who_lost_the_lease_writes_nothing_any_more(store, jobs, result):
    store.add_jobs(jobs(1))
    late = store.claim(None, "late", 0, retry_limit=3)
    holder = store.claim(None, "holder", 60, retry_limit=3)
    for write in (
        lambda: store.finish(late.run_uid, "done", result),
        lambda: store.record_epochs(late.run_uid, [EpochRow(0)]),
        lambda: store.start_run(late.run_uid, RunProvenance(host="x")),
    ):
        with pytest.raises(LeaseLost, match="lease is lost"):
            write()
    assert store.results() == []
    assert store.epochs(late.run_uid) == []
    assert store.finish(holder.run_uid, "done", result) == "done"
    assert [row.run_uid for row in store.results()] == [holder.run_uid]


def test_an_expired_lease_that_nobody_took_still_finishes(store, jobs, result):
    store.add_jobs(jobs(1))
    slow = store.claim(None, "slow", 0, retry_limit=3)
    assert store.finish(slow.run_uid, "done", result) == "done"


def test_a_run_ends_only_once(store, claim, result):
    store.finish(claim.run_uid, "done", result)
    with pytest.raises(LeaseLost):
        store.finish(claim.run_uid, "failed", error="late")
    assert store.runs(claim.job_key)[0].status == "done"


@pytest.mark.parametrize("status", ["done", "failed", "interrupted"])
def test_a_result_must_fit_the_ending(store, claim, result, status):
    with pytest.raises(ValueError, match=status):
        store.finish(claim.run_uid, status, None if status == "done" else result)


def test_an_unknown_run_is_named(store):
    with pytest.raises(StoreError, match="'abc'"):
        store.finish("abc", "interrupted")
    with pytest.raises(StoreError, match="'abc'"):
        store.epochs("abc")


def test_artifacts_are_found_by_key_and_kind(store, claim):
    store.record_artifact("simclr", "encoder", "/a", sha256="f" * 64, size=2**40, key="k", run_uid=claim.run_uid)
    store.record_artifact("page", "html", "/b")
    (encoder,) = store.artifacts(key="k")
    assert (encoder.path, encoder.bytes, encoder.run_uid) == ("/a", 2**40, claim.run_uid)
    assert [a.name for a in store.artifacts()] == ["page", "simclr"]
    assert [a.name for a in store.artifacts(kind="html")] == ["page"]


def test_a_full_disk_is_said_and_loses_nothing(tmp_path, jobs):
    with open_store(tmp_path / "a.sqlite") as store:
        store.add_jobs(jobs(3))
        with store.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreError, match=r"a\.sqlite: the disk is full"):
            store.add_jobs(jobs(2000))
        assert store.counts()["queued"] == 3


def test_wrong_sql_is_a_bug_and_keeps_its_traceback(store):
    with pytest.raises(DBAPIError, match="no_such_table"), store.read() as connection:
        connection.exec_driver_sql("SELECT * FROM no_such_table")


def test_broken_constraints_are_bugs_and_keep_their_traceback(store):
    statement = "INSERT INTO result (run_id, epochs_done) VALUES (999, 1)"
    with pytest.raises(IntegrityError), store.write() as connection:
        connection.exec_driver_sql(statement)
