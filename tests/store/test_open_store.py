"""Opening and creating databases: places, URLs, foreign files, concurrent creation, start-up cost."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lnlbench.errors import StoreError
from lnlbench.store import StoreWarning, location, open_store
from lnlbench.store.location import network_filesystem
from lnlbench.store.schema import HEAD


def test_a_path_makes_an_sqlite_database_and_its_directories(tmp_path):
    with open_store(tmp_path / "new" / "deep" / "runs.sqlite") as store:
        assert store.counts()["queued"] == 0
    assert (tmp_path / "new" / "deep" / "runs.sqlite").exists()


def test_an_open_database_can_be_opened_again_by_its_url(store, jobs):
    store.add_jobs(jobs(2))
    with open_store(store.url, create=False, migrate=False) as again:
        assert again.counts()["queued"] == 2


def test_sqlite_is_set_up_for_several_processes(tmp_path):
    with open_store(tmp_path / "a.sqlite") as store, store.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 30000}


def test_a_write_transaction_shuts_out_a_second_writer_before_its_first_read(tmp_path):
    with open_store(tmp_path / "a.sqlite") as store, store.write() as connection:
        connection.exec_driver_sql("SELECT 1")
        rival = sqlite3.connect(tmp_path / "a.sqlite", timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            rival.execute("BEGIN IMMEDIATE")
        rival.close()


def test_a_missing_file_is_refused_and_not_made_when_it_must_exist(tmp_path):
    with pytest.raises(StoreError, match="no database at"):
        open_store(tmp_path / "typo.sqlite", create=False)
    assert not (tmp_path / "typo.sqlite").exists()


def test_an_empty_file_is_refused_when_it_must_be_a_store(tmp_path):
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(StoreError, match="no lnlbench tables"):
        open_store(tmp_path / "empty.sqlite", create=False)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "thesis.txt"
    file.write_text("not a database " * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(file)
    assert file.read_text() == "not a database " * 100


def test_the_database_of_another_program_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "mail.sqlite")
    connection.execute("CREATE TABLE mail (id INTEGER)")
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        open_store(tmp_path / "mail.sqlite")


def test_a_newer_schema_is_refused_with_the_way_out(url):
    with open_store(url) as store, store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"'9999', which is newer .*\n.*pip install --upgrade"):
        open_store(url)


def test_a_directory_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        open_store(tmp_path / "file" / "a.sqlite")


def test_a_directory_in_place_of_the_file_is_said(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(tmp_path)


def test_an_unknown_driver_is_named():
    with pytest.raises(StoreError, match="'quill'"):
        open_store("quill://host/name")


def test_a_driver_that_is_not_installed_is_named_with_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(StoreError, match="pip install 'psycopg2-binary'"):
        open_store("postgresql+psycopg2://host/name")


def test_a_server_that_does_not_answer_is_said_without_the_password():
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError) as caught:
        open_store("postgresql://me:geheim@127.0.0.1:1/runs")
    assert "127.0.0.1:1" in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("text", ["://", "postgresql://host:port/x"])
def test_a_malformed_url_is_said(text):
    with pytest.raises(StoreError, match="not a database URL"):
        open_store(text)


MOUNTS = "\n".join(
    [
        "overlay / overlay rw 0 0",
        "server:/home /home nfs4 rw 0 0",
        "/dev/sda1 /home/me/scratch\\040disk ext4 rw 0 0",
        "me@host: /mnt/remote fuse.sshfs rw 0 0",
    ]
)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/a.sqlite", None),
        ("/home/me/a.sqlite", "nfs4"),
        ("/home/me/scratch disk/a.sqlite", None),
        ("/mnt/remote/a.sqlite", "fuse.sshfs"),
        ("/homestead/a.sqlite", None),
    ],
)
def test_network_file_systems_are_known_by_the_innermost_mount(path, kind):
    assert network_filesystem(Path(path), MOUNTS) == kind


def test_opening_on_a_network_file_system_warns(tmp_path, monkeypatch):
    monkeypatch.setattr(location, "network_filesystem", lambda path, mounts: "nfs4")
    with pytest.warns(StoreWarning, match=r"nfs4.*PostgreSQL"):
        open_store(tmp_path / "a.sqlite").close()


OPEN = "import sys; from lnlbench.store import open_store; open_store(sys.argv[1]).close(); "


def test_four_processes_can_create_one_database_at_once(url):
    program = [sys.executable, "-c", OPEN, url]
    processes = [subprocess.Popen(program, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    with open_store(url, create=False, migrate=False) as store, store.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [HEAD]


def test_opening_an_up_to_date_database_imports_nothing_heavy(tmp_path):
    open_store(tmp_path / "a.sqlite").close()
    program = OPEN + "print(sorted({'alembic', 'filelock', 'numpy', 'pandas', 'torch'} & set(sys.modules)))"
    out = subprocess.check_output([sys.executable, "-c", program, str(tmp_path / "a.sqlite")], text=True)
    assert out.strip() == "[]"
