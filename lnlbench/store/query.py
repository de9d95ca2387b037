"""What the store can be asked: states, jobs, runs, epochs, failures, results, artifacts. Writes nothing.

Every question is a fixed number of statements, whatever the number of jobs: no statement a row.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple, Unpack

from sqlalchemy import Select, exists, func, select

from lnlbench.errors import StoreError, UnknownName
from lnlbench.store.database import Database
from lnlbench.store.models import (
    ArtifactRecord,
    Base,
    DependencyRecord,
    EpochRecord,
    JobRecord,
    ResultRecord,
    RunRecord,
)
from lnlbench.store.rows import ArtifactView, Condition, EpochRow, FailureView, JobView, ResultView, RunView
from lnlbench.store.selection import Filters, chunks, selections
from lnlbench.store.states import FINISHED, JOB_STATES, JobState


class Queries(Database):
    """The part of the store that answers. Every `keys` is a collection of whole job keys; None is all jobs."""

    def counts(self, keys: Collection[str] | None = None, **filters: Unpack[Filters]) -> dict[JobState, int]:
        """How many jobs are in each state; every state is there."""
        totals = dict.fromkeys(JOB_STATES, 0)
        statement = select(JobRecord.state, func.count()).group_by(JobRecord.state)
        with self.read() as connection:
            for where in selections(keys, filters):
                for state, number in connection.execute(statement.where(*where)):
                    totals[state] += number
        return totals

    def jobs(self, keys: Collection[str] | None = None, **filters: Unpack[Filters]) -> list[JobView]:
        """Jobs in the order of adding (within each 900 of `keys`)."""
        statement = select(*_columns(JobView, JobRecord)).order_by(JobRecord.position)
        with self.read() as connection:
            return [
                JobView(*row)
                for where in selections(keys, filters)
                for row in connection.execute(statement.where(*where))
            ]

    def conditions(self) -> set[Condition]:
        """Under what the jobs are, each once: a quick look at which tables can have results."""
        with self.read() as connection:
            return {Condition(*row) for row in connection.execute(select(*_columns(Condition, JobRecord)).distinct())}

    def find_job(self, prefix: str) -> JobView:
        """The job whose key starts with `prefix`; UnknownName when there is none, or several, which it lists."""
        start = prefix.strip().lower()
        if not re.fullmatch(r"[0-9a-f]{1,64}", start):
            raise UnknownName(
                f"{prefix!r} is not the start of a job's key.", "A key is made of the digits 0-9 and a-f."
            )
        # 'g' comes after every hex digit; a range, unlike LIKE, can use the primary key.
        statement = select(*_columns(JobView, JobRecord)).where(JobRecord.key >= start, JobRecord.key < start + "g")
        with self.read() as connection:
            found = [JobView(*row) for row in connection.execute(statement.order_by(JobRecord.key).limit(11))]
        if len(found) == 1:
            return found[0]
        if not found:
            raise UnknownName(
                f"no job's key starts with {start!r}.", "Keys are listed by: lnlbench run --suite NAME --dry-run"
            )
        lines = [f"{v.key[: len(start) + 8]}  {v.method} {v.dataset} {v.noise_label} seed {v.seed}" for v in found[:10]]
        more = "\n..." if len(found) > 10 else ""
        raise UnknownName(f"{start!r} is the start of several jobs' keys:", "\n".join(lines) + more)

    def is_required(self, key: str) -> bool:
        """Whether some job starts from what the job `key` trains."""
        statement = select(exists().where(DependencyRecord.required_key == key))
        with self.read() as connection:
            return bool(connection.execute(statement).scalar())

    def runs(self, job_key: str) -> list[RunView]:
        """All attempts at a job, oldest first."""
        return self.runs_of([job_key]).get(job_key, [])

    def runs_of(self, keys: Collection[str]) -> dict[str, list[RunView]]:
        """All attempts at several jobs, oldest first, by job key; jobs without any are absent."""
        out: dict[str, list[RunView]] = {}
        statement = select(*_columns(RunView, RunRecord)).order_by(RunRecord.started_at, RunRecord.id)
        with self.read() as connection:
            for chunk in chunks(keys):
                for row in connection.execute(statement.where(RunRecord.job_key.in_(chunk))):
                    view = RunView(*row)
                    out.setdefault(view.job_key, []).append(view)
        return out

    def epochs(self, run_uid: str) -> list[EpochRow]:
        """The epochs of a run in order; StoreError where there is no such run."""
        return self.epochs_of([run_uid])[run_uid]

    def epochs_of(self, run_uids: Collection[str]) -> dict[str, list[EpochRow]]:
        """The epochs of several runs, each in order, by run uid; StoreError where one is not there."""
        out: dict[str, list[EpochRow]] = {}
        with self.read() as connection:
            for chunk in chunks(run_uids):
                runs = select(RunRecord.id, RunRecord.uid).where(RunRecord.uid.in_(chunk))
                by_id = {run_id: out.setdefault(uid, []) for run_id, uid in connection.execute(runs)}
                rows = (
                    select(EpochRecord.run_id, *_columns(EpochRow, EpochRecord))
                    .where(EpochRecord.run_id.in_(by_id))
                    .order_by(EpochRecord.run_id, EpochRecord.epoch)
                )
                for run_id, *values in connection.execute(rows):
                    by_id[run_id].append(EpochRow(*values))
        missing = [uid for uid in run_uids if uid not in out]
        if missing:
            raise StoreError(f"no run has the uid {missing[0]!r}.", "See the runs of a job: lnlbench show job KEY")
        return out

    def failures(self, keys: Collection[str] | None = None, **filters: Unpack[Filters]) -> list[FailureView]:
        """Runs that failed or were lost, newest first, with their tracebacks."""
        statement = (
            select(*_columns(FailureView, JobRecord, RunRecord, key=JobRecord.key, run_uid=RunRecord.uid))
            .join(RunRecord, RunRecord.job_key == JobRecord.key)
            .where(RunRecord.status.in_(("failed", "lost")))
            .order_by(RunRecord.ended_at.desc(), RunRecord.id.desc())
        )
        with self.read() as connection:
            return [
                FailureView(*row)
                for where in selections(keys, filters)
                for row in connection.execute(statement.where(*where))
            ]

    def results(self, keys: Collection[str] | None = None, **filters: Unpack[Filters]) -> list[ResultView]:
        """For every job with a finished run, the newest one's numbers, in the order of adding.

        Finished is 'done' or 'diverged'; a diverged run may have no numbers. What a job's state is now does
        not matter: a job queued again keeps the result it has.
        """
        statement = _results()
        newest: dict[str, ResultView] = {}
        with self.read() as connection:
            for where in selections(keys, filters):
                # Runs come oldest first, so the newest stays. Reruns are few; a self-join that leaves them out in
                # SQL takes PostgreSQL a hundred times as long while it has no statistics of new tables.
                newest.update((row[0], ResultView._make(row)) for row in connection.execute(statement.where(*where)))
        return list(newest.values())

    def extras_of(self, run_uids: Collection[str]) -> dict[str, dict[str, Any]]:
        """What the results of runs hold beyond their columns (`ResultRow.extra`), by run uid; runs without: absent."""
        out: dict[str, dict[str, Any]] = {}
        statement = select(RunRecord.uid, ResultRecord.extra).join(ResultRecord, ResultRecord.run_id == RunRecord.id)
        with self.read() as connection:
            for chunk in chunks(run_uids):
                for uid, extra in connection.execute(statement.where(RunRecord.uid.in_(chunk))):
                    if extra is not None:
                        out[uid] = extra
        return out

    def artifacts(self, *, key: str | None = None, kind: str | None = None) -> list[ArtifactView]:
        """Stored files by content key and kind, newest first."""
        statement = (
            select(*_columns(ArtifactView, ArtifactRecord, run_uid=RunRecord.uid))
            .join(RunRecord, RunRecord.id == ArtifactRecord.run_id, isouter=True)
            .order_by(ArtifactRecord.created_at.desc(), ArtifactRecord.id.desc())
        )
        if key is not None:
            statement = statement.where(ArtifactRecord.key == key)
        if kind is not None:
            statement = statement.where(ArtifactRecord.kind == kind)
        with self.read() as connection:
            return [ArtifactView(*row) for row in connection.execute(statement)]


def _results() -> Select[Any]:
    columns = _columns(ResultView, JobRecord, ResultRecord, RunRecord, run_uid=RunRecord.uid)
    return (
        select(*columns)
        .select_from(JobRecord)
        .join(RunRecord, RunRecord.job_key == JobRecord.key)
        .join(ResultRecord, ResultRecord.run_id == RunRecord.id, isouter=True)
        .where(RunRecord.status.in_(FINISHED))
        .order_by(JobRecord.position, RunRecord.ended_at, RunRecord.id)
    )


def _columns(view: type[NamedTuple], *tables: type[Base], **named: Any) -> list[Any]:
    """The columns of a view in its order: the named ones, else the first table's that has one of that name."""
    return [
        named[field] if field in named else next(getattr(t, field) for t in tables if hasattr(t, field))
        for field in view._fields
    ]
