"""How long `lnlbench report` and the questions of `store` take over 100,000 runs of 100 epochs each.

Builds the database anew with bulk inserts (10 million epochs: some minutes and a gigabyte), or reuses the one of an
earlier call, and prints two tables. The first jobs are those of all suites at paper scale, so that reports have
something to print. Usage: python benchmarks/store.py [--runs N] [--epochs N] [--db PATH]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from lnlbench.job import Job, Noise
from lnlbench.store import Store, open_store
from lnlbench.store.models import EpochRecord, JobRecord, ResultRecord, RunRecord
from lnlbench.store.selection import job_columns
from lnlbench.suite import load_suite, suite_names

METHODS = ("ce", "gce", "elr", "coteaching", "dividemix")
RATES = (0.2, 0.4, 0.5, 0.8)
SEEDS = 5
START = datetime(2026, 1, 1, tzinfo=UTC)
RUNS_AT_ONCE = 1000

WATCH = """
from lnlbench import cli
try:
    cli.main()
except SystemExit:
    pass
print(", ".join(m for m in ("torch", "sqlalchemy", "scipy", "numpy") if m in sys.modules) or "none of them")
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=100_000)
    arguments.add_argument("--epochs", type=int, default=100, help="epochs a run")
    arguments.add_argument("--repeat", type=int, default=5, help="measurements; the fastest is printed")
    arguments.add_argument("--db", help="path or URL to keep the database at; default: a temporary file")
    given = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(given.db or Path(folder) / "benchmark.sqlite") as store,
    ):
        if not sum(store.counts().values()):
            start = time.perf_counter()
            fill(store, given.runs, given.epochs)
            print(f"built in {time.perf_counter() - start:.1f} s")
        measure(store, given.repeat)
        measure_reports(given.db or str(Path(folder) / "benchmark.sqlite"), given.repeat)


def fill(store: Store, runs: int, epochs: int) -> None:
    """One job a run; every tenth job has been run twice."""
    of_suites = iter(suite_jobs())
    # A number that ends in 1 is the second run of the job before.
    known = dict(zip((number for number in range(runs) if number % 10 != 1), of_suites, strict=False))
    for first in range(0, runs, RUNS_AT_ONCE):
        numbers = range(first, min(first + RUNS_AT_ONCE, runs))
        jobs = {number: job_row(number, known.get(number)) for number in numbers if number % 10 != 1}
        keys = {number: jobs[number - (number % 10 == 1)]["key"] for number in numbers}
        with store.write() as connection:
            connection.execute(insert(JobRecord), list(jobs.values()))
            connection.execute(insert(RunRecord), [run_row(number, keys[number]) for number in numbers])
            connection.execute(insert(ResultRecord), [result_row(number, epochs) for number in numbers])
            connection.execute(insert(EpochRecord), list(epoch_rows(numbers, epochs)))


def suite_jobs() -> list[Job]:
    """Every job of every suite at paper scale, once."""
    plans = [suite.plan("paper") for suite in map(load_suite, suite_names()) if "paper" in suite.scales]
    return list({job.key: job for plan in plans for job in plan.jobs}.values())


def job_row(number: int, known: Job | None) -> dict[str, Any]:
    job = known or Job(
        method=METHODS[number % len(METHODS)],
        noise=Noise(name="symmetric", rate=RATES[number // 7 % len(RATES)]),
        hyperparameters={"number": number},
        seed=number % SEEDS,
        scale="desk" if number % 100 == 0 else "paper",
    )
    # The key counts up, so that the runs can be written without looking it up.
    columns = job_columns(job) if known else {**job_columns(job), "key": key(number)}
    return {**columns, "created_at": START, "state": "done", "attempts": 1, "position": number + 1}


def key(number: int) -> str:
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4


def run_row(number: int, job_key: str) -> dict[str, Any]:
    began = START + timedelta(minutes=number)
    return {
        "id": number + 1,
        "uid": uuid.UUID(int=number).hex,
        "job_key": job_key,
        "attempt": 1 + (number % 10 == 1),
        "status": "done",
        "started_at": began,
        "ended_at": began + timedelta(minutes=50),
        "worker": "benchmark",
        "host": "host",
        "device_name": "NVIDIA H200",
        "precision": "bf16",
        "versions": {"torch": "2.6.0", "numpy": "2.1.0"},
        "lnlbench_version": "0.1.0",
        "data_canonical": True,
        "noise_realised": 0.5,
    }


def result_row(number: int, epochs: int) -> dict[str, Any]:
    best = 80 + number % 1000 / 100
    return {
        "run_id": number + 1,
        "best": best,
        "best_epoch": epochs // 2,
        "last": best - 1,
        "last10": best - 1.1,
        "best_auc": 0.95,
        "last_auc": 0.94,
        "epochs_done": epochs,
        "seconds": 3000.0,
        "images_per_second": 5000.0,
    }


def epoch_rows(numbers: range, epochs: int) -> Iterator[dict[str, Any]]:
    for number in numbers:
        for epoch in range(epochs):
            yield {
                "run_id": number + 1,
                "epoch": epoch,
                "stage": "main",
                "test_accuracy": 10.0 + epoch % 80,
                "clean_auc": 0.9,
                "loss": 1.25,
                "memorisation": 0.125,
                "seconds": 30.0,
                "counts": True,
            }


def measure(store: Store, repeat: int) -> None:
    everything = store.results()
    table = [view.key for view in everything[::90]]
    questions: list[tuple[str, Callable[[], object]]] = [
        ("results, all", lambda: store.results()),
        ("results, one scale", lambda: store.results(scale="desk")),
        ("results, a method at a rate", lambda: store.results(method="gce", rate=0.5)),
        (f"results, {len(table)} keys", lambda: store.results(table)),
        ("epochs of 100 runs", lambda: store.epochs_of([view.run_uid for view in everything[:100]])),
        ("counts, all", lambda: store.counts()),
    ]
    print(f"{'question':<30} {'rows':>8} {'ms':>9}")
    for name, ask in questions:
        rows, seconds = fastest(ask, repeat)
        print(f"{name:<30} {rows:>8} {1000 * seconds:>9.1f}")


def measure_reports(db: str, repeat: int) -> None:
    """Whole processes, from the command to the last line, and whether they imported what takes long."""
    print(f"\n{'command':<66} {'tables':>6} {'s':>6} {'CPU s':>6}  imported")
    for words in ("--suite sanm-table1 --compare", "--suite sanm-table1 --against dividemix --ranks", ""):
        code = f"import sys; sys.argv = {['lnlbench', 'report', *words.split(), '--db', db]!r}\n{WATCH}"
        times, busy, lines = [], [], [""]
        for _ in range(repeat):
            start, used = time.perf_counter(), children_seconds()
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            times.append(time.perf_counter() - start)
            busy.append(children_seconds() - used)
            lines = done.stdout.splitlines()
        tables = sum("Run by lnlbench" in line for line in lines)
        print(f"{'lnlbench report ' + words:<66} {tables:>6} {min(times):>6.2f} {min(busy):>6.2f}  {lines[-1]}")


def children_seconds() -> float:
    """Processor time of the ended child processes: on a busy machine, what the clock would say on an idle one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fastest(ask: Callable[[], object], repeat: int) -> tuple[int, float]:
    times, answer = [], None
    for _ in range(repeat):
        start = time.perf_counter()
        answer = ask()
        times.append(time.perf_counter() - start)
    return len(answer), min(times)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
