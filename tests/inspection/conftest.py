"""Jobs of a second each, trained once for all tests of this folder, with their models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trained_jobs
from trained_jobs import Kept, job_of

from lnlbench.job import Job

JOBS: dict[str, Callable[[], Job]] = {
    "ce": lambda: job_of("ce"),
    "other labels": lambda: job_of("ce", seed=2),
    "clean labels": lambda: job_of("ce", noise=trained_jobs.Noise("clean")),
    "sanm(ce)": lambda: job_of("sanm(ce)", start_epoch=0),
    "sanm(dividemix)": lambda: job_of("sanm(dividemix)", warmup_epochs=0),
    "frozen masks": lambda: job_of("sanm(ce)", start_epoch=0, mask_source="pretrained"),
    "two views": lambda: job_of("sanm(ce)", start_epoch=0, variant="official"),
    "coteaching": lambda: job_of("coteaching"),
    "rfl": lambda: job_of("rfl"),
    "rfl without decoder": lambda: job_of("rfl", restoration=False),
}


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Kept]:
    """`kept(name)`: a job of `JOBS`, trained when it is first asked for."""
    folder, done = tmp_path_factory.mktemp("models"), dict[str, Kept]()

    def get(name: str) -> Kept:
        if name not in done:
            done[name] = trained_jobs.trained(Path(folder), JOBS[name]())
        return done[name]

    return get


@pytest.fixture
def restored(kept):
    """`restored(name)`: such a job put back from its model."""
    return lambda name: kept(name).restored()
