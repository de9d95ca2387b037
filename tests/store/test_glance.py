"""A glance: the answers of the store without SQLAlchemy, for databases of the present schema and no others."""

import sqlite3
import subprocess
import sys

import pytest

from lnlbench.errors import StoreError
from lnlbench.job import Noise
from lnlbench.store import glance_at, open_store
from lnlbench.store.rows import EpochRow, ResultRow, RunProvenance

RESULT = ResultRow(best=91.5, best_epoch=3, last=90.0, last10=90.2, epochs_done=5, best_auc=0.97, last_auc=0.95)
EXTRA = {"curves": {"weight": {"x": [0.0, 1.5], "y": [0.75, 0.5]}}}


@pytest.fixture
def file(tmp_path, jobs):
    path = tmp_path / "results.sqlite"
    made = [*jobs(3), *jobs(1, method="ce", noise=Noise(name="human", variant="worst"))]
    with open_store(path) as store:
        store.add_jobs(made)
        for status, values in (("done", RESULT), ("diverged", None), ("done", RESULT._replace(best=93.0, extra=EXTRA))):
            claim = store.claim(None, "w", 60, retry_limit=2)
            known = RunProvenance(data_canonical=status == "done", data_fingerprint="f", precision="fp32")
            store.start_run(claim.run_uid, known)
            store.finish(claim.run_uid, status, values)
        store.requeue([made[0].key], states=("done",))
        again = store.claim([made[0].key], "w", 60, retry_limit=2)
        store.finish(again.run_uid, "done", RESULT._replace(best=95.0))
    return path, [job.key for job in made]


@pytest.mark.parametrize("chosen", [None, slice(1, 3), slice(0, 0)])
def test_it_answers_as_the_store_does(file, chosen):
    path, keys = file
    wanted = None if chosen is None else keys[chosen]
    with open_store(path) as store, glance_at(path) as look:
        assert look.results(wanted) == store.results(wanted)
        assert [type(v.data_canonical) for v in look.results(wanted)] == [
            type(v.data_canonical) for v in store.results(wanted)
        ]
        assert look.counts(wanted) == store.counts(wanted)
    if wanted is None:
        with glance_at(path) as look:
            assert {v.key: v.best for v in look.results()} == {keys[0]: 95.0, keys[1]: None, keys[2]: 93.0}


def test_extras_are_those_of_the_runs_that_have_any(file):
    path, _keys = file
    with open_store(path) as store, glance_at(path) as look:
        uids = [view.run_uid for view in look.results()]
        assert look.extras_of(uids) == store.extras_of(uids) == {uids[2]: EXTRA}
        assert look.extras_of([]) == {} == store.extras_of(["unknown"])


def test_runs_and_epochs_are_those_of_the_store(file):
    path, keys = file
    with open_store(path) as store:
        claim = store.claim([keys[3]], "w", 60, retry_limit=2)
        store.start_run(claim.run_uid, RunProvenance(versions={"torch": "2.6.0"}, git_dirty=True, threads=1))
        rows = [EpochRow(0, "warm-up", 10.5, counts=False), EpochRow(1, "main", loss=0.25, extra={"k": [1]})]
        store.record_epochs(claim.run_uid, rows)
        with glance_at(path) as look:
            assert look.runs_of(keys) == store.runs_of(keys) == {key: store.runs(key) for key in keys}
            assert look.runs_of([]) == {} == store.runs_of(["unknown"])
            uids = [run.uid for runs in look.runs_of(keys).values() for run in runs]
            assert look.epochs_of(uids) == store.epochs_of(uids)
            assert [row.counts for row in look.epochs_of([claim.run_uid])[claim.run_uid]] == [False, True]
            with pytest.raises(StoreError, match="no run has the uid 'nowhere'"):
                look.epochs_of(["nowhere"])


def test_conditions_are_those_of_the_jobs_each_once(file):
    path, _ = file
    with open_store(path) as store, glance_at(path) as look:
        assert look.conditions() == store.conditions()
        assert {(c.method, c.dataset, c.noise) for c in look.conditions()} == {
            (view.method, view.dataset, view.noise) for view in store.jobs()
        }
        assert len(look.conditions()) == 2


def test_many_keys_are_asked_for_in_chunks(file, monkeypatch):
    path, keys = file
    monkeypatch.setattr("lnlbench.store.glance._CHUNK", 2)
    with glance_at(path) as look:
        assert len(look.results(keys * 3)) == 3
        assert len(look.runs_of(keys * 3)) == 3
        assert sum(look.counts(keys * 3).values()) == 4


def test_whatever_is_not_such_a_database_is_left_to_the_store(file, tmp_path):
    path, _ = file
    assert glance_at("postgresql://somewhere/db") is None
    assert glance_at(tmp_path / "missing.sqlite") is None
    assert not (tmp_path / "missing.sqlite").exists()
    (tmp_path / "text.sqlite").write_text("no database at all, but long enough to be looked at")
    assert glance_at(tmp_path / "text.sqlite") is None
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert glance_at(path) is None


def test_it_cannot_write(file):
    path, _ = file
    with glance_at(path) as look, pytest.raises(sqlite3.OperationalError, match="readonly"):
        look._connection.execute("DELETE FROM job")


def test_report_and_status_read_a_database_without_torch_or_sqlalchemy(file):
    path, _ = file
    code = (
        "import sys; from lnlbench.cli import app\n"
        "for words in (['report', '--suite', 'quickstart'], ['status']):\n"
        f"    app(words + ['--db', {str(path)!r}], standalone_mode=False)\n"
        "print([m for m in ('torch', 'sqlalchemy', 'pandas', 'numpy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
