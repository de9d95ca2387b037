"""The plain rows that go into the store and come out of it: no SQLAlchemy, no connection behind them.

Accuracies are percent 0..100, AUCs, precision, recall and shares 0..1, times UTC, durations seconds.
Numbers that are not finite are stored as missing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from lnlbench.job import Job
from lnlbench.store.states import JobState, RunStatus


class Claim(NamedTuple):
    """A job handed to a worker, and the run it is to report to.

    resumed_from: the job's run before this one where that did not finish; its checkpoint may be gone on from.
    """

    job_key: str
    job: Job
    run_uid: str
    attempt: int
    resumed_from: str | None


class RunProvenance(NamedTuple):
    """Under what a run happens; what is None is left as it stands in the database."""

    host: str | None = None
    pid: int | None = None
    device: str | None = None
    device_name: str | None = None
    precision: str | None = None
    threads: int | None = None
    versions: dict[str, Any] | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    lnlbench_version: str | None = None
    data_fingerprint: str | None = None
    data_canonical: bool | None = None
    data_note: str | None = None
    noisy_labels_sha256: str | None = None
    noise_realised: float | None = None
    resumed_from: str | None = None
    start_epoch: int | None = None
    log_path: str | None = None


class EpochRow(NamedTuple):
    """The metrics of one epoch. `counts`: the prediction is the method's, so best and last may use it."""

    epoch: int
    stage: str = "main"
    test_accuracy: float | None = None
    clean_auc: float | None = None
    select_precision: float | None = None
    select_recall: float | None = None
    corrected_accuracy: float | None = None
    memorisation: float | None = None
    loss: float | None = None
    images_per_second: float | None = None
    peak_memory_mb: float | None = None
    lr: float | None = None
    seconds: float | None = None
    counts: bool = True
    extra: dict[str, Any] | None = None


class ResultRow(NamedTuple):
    """What a finished run amounts to. `last10`: mean of the last ten epochs that count."""

    best: float | None
    best_epoch: int | None
    last: float | None
    last10: float | None
    epochs_done: int
    valid_pick: float | None = None
    best_auc: float | None = None
    last_auc: float | None = None
    seconds: float | None = None
    images_per_second: float | None = None
    extra: dict[str, Any] | None = None


class JobView(NamedTuple):
    """A job as it stands in the queue."""

    key: str
    method: str
    dataset: str
    noise: str
    noise_label: str
    rate: float | None
    seed: int
    scale: str
    state: JobState
    attempts: int
    lease_owner: str | None
    lease_until: datetime | None
    created_at: datetime
    canonical: str

    @property
    def job(self) -> Job:
        """The job itself."""
        return Job.from_canonical(self.canonical)


class RunView(NamedTuple):
    """One attempt at a job with all its provenance."""

    uid: str
    job_key: str
    attempt: int
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None
    worker: str
    host: str | None
    pid: int | None
    device: str | None
    device_name: str | None
    precision: str | None
    threads: int | None
    versions: dict[str, Any] | None
    git_commit: str | None
    git_dirty: bool | None
    lnlbench_version: str | None
    data_fingerprint: str | None
    data_canonical: bool | None
    data_note: str | None
    noisy_labels_sha256: str | None
    noise_realised: float | None
    resumed_from: str | None
    start_epoch: int | None
    error: str | None
    traceback: str | None
    seconds: float | None
    log_path: str | None


class FailureView(NamedTuple):
    """A run that failed or was lost, and why."""

    key: str
    method: str
    dataset: str
    noise_label: str
    seed: int
    scale: str
    state: JobState
    run_uid: str
    attempt: int
    status: RunStatus
    ended_at: datetime | None
    worker: str
    host: str | None
    error: str | None
    traceback: str | None
    log_path: str | None


class Condition(NamedTuple):
    """What a cell of a table is of, as far as it can be told without resolving its jobs."""

    scale: str
    method: str
    dataset: str
    noise: str
    rate: float | None


class ResultView(NamedTuple):
    """A job with the numbers of its newest finished run."""

    key: str
    method: str
    dataset: str
    noise: str
    noise_label: str
    rate: float | None
    seed: int
    scale: str
    status: RunStatus
    best: float | None
    best_epoch: int | None
    last: float | None
    last10: float | None
    valid_pick: float | None
    best_auc: float | None
    last_auc: float | None
    epochs_done: int | None
    seconds: float | None
    images_per_second: float | None
    data_fingerprint: str | None
    data_canonical: bool | None
    data_note: str | None
    noise_realised: float | None
    device_name: str | None
    precision: str | None
    lnlbench_version: str | None
    run_uid: str


class ArtifactView(NamedTuple):
    """A stored file; `run_uid` is None where no run made it."""

    name: str
    kind: str
    path: str
    sha256: str | None
    bytes: int | None
    key: str | None
    created_at: datetime
    run_uid: str | None
