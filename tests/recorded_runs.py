"""Runs with made-up numbers in a real store, for the tests of the regression check: nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lnlbench.job import Job
from lnlbench.regression import Baseline, make_baseline
from lnlbench.store import ResultRow, RunProvenance, open_store
from lnlbench.suite import Plan, load_suite

DATA = "d" * 64
SUITE = {
    "title": "Test accuracy (%) on digits",
    "recipe": "quickstart",
    "stats": ["best", "last"],
    "seeds": 5,
    "columns": [{"dataset": "digits", "noise": "symmetric", "rates": [0.2, 0.4]}],
    "rows": [{"label": "Cross-Entropy", "method": "ce"}, {"label": "GCE", "method": "gce"}],
}


def suite_file(folder: Path, name: str = "watched", **changes: Any) -> Path:
    """`SUITE` with some keys changed, as a file."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**SUITE, **changes}, sort_keys=False), encoding="utf-8")
    return path


def plan_of(path: Path, **changes: Any) -> Plan:
    """The smoke plan of a suite file."""
    return load_suite(path).plan("smoke", **changes)


def steady(job: Job) -> dict[str, float]:
    """Numbers of a method that works: about 90 and 80, with a spread of a point over seeds."""
    spread = ((job.seed * 7919) % 11 - 5) / 5
    return {"best": 90 + spread, "last": 80 + spread, "last10": 81 + spread, "best_auc": 0.9 + spread / 200}


def record(
    db: Path,
    jobs: Iterable[Job],
    numbers: Callable[[Job], Mapping[str, float] | str] = steady,
    **provenance: Any,
) -> None:
    """A new run of every job. numbers: of its result; 'diverged' or 'failed' in their place ends it so."""
    under = {"git_commit": "a" * 40, "git_dirty": False, "lnlbench_version": "0.1.0", "data_fingerprint": DATA}
    with open_store(db) as store:
        for job in jobs:
            store.add_jobs([job])
            store.requeue([job.key], states=("done", "diverged", "failed"))
            claim = store.claim([job.key], "worker", 600, retry_limit=1)
            assert claim is not None
            store.start_run(claim.run_uid, RunProvenance(**{**under, **provenance}))
            found = numbers(job)
            if found == "diverged":
                store.finish(claim.run_uid, "diverged", None, "the loss became NaN")
            elif found == "failed":
                store.finish(claim.run_uid, "failed", None, "out of <memory>", "Traceback", retry=False)
            else:
                values = {"best": None, "last": None, "last10": None, "best_epoch": 3, "epochs_done": 20, **found}
                store.finish(claim.run_uid, "done", ResultRow(**values))


def baseline_of(plan: Plan, db: Path, **options: Any) -> Baseline:
    """A baseline from a database."""
    with open_store(db, create=False) as store:
        return make_baseline(plan, store, {"at": "2026-11-21T00:00:00+00:00", "git_commit": "a" * 40}, **options)
