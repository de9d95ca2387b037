"""The queue of jobs: adding, claiming with a lease, giving back. What a run measured is `record.py`'s business.

A claim is one exclusive transaction, so no two workers ever get the same job. A worker renews its lease; when
it does not, its job is claimable again and its run is 'lost'.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, exists, func, insert, select, update
from sqlalchemy.orm import aliased

import lnlbench
from lnlbench.job import Job
from lnlbench.resolve import required_jobs, with_required
from lnlbench.store.database import Database
from lnlbench.store.models import DependencyRecord, JobRecord, RunRecord
from lnlbench.store.rows import Claim
from lnlbench.store.selection import chunks, job_columns
from lnlbench.store.states import JobState

_FEW = 1000


class _Candidate(NamedTuple):
    key: str
    canonical: str
    state: JobState
    attempts: int
    position: int


_OTHER = aliased(JobRecord)
_READY = (
    JobRecord.state == "queued",
    ~exists().where(
        DependencyRecord.job_key == JobRecord.key,
        DependencyRecord.required_key == _OTHER.key,
        _OTHER.state.in_(("queued", "running")),
    ),
)
"""Queued, and waiting for no other job."""

_COLUMNS = (JobRecord.key, JobRecord.canonical, JobRecord.state, JobRecord.attempts, JobRecord.position)


class Queue(Database):
    """The part of the store that hands out jobs."""

    def add_jobs(self, jobs: Iterable[Job]) -> int:
        """Queues the jobs that are not in the database yet, and before them those whose networks they start from;
        returns how many. Known jobs stay untouched."""
        by_key = {job.key: job for job in with_required(jobs)}
        links = _links(by_key.values())
        with self.exclusive() as connection:
            now = self.now(connection)
            for chunk in chunks(by_key):
                for key in connection.execute(select(JobRecord.key).where(JobRecord.key.in_(chunk))).scalars():
                    del by_key[key]
            start = next_position(connection)
            rows = [
                {**job_columns(job), "created_at": now, "state": "queued", "attempts": 0, "position": start + i}
                for i, job in enumerate(by_key.values())
            ]
            if rows:
                connection.execute(insert(JobRecord), rows)
            # Also for known jobs: those that came by an import have none yet.
            for chunk in chunks({job for job, _ in links}):
                known = select(DependencyRecord.job_key, DependencyRecord.required_key)
                links -= {tuple(row) for row in connection.execute(known.where(DependencyRecord.job_key.in_(chunk)))}
            if links:
                connection.execute(
                    insert(DependencyRecord), [{"job_key": job, "required_key": other} for job, other in sorted(links)]
                )
        return len(rows)

    def claim(self, keys: Sequence[str] | None, worker: str, lease_seconds: float, *, retry_limit: int) -> Claim | None:
        """Takes the first job that is free: queued, or running with a lease that has run out.

        keys: the jobs to choose from, in order of preference; None is every job, in the order of adding.
        A job that starts from another's networks waits until that one has ended, well or not.
        worker: a name no other worker has. retry_limit: attempts a job gets in all; a job that has had them
        becomes 'failed' and is passed over. Returns None when nothing is free.
        """
        with self.exclusive() as connection:
            now = self.now(connection)
            while (job := _first_free(connection, keys, now)) is not None:
                if job.state == "running":
                    _lose_run(connection, job.key, now, "the lease ran out: its worker was not heard from")
                if job.attempts < retry_limit:
                    return _take(connection, job, worker, now, timedelta(seconds=lease_seconds), retry_limit)
                leave(connection, job.key, "failed", job.attempts)
        return None

    def renew(self, run_uid: str, worker: str, lease_seconds: float) -> bool:
        """Prolongs the lease of a run to `lease_seconds` from now; False where the run is no longer the worker's."""
        with self.exclusive() as connection:
            key = connection.execute(
                select(RunRecord.job_key).where(
                    RunRecord.uid == run_uid, RunRecord.worker == worker, RunRecord.status == "running"
                )
            ).scalar_one_or_none()
            if key is None:
                return False
            until = self.now(connection) + timedelta(seconds=lease_seconds)
            connection.execute(update(JobRecord).where(JobRecord.key == key).values(lease_until=until))
        return True

    def release(self, *, worker: str, why: str = "its worker died") -> list[str]:
        """Gives back at once what a dead worker held; returns the jobs' keys. The attempts count.

        why: what the lost run says of its end.
        """
        with self.exclusive() as connection:
            now = self.now(connection)
            held = connection.execute(
                select(JobRecord.key, JobRecord.attempts, JobRecord.attempt_limit).where(
                    JobRecord.state == "running", JobRecord.lease_owner == worker
                )
            ).all()
            for key, attempts, limit in held:
                _lose_run(connection, key, now, why)
                leave(connection, key, state_after_failure(attempts, limit), attempts)
        return [row.key for row in held]

    def requeue(self, keys: Collection[str] | None = None, *, states: Collection[JobState]) -> int:
        """Queues again the jobs that stand in one of `states` ('running' excepted), with all their attempts.

        keys: only these; None is every job. Earlier runs and results stay. Returns how many were queued.
        """
        chosen: list[JobState] = [state for state in states if state != "running"]
        return self._move(keys, chosen, "queued")

    def requeue_failed(self, keys: Collection[str] | None = None) -> int:
        """Queues again what failed or was stopped; returns how many."""
        return self.requeue(keys, states=("failed", "stopped"))

    def stop(self, keys: Collection[str] | None = None) -> int:
        """Takes queued jobs out of the queue until `requeue_failed`; returns how many."""
        return self._move(keys, ["queued"], "stopped")

    def _move(self, keys: Collection[str] | None, states: list[JobState], to: JobState) -> int:
        statement = update(JobRecord).where(JobRecord.state.in_(states)).values(state=to, attempts=0)
        with self.exclusive() as connection:
            if keys is None:
                return connection.execute(statement).rowcount
            return sum(connection.execute(statement.where(JobRecord.key.in_(c))).rowcount for c in chunks(keys))


