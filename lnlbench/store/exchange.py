"""Carrying jobs, runs, results and epochs between databases: export, import, merge.

Runs are known by their uid and jobs by their key everywhere, so taking the same thing in twice adds nothing,
and nothing that is there is changed. Artifacts stay behind: their paths mean nothing elsewhere.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, Unpack

from sqlalchemy import JSON, Column, Connection, RowMapping, Select, and_, func, insert, select, update

import lnlbench
from lnlbench.errors import LnlbenchError, StoreError
from lnlbench.job import Job
from lnlbench.store import schema
from lnlbench.store.database import Database, to_json
from lnlbench.store.location import database_url, prepare_place
from lnlbench.store.models import FINISHED, Base, EpochRecord, JobRecord, JobState, ResultRecord, RunRecord, Utc
from lnlbench.store.queue import next_position
from lnlbench.store.selection import Filters, chunks, job_columns, selections

FORMAT = 1
_JOBS_AT_ONCE = 100

JobDict = dict[str, Any]
"""A job with all that belongs to it, as plain data: key, canonical, state, created_at, runs."""


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
            header = {"format": FORMAT, "schema": schema.HEAD, "lnlbench_version": lnlbench.__version__, "jobs": number}
            file.write(to_json({"lnlbench_export": header}) + "\n")
            for job in _read_jobs(connection, keys, filters):
                file.write(to_json(job) + "\n")
        return number

    def import_(self, path: str | Path) -> ExchangeReport:
        """Takes an export in. The whole file is checked first: each key must be the sha256 of its job.

        Raises StoreError, with nothing taken in, for a file that is altered, cut short, newer or no export.
        """
        for _ in _read_export(Path(path)):
            pass
        return self._take_in(_read_export(Path(path)))

    def merge(self, other: str | Path) -> ExchangeReport:
        """Takes in what another database holds (a path or URL); that one is only read."""
        url = database_url(other)
        prepare_place(url, create=False)
        with Database(url) as source:
            schema.ensure(source, create=False, migrate=False)
            with source.read() as connection:
                return self._take_in(_checked(job, source.name) for job in _read_jobs(connection, None, {}))

    def _take_in(self, jobs: Iterator[_Job]) -> ExchangeReport:
        total = ExchangeReport()
        # Short transactions: workers on this database must be able to renew their leases meanwhile.
        while chunk := list(islice(jobs, _JOBS_AT_ONCE)):
            with self.exclusive() as connection:
                added = _write_jobs(connection, chunk)
            total = ExchangeReport(*(a + b for a, b in zip(total, added, strict=True)))
        return total


class _Run(NamedTuple):
    row: dict[str, Any]
    result: dict[str, Any] | None
    epochs: list[dict[str, Any]]


class _Job(NamedTuple):
    """A job from elsewhere, checked: the columns of its rows without this database's numbers."""

    columns: dict[str, Any]
    runs: list[_Run]

    @property
    def finished(self) -> JobState | None:
        """Status of the newest finished run."""
        ended = [run.row for run in self.runs if run.row["status"] in FINISHED]
        newest = max(ended, key=lambda row: row["ended_at"], default=None)
        return newest["status"] if newest else None


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
        partial.unlink(missing_ok=True)


