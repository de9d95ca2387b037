"""What a dispatcher and its worker processes say to each other: one JSON object a line, over pipes.

A worker gets its `WorkerConfig` as the first line on standard input, then commands ('stop'); the end of its
input means the dispatcher is gone. It answers with `Event`s. Numbers go to the store, not through here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class WorkerConfig:
    """Everything a worker needs. keys: the jobs it may take, in order. lease_seconds: how long a job is held
    without a sign of life. retry_limit: attempts a job gets. resume: go on from checkpoints. keep_models: keep the
    trained method of every job; those that other jobs start from are kept all the same."""

    name: str
    database: str
    keys: tuple[str, ...]
    data_dir: str
    runs_dir: str
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    retry_limit: int = 2
    lease_seconds: float = 120.0
    checkpoint_minutes: float = 1.0
    resume: bool = True
    keep_models: bool = False
    plugins: tuple[str, ...] = ()

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> WorkerConfig:
        """The configuration of a line made by `to_line`."""
        values = json.loads(line)
        return cls(**{**values, "keys": tuple(values["keys"]), "plugins": tuple(values["plugins"])})


EventKind = Literal["ready", "start", "progress", "epoch", "end", "waiting", "finished", "error"]


@dataclass(frozen=True)
class Event:
    """Something that happened in a worker.

    start: label, epochs, start_epoch. progress: epoch, samples, of. epoch: epoch, test_accuracy, seconds.
    end: status, state, best, last, error. error: message, for what ends the worker itself.
    """

    kind: EventKind
    worker: str
    key: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Event | None:
        """The event of a line; None for a line that is none (a library's print)."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError):
            return None
