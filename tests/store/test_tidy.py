"""Finished runs as plain columns: the same from a glance as from a store, on each kind of database."""

import pandas as pd
import pytest

from lnlbench import frame
from lnlbench.store import glance_at, open_store, tidy
from lnlbench.store.rows import RunProvenance


@pytest.fixture
def filled(store, jobs, do):
    made = [*jobs(3), *jobs(1, method="sanm(ce)", scale="desk")]
    store.add_jobs(made)
    for i, status in ((0, "done"), (1, "diverged"), (3, "done"), (2, "failed")):
        uid = do(store, status, keys=[made[i].key])
        assert uid
    store.requeue([made[0].key], states=("done",))
    claim = store.claim([made[0].key], "w", 60, retry_limit=3)
    store.start_run(claim.run_uid, RunProvenance(git_dirty=True, data_canonical=False))
    store.finish(claim.run_uid, "diverged")
    return [job.key for job in made]


def test_the_columns_are_those_of_the_frame(store, filled):
    assert len(tidy.RUN_COLUMNS.split(",")) == len(frame.RUN)
    runs = frame.run_frame(tidy.finished_runs(store))
    assert runs.dtypes.astype(str).to_dict() == frame.RUN
    assert runs["key"].tolist() == [filled[0], filled[0], filled[1], filled[3]]
    assert runs["dirty"].tolist() == [pd.NA, True, pd.NA, pd.NA]
    epochs = frame.epoch_frame(tidy.epochs_of_runs(store, runs["id"].tolist()))
    assert epochs.groupby("id").size().tolist() == [3, 3, 3]
    assert epochs["counts"].all()


def test_filters_and_keys_work_together(store, filled):
    assert len(tidy.finished_runs(store, filled[:2], method=["gce"])) == 3
    assert tidy.finished_runs(store, filled[:2], method=["sanm"]) == []
    assert [row[1] for row in tidy.finished_runs(store, method=["sanm"], rate=[0.5], seed=[1])] == [filled[3]]
    assert tidy.finished_runs(store, []) == []
    assert set(tidy.canonical_texts(store, filled)) == set(filled)
    assert tidy.names_in_use(store, "scale") == {"smoke", "desk"}


def test_many_keys_are_asked_for_in_chunks(store, filled, monkeypatch):
    whole = tidy.finished_runs(store, filled)
    monkeypatch.setattr(tidy, "_CHUNK", 2)
    assert tidy.finished_runs(store, filled) == whole


def test_a_glance_gives_the_same_frame(tmp_path, jobs, do):
    path = tmp_path / "a.sqlite"
    with open_store(path) as store:
        store.add_jobs(jobs(2))
        for _ in range(2):
            do(store)
        of_store = frame.run_frame(tidy.finished_runs(store))
    with glance_at(path) as look:
        pd.testing.assert_frame_equal(frame.run_frame(tidy.finished_runs(look)), of_store)
