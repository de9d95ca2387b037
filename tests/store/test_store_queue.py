"""The queue: each job once, leases, retries, order, dead workers."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import event

from lnlbench.store import LeaseLost, queue

CLAIMANT = Path(__file__).parent / "claimant.py"


def claimant(url, worker, what):
    return subprocess.Popen([sys.executable, str(CLAIMANT), url, worker, what], stdout=subprocess.PIPE, text=True)


def test_adding_is_idempotent_and_counts_only_new_jobs(store, jobs):
    assert store.add_jobs(jobs(2)) == 2
    assert store.add_jobs([*jobs(3), *jobs(3)]) == 1
    assert store.counts()["queued"] == 3


def test_adding_a_finished_job_again_leaves_it_finished(store, jobs, do):
    store.add_jobs(jobs(1))
    do(store)
    assert store.add_jobs(jobs(1)) == 0
    assert store.counts()["done"] == 1
    assert store.claim(None, "w", 60, retry_limit=3) is None


def test_a_claim_hands_over_the_very_job_and_makes_a_run(store, jobs):
    (job,) = jobs(1)
    store.add_jobs([job])
    claim = store.claim(None, "w1", 60, retry_limit=3)
    assert (claim.job, claim.job_key, claim.attempt, claim.resumed_from) == (job, job.key, 1, None)
    (run,) = store.runs(job.key)
    assert (run.uid, run.status, run.worker, run.attempt) == (claim.run_uid, "running", "w1", 1)
    assert run.host
    assert run.pid
    (view,) = store.jobs(state="running")
    assert view.lease_owner == "w1"
    assert view.lease_until > run.started_at


def test_without_keys_jobs_come_in_the_order_of_adding(store, jobs):
    made = jobs(20)
    random.Random(0).shuffle(made)
    store.add_jobs(made[:10])
    store.add_jobs(made[10:])
    claimed = [store.claim(None, "w", 60, retry_limit=3).job_key for _ in made]
    assert claimed == [job.key for job in made]


@pytest.mark.parametrize("few", [1000, 3], ids=["few queued", "many queued"])
def test_with_keys_jobs_come_in_the_order_of_the_keys_and_no_others_do(store, jobs, monkeypatch, few):
    monkeypatch.setattr(queue, "_FEW", few)
    made = jobs(12)
    store.add_jobs(made)
    keys = [job.key for job in made[:8]]
    random.Random(1).shuffle(keys)
    claimed = []
    while claim := store.claim(keys, "w", 60, retry_limit=3):
        claimed.append(claim.job_key)
    assert claimed == keys
    assert store.counts()["queued"] == 4


def test_keys_that_are_not_in_the_database_are_passed_over(store, jobs):
    store.add_jobs(jobs(1))
    assert store.claim(["0" * 64, jobs(1)[0].key], "w", 60, retry_limit=3).job_key == jobs(1)[0].key


def test_a_claim_among_ten_thousand_keys_takes_few_statements(store, jobs):
    made = jobs(2500)
    store.add_jobs(made)
    keys = [f"{i:064x}" for i in range(7500)] + [job.key for job in made]
    statements = []
    event.listen(store.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert store.claim(keys, "w", 60, retry_limit=3).job == made[0]
    assert len(statements) < 25


def test_a_lease_that_ran_out_frees_the_job_and_loses_the_run(store, jobs):
    store.add_jobs(jobs(1))
    first = store.claim(None, "w1", 0, retry_limit=3)
    second = store.claim(None, "w2", 60, retry_limit=3)
    assert (second.job_key, second.attempt, second.resumed_from) == (first.job_key, 2, first.run_uid)
    lost, running = store.runs(first.job_key)
    assert (lost.status, running.status) == ("lost", "running")
    assert "lease ran out" in lost.error
    assert store.claim(None, "w3", 60, retry_limit=3) is None


def test_an_expired_job_outside_the_keys_is_left_alone(store, jobs):
    one, two = jobs(2)
    store.add_jobs([one, two])
    store.claim([one.key], "w1", 0, retry_limit=3)
    assert store.claim([two.key], "w2", 60, retry_limit=3).job_key == two.key
    assert store.claim([two.key], "w2", 60, retry_limit=3) is None


def test_a_renewed_lease_keeps_the_job(store, jobs):
    store.add_jobs(jobs(1))
    claim = store.claim(None, "w1", 0, retry_limit=3)
    assert store.renew(claim.run_uid, "w1", 60)
    assert store.claim(None, "w2", 60, retry_limit=3) is None


def test_a_lost_lease_cannot_be_renewed_nor_one_of_another_worker(store, jobs):
    store.add_jobs(jobs(1))
    first = store.claim(None, "w1", 0, retry_limit=3)
    second = store.claim(None, "w2", 60, retry_limit=3)
    assert not store.renew(first.run_uid, "w1", 60)
    assert not store.renew(second.run_uid, "w1", 60)
    assert not store.renew("no such run", "w1", 60)


def test_a_job_that_keeps_losing_its_workers_fails_at_the_limit(store, jobs):
    store.add_jobs(jobs(1))
    assert store.claim(None, "w", 0, retry_limit=2)
    assert store.claim(None, "w", 0, retry_limit=2)
    assert store.claim(None, "w", 0, retry_limit=2) is None
    assert store.counts()["failed"] == 1
    assert [run.status for run in store.runs(jobs(1)[0].key)] == ["lost", "lost"]


def test_a_job_at_its_limit_does_not_hold_up_the_next(store, jobs):
    one, two = jobs(2)
    store.add_jobs([one, two])
    store.claim(None, "w", 0, retry_limit=1)
    assert store.claim(None, "w", 60, retry_limit=1).job == two


def test_releasing_a_dead_worker_frees_only_its_jobs_at_once(store, jobs):
    store.add_jobs(jobs(3))
    dead = [store.claim(None, "dead", 600, retry_limit=3) for _ in range(2)]
    store.claim(None, "alive", 600, retry_limit=3)
    assert sorted(store.release(worker="dead")) == sorted(claim.job_key for claim in dead)
    assert store.counts()["queued"] == 2
    assert store.counts()["running"] == 1
    assert store.claim(None, "w", 60, retry_limit=3).resumed_from == dead[0].run_uid
    assert store.release(worker="dead") == []


def test_release_fails_a_job_whose_attempts_are_used_up(store, jobs):
    store.add_jobs(jobs(1))
    store.claim(None, "dead", 600, retry_limit=1)
    store.release(worker="dead")
    assert store.counts()["failed"] == 1


def test_failed_and_stopped_jobs_are_queued_again_with_all_attempts(store, jobs, do):
    one, two, three = jobs(3)
    store.add_jobs([one, two, three])
    for _ in range(3):
        do(store, "failed", keys=[one.key])
    assert store.stop([two.key]) == 1
    assert store.counts() == {"queued": 1, "running": 0, "done": 0, "diverged": 0, "failed": 1, "stopped": 1}
    assert store.requeue_failed([two.key, three.key]) == 1
    assert store.requeue_failed() == 1
    assert store.claim([one.key], "w", 60, retry_limit=1).attempt == 4


def test_a_rerun_of_a_finished_job_is_another_run_and_overwrites_nothing(store, jobs, do):
    store.add_jobs(jobs(1))
    first = do(store)
    before = (store.runs(jobs(1)[0].key)[0], store.epochs(first))
    assert store.requeue([jobs(1)[0].key], states=["done"]) == 1
    second = do(store)
    assert (store.runs(jobs(1)[0].key)[0], store.epochs(first)) == before
    assert [run.uid for run in store.runs(jobs(1)[0].key)] == [first, second]
    assert store.runs(jobs(1)[0].key)[1].resumed_from is None
    assert [row.run_uid for row in store.results()] == [second]


def test_a_running_job_cannot_be_queued_again(store, jobs):
    store.add_jobs(jobs(1))
    store.claim(None, "w", 60, retry_limit=3)
    assert store.requeue(states=["running", "done"]) == 0


def test_four_processes_do_five_hundred_jobs_once_each(store, jobs):
    made = jobs(500)
    store.add_jobs(made)
    workers = [claimant(store.url, f"w{i}", "drain") for i in range(4)]
    done = [line.split()[0] for worker in workers for line in worker.communicate(timeout=300)[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0] * 4
    assert sorted(done) == sorted(job.key for job in made)
    assert store.counts()["done"] == 500
    assert len(store.results()) == 500


@pytest.fixture
def killed(store, jobs):
    """A worker that was killed while it held the only job; its lease was half a second."""
    store.add_jobs(jobs(1))
    worker = claimant(store.url, "victim", "hold")
    _key, run_uid = worker.stdout.readline().split()
    worker.kill()
    worker.communicate()
    return run_uid


def test_the_job_of_a_killed_worker_comes_back_when_its_lease_ends(store, killed):
    deadline = time.monotonic() + 30
    while (claim := store.claim(None, "w", 60, retry_limit=3)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert claim is not None
    assert claim.resumed_from == killed


def test_the_job_of_a_killed_worker_comes_back_by_release(store, killed):
    assert len(store.release(worker="victim")) == 1
    assert store.claim(None, "w", 60, retry_limit=3).resumed_from == killed
    with pytest.raises(LeaseLost):
        store.finish(killed, "interrupted")
