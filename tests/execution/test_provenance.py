"""What a run is stored with: versions, the code's commit and whether it was changed, the cores there are."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import lnlbench
from lnlbench.execution import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that lnlbench seems to run from."""
    source = tmp_path / "lnlbench" / "__init__.py"
    source.parent.mkdir()
    source.write_text("a = 1\n")
    (tmp_path / "notes.txt").write_text("1\n")
    monkeypatch.setattr(lnlbench, "__file__", str(source))
    provenance.git_state.cache_clear()
    yield tmp_path
    provenance.git_state.cache_clear()


def commit(folder: Path) -> str:
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    done = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_versions_are_those_that_are_imported() -> None:
    found = provenance.versions()
    assert found["torch"] == torch.__version__.partition("+")[0] or found["torch"] == torch.__version__
    assert {"python", "platform", "numpy", "scikit-learn"} <= set(found)


def test_an_installed_lnlbench_has_no_commit(checkout: Path) -> None:
    assert provenance.git_state() == (None, None)


def test_a_checkout_has_its_commit_and_is_clean(checkout: Path) -> None:
    head = commit(checkout)
    assert provenance.git_state() == (head, False)


def test_changed_code_is_told_and_other_files_do_not_count(checkout: Path) -> None:
    head = commit(checkout)
    (checkout / "notes.txt").write_text("2\n")
    (checkout / "new.txt").write_text("2\n")
    assert provenance.git_state() == (head, False)
    provenance.git_state.cache_clear()
    (checkout / "lnlbench" / "__init__.py").write_text("a = 2\n")
    assert provenance.git_state() == (head, True)


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 5}, raising=False)
    assert provenance.cores() == 2
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert provenance.cores() == 1
