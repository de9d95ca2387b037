"""How long a report waits for the database: `store.results` over 100,000 runs of 100 epochs each.

Builds the database anew with bulk inserts (10 million epochs: some minutes and a gigabyte), or reuses the one
of an earlier call, and prints a table. Usage: python benchmarks/store.py [--runs N] [--epochs N] [--db PATH]
"""

from __future__ import annotations

import argparse
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

METHODS = ("ce", "gce", "elr", "coteaching", "dividemix")
RATES = (0.2, 0.4, 0.5, 0.8)
SEEDS = 5
START = datetime(2026, 1, 1, tzinfo=UTC)
RUNS_AT_ONCE = 1000


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


def fill(store: Store, runs: int, epochs: int) -> None:
    """One job a run; every tenth job has been run twice."""
    for first in range(0, runs, RUNS_AT_ONCE):
        numbers = range(first, min(first + RUNS_AT_ONCE, runs))
        with store.write() as connection:
            connection.execute(insert(JobRecord), [job_row(number) for number in numbers if number % 10 != 1])
            connection.execute(insert(RunRecord), [run_row(number) for number in numbers])
            connection.execute(insert(ResultRecord), [result_row(number, epochs) for number in numbers])
            connection.execute(insert(EpochRecord), list(epoch_rows(numbers, epochs)))


def job_row(number: int) -> dict[str, Any]:
    job = Job(
        method=METHODS[number % len(METHODS)],
        noise=Noise(name="symmetric", rate=RATES[number // 7 % len(RATES)]),
        hyperparameters={"number": number},
        seed=number % SEEDS,
        scale="desk" if number % 100 == 0 else "paper",
    )
    # The key counts up, so that the runs can be written without looking it up.
    columns = {**job_columns(job), "key": key(number)}
    return {**columns, "created_at": START, "state": "done", "attempts": 1, "position": number + 1}


def key(number: int) -> str:
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4


def run_row(number: int) -> dict[str, Any]:
    # A number that ends in 1 is the second run of the job before.
    began = START + timedelta(minutes=number)
    return {
        "id": number + 1,
        "uid": uuid.UUID(int=number).hex,
        "job_key": key(number - (number % 10 == 1)),
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


def fastest(ask: Callable[[], object], repeat: int) -> tuple[int, float]:
    times, answer = [], None
    for _ in range(repeat):
        start = time.perf_counter()
        answer = ask()
        times.append(time.perf_counter() - start)
    return len(answer), min(times)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
