"""A page for the tests of the HTML report: a suite whose labels try to be markup, and a store with every kind of run.

The means of the first column are 90, 90, 9.5, 80 (one of its runs failed) and none; DivideMix diverged in the second.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from lnlbench.report import Table, build_table
from lnlbench.store import EpochRow, ResultRow, RunProvenance, Store, open_store
from lnlbench.suite import Plan, load_suite

HOSTILE = '<script>alert(1)</script> & "it\'s" </script> \u2028 {{x}} <!--'
TITLE = 'Accuracy <img src=x onerror=alert(1)> & "more"'
ERROR = "CUDA out of <b>memory</b>"
ROWS = ["Cross-Entropy (CE)", "A tie", HOSTILE, "DivideMix", "Not here"]
BEST = {"ce": 90.0, "gce": 90.0, "coteaching": 9.5, "dividemix": 80.0}

SUITE = {
    "title": TITLE,
    "recipe": "sanm-cifar",
    "seeds": 3,
    "stats": ["best", "auc"],
    "published": "sanm-table1",
    "noise": {"draw": "released"},
    "columns": [{"dataset": "cifar10", "noise": "symmetric", "rates": [0.2, 0.5]}],
    "rows": [
        {"label": ROWS[0], "method": "ce", "group": "Baselines"},
        {"label": ROWS[1], "method": "gce", "group": "Baselines"},
        {"label": ROWS[2], "method": "coteaching", "group": "<i>Others</i>"},
        {"label": ROWS[3], "method": "dividemix", "group": "<i>Others</i>"},
        {"label": ROWS[4], "method": "no_such_method"},
    ],
}


def made_plan(folder: Path) -> Plan:
    """The suite's plan at paper scale."""
    path = folder / "made_up.yaml"
    path.write_text(yaml.safe_dump(SUITE, sort_keys=False))
    return load_suite(path).plan("paper")


def fill(path: Path, plan: Plan) -> Store:
    """A store in which all jobs were run: 4 epochs each, the first in a stage that does not count."""
    store = open_store(path)
    store.add_jobs(plan.jobs)
    for job in plan.jobs:
        claim = store.claim([job.key], "w", 60, retry_limit=1)
        known = RunProvenance(
            host="h<o>st",
            device="cuda:0",
            device_name="NVIDIA H200",
            precision="bf16",
            versions={"torch": "2.6.0"},
            git_commit="c0ffee",
            git_dirty=True,
            lnlbench_version="0.1.0",
            data_fingerprint="d" * 64,
            data_canonical=True,
            noisy_labels_sha256="e" * 64,
        )
        store.start_run(claim.run_uid, known)
        store.record_epochs(claim.run_uid, [_epoch(e, job.seed) for e in range(4)])
        rate = job.noise.rate
        if (job.method, rate, job.seed) == ("dividemix", 0.2, 3):
            store.finish(claim.run_uid, "failed", None, ERROR, "Traceback ...")
        elif (job.method, rate, job.seed) == ("dividemix", 0.5, 2):
            store.finish(claim.run_uid, "diverged", None)
        else:
            best = BEST[job.method] + 0.5 * (job.seed - 2) * (job.method != "dividemix")
            store.finish(claim.run_uid, "done", ResultRow(best, 2, best - 1, best - 1, 4, best_auc=0.75, seconds=61.0))
    return store


def _epoch(epoch: int, seed: int) -> EpochRow:
    stage = {"stage": "main" if epoch else "<warm-up>", "counts": epoch > 0}
    memorised = {"memorisation": epoch / 8} if seed > 1 else {}
    return EpochRow(
        epoch, test_accuracy=12.34 * epoch + seed, clean_auc=0.5 + epoch / 10, loss=2.5 - epoch, **stage, **memorised
    )


def made_table(store: Store, plan: Plan) -> Table:
    """The suite's table, with the published numbers beside."""
    return build_table(plan, store.results([job.key for job in plan.jobs]), compare=True)