def _links(jobs: Iterable[Job]) -> set[tuple[str, ...]]:
    """(key, key of a job that it starts from)."""
    return {(job.key, other.key) for job in jobs for other in required_jobs(job).values()}


def next_position(connection: Connection) -> int:
    """The place in the queue behind all others."""
    return connection.execute(select(func.coalesce(func.max(JobRecord.position), 0))).scalar_one() + 1


def state_after_failure(attempts: int, limit: int | None) -> JobState:
    """Where a job goes whose run failed or was lost."""
    return "queued" if limit is None or attempts < limit else "failed"


def _first_free(connection: Connection, keys: Sequence[str] | None, now: datetime) -> _Candidate | None:
    """The free job that comes first. The cost does not grow with the jobs of others.

    When few jobs are queued, they are fetched and filtered here; when many are, `keys` is walked in chunks by
    primary key, and the first chunk with a free job ends the walk. Each is slow only where the other is fast.
    """
    free = _fetch(connection, JobRecord.state == "running", JobRecord.lease_until <= now)
    if keys is None:
        free += _fetch(connection, *_READY, limit=1)
        return min(free, key=lambda job: job.position, default=None)
    queued = _queued_keys(connection, keys)
    order = {key: place for place, key in enumerate(keys)}
    first = min(
        (k for k in chain((job.key for job in free), queued) if k in order), key=order.__getitem__, default=None
    )
    return _fetch(connection, JobRecord.key == first)[0] if first is not None else None


def _queued_keys(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Keys of queued jobs, the first of `keys` among them if it is queued."""
    queued = select(JobRecord.key).where(*_READY)
    few = list(connection.execute(queued.limit(_FEW)).scalars())
    if len(few) < _FEW:
        return few
    found = (list(connection.execute(queued.where(JobRecord.key.in_(chunk))).scalars()) for chunk in chunks(keys))
    return next((hits for hits in found if hits), [])


def _fetch(connection: Connection, *where: Any, limit: int | None = None) -> list[_Candidate]:
    statement = select(*_COLUMNS).where(*where).order_by(JobRecord.position).limit(limit)
    return [_Candidate(*row) for row in connection.execute(statement)]


def _take(
    connection: Connection, job: _Candidate, worker: str, now: datetime, lease: timedelta, retry_limit: int
) -> Claim:
    before = connection.execute(
        select(RunRecord.uid, RunRecord.status, RunRecord.attempt)
        .where(RunRecord.job_key == job.key)
        .order_by(RunRecord.attempt.desc(), RunRecord.id.desc())
        .limit(1)
    ).first()
    run_uid, attempt = uuid.uuid4().hex, before.attempt + 1 if before else 1
    connection.execute(
        insert(RunRecord).values(
            uid=run_uid,
            job_key=job.key,
            attempt=attempt,
            status="running",
            started_at=now,
            worker=worker,
            host=socket.gethostname(),
            pid=os.getpid(),
            lnlbench_version=lnlbench.__version__,
        )
    )
    connection.execute(
        update(JobRecord)
        .where(JobRecord.key == job.key)
        .values(
            state="running",
            attempts=job.attempts + 1,
            attempt_limit=retry_limit,
            lease_owner=worker,
            lease_until=now + lease,
        )
    )
    resumed_from = before.uid if before and before.status in ("interrupted", "lost", "failed") else None
    return Claim(job.key, Job.from_canonical(job.canonical), run_uid, attempt, resumed_from)


def _lose_run(connection: Connection, key: str, now: datetime, why: str) -> None:
    connection.execute(
        update(RunRecord)
        .where(RunRecord.job_key == key, RunRecord.status == "running")
        .values(status="lost", ended_at=now, error=why)
    )


def leave(connection: Connection, key: str, state: JobState, attempts: int) -> None:
    """Ends the lease of a job and puts it where it belongs now."""
    connection.execute(
        update(JobRecord)
        .where(JobRecord.key == key)
        .values(state=state, attempts=attempts, lease_owner=None, lease_until=None)
    )
