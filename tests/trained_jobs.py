"""Small jobs on digits that are really trained, in this process, with their kept models: for figures of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch

from lnlbench.execution.models import KIND
from lnlbench.inspection.restore import Trained, restore
from lnlbench.job import Job, Noise
from lnlbench.methods.base import Method
from lnlbench.resolve import resolve_job
from lnlbench.store import ResultRow, RunProvenance, open_store
from lnlbench.training.data import prepare
from lnlbench.training.devices import Place, place
from lnlbench.training.networks import Model, load_model, save_model, untrained
from lnlbench.training.trainer import Outcome, train

RECIPE: dict[str, Any] = {
    "backbone": "smallcnn",
    "width": 0.25,
    "epochs": 1,
    "batch_size": 16,
    "image_size": 8,
    "augment": "none",
    "train_subset": 60,
    "test_subset": 40,
    "optimizer": {"lr": 0.05},
    "schedule": {"name": "constant"},
}
NOISE = Noise("symmetric", 0.4)


class Kept(NamedTuple):
    """A trained job: what it was, how it ended, its model's file, and the method as training left it."""

    job: Job
    outcome: Outcome
    path: Path
    sha256: str
    method: Method
    place: Place

    def model(self) -> Model:
        return load_model(self.path, self.sha256, self.place.device)

    def restored(self) -> Trained:
        return restore(self.job, self.model(), Path("no data is needed"), self.place)


def job_of(method: str, *, noise: Noise = NOISE, seed: int = 1, recipe: Any = None, **settings: Any) -> Job:
    """A job of seconds; settings are the method's."""
    overrides = {"recipe": RECIPE, "recipe_overrides": recipe, "overrides": [settings]}
    return resolve_job(method, "digits", noise, seed, scale="smoke", **overrides)


def trained(folder: Path, job: Job) -> Kept:
    """Trains a job and writes its model down; what it starts from is not trained."""
    at = place("cpu", "fp32")
    data = untrained(job, prepare(job, folder), at)
    built: list[Method] = []
    outcome = train(job, data, at, on_built=built.append)
    path = folder / f"{job.key}.pt"
    sha256, _ = save_model(path, job, built[0])
    return Kept(job, outcome, path, sha256, built[0], at)


def recorded(db: Path, kept: Kept, *, model: bool = True) -> None:
    """Puts a trained job into a database, as a worker does. model: with the file of its model."""
    with open_store(db) as store:
        store.add_jobs([kept.job])
        claim = store.claim([kept.job.key], "worker", 600, retry_limit=1)
        assert claim is not None
        store.start_run(claim.run_uid, RunProvenance(precision=kept.place.precision, host="here"))
        if model:
            store.record_artifact(
                "model", KIND, str(kept.path), sha256=kept.sha256, key=kept.job.key, run_uid=claim.run_uid
            )
        result = kept.outcome.result
        assert result is not None
        store.finish(claim.run_uid, "done", ResultRow(result.best, 0, result.last, result.last10, 1))


def state_of(kept: Kept) -> dict[str, torch.Tensor]:
    """A copy of its state, to be spoilt."""
    return {name: value.clone() for name, value in kept.model().state.items()}
