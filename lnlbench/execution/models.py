"""Trained models as artifacts of the store: kept after a run, found again for the jobs that start from them.

What is in such a file is `training/networks.py`'s business. Imports torch only when there is something to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnlbench.errors import DataError, LnlbenchError
from lnlbench.job import Job
from lnlbench.resolve import required_jobs
from lnlbench.store import Claim, Store

if TYPE_CHECKING:
    import torch

    from lnlbench.training.networks import Model, Networks

KIND = "model"
RERUNS = 3
"""Times a job is run to make its model anew; when that is not found then, running it once more would not help."""


class Postponed(Exception):
    """A job cannot start yet: what it starts from is being made again."""


def model_path(runs_dir: Path, key: str) -> Path:
    """Where the model of a job is kept."""
    return runs_dir / "models" / key[:2] / f"{key}.pt"


def keep_model(claim: Claim, method: Any, runs_dir: Path, store: Store) -> None:
    """Writes a trained method into its file and notes it in the store."""
    from lnlbench.training.networks import save_model

    path = model_path(runs_dir, claim.job_key)
    sha256, size = save_model(path, claim.job, method)
    store.record_artifact(
        claim.job.label(), KIND, str(path), sha256=sha256, size=size, key=claim.job_key, run_uid=claim.run_uid
    )


def find_model(key: str, store: Store, device: torch.device) -> Model | None:
    """The newest model of a job that is still there, whole and readable; None without."""
    from lnlbench.training.networks import load_model

    for artifact in store.artifacts(key=key, kind=KIND):
        try:
            return load_model(Path(artifact.path), artifact.sha256, device)
        except DataError:
            continue
    return None


def required_networks(job: Job, store: Store, device: torch.device) -> dict[str, Networks]:
    """The networks that a job starts from, by the name under which its method reads them.

    Where a file has gone or is damaged, the job that made it is queued again and Postponed raised. Raises
    LnlbenchError where that job did not come to a good end, or its model is never where it should be.
    """
    found = {}
    for name, required in required_jobs(job).items():
        model = find_model(required.key, store, device)
        if model is None:
            _make_again(required, store)
            raise Postponed(name)
        found[name] = model.parts()
    return found


def _make_again(required: Job, store: Store) -> None:
    (view,) = store.jobs([required.key])
    key = required.key[:12]
    if view.state in ("diverged", "failed", "stopped"):
        raise LnlbenchError(
            f"it starts from the networks of {required.label()} (job {key}), which {_ENDED[view.state]}.",
            "Once that job is done: the same command with --retry-failed.",
        )
    runs = [run for run in store.runs(required.key) if run.status == "done"]
    if len(runs) >= RERUNS:
        raise LnlbenchError(
            f"it starts from the networks of {required.label()} (job {key}), which was trained {len(runs)} times, last "
            f"on {runs[-1].host}, and its model is not to be found on this machine.",
            "Machines that share a database must share the folder of runs too (LNLBENCH_RUNS).",
        )
    store.requeue([required.key], states=["done"])


_ENDED = {"diverged": "diverged", "failed": "failed", "stopped": "was taken out of the queue"}
