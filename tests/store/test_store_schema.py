"""The schema and its history: models and migrations agree, databases of every past schema are upgraded."""

import hashlib
import re
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import lnlbench.store
from lnlbench.store import open_store, schema
from lnlbench.store.models import Base

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("schema_*.sqlite.sql"))


def test_the_constant_head_is_alembics_head_and_the_list_is_its_history():
    config = Config()
    config.set_main_option("script_location", str(Path(lnlbench.store.__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == schema.HEAD
    assert tuple(r.revision for r in reversed(list(script.walk_revisions()))) == schema.REVISIONS


def test_the_migrations_make_exactly_the_models_tables(store):
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_every_past_schema_has_a_database_to_upgrade():
    assert [re.search(r"schema_(\w+?)\.", file.name)[1] for file in FIXTURES] == list(schema.REVISIONS)


@pytest.mark.parametrize("dump", FIXTURES, ids=lambda file: file.name)
def test_a_database_of_a_past_schema_is_upgraded_with_its_data(dump, tmp_path):
    connection = sqlite3.connect(tmp_path / "old.sqlite")
    connection.executescript(dump.read_text())
    connection.close()
    with open_store(tmp_path / "old.sqlite", create=False) as store:
        with store.read() as connection:
            assert schema.current(connection, "old") == schema.HEAD
        assert store.counts() == {"queued": 1, "running": 0, "done": 1, "diverged": 0, "failed": 1, "stopped": 0}
        done, failed = store.jobs(state="done")[0], store.jobs(state="failed")[0]
        assert all(hashlib.sha256(view.canonical.encode()).hexdigest() == view.key for view in (done, failed))
        assert done.job.noise.rate == 0.5
        (row,) = store.results()
        assert (row.best, row.best_epoch, row.last, row.best_auc) == (91.5, 1, 90.25, 0.9)
        assert [e.test_accuracy for e in store.epochs(row.run_uid)] == [90.0, 91.0, 92.0]
        assert [r.status for r in store.runs(failed.key)] == ["failed", "failed", "failed"]
        assert store.failures()[0].traceback == "Traceback ..."


def test_an_older_schema_is_refused_without_leave_to_migrate(store, monkeypatch):
    monkeypatch.setattr(schema, "HEAD", "9999")
    with pytest.raises(schema.StoreError, match="older schema 0002"):
        open_store(store.url, migrate=False)


def test_references_are_enforced_after_the_creating_process_went_on(tmp_path):
    with open_store(tmp_path / "a.sqlite") as store, store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_percent_sign_in_the_package_path_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "100%s").symlink_to(Path(schema.__file__).parent)
    monkeypatch.setattr(schema, "__file__", str(tmp_path / "100%s" / "schema.py"))
    with open_store(tmp_path / "a.sqlite") as store:
        assert store.counts()["queued"] == 0
