"""The tables: job, dependency, run, epoch, result, artifact, as SQLAlchemy 2 typed models.

A change here needs a new file in `migrations/versions/` and a new entry in `states.REVISIONS`; a test compares
the two. Queries live elsewhere. Accuracies are percent 0..100, AUCs 0..1, all times UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lnlbench.store.states import JobState, RunStatus

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Utc(TypeDecorator[datetime]):
    """A point in time, always UTC and aware; refuses naive datetimes. SQLite keeps it as ISO text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a datetime without a time zone cannot be stored: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of the tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: Utc(), float: Double(), dict[str, Any]: JSON(none_as_null=True), str: Text()}  # noqa: RUF012


class JobRecord(Base):
    """A job and its place in the queue. The columns beside `canonical` are there to be searched."""

    __tablename__ = "job"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    method: Mapped[str] = mapped_column(String(255))
    dataset: Mapped[str] = mapped_column(String(255))
    noise: Mapped[str] = mapped_column(String(255))
    noise_label: Mapped[str] = mapped_column(String(255))
    rate: Mapped[float | None]
    seed: Mapped[int] = mapped_column(BigInteger)
    scale: Mapped[str] = mapped_column(String(16))
    canonical: Mapped[str]
    created_at: Mapped[datetime]
    state: Mapped[JobState] = mapped_column(String(16))
    attempts: Mapped[int]
    attempt_limit: Mapped[int | None]
    lease_owner: Mapped[str | None] = mapped_column(String(255))
    lease_until: Mapped[datetime | None]
    position: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        Index(None, "method", "dataset", "noise", "rate", "scale"),
        Index(None, "state", "position"),
    )


class DependencyRecord(Base):
    """A job that starts from networks which another job trains, and is not handed out before that one has ended."""

    __tablename__ = "dependency"

    job_key: Mapped[str] = mapped_column(String(64), ForeignKey("job.key"), primary_key=True)
    required_key: Mapped[str] = mapped_column(String(64), ForeignKey("job.key"), primary_key=True, index=True)


class RunRecord(Base):
    """One attempt at a job, with its provenance. `uid` is unique across machines, `id` only in this database."""

    __tablename__ = "run"

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(String(32), unique=True)
    job_key: Mapped[str] = mapped_column(String(64), ForeignKey("job.key"))
    attempt: Mapped[int]
    status: Mapped[RunStatus] = mapped_column(String(16))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    worker: Mapped[str] = mapped_column(String(255))
    host: Mapped[str | None] = mapped_column(String(255))
    pid: Mapped[int | None]
    device: Mapped[str | None] = mapped_column(String(64))
    device_name: Mapped[str | None] = mapped_column(String(255))
    precision: Mapped[str | None] = mapped_column(String(32))
    threads: Mapped[int | None]
    versions: Mapped[dict[str, Any] | None]
    git_commit: Mapped[str | None] = mapped_column(String(64))
    git_dirty: Mapped[bool | None]
    lnlbench_version: Mapped[str | None] = mapped_column(String(64))
    data_fingerprint: Mapped[str | None] = mapped_column(String(255))
    data_canonical: Mapped[bool | None]
    data_note: Mapped[str | None]
    noisy_labels_sha256: Mapped[str | None] = mapped_column(String(64))
    noise_realised: Mapped[float | None]
    resumed_from: Mapped[str | None] = mapped_column(String(32))
    start_epoch: Mapped[int | None]
    error: Mapped[str | None]
    traceback: Mapped[str | None]
    seconds: Mapped[float | None]
    log_path: Mapped[str | None]

    __table_args__ = (Index(None, "job_key", "ended_at"),)


class EpochRecord(Base):
    """The metrics of one epoch of a run. `epoch` counts through all stages."""

    __tablename__ = "epoch"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    stage: Mapped[str] = mapped_column(String(64))
    test_accuracy: Mapped[float | None]
    clean_auc: Mapped[float | None]
    select_precision: Mapped[float | None]
    select_recall: Mapped[float | None]
    corrected_accuracy: Mapped[float | None]
    memorisation: Mapped[float | None]
    loss: Mapped[float | None]
    images_per_second: Mapped[float | None]
    peak_memory_mb: Mapped[float | None]
    lr: Mapped[float | None]
    seconds: Mapped[float | None]
    counts: Mapped[bool]
    extra: Mapped[dict[str, Any] | None]

    # The primary key is the table: a run's epochs lie side by side, and there is no second tree.
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012


class ResultRecord(Base):
    """What a finished run amounts to."""

    __tablename__ = "result"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True, autoincrement=False)
    best: Mapped[float | None]
    best_epoch: Mapped[int | None]
    last: Mapped[float | None]
    last10: Mapped[float | None]
    valid_pick: Mapped[float | None]
    best_auc: Mapped[float | None]
    last_auc: Mapped[float | None]
    epochs_done: Mapped[int]
    seconds: Mapped[float | None]
    images_per_second: Mapped[float | None]
    extra: Mapped[dict[str, Any] | None]


class ArtifactRecord(Base):
    """A file some run made, such as a pre-trained encoder; `key` is its content key."""

    __tablename__ = "artifact"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(64))
    path: Mapped[str]
    sha256: Mapped[str | None] = mapped_column(String(64))
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    key: Mapped[str | None] = mapped_column(String(64), index=True)
