"""How long the HTML report of 10,000 runs of 100 epochs takes to make, how large it is, how fast a browser is on it.

Makes a suite of its own and a database of results for it, has `lnlbench report` write the page, and, where playwright
and Chromium are there, opens it, sorts a table, filters and opens a cell. Prints a table of the medians.
Usage: python benchmarks/html_report.py [--runs N] [--epochs N] [--tables N] [--out report.html]
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import insert

from lnlbench.job import Job
from lnlbench.store import Store, open_store
from lnlbench.store.models import EpochRecord, JobRecord, ResultRecord, RunRecord
from lnlbench.store.selection import job_columns
from lnlbench.suite import load_suite

SEEDS, RATES = 5, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
DATASETS = ("cifar10", "cifar100")
START = datetime(2026, 1, 1, tzinfo=UTC)
RUNS_AT_ONCE = 1000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=10_000)
    arguments.add_argument("--epochs", type=int, default=100, help="epochs a run")
    arguments.add_argument("--repeat", type=int, default=3)
    arguments.add_argument("--out", type=Path, help="keep the page here")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        suite = write_suite(Path(folder), given.runs)
        jobs = load_suite(suite).plan("paper").jobs
        database, page = Path(folder) / "runs.sqlite", given.out or Path(folder) / "report.html"
        with open_store(database) as store:
            fill(store, jobs, given.epochs)
        words = ["report", "--suite", suite, "--db", database, "--format", "html", "--out", page]
        command = [sys.executable, "-m", "lnlbench", *map(str, words)]
        times = [timed(command) for _ in range(given.repeat)]
        print(f"{len(jobs):,} runs x {given.epochs} epochs, {len(jobs) // SEEDS:,} cells")
        for name, seconds in zip(("by the clock", "of one processor"), zip(*times, strict=True), strict=True):
            print(f"{f'lnlbench report --format html, {name}':<50} {statistics.median(seconds):>8.2f} s")
        print(f"{'size of the page':<50} {page.stat().st_size / 2**20:>8.1f} MiB")
        for name, milliseconds in in_browser(page.resolve(), given.repeat):
            print(f"{name:<50} {milliseconds:>8.0f} ms")


def write_suite(folder: Path, runs: int) -> Path:
    """A suite whose rows are one method with different hyperparameters, in two data sets at ten rates."""
    rows = -(-runs // (SEEDS * len(RATES) * len(DATASETS)))
    suite = {
        "title": "Many runs",
        "recipe": "sanm-cifar",
        "seeds": SEEDS,
        "columns": [{"dataset": name, "noise": "symmetric", "rates": list(RATES)} for name in DATASETS],
        "rows": [
            {"label": f"GCE, q = {i / rows:.4f}", "method": "gce", "set": {"q": i / rows}} for i in range(1, rows + 1)
        ],
    }
    path = folder / "many.yaml"
    path.write_text(yaml.safe_dump(suite, sort_keys=False))
    return path


def fill(store: Store, jobs: tuple[Job, ...], epochs: int) -> None:
    """One finished run a job, with curves that rise and jitter as real ones do."""
    for first in range(0, len(jobs), RUNS_AT_ONCE):
        numbers = range(first, min(first + RUNS_AT_ONCE, len(jobs)))
        with store.write() as connection:
            connection.execute(insert(JobRecord), [job_row(number, jobs[number]) for number in numbers])
            connection.execute(insert(RunRecord), [run_row(number, jobs[number]) for number in numbers])
            connection.execute(insert(ResultRecord), [result_row(number, epochs) for number in numbers])
            connection.execute(insert(EpochRecord), list(epoch_rows(numbers, epochs)))


def job_row(number: int, job: Job) -> dict[str, Any]:
    return {**job_columns(job), "created_at": START, "state": "done", "attempts": 1, "position": number + 1}


def run_row(number: int, job: Job) -> dict[str, Any]:
    began = START + timedelta(minutes=number)
    return {
        "id": number + 1,
        "uid": uuid.UUID(int=number).hex,
        "job_key": job.key,
        "attempt": 1,
        "status": "done",
        "started_at": began,
        "ended_at": began + timedelta(minutes=50),
        "seconds": 3000.0 + number / 7,
        "worker": "benchmark",
        "host": f"host{number % 8}",
        "device": "cuda:0",
        "device_name": "NVIDIA H200",
        "precision": "bf16",
        "versions": {"torch": "2.6.0", "numpy": "2.1.0"},
        "git_commit": f"{number % 3:040x}",
        "git_dirty": False,
        "lnlbench_version": "0.1.0",
        "data_fingerprint": "d" * 64,
        "data_canonical": True,
        "noisy_labels_sha256": f"{number % 100:064x}",
        "noise_realised": 0.5,
    }


def result_row(number: int, epochs: int) -> dict[str, Any]:
    best = 80 + number % 1000 / 100
    row = {"run_id": number + 1, "best": best, "best_epoch": epochs // 2, "last": best - 1, "last10": best - 1.1}
    return {**row, "best_auc": 0.95, "last_auc": 0.94, "epochs_done": epochs}


def epoch_rows(numbers: range, epochs: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(numbers.start)
    for number in numbers:
        for epoch in range(epochs):
            done = (epoch + 1) / epochs
            yield {
                "run_id": number + 1,
                "epoch": epoch,
                "stage": "train",
                "test_accuracy": 90 * done**0.3 + draw.gauss(0, 1) - 5,
                "clean_auc": 0.5 + 0.4 * done**0.5 + draw.gauss(0, 0.01),
                "loss": 2.3 - 2 * done + draw.random() / 10,
                "memorisation": done * 0.5 + draw.random() / 50,
                "counts": True,
            }


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds by the clock, and of processor time, which other work on the machine does not lengthen."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, check=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, used


def in_browser(page: Path, repeat: int) -> Iterator[tuple[str, float]]:
    """Milliseconds in Chromium until the page is there and each thing is done and painted; nothing without one."""
    chromium = os.environ.get("LNLBENCH_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return
    if chromium is None:
        return
    painted = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
    steps = {
        "open": None,
        "sort a column": "() => document.querySelectorAll('th[data-column] button')[1].click()",
        "filter": "() => { const f = document.getElementById('filter'); f.value = '0.5'; "
        "f.dispatchEvent(new Event('input')); }",
        "open a cell's runs, with curves": "() => document.querySelector('tbody:not([hidden]) td[data-place]').click()",
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(repeat):
            tab = browser.new_page()
            for name, action in steps.items():
                start = time.perf_counter()
                tab.goto(page.as_uri()) if action is None else tab.evaluate(action)
                tab.evaluate(painted)
                times[name].append(1000 * (time.perf_counter() - start))
            tab.close()
        browser.close()
    for name, values in times.items():
        yield f"Chromium: {name}", statistics.median(values)


if __name__ == "__main__":
    main()
