"""What a worker writes about its run: provenance, epochs, the result, artifacts.

Only the holder of a job's lease can write; whoever lost it gets `LeaseLost` and nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from sqlalchemy import Connection, Row, insert, select, update

from lnlbench.errors import StoreError
from lnlbench.store.database import Database, finite
from lnlbench.store.errors import LeaseLost
from lnlbench.store.models import ArtifactRecord, EpochRecord, JobRecord, ResultRecord, RunRecord
from lnlbench.store.queue import leave, state_after_failure
from lnlbench.store.rows import EpochRow, ResultRow, RunProvenance
from lnlbench.store.states import JobState, RunStatus

Ending = Literal["done", "diverged", "failed", "interrupted"]


class Recorder(Database):
    """The part of the store that takes a run's numbers."""

    def start_run(self, run_uid: str, provenance: RunProvenance) -> None:
        """Fills in under what the run happens; may be called again when more is known. Raises LeaseLost."""
        known = {name: value for name, value in provenance._asdict().items() if value is not None}
        with self.write() as connection:
            run = held_run(connection, run_uid)
            if known:
                connection.execute(update(RunRecord).where(RunRecord.id == run.id).values(**known))

    def record_epochs(self, run_uid: str, rows: Iterable[EpochRow]) -> int:
        """Appends epochs to a run; returns how many were new. Epochs already there are never changed.

        Also takes the epochs of an interrupted run over into the run that goes on from it. Raises LeaseLost.
        """
        by_epoch = {row.epoch: row for row in rows}
        with self.write() as connection:
            run = held_run(connection, run_uid)
            there = select(EpochRecord.epoch).where(EpochRecord.run_id == run.id)
            known = set(connection.execute(there).scalars())
            new = [{"run_id": run.id, **finite(row._asdict())} for e, row in by_epoch.items() if e not in known]
            if new:
                connection.execute(insert(EpochRecord), new)
        return len(new)

    def finish(
        self,
        run_uid: str,
        status: Ending,
        result: ResultRow | None = None,
        error: str | None = None,
        traceback: str | None = None,
        retry: bool = True,
    ) -> JobState:
        """Ends a run and returns the state its job has then. Raises LeaseLost.

        'done' needs a result, 'diverged' may have one. After 'failed' the job is queued again until its
        attempts are used up (at once with `retry` False, for what would fail again the same way);
        'interrupted' queues it again without counting the attempt.
        """
        if (result is None) if status == "done" else (result is not None and status != "diverged"):
            raise ValueError(f"a run that is {status!r} cannot have the result {result!r}")
        with self.exclusive() as connection:
            run = held_run(connection, run_uid)
            connection.execute(
                update(RunRecord)
                .where(RunRecord.id == run.id)
                .values(
                    status=status,
                    ended_at=self.now(connection),
                    error=error,
                    traceback=traceback,
                    seconds=finite(result.seconds) if result else None,
                )
            )
            if result:
                connection.execute(insert(ResultRecord).values(run_id=run.id, **finite(result._asdict())))
            return _settle_job(connection, run.job_key, status, retry)

    def record_artifact(
        self,
        name: str,
        kind: str,
        path: str,
        *,
        sha256: str | None = None,
        size: int | None = None,
        key: str | None = None,
        run_uid: str | None = None,
    ) -> None:
        """Notes a file that was made; `key` is what it can be found by again (`artifacts(key=...)`)."""
        with self.write() as connection:
            connection.execute(
                insert(ArtifactRecord).values(
                    run_id=find_run(connection, run_uid).id if run_uid else None,
                    name=name,
                    kind=kind,
                    path=path,
                    sha256=sha256,
                    bytes=size,
                    created_at=self.now(connection),
                    key=key,
                )
            )


def find_run(connection: Connection, run_uid: str) -> Row[int, str, RunStatus]:
    """id, job_key and status of a run, its row locked; StoreError where there is no such run."""
    run = connection.execute(
        select(RunRecord.id, RunRecord.job_key, RunRecord.status).where(RunRecord.uid == run_uid).with_for_update()
    ).one_or_none()
    if run is None:
        raise StoreError(f"no run has the uid {run_uid!r}.", "See the runs of a job: lnlbench show job KEY")
    return run


def held_run(connection: Connection, run_uid: str) -> Row[int, str, RunStatus]:
    """`find_run` for a run that is still its worker's, else LeaseLost.

    Who takes a job over ends the run that held it in the same transaction, so the status says it all.
    """
    run = find_run(connection, run_uid)
    if run.status != "running":
        raise LeaseLost(run_uid, run.status)
    return run


def _settle_job(connection: Connection, key: str, status: Ending, retry: bool) -> JobState:
    attempts, limit = connection.execute(
        select(JobRecord.attempts, JobRecord.attempt_limit).where(JobRecord.key == key)
    ).one()
    if status == "interrupted":
        attempts -= 1
    state: JobState
    if status in ("done", "diverged"):
        state = status
    else:
        may_retry = status == "interrupted" or retry
        state = (
            "failed" if not may_retry else "queued" if status == "interrupted" else state_after_failure(attempts, limit)
        )
    leave(connection, key, state, attempts)
    return state
