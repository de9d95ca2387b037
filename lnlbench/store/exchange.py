"""Carrying jobs, runs, results and epochs between databases: export, import, merge.

Runs are known by their uid and jobs by their key everywhere, so taking the same thing in twice adds nothing,
and nothing that is there is changed. Artifacts stay behind: their paths mean nothing elsewhere.
"""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, Unpack

from sqlalchemy import Connection, RowMapping, Select, and_, func, insert, select, update

import lnlbench
from lnlbench.errors import StoreError
from lnlbench.store import schema
from lnlbench.store.database import Database, to_json
from lnlbench.store.incoming import FORMAT, IncomingJob, IncomingRun, JobDict, checked_job, read_export
from lnlbench.store.location import database_url, prepare_place
from lnlbench.store.models import EpochRecord, JobRecord, ResultRecord, RunRecord
from lnlbench.store.queue import next_position
from lnlbench.store.selection import Filters, chunks, selections
from lnlbench.store.states import HEAD, JobState

_JOBS_AT_ONCE = 100


class ExchangeReport(NamedTuple):
    """What an import or a merge did; skipped is what was there already."""

    jobs_added: int = 0
    jobs_skipped: int = 0
    runs_added: int = 0
    runs_skipped: int = 0


class Exchange(Database):
    """The part of the store that carries things in and out."""

    def export(self, path: str | Path, keys: Collection[str] | None = None, **filters: Unpack[Filters]) -> int:
        """Writes the selected jobs with all ended runs as JSON Lines (gzip if `path` ends in .gz).

        First line: format, schema, lnlbench version, number of jobs; then a line a job, in order of keys. The
        same content gives the same bytes. The file appears when it is complete. Returns the number of jobs.
        """
        with self.read() as connection, _replacing(Path(path)) as file:
            number = sum(
                connection.execute(select(func.count()).select_from(JobRecord).where(*where)).scalar_one()
                for where in selections(keys, filters)
            )
            header = {"format": FORMAT, "schema": HEAD, "lnlbench_version": lnlbench.__version__, "jobs": number}
            file.write(to_json({"lnlbench_export": header}) + "\n")
            for job in _read_jobs(connection, keys, filters):
                file.write(to_json(job) + "\n")
        return number

    def import_(self, path: str | Path) -> ExchangeReport:
        """Takes an export in. The whole file is checked first: each key must be the sha256 of its job.

        Raises StoreError, with nothing taken in, for a file that is altered, cut short, newer or no export.
        """
        for _ in read_export(Path(path)):
            pass
        return self._take_in(read_export(Path(path)))

    def merge(self, other: str | Path) -> ExchangeReport:
        """Takes in what another database holds (a path or URL); that one is only read."""
        url = database_url(other)
        prepare_place(url, create=False)
        with Database(url) as source:
            schema.ensure(source, create=False, migrate=False)
            with source.read() as connection:
                return self._take_in(checked_job(job, source.name) for job in _read_jobs(connection, None, {}))

    def _take_in(self, jobs: Iterator[IncomingJob]) -> ExchangeReport:
        total = ExchangeReport()
        # Short transactions: workers on this database must be able to renew their leases meanwhile.
        while chunk := list(islice(jobs, _JOBS_AT_ONCE)):
            with self.exclusive() as connection:
                added = _write_jobs(connection, chunk)
            total = ExchangeReport(*(a + b for a, b in zip(total, added, strict=True)))
        return total


def _read_jobs(connection: Connection, keys: Collection[str] | None, filters: Filters) -> Iterator[JobDict]:
    for where in selections(sorted(keys) if keys is not None else None, filters):
        chosen = connection.execute(select(JobRecord.key).where(*where).order_by(JobRecord.key)).scalars().all()
        for chunk in chunks(chosen, _JOBS_AT_ONCE):
            yield from _read_chunk(connection, chunk)


