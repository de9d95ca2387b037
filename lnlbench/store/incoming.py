"""Data from elsewhere made into rows: an export is read, checked and refused when anything in it does not fit.

Writes nothing and asks no database; `exchange.py` does.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import JSON, Column

from lnlbench.errors import LnlbenchError, StoreError
from lnlbench.job import Job
from lnlbench.store.models import Base, EpochRecord, ResultRecord, RunRecord, Utc
from lnlbench.store.selection import job_columns
from lnlbench.store.states import FINISHED, REVISIONS, JobState

FORMAT = 1

JobDict = dict[str, Any]
"""A job with all that belongs to it, as plain data: key, canonical, state, created_at, runs."""


class IncomingRun(NamedTuple):
    """An ended run from elsewhere, checked."""

    row: dict[str, Any]
    result: dict[str, Any] | None
    epochs: list[dict[str, Any]]


class IncomingJob(NamedTuple):
    """A job from elsewhere, checked: the columns of its rows without this database's numbers."""

    columns: dict[str, Any]
    runs: list[IncomingRun]

    @property
    def finished(self) -> JobState | None:
        """Status of the newest finished run."""
        ended = [run.row for run in self.runs if run.row["status"] in FINISHED]
        newest = max(ended, key=lambda row: row["ended_at"], default=None)
        return newest["status"] if newest else None


def read_export(path: Path) -> Iterator[IncomingJob]:
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


def _parse_export(lines: Iterable[str], name: str) -> Iterator[IncomingJob]:
    numbered = enumerate(lines, start=1)
    expected = _check_header(next(numbered, (1, ""))[1], name)
    seen: set[str] = set()
    for number, line in numbered:
        try:
            data = json.loads(line)
        except ValueError as error:
            raise StoreError(f"{name}, line {number}: not JSON; the file is cut short or altered.") from error
        job = checked_job(data, f"{name}, line {number}")
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
    if form != FORMAT or revision not in REVISIONS:
        raise StoreError(
            f"{name} was exported by lnlbench {header.get('lnlbench_version')}, which is newer than this one.",
            "Upgrade lnlbench: pip install --upgrade lnlbench",
        )
    return number


def checked_job(data: Any, where: str) -> IncomingJob:
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
    job = IncomingJob({**columns, "created_at": created, "state": state, "attempts": 0}, runs)
    return job._replace(columns={**job.columns, "state": job.finished or state})


def _checked_run(run: JobDict, key: str) -> IncomingRun:
    result, epochs = run.pop("result", None), run.pop("epochs", {})
    row = _row(RunRecord, {**run, "job_key": key})
    if row["status"] not in ("done", "diverged", "failed", "interrupted", "lost") or row["ended_at"] is None:
        raise ValueError(f"the run {row['uid']!r} has not ended")
    table = [dict(zip(epochs, values, strict=True)) for values in zip(*epochs.values(), strict=True)]
    return IncomingRun(
        row, _row(ResultRecord, result) if result else None, [_row(EpochRecord, entry) for entry in table]
    )


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
