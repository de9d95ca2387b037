"""The engine with real processes that are killed, interrupted and doubled: no job is lost, none is done twice, and
the numbers are those of a run that nothing happened to."""

from __future__ import annotations

import os
import signal
from typing import Any

from real_processes import Bench, choice, gone, run_of, wait_for


def test_job_of_a_killed_worker_goes_on_from_its_checkpoint_to_the_same_numbers(
    bench: Bench, undisturbed: dict[str, Any]
) -> None:
    run = bench.start(*run_of("held", seeds=2), gated=True)
    os.kill(bench.held(run), signal.SIGKILL)
    ended = bench.end(run)
    assert ended.code == 0, ended.err
    assert bench.numbers() == undisturbed
    lost, done = bench.runs(seed=1)
    assert (lost.status, bench.epochs(lost)) == ("lost", [0, 1])
    assert (done.status, bench.epochs(done)) == ("done", [0, 1, 2, 3])
    assert (done.resumed_from, done.start_epoch) == (lost.uid, 2)
    assert "signal 9" in ended.err
    assert [run.status for run in bench.runs(seed=2)] == ["done"]


def test_workers_end_with_their_dispatcher_and_the_same_command_finishes(
    bench: Bench, undisturbed: dict[str, Any]
) -> None:
    run = bench.start(*run_of("held", seeds=2), gated=True)
    worker = bench.held(run)
    run.kill()
    wait_for(lambda: gone(worker), "the worker of a killed dispatcher ends")
    with bench.store() as store:
        assert store.counts()["queued"] == 2
    ended = bench(*run_of("held", seeds=2), gated=True)
    assert ended.code == 0, ended.err
    assert bench.numbers() == undisturbed
    assert [run.status for run in bench.runs(seed=1)] == ["interrupted", "done"]


def test_ctrl_c_stops_at_the_next_step_and_the_same_command_goes_on_to_the_same_numbers(
    bench: Bench, undisturbed: dict[str, Any]
) -> None:
    run = bench.start(*run_of("held", seeds=2), gated=True)
    worker = bench.held(run)
    os.killpg(run.pid, signal.SIGINT)
    ended = bench.end(run)
    assert ended.code == 130
    assert "The same command goes on" in ended.out
    assert "Traceback" not in ended.err
    assert gone(worker)
    (stopped,) = bench.runs(seed=1)
    assert (stopped.status, bench.epochs(stopped)) == ("interrupted", [0, 1])
    ended = bench(*run_of("held", seeds=2), gated=True)
    assert ended.code == 0, ended.err
    assert bench.numbers() == undisturbed
    assert [run.start_epoch for run in bench.runs(seed=1)] == [None, 2]


def test_two_runs_on_one_database_share_the_jobs(bench: Bench) -> None:
    first = bench.start(*run_of("held", seeds=3), gated=True)
    bench.held(first)
    second = bench.start(*run_of("held", seeds=3), gated=True)

    def others_done() -> bool:
        with bench.store() as store:
            return store.counts()["done"] == 2

    wait_for(others_done, "the second run does the jobs that the first has not got to")
    assert second.poll() is None, "a run waits for jobs that another one holds"
    bench.open_gate()
    for run in (first, second):
        ended = bench.end(run)
        assert ended.code == 0, ended.err
        assert "3 of 3 jobs done" in ended.out
    runs = [bench.runs(seed) for seed in (1, 2, 3)]
    assert [[run.status for run in of_job] for of_job in runs] == [["done"]] * 3
    assert len({of_job[0].worker for of_job in runs}) == 2


def test_jobs_that_crash_fail_alone_and_can_be_tried_again(bench: Bench) -> None:
    methods = ("raising", "dying", "diverging", "held")
    ended = bench(*run_of(*methods), "--attempts", "2", "--json")
    assert ended.code == 1
    with bench.store() as store:
        states = {view.method: view.state for view in store.jobs()}
        runs = {view.method: [run.status for run in store.runs(view.key)] for view in store.jobs()}
    assert states == {"raising": "failed", "dying": "failed", "diverging": "diverged", "held": "done"}
    assert runs == {
        "raising": ["failed", "failed"],
        "dying": ["lost", "lost"],
        "diverging": ["diverged"],
        "held": ["done"],
    }
    assert "FAILED dying" in ended.err
    assert "code 7" in ended.err

    status = bench("status", "--failed")
    assert status.code == 0
    assert "RuntimeError: a bug in this method" in status.out
    assert "misbehaving_methods.py" in status.out, "the traceback names the line"
    assert "dying" in status.out
    assert "diverging" not in status.out

    report = bench("report", *choice("diverging", "held"))
    assert report.code == 0, report.err
    (line,) = [line for line in report.out.splitlines() if line.startswith("Diverging")]
    assert line.split() == ["Diverging", "Best", "fail"]

    (bench.folder / "gate" / "repaired").touch()
    again = bench(*run_of("raising"), "--retry-failed", gated=True)
    assert again.code == 0, again.err