def _read_chunk(connection: Connection, keys: list[str]) -> list[JobDict]:
    ended = and_(RunRecord.job_key.in_(keys), RunRecord.status != "running")
    columns = (JobRecord.key, JobRecord.canonical, JobRecord.state, JobRecord.created_at)
    rows = connection.execute(select(*columns).where(JobRecord.key.in_(keys)).order_by(JobRecord.key)).mappings()
    jobs = {row["key"]: {**_plain(row), "runs": []} for row in rows}
    runs: dict[int, JobDict] = {}
    for row in _rows(
        connection, select(RunRecord.__table__).where(ended).order_by(RunRecord.started_at, RunRecord.uid)
    ):
        runs[row.pop("id")] = row
        jobs[row.pop("job_key")]["runs"].append(row)
    for row in _rows(connection, select(ResultRecord.__table__).join(RunRecord).where(ended)):
        runs[row.pop("run_id")]["result"] = row
    epochs: dict[int, list[JobDict]] = {}
    for row in _rows(
        connection, select(EpochRecord.__table__).join(RunRecord).where(ended).order_by(EpochRecord.epoch)
    ):
        epochs.setdefault(row.pop("run_id"), []).append(row)
    for run_id, table in epochs.items():
        # A list a column takes a fifth of the room of a mapping an epoch.
        names = [c.name for c in EpochRecord.__table__.columns if any(c.name in row for row in table)]
        runs[run_id]["epochs"] = {name: [row.get(name) for row in table] for name in names}
    return list(jobs.values())


def _rows(connection: Connection, statement: Select[Any]) -> Iterator[JobDict]:
    return (_plain(row) for row in connection.execute(statement).mappings())


def _plain(row: RowMapping) -> JobDict:
    """The row without what is missing; times as ISO text."""
    values = ((name, v.isoformat() if isinstance(v, datetime) else v) for name, v in row.items())
    return {name: value for name, value in values if value is not None}


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    """A text file that takes the place of `path` when it is complete; gzip without time stamp for .gz."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with ExitStack() as stack:
            raw: Any = stack.enter_context(partial.open("wb"))
            if path.suffix == ".gz":
                raw = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
            yield stack.enter_context(io.TextIOWrapper(raw, encoding="utf-8", newline="\n"))
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.", "Give another path.") from error
    finally:
        # Where it could not be made it need not be removed: a read-only folder refuses even that.
        with suppress(OSError):
            partial.unlink()


def _write_jobs(connection: Connection, jobs: list[IncomingJob]) -> ExchangeReport:
    keys = [job.columns["key"] for job in jobs]
    states: dict[str, JobState] = dict(
        connection.execute(select(JobRecord.key, JobRecord.state).where(JobRecord.key.in_(keys))).all()
    )
    fresh = [job.columns for job in jobs if job.columns["key"] not in states]
    start = next_position(connection)
    if fresh:
        connection.execute(insert(JobRecord), [{**row, "position": start + i} for i, row in enumerate(fresh)])
    runs = {run.row["uid"]: run for job in jobs for run in job.runs}
    known = {uid for c in chunks(runs) for uid in connection.execute(_ids(c)).scalars()}
    new = {uid: run for uid, run in runs.items() if uid not in known}
    _write_runs(connection, new)
    for job in jobs:
        _finish_known(connection, job, states, new)
    return ExchangeReport(len(fresh), len(jobs) - len(fresh), len(new), len(known))


def _ids(uids: list[str]) -> Select[str, int]:
    return select(RunRecord.uid, RunRecord.id).where(RunRecord.uid.in_(uids))


def _write_runs(connection: Connection, runs: dict[str, IncomingRun]) -> None:
    if not runs:
        return
    connection.execute(insert(RunRecord), [run.row for run in runs.values()])
    ids = {row.uid: row.id for chunk in chunks(runs) for row in connection.execute(_ids(chunk))}
    results = [{"run_id": ids[uid], **run.result} for uid, run in runs.items() if run.result]
    epochs = [{"run_id": ids[uid], **row} for uid, run in runs.items() for row in run.epochs]
    for record, rows in ((ResultRecord, results), (EpochRecord, epochs)):
        if rows:
            connection.execute(insert(record), rows)


def _finish_known(
    connection: Connection, job: IncomingJob, states: dict[str, JobState], new: dict[str, IncomingRun]
) -> None:
    """A job that waits here and has been finished elsewhere need not be done again."""
    key = job.columns["key"]
    brought = any(run.row["uid"] in new for run in job.runs)
    if brought and job.finished and states.get(key) in ("queued", "failed", "stopped"):
        connection.execute(update(JobRecord).where(JobRecord.key == key).values(state=job.finished))
