"""One worker in this process: what it writes, and what it does when a job fails or is taken from it."""

from __future__ import annotations

import dataclasses
import gc
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lnlbench.errors import StoreError
from lnlbench.execution import worker
from lnlbench.execution.protocol import Event, WorkerConfig
from lnlbench.execution.worker import Worker
from lnlbench.job import Job, Noise, Recipe
from lnlbench.methods.ce import CrossEntropy
from lnlbench.methods.sanm import SANM
from lnlbench.store import RunView, Store, open_store

RECIPE = Recipe(backbone="smallcnn", width=0.25, epochs=3, image_size=8, train_subset=100, test_subset=50, pad=1)
JOB = Job(method="ce", noise=Noise(name="symmetric", rate=0.4), scale="smoke", recipe=RECIPE)
OTHER = JOB.replace(seed=2)


class Desk:
    """A store, and workers on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Store = open_store(folder / "db.sqlite")
        self.worker: Worker | None = None

    def work(self, *jobs: Job, **changes: Any) -> list[Event]:
        """Runs a worker over jobs to its end; what it said."""
        self.store.add_jobs(jobs)
        config = WorkerConfig(
            name="ours",
            database=str(self.folder / "db.sqlite"),
            keys=tuple(job.key for job in jobs),
            data_dir=str(self.folder / "data"),
            runs_dir=str(self.folder / "runs"),
            device="cpu",
            checkpoint_minutes=0.0,
        )
        out = io.StringIO()
        self.worker = Worker(dataclasses.replace(config, **changes), self.store, out)
        self.worker.work()
        events = [Event.from_line(line) for line in out.getvalue().splitlines()]
        return [event for event in events if event is not None]

    def runs(self, job: Job = JOB) -> list[RunView]:
        return self.store.runs(job.key)

    def epochs(self, run: RunView) -> list[int]:
        return [row.epoch for row in self.store.epochs(run.uid)]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def at_epoch(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Has something happen, once, before the first step of an epoch of cross-entropy."""
    train = CrossEntropy.train_epoch

    def arrange(epoch: int, event: Callable[[], None]) -> None:
        happened: list[int] = []

        def train_epoch(self: CrossEntropy, now: int) -> None:
            if now == epoch and not happened:
                happened.append(now)
                event()
            train(self, now)

        monkeypatch.setattr(CrossEntropy, "train_epoch", train_epoch)

    return arrange


def test_a_finished_job_has_its_result_its_epochs_and_what_it_ran_under(desk: Desk) -> None:
    events = desk.work(JOB)
    (run,) = desk.runs()
    assert (run.status, desk.epochs(run)) == ("done", [0, 1, 2])
    assert (run.device, run.precision, run.threads) == ("cpu", "fp32", 1)
    assert run.versions is not None
    assert "torch" in run.versions
    assert run.data_fingerprint
    assert run.noise_realised is not None
    (result,) = desk.store.results([JOB.key])
    last = desk.store.epochs(run.uid)[-1]
    assert (result.last, result.last_auc) == (last.test_accuracy, last.clean_auc)
    kinds = [event.kind for event in events if event.kind != "progress"]
    assert kinds == ["ready", "start", "epoch", "epoch", "epoch", "end", "finished"]
    assert list((desk.folder / "runs" / "checkpoints").rglob("*.pt")) == [], "a finished job needs no checkpoint"


def test_a_job_of_a_foreign_worker_whose_lease_has_run_out_is_taken_over(desk: Desk) -> None:
    desk.store.add_jobs([JOB])
    assert desk.store.claim([JOB.key], "a dead one elsewhere", -1.0, retry_limit=2) is not None
    desk.work(JOB)
    lost, done = desk.runs()
    assert (lost.status, lost.worker) == ("lost", "a dead one elsewhere")
    assert (done.status, done.worker) == ("done", "ours")


def test_a_worker_whose_job_was_taken_over_writes_nothing_more_and_takes_the_next(
    desk: Desk, at_epoch: Callable[..., None]
) -> None:
    def thief() -> None:
        desk.store.release(worker="ours")
        assert desk.store.claim([JOB.key], "thief", 600.0, retry_limit=5) is not None
        # The worker would wait for the thief's job; it is done for good.
        desk.store.finish(desk.runs()[1].uid, "failed", error="enough", retry=False)

    at_epoch(1, thief)
    events = desk.work(JOB, OTHER)
    ends = [(event.key, event.values["status"]) for event in events if event.kind == "end"]
    assert ends == [(JOB.key, "lost"), (OTHER.key, "done")]
    lost, stolen = desk.runs()
    assert (lost.status, desk.epochs(lost)) == ("lost", [0])
    assert (stolen.status, stolen.error, desk.epochs(stolen)) == ("failed", "enough", [])


