"""Questions to the store: states, filters, prefixes, failures, results, and how many statements they take."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, insert, select

from lnlbench.errors import UnknownName
from lnlbench.job import Noise
from lnlbench.store import open_store, selection
from lnlbench.store.models import JobRecord, ResultRecord, RunRecord


@pytest.fixture
def mixed(store, jobs):
    made = [
        *jobs(2),
        *jobs(2, method="ce", scale="desk"),
        *jobs(1, method="ce", noise=Noise(name="symmetric", rate=0.2), dataset="cifar10"),
        *jobs(1, noise=Noise(name="human", variant="worst")),
    ]
    store.add_jobs(made)
    return made


@pytest.mark.parametrize(
    ("filters", "places"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"method": "ce"}, [2, 3, 4]),
        ({"method": ["ce"], "scale": "smoke"}, [4]),
        ({"scale": ("smoke", "desk"), "seed": 2}, [1, 3]),
        ({"rate": 0.5}, [0, 1, 2, 3]),
        ({"noise": "human"}, [5]),
        ({"dataset": "cifar10", "method": None}, [4]),
        ({"state": "done"}, []),
    ],
)
def test_filters_select_jobs_in_the_order_of_adding(store, mixed, filters, places):
    assert [view.job for view in store.jobs(**filters)] == [mixed[i] for i in places]
    assert store.counts(**filters)["queued"] == len(places)


def test_a_job_comes_back_whole(store, mixed):
    view = store.jobs(noise="human")[0]
    assert (view.key, view.noise_label, view.rate, view.state) == (mixed[5].key, "human worst", None, "queued")
    assert view.created_at.tzinfo is UTC


def test_a_mistyped_filter_is_not_ignored(store):
    with pytest.raises(UnknownName, match="method"):
        store.jobs(methd="ce")


def test_keys_are_asked_for_in_chunks_and_counted_once(store, mixed, monkeypatch):
    monkeypatch.setattr(selection.chunks, "__defaults__", (2,))
    keys = [job.key for job in mixed[:5]] * 2
    assert store.counts(keys)["queued"] == 5
    assert len(store.jobs(keys, method="ce")) == 3
    assert store.jobs([]) == []


def test_a_job_is_found_by_the_start_of_its_key(store, mixed):
    key = mixed[3].key
    assert store.find_job(key).job == mixed[3]
    assert store.find_job(key[:12].upper()).key == key


def test_an_ambiguous_start_lists_the_matches(store, jobs):
    made = jobs(40)
    store.add_jobs(made)
    first = made[0].key[0]
    matches = sorted(job.key for job in made if job.key.startswith(first))
    assert len(matches) > 1
    with pytest.raises(UnknownName, match="several") as caught:
        store.find_job(first)
    assert all(key[:8] in str(caught.value) for key in matches[:10])


@pytest.mark.parametrize("prefix", ["", "xyz", "%", "0" * 65])
def test_what_cannot_start_a_key_is_refused(store, mixed, prefix):
    with pytest.raises(UnknownName, match="not the start"):
        store.find_job(prefix)


def test_a_start_that_no_key_has_is_said(store, mixed):
    with pytest.raises(UnknownName, match="no job's key starts with"):
        store.find_job("0123456789abcdef")


def test_a_reader_sees_one_moment(store, jobs):
    count = select(func.count()).select_from(JobRecord)
    with store.read() as connection:
        before = connection.execute(count).scalar_one()
        with open_store(store.url) as rival:
            rival.add_jobs(jobs(3))
        assert connection.execute(count).scalar_one() == before
    assert store.counts()["queued"] == 3


def test_failures_come_newest_first_with_their_traceback(store, mixed, do):
    uids = [do(store, "failed", keys=[mixed[i].key]) for i in (0, 2)]
    do(store, keys=[mixed[1].key])
    store.claim([mixed[3].key], "dead", 60, retry_limit=3)
    store.release(worker="dead")
    lost, *failed = store.failures()
    assert (lost.status, lost.worker, lost.traceback) == ("lost", "dead", None)
    assert [f.run_uid for f in failed] == uids[::-1]
    assert (failed[0].error, failed[0].traceback, failed[0].state) == ("out of memory", "Traceback ...", "queued")
    assert [f.run_uid for f in store.failures(method="gce")] == uids[:1]


def test_results_hold_the_newest_finished_run_of_each_job(store, mixed, do):
    do(store, keys=[mixed[0].key])
    do(store, "diverged", keys=[mixed[2].key])
    store.requeue(states=["done"])
    newest = do(store, keys=[mixed[0].key])
    store.requeue(states=["done"])
    do(store, "failed", keys=[mixed[0].key])
    rows = store.results()
    assert [(row.key, row.status) for row in rows] == [(mixed[0].key, "done"), (mixed[2].key, "diverged")]
    assert rows[0].run_uid == newest
    assert (rows[0].best, rows[0].last10, rows[0].rate, rows[0].noise_label) == (91.5, 90.5, 0.5, "symmetric 50%")
    assert [row.key for row in store.results(scale="desk")] == [mixed[2].key]
    assert [row.key for row in store.results([mixed[0].key])] == [mixed[0].key]


def test_epochs_of_several_runs_come_at_once(store, mixed, do):
    uids = [do(store) for _ in range(3)]
    histories = store.epochs_of(uids)
    assert set(histories) == set(uids)
    assert all([row.epoch for row in history] == [0, 1, 2] for history in histories.values())


def test_twenty_thousand_results_take_one_statement(store, jobs):
    template = selection.job_columns(jobs(1)[0])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    n = 10_000
    with store.write() as c:
        common = {**template, "created_at": now, "state": "done", "attempts": 1}
        c.execute(insert(JobRecord), [{**common, "key": f"{i:064x}", "position": n - i} for i in range(n)])
        run = {"attempt": 1, "status": "done", "started_at": now, "worker": "w"}
        c.execute(
            insert(RunRecord),
            [
                {
                    **run,
                    "id": 1 + i,
                    "uid": uuid.uuid4().hex,
                    "job_key": f"{i // 2:064x}",
                    "ended_at": now + timedelta(seconds=i % 2),
                }
                for i in range(2 * n)
            ],
        )
        c.execute(insert(ResultRecord), [{"run_id": 1 + i, "best": i % 2, "epochs_done": 1} for i in range(2 * n)])
    statements = []
    event.listen(store.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    rows = store.results()
    assert len([s for s in statements if s.startswith("SELECT")]) == 1
    assert len(rows) == n
    assert {row.best for row in rows} == {1.0}
    assert [int(row.key, 16) for row in rows] == list(reversed(range(n)))
