"""Trained networks that go from one job to another: what a finished run hands on, and how it is kept in a file.

A method that starts from another job's networks reads them by `task.need(name)` as {name of network: state dict};
nothing else of the other run, such as what it saw of labels, goes with them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lnlbench.errors import DataError
from lnlbench.job import Job
from lnlbench.methods.base import Method
from lnlbench.resolve import required_jobs
from lnlbench.training import checkpoint
from lnlbench.training.data import Prepared
from lnlbench.training.devices import Place
from lnlbench.training.trainer import open_run

Networks = dict[str, dict[str, Tensor]]
"""State dicts of trained networks by their name in the method that trained them."""


@dataclass(frozen=True)
class Model:
    """A trained method as kept in a file. state: its whole state dict. networks: names of its trained networks."""

    job: str
    state: Mapping[str, Tensor]
    networks: tuple[str, ...]

    def parts(self) -> Networks:
        """The networks alone, as another job may start from them."""
        return {name: _part(self.state, name) for name in self.networks}


def _part(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def save_model(path: Path, job: Job, method: Method) -> tuple[str, int]:
    """Writes a trained method; returns (sha256, bytes) of the file. Raises LnlbenchError for a full disk."""
    checkpoint.save(
        path, {"job": job.canonical_text, "state": method.state_dict(), "networks": list(method.backbones())}
    )
    return digest(path), path.stat().st_size


def load_model(path: Path, sha256: str | None, device: torch.device) -> Model:
    """Reads a file of `save_model` without unpickling anything but tensors and plain values.

    Raises DataError where it is missing, altered or something else.
    """
    try:
        if sha256 is not None and digest(path) != sha256:
            raise DataError(f"the trained model {path} has been altered since it was written.")
        found = torch.load(path, map_location=device, weights_only=True)
        return Model(found["job"], found["state"], tuple(found["networks"]))
    except DataError:
        raise
    except Exception as error:  # a damaged file can fail anywhere on its way
        raise DataError(f"the trained model {path} cannot be read: {type(error).__name__}: {error}") from error


def digest(path: Path) -> str:
    """sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_networks(data: Prepared, networks: Mapping[str, Networks]) -> Prepared:
    """The data of a job with the networks that it starts from, by the name under which its method reads them."""
    return dataclasses.replace(data, granted={**data.granted, **networks}) if networks else data


def untrained(job: Job, data: Prepared, place: Place) -> Prepared:
    """The data of a job with networks of the right kind that were never trained, to try the method out."""
    made: dict[str, Any] = {}
    for name, required in required_jobs(job).items():
        method = open_run(required, untrained(required, data, place), place).method
        state = {key: value.clone() for key, value in method.state_dict().items() if isinstance(value, Tensor)}
        made[name] = Model(required.canonical_text, state, tuple(method.backbones())).parts()
    return with_networks(data, made)