def _read_export(path: Path) -> Iterator[_Job]:
    """The jobs of an export, each checked; StoreError as soon as something is wrong."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
            yield from _parse_export(io.TextIOWrapper(file, encoding="utf-8"), str(path))
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{path} cannot be read: {reason}.", "Give a file that `lnlbench db export` wrote.") from error


def _parse_export(lines: Iterable[str], name: str) -> Iterator[_Job]:
    numbered = enumerate(lines, start=1)
    expected = _check_header(next(numbered, (1, ""))[1], name)
    seen: set[str] = set()
    for number, line in numbered:
        try:
            data = json.loads(line)
        except ValueError as error:
            raise StoreError(f"{name}, line {number}: not JSON; the file is cut short or altered.") from error
        job = _checked(data, f"{name}, line {number}")
        for known in (job.columns["key"], *(run.row["uid"] for run in job.runs)):
            if known in seen:
                raise StoreError(f"{name}, line {number}: {known} is in the file twice.")
            seen.add(known)
        expected -= 1
        yield job
    if expected:
        raise StoreError(f"{name}: {abs(expected)} jobs too {'few' if expected > 0 else 'many'}; it is not whole.")


def _check_header(line: str, name: str) -> int:
    """The number of jobs the header announces."""
    try:
        header = json.loads(line)["lnlbench_export"]
        form, revision, number = header["format"], header["schema"], int(header["jobs"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{name} is not an export of lnlbench.", "Make one with: lnlbench db export FILE") from error
    if form != FORMAT or revision not in schema.REVISIONS:
        raise StoreError(
            f"{name} was exported by lnlbench {header.get('lnlbench_version')}, which is newer than this one.",
            "Upgrade lnlbench: pip install --upgrade lnlbench",
        )
    return number


def _checked(data: Any, where: str) -> _Job:
    """`data` as rows; StoreError when the key is not the job's or a value is not what its column holds."""
    try:
        key, canonical = data["key"], data["canonical"]
        if hashlib.sha256(canonical.encode()).hexdigest() != key:
            raise StoreError(f"{where}: the job is not the one its key {key!r} stands for; the data was altered.")
        runs = [_checked_run(dict(run), key) for run in data["runs"]]
        state = data["state"] if data["state"] in ("failed", "stopped") else "queued"
        created = _time(data["created_at"])
        columns = {**job_columns(Job.from_canonical(canonical)), "key": key, "canonical": canonical}
    except StoreError:
        raise
    except (LnlbenchError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{where}: not a job this lnlbench can read ({error}).") from error
    job = _Job({**columns, "created_at": created, "state": state, "attempts": 0}, runs)
    return job._replace(columns={**job.columns, "state": job.finished or state})


def _checked_run(run: JobDict, key: str) -> _Run:
    result, epochs = run.pop("result", None), run.pop("epochs", {})
    row = _row(RunRecord, {**run, "job_key": key})
    if row["status"] not in ("done", "diverged", "failed", "interrupted", "lost") or row["ended_at"] is None:
        raise ValueError(f"the run {row['uid']!r} has not ended")
    table = [dict(zip(epochs, values, strict=True)) for values in zip(*epochs.values(), strict=True)]
    return _Run(row, _row(ResultRecord, result) if result else None, [_row(EpochRecord, entry) for entry in table])


def _row(record: type[Base], values: JobDict) -> dict[str, Any]:
    """A row of the table with every column but its own numbers; ValueError for a name or value that does not fit."""
    columns = {c.name: c for c in Base.metadata.tables[record.__tablename__].columns if c.name not in ("id", "run_id")}
    unknown = values.keys() - columns.keys()
    if unknown:
        raise ValueError(f"unknown column {min(unknown)!r}")
    return {name: _value(column, values.get(name)) for name, column in columns.items()}


def _value(column: Column[Any], value: Any) -> Any:
    if value is None:
        if not column.nullable:
            raise ValueError(f"{column.name!r} is missing")
        return None
    if isinstance(column.type, Utc):
        return _time(value)
    kind = dict if isinstance(column.type, JSON) else column.type.python_type
    number = kind is float and isinstance(value, int) and not isinstance(value, bool)
    if not number and type(value) is not kind:
        raise ValueError(f"{column.name!r} is {value!r}, not a value of the kind {kind.__name__}")
    return value


def _time(value: str) -> datetime:
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError(f"the time {value} has no time zone")
    return time


def _write_jobs(connection: Connection, jobs: list[_Job]) -> ExchangeReport:
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


def _write_runs(connection: Connection, runs: dict[str, _Run]) -> None:
    if not runs:
        return
    connection.execute(insert(RunRecord), [run.row for run in runs.values()])
    ids = {row.uid: row.id for chunk in chunks(runs) for row in connection.execute(_ids(chunk))}
    results = [{"run_id": ids[uid], **run.result} for uid, run in runs.items() if run.result]
    epochs = [{"run_id": ids[uid], **row} for uid, run in runs.items() for row in run.epochs]
    for record, rows in ((ResultRecord, results), (EpochRecord, epochs)):
        if rows:
            connection.execute(insert(record), rows)


def _finish_known(connection: Connection, job: _Job, states: dict[str, JobState], new: dict[str, _Run]) -> None:
    """A job that waits here and has been finished elsewhere need not be done again."""
    key = job.columns["key"]
    brought = any(run.row["uid"] in new for run in job.runs)
    if brought and job.finished and states.get(key) in ("queued", "failed", "stopped"):
        connection.execute(update(JobRecord).where(JobRecord.key == key).values(state=job.finished))
