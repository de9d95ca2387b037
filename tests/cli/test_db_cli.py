"""`lnlbench db`: carrying results between databases, and what it says of a database."""

from __future__ import annotations

import pytest

from lnlbench.store import open_store
from lnlbench.store.states import HEAD


def test_info_counts_rows_and_states(lnlbench, filled):
    found = lnlbench("db", "info", "--db", filled.path, "--json").json
    assert found["rows"] == {"job": 2, "dependency": 0, "run": 2, "epoch": 7, "result": 1, "artifact": 0}
    assert found["states"] == {"done": 1, "failed": 1}
    assert found["current"] is True
    assert found["bytes"] > 0
    assert "rows of epoch" in lnlbench("db", "info", "--db", filled.path).out


def test_the_database_may_come_from_the_environment(lnlbench, filled, monkeypatch):
    monkeypatch.setenv("LNLBENCH_DB", str(filled.path))
    assert lnlbench("db", "info", "--json").json["name"] == str(filled.path)


@pytest.mark.parametrize("command", [("info",), ("upgrade",), ("export", "out.jsonl")])
def test_a_mistyped_database_is_not_made(lnlbench, tmp_path, command):
    ended = lnlbench("db", *command, "--db", tmp_path / "typo.sqlite")
    assert ended.code == 2
    assert "typo.sqlite" in ended.err
    assert not list(tmp_path.glob("typo*"))
    assert not (tmp_path / "out.jsonl").exists()


def test_a_file_that_is_no_database_is_said(lnlbench, tmp_path):
    (tmp_path / "a.sqlite").write_text("hello, this is text and no database at all" * 100)
    ended = lnlbench("db", "info", "--db", tmp_path / "a.sqlite")
    assert ended.code == 2
    assert "not a database" in ended.err


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_an_export_fills_a_new_database_once(lnlbench, filled, tmp_path, name):
    assert lnlbench("db", "export", tmp_path / name, "--db", filled.path).code == 0
    new = tmp_path / "new.sqlite"
    first = lnlbench("db", "import", tmp_path / name, "--db", new, "--json").json
    again = lnlbench("db", "import", tmp_path / name, "--db", new, "--json").json
    assert first == {"jobs_added": 2, "jobs_skipped": 0, "runs_added": 2, "runs_skipped": 0}
    assert again == {"jobs_added": 0, "jobs_skipped": 2, "runs_added": 0, "runs_skipped": 2}
    with open_store(new) as store:
        assert store.results()[0].best == 96.0


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("--method", "GCE"), "done"),
        (("--scale", "desk"), "failed"),
        (("--dataset", "cifar10"), "failed"),
        (("--dataset", "digits", "--dataset", "cifar10", "--method", "gce"), "done"),
    ],
)
def test_an_export_can_be_a_part(lnlbench, filled, tmp_path, words, key):
    lnlbench("db", "export", tmp_path / "part.jsonl", "--db", filled.path, *words)
    lines = (tmp_path / "part.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert getattr(filled, key) in lines[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--method", "gcee"), "'gce'"),
        (("--scale", "dsk"), "'desk'"),
        (("--dataset", "cifar1"), "'cifar10'"),
        (("--dataset", "digits", "--method", "ce"), "all filters at once"),
    ],
)
def test_an_export_of_nothing_is_a_mistake(lnlbench, filled, tmp_path, words, says):
    ended = lnlbench("db", "export", tmp_path / "none.jsonl", "--db", filled.path, *words)
    assert ended.code == 2
    assert says in ended.err
    assert not (tmp_path / "none.jsonl").exists()


def test_an_altered_export_is_refused_whole(lnlbench, filled, tmp_path):
    file = tmp_path / "out.jsonl"
    lnlbench("db", "export", file, "--db", filled.path)
    file.write_text(file.read_text().replace('"seed":1', '"seed":2').replace(r"\"seed\":1", r"\"seed\":2"))
    ended = lnlbench("db", "import", file, "--db", tmp_path / "new.sqlite")
    assert ended.code == 2
    with open_store(tmp_path / "new.sqlite") as store:
        assert store.jobs() == []


def test_an_import_of_a_file_that_is_not_there_makes_no_database(lnlbench, tmp_path):
    assert lnlbench("db", "import", "typo.jsonl", "--db", tmp_path / "new.sqlite").code == 2
    assert not (tmp_path / "new.sqlite").exists()


def test_a_merge_takes_in_what_is_new(lnlbench, filled, tmp_path):
    new = tmp_path / "new.sqlite"
    assert lnlbench("db", "merge", filled.path, "--db", new, "--json").json["jobs_added"] == 2
    assert "2 jobs and 2 runs there already" in lnlbench("db", "merge", filled.path, "--db", new).out


def test_a_merge_with_a_mistyped_database_makes_neither(lnlbench, tmp_path):
    ended = lnlbench("db", "merge", tmp_path / "typo.sqlite", "--db", tmp_path / "new.sqlite")
    assert ended.code == 2
    assert not list(tmp_path.glob("*.sqlite"))


def test_an_upgrade_of_a_present_database_changes_nothing(lnlbench, filled):
    out = lnlbench("db", "upgrade", "--db", filled.path).out
    assert "already" in out
    assert lnlbench("db", "upgrade", "--db", filled.path, "--json").json["from"] == HEAD


def test_an_older_database_is_described_and_not_upgraded_by_info(lnlbench, filled, monkeypatch):
    from lnlbench.store import overview

    monkeypatch.setattr(overview, "HEAD", "9999")
    found = lnlbench("db", "info", "--db", filled.path, "--json").json
    assert (found["revision"], found["head"], found["current"]) == (HEAD, "9999", False)
    assert "lnlbench db upgrade" in lnlbench("db", "info", "--db", filled.path).out