def test_the_lease_is_renewed_while_a_job_runs(desk: Desk, at_epoch: Callable[..., None]) -> None:
    def wait_for_renewal() -> None:
        (before,) = desk.store.jobs([JOB.key])
        deadline = time.monotonic() + 60
        while desk.store.jobs([JOB.key])[0].lease_until == before.lease_until:
            assert time.monotonic() < deadline, "the lease was not renewed"
            time.sleep(0.05)

    at_epoch(1, wait_for_renewal)
    desk.work(JOB, lease_seconds=2.0)
    assert [run.status for run in desk.runs()] == ["done"]


def test_a_users_error_is_told_without_traceback_and_not_tried_again(desk: Desk) -> None:
    missing = JOB.replace(dataset="cifar10")
    events = desk.work(missing, JOB, retry_limit=3)
    (run,) = desk.runs(missing)
    assert run.status == "failed"
    assert "lnlbench data download cifar10" in str(run.error)
    assert run.traceback is None
    assert [view.state for view in desk.store.jobs([missing.key, JOB.key])] == ["failed", "done"]
    assert [event.values["status"] for event in events if event.kind == "end"] == ["failed", "done"]


def test_a_bug_is_tried_again_and_leaves_its_traceback(desk: Desk, at_epoch: Callable[..., None]) -> None:
    def bug() -> None:
        raise ZeroDivisionError("once")

    at_epoch(2, bug)
    desk.work(JOB, retry_limit=2)
    failed, done = desk.runs()
    assert (failed.status, failed.error) == ("failed", "ZeroDivisionError: once")
    assert "in train_epoch" in str(failed.traceback)
    assert (done.status, done.start_epoch, done.resumed_from) == ("done", 2, failed.uid)


@pytest.mark.parametrize("fails", [False, True])
def test_a_job_leaves_nothing_in_memory_whether_or_not_python_collects(
    desk: Desk, at_epoch: Callable[..., None], fails: bool
) -> None:
    def event() -> None:
        assert alive() == before + 1
        if fails:
            raise RuntimeError("a bug")

    def alive() -> int:
        return sum(type(found) is SANM for found in gc.get_objects())

    at_epoch(1, event)
    gc.collect()
    # Fixtures of other tests in this process may hold some.
    before = alive()
    gc.disable()
    try:
        events = desk.work(JOB.replace(method="sanm(ce)", hyperparameters={"host": {}}), retry_limit=1)
        assert events[-2].values["status"] == ("failed" if fails else "done")
        assert alive() == before
    finally:
        gc.enable()


def test_a_database_that_was_away_for_a_moment_costs_an_attempt_and_not_the_job(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, calls = Store.record_epochs, []

    def away_once(self: Store, *args: Any) -> int:
        calls.append(args)
        if len(calls) == 1:
            raise StoreError("database is locked")
        return record(self, *args)

    monkeypatch.setattr(Store, "record_epochs", away_once)
    desk.work(JOB, retry_limit=2)
    assert [run.status for run in desk.runs()] == ["failed", "done"]


def test_a_database_that_is_away_when_a_job_ends_costs_no_numbers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, calls = Store.finish, []

    def away_twice(self: Store, *args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) <= 2:
            raise StoreError("database is locked")
        return finish(self, *args, **kwargs)

    monkeypatch.setattr(Store, "finish", away_twice)
    monkeypatch.setattr(worker, "FINISH_PAUSES", (0.0, 0.0))
    desk.work(JOB, retry_limit=1)
    assert [run.status for run in desk.runs()] == ["done"]
    assert len(desk.store.results([JOB.key])) == 1


@pytest.mark.parametrize(("resume", "minutes", "start"), [(True, 0.0, 2), (True, 60.0, 2), (False, 0.0, None)])
def test_a_stopped_job_goes_on_from_its_checkpoint_unless_told_not_to(
    desk: Desk, at_epoch: Callable[..., None], resume: bool, minutes: float, start: int | None
) -> None:
    def stop() -> None:
        assert desk.worker is not None
        desk.worker.stop()

    at_epoch(2, stop)
    desk.work(JOB, retry_limit=1, checkpoint_minutes=minutes)
    assert [run.status for run in desk.runs()] == ["interrupted"]
    desk.work(JOB, retry_limit=1, resume=resume)
    stopped, done = desk.runs()
    assert (done.status, done.start_epoch) == ("done", start)
    assert done.resumed_from == (stopped.uid if resume else None)
    assert desk.epochs(done) == [0, 1, 2]
