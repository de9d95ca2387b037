"""The command line for tests, and a database with a finished and a failed job."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from command_line import CommandLine

from lnlbench.job import Job, Noise
from lnlbench.store import EpochRow, ResultRow, RunProvenance, open_store


@pytest.fixture
def lnlbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """The command line, in a folder of its own, away from the data and the database of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LNLBENCH_DATA", str(tmp_path / "data"))
    for name in ("LNLBENCH_DB", "LNLBENCH_RUNS", "LNLBENCH_MIRROR", "LNLBENCH_SUITES"):
        monkeypatch.delenv(name, raising=False)
    return CommandLine(monkeypatch, capsys)


class Filled(NamedTuple):
    """A database with the keys of its jobs."""

    path: Path
    done: str
    failed: str


@pytest.fixture
def filled(tmp_path: Path) -> Filled:
    """Two jobs: gce is done after seven epochs, ce has failed."""
    noise = Noise(name="symmetric", rate=0.4)
    gce = Job(method="gce", hyperparameters={"q": 0.7}, noise=noise, scale="smoke")
    ce = Job(method="ce", noise=noise, scale="desk", dataset="cifar10")
    path = tmp_path / "filled.sqlite"
    with open_store(path) as store:
        store.add_jobs([gce, ce])
        claim = store.claim([gce.key], "w", 60, retry_limit=1)
        assert claim is not None
        store.start_run(claim.run_uid, RunProvenance(host="here", lnlbench_version="0.1.0", noise_realised=0.36))
        store.record_epochs(
            claim.run_uid,
            [EpochRow(e, test_accuracy=90.0 + e, loss=1.5, extra={"predicted_classes": 10 - e}) for e in range(7)],
        )
        store.finish(claim.run_uid, "done", ResultRow(96.0, 6, 96.0, 93.0, 7, best_auc=0.9))
        claim = store.claim([ce.key], "w", 60, retry_limit=1)
        assert claim is not None
        store.finish(claim.run_uid, "failed", None, "out of [memory]", "Traceback of the run")
    return Filled(path, gce.key, ce.key)
