"""Real `lnlbench` processes for tests of the engine, and what their database holds in the end. No test is here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from lnlbench.store import RunView, Store, open_store

PLUGIN = Path(__file__).with_name("misbehaving_methods.py")
TINY = ("epochs=4", "train_subset=200", "test_subset=100", "width=0.25", "image_size=8", "validation=0.1", "lr=0.1")
RESULT = ("best", "best_epoch", "last", "last10", "valid_pick", "best_auc", "last_auc", "epochs_done")
EPOCH = ("epoch", "stage", "counts", "test_accuracy", "clean_auc", "memorisation", "loss", "lr", "extra")
PATIENCE = 300.0
"""Seconds after which a test gives up; nothing here takes nearly as long."""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Bench:
    """A folder with one database, in which `lnlbench` commands are started as processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = folder / "results.sqlite"
        self.processes: list[subprocess.Popen[str]] = []
        (folder / "gate").mkdir()

    def start(self, *words: str, gated: bool = False) -> subprocess.Popen[str]:
        """Starts a command in a process group of its own, as a shell does."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LNLBENCH_")}
        gate = {"LNLBENCH_TEST_GATE": str(self.folder / "gate")} if gated else {}
        process = subprocess.Popen(
            [sys.executable, "-m", "lnlbench", *words, "--db", str(self.db)],
            cwd=self.folder,
            env={**kept, **gate},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> Ended:
        out, err = process.communicate(timeout=PATIENCE)
        return Ended(process.returncode, out, err)

    def __call__(self, *words: str, gated: bool = False) -> Ended:
        return self.end(self.start(*words, gated=gated))

    def held(self, run: subprocess.Popen[str]) -> int:
        """Waits until a worker of a run is held in the middle of its job; its process id."""
        file = self.folder / "gate" / "held"

        def is_held() -> bool:
            assert run.poll() is None, self.end(run)
            return file.is_file() and file.read_text() != ""

        wait_for(is_held, "a worker is held")
        return int(file.read_text())

    def open_gate(self) -> None:
        (self.folder / "gate" / "open").touch()

    def store(self) -> Store:
        return open_store(self.db, create=False)

    def runs(self, seed: int = 1) -> list[RunView]:
        """The attempts at the job with a seed, oldest first."""
        with self.store() as store:
            (view,) = [view for view in store.jobs() if view.seed == seed]
            return store.runs(view.key)

    def epochs(self, run: RunView) -> list[int]:
        with self.store() as store:
            return [row.epoch for row in store.epochs(run.uid)]

    def numbers(self) -> dict[str, Any]:
        """Every number of every finished job that is not a time or a size in memory."""
        with self.store() as store:
            return {
                result.key: (
                    [getattr(result, name) for name in RESULT],
                    [[getattr(row, name) for name in EPOCH] for row in store.epochs(result.run_uid)],
                )
                for result in store.results()
            }

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def run_of(*methods: str, seeds: int = 1) -> list[str]:
    """The words of a tiny `lnlbench run` on digits with one worker that checkpoints after every epoch."""
    return ["run", *choice(*methods, seeds=seeds), "--device", "cpu", "--workers", "1", "--checkpoint-minutes", "0"]


def choice(*methods: str, seeds: int = 1) -> list[str]:
    """The options that choose the jobs of `run_of`."""
    words = ["--plugin", str(PLUGIN)]
    for option, values in (("--method", methods), ("--seed", range(1, seeds + 1)), ("--set", TINY)):
        words += [word for value in values for word in (option, str(value))]
    return words


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Returns when the condition holds; fails when it does not for a very long time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
