"""A trained method, put back from its kept model into the job that it was trained for, ready to predict.

Trains nothing. The state dict holds the whole method, so networks that it once started from need not be found again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from lnlbench.errors import LnlbenchError
from lnlbench.job import Job
from lnlbench.methods import registry
from lnlbench.methods.base import Method
from lnlbench.resolve import method_version
from lnlbench.training.data import Prepared, Split, prepare
from lnlbench.training.devices import Place
from lnlbench.training.networks import Model, untrained
from lnlbench.training.seeds import derive
from lnlbench.training.trainer import OpenRun, open_run


@dataclass(frozen=True)
class Trained:
    """A job with its data and its method as training left it, in eval mode.

    data: with the true labels, which are for those who look at the method and not for the method.
    """

    job: Job
    run: OpenRun
    data: Prepared

    @property
    def method(self) -> Method:
        """The method."""
        return self.run.method

    def split(self, name: str) -> Split:
        """The samples called 'train' or 'test'."""
        return self.data.train if name == "train" else self.data.test

    def seed(self, seed: int) -> None:
        """Sets the run's generators, so that what the method draws from now on is told by `seed`."""
        self.run.streams.tensors.manual_seed(derive(seed, "figures"))
        torch.manual_seed(derive(seed, "figures", "global"))


def restore(job: Job, model: Model, data_dir: Path, place: Place) -> Trained:
    """The trained method of a job.

    Raises LnlbenchError where the model is of another job, or was trained by other code than there is now, DataError
    where the job's data is not at hand.
    """
    if model.job != job.canonical_text:
        raise LnlbenchError(f"the model is not of {job.label()} (job {job.key[:12]}).", _AGAIN)
    version = method_version(registry.parse(job.method))
    if version != job.method_version:
        raise LnlbenchError(
            f"the model of {job.label()} was trained by version {job.method_version} of {job.method}; here is version "
            f"{version}.",
            "Run the job with the code there is now, or look at its model with the code of then.",
        )
    data = prepare(job, data_dir)
    run = open_run(job, untrained(job, data, place), place)
    try:
        run.method.load_state_dict(dict(model.state))
    except RuntimeError as error:
        raise LnlbenchError(
            f"the model of {job.label()} does not fit the code there is now: {_first_line(error)}", _AGAIN
        ) from error
    run.method.eval()
    return Trained(job, run, data)


_AGAIN = "Train it again: the command that ran it, with --rerun --keep-models."


def _first_line(error: RuntimeError) -> str:
    """What torch names first: a key that is missing or left over, or a shape."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 else lines[0])[:300]
