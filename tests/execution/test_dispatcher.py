"""The dispatcher with stand-ins for its workers: small programs that die, talk too much or do not listen."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from real_processes import gone

from lnlbench.errors import LnlbenchError
from lnlbench.execution.local import BARREN_LIMIT, LocalEngine, Slot
from lnlbench.execution.protocol import Event, WorkerConfig
from lnlbench.job import Job
from lnlbench.store import Store, open_store

STAND_IN = """#!{python}
import json, os, sys, time
from pathlib import Path

here = Path({folder!r})
name = json.loads(sys.stdin.readline())["name"]
(here / f"{{os.getpid()}}.started").touch()

def started():
    return len(list(here.glob("*.started")))

def say(kind, **values):
    print(json.dumps({{"kind": kind, "worker": name, "key": "", "values": values}}), flush=True)

{body}
"""


class Stage:
    """A store with one job, and an engine whose workers are stand-ins."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.store: Store = open_store(folder / "db.sqlite")
        self.job = Job(method="ce")
        self.store.add_jobs([self.job])
        self.heard: list[Event] = []

    def engine(self, body: str, workers: int = 1) -> LocalEngine:
        program = self.folder / "stand_in"
        program.write_text(STAND_IN.format(python=sys.executable, folder=str(self.folder), body=body))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.monkeypatch.setattr(sys, "executable", str(program))
        config = WorkerConfig("", str(self.folder / "db.sqlite"), (self.job.key,), "", str(self.folder / "runs"))
        return LocalEngine(self.store, config, [Slot("cpu", 1)] * workers, self.heard.append)

    @property
    def pids(self) -> list[int]:
        return [int(path.stem) for path in self.folder.glob("*.started")]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def test_workers_that_die_before_they_have_a_job_end_the_run_with_one_message(stage: Stage) -> None:
    with pytest.raises(LnlbenchError, match="died without having had a job") as caught:
        stage.engine("sys.exit(1)").run()
    assert len(stage.pids) == BARREN_LIMIT
    assert Path(str(caught.value.hint).removeprefix("Last words, if any: ").rstrip(".")).is_file()


def test_an_interpreter_that_does_not_start_ends_the_run_too(stage: Stage) -> None:
    engine = stage.engine("")
    stage.monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(LnlbenchError, match="died without having had a job"):
        engine.run()


def test_a_job_that_kills_its_workers_uses_up_its_attempts_and_not_the_patience_for_barren_workers(
    stage: Stage,
) -> None:
    claims = """
from lnlbench.store import open_store
with open_store(here / "db.sqlite") as store:
    if store.claim(None, name, 60, retry_limit=5) is None:
        say("finished")
        sys.exit(0)
os._exit(9)
"""
    summary = stage.engine(claims).run()
    assert (summary.deaths, summary.failed) == (5, [stage.job.key])
    ends = [event.values for event in stage.heard if event.kind == "end"]
    assert [values["state"] for values in ends] == ["queued"] * 4 + ["failed"]
    assert "ended with code 9" in ends[-1]["error"]


def test_a_dead_worker_is_replaced_however_much_the_others_say(stage: Stage) -> None:
    talkative = """
try:
    (here / "first").touch(exist_ok=False)
except FileExistsError:
    pass
else:
    sys.exit(1)
for _ in range(3000):
    say("progress", epoch=0, of=1, samples=1)
    if started() == 3:
        say("finished")
        sys.exit(0)
    time.sleep(0.01)
"""
    summary = stage.engine(talkative, workers=2).run()
    assert (summary.deaths, len(stage.pids)) == (1, 3)


def test_an_error_of_a_worker_is_the_runs_error_and_the_others_are_ended(stage: Stage) -> None:
    one_complains = """
try:
    (here / "first").touch(exist_ok=False)
except FileExistsError:
    time.sleep(600)
else:
    while started() < 2:
        time.sleep(0.01)
    say("error", message="the plug-in is broken")
    sys.exit(2)
"""
    with pytest.raises(LnlbenchError, match="the plug-in is broken"):
        stage.engine(one_complains, workers=2).run()
    assert all(gone(pid) for pid in stage.pids)


def test_a_second_ctrl_c_ends_workers_that_do_not_stop_and_gives_their_jobs_back(stage: Stage) -> None:
    deaf = """
from lnlbench.store import open_store
with open_store(here / "db.sqlite") as store:
    store.claim(None, name, 600, retry_limit=5)
while True:
    say("progress", epoch=0, of=1, samples=1)
    time.sleep(0.02)
"""
    engine = stage.engine(deaf)

    def ctrl_c(event: Event) -> None:
        raise KeyboardInterrupt

    engine.on_event = ctrl_c
    assert engine.run().interrupted
    assert all(gone(pid) for pid in stage.pids)
    assert stage.store.counts()["queued"] == 1


def test_what_a_library_prints_among_the_events_is_passed_over(stage: Stage) -> None:
    stage.engine('print("Downloading ..."); print("[1]"); print(); say("finished")').run()
    assert [event.kind for event in stage.heard] == ["finished"]
