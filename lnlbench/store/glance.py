"""A look at an SQLite store without SQLAlchemy, whose import alone takes longer than `report` and `status` may.

Read only, and only for databases of the present schema; everything else is `open_store`'s business. A test holds
its answers equal to the store's.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Self

from lnlbench.errors import StoreError
from lnlbench.store.rows import Condition, EpochRow, ResultView, RunView
from lnlbench.store.states import FINISHED, HEAD, JOB_STATES, JobState

_CHUNK = 900
_OF_JOB = ("key", "method", "dataset", "noise", "noise_label", "rate", "seed", "scale")
_OF_RUN = {
    "status": "status",
    "data_canonical": "data_canonical",
    "data_note": "data_note",
    "data_fingerprint": "data_fingerprint",
    "noise_realised": "noise_realised",
    "device_name": "device_name",
    "precision": "precision",
    "lnlbench_version": "lnlbench_version",
    "run_uid": "uid",
}
_RESULT_TYPES: dict[str, Callable[[Any], Any]] = {"data_canonical": bool}
_RUN_TYPES: dict[str, Callable[[Any], Any]] = {
    "started_at": lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC),
    "ended_at": lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC),
    "versions": json.loads,
    "git_dirty": bool,
    "data_canonical": bool,
}
_EPOCH_TYPES: dict[str, Callable[[Any], Any]] = {"counts": bool, "extra": json.loads}


def _column(name: str) -> str:
    if name in _OF_JOB:
        return f"job.{name}"
    return f"run.{_OF_RUN[name]}" if name in _OF_RUN else f"result.{name}"


_RESULTS = (
    f"SELECT {', '.join(map(_column, ResultView._fields))} FROM job JOIN run ON run.job_key = job.key "
    f"LEFT JOIN result ON result.run_id = run.id WHERE run.status IN ({', '.join('?' * len(FINISHED))})"
)


class Glance:
    """An SQLite store opened for looking. Use `glance_at`; close it, or use it in a `with`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *trouble: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def results(self, keys: Collection[str] | None = None) -> list[ResultView]:
        """As `Store.results`: the newest finished run of each job, in the order of adding within each 900 keys."""
        newest: dict[str, ResultView] = {}
        typed = _converter(ResultView._fields, _RESULT_TYPES)
        for where, values in _selections(keys):
            rows = self._connection.execute(
                f"{_RESULTS}{where} ORDER BY job.position, run.ended_at, run.id", (*FINISHED, *values)
            )
            newest.update((row[0], ResultView._make(typed(row))) for row in rows)
        return list(newest.values())

    def counts(self, keys: Collection[str] | None = None) -> dict[JobState, int]:
        """As `Store.counts`: how many jobs are in each state; every state is there."""
        totals = dict.fromkeys(JOB_STATES, 0)
        for where, values in _selections(keys):
            rows = self._connection.execute(f"SELECT state, count(*) FROM job WHERE 1{where} GROUP BY state", values)
            for state, number in rows:
                totals[state] += number
        return totals

    def conditions(self) -> set[Condition]:
        """As `Store.conditions`: under what the jobs are, each once."""
        rows = self._connection.execute(f"SELECT DISTINCT {', '.join(Condition._fields)} FROM job")
        return set(map(Condition._make, rows))

    def runs_of(self, keys: Collection[str]) -> dict[str, list[RunView]]:
        """As `Store.runs_of`: all attempts at jobs, oldest first, by job key."""
        out: dict[str, list[RunView]] = {}
        typed = _converter(RunView._fields, _RUN_TYPES)
        for chunk in _chunks(keys):
            rows = self._connection.execute(
                f"SELECT {', '.join(RunView._fields)} FROM run WHERE job_key IN ({', '.join('?' * len(chunk))}) "
                "ORDER BY started_at, id",
                chunk,
            )
            for row in rows:
                view = RunView._make(typed(row))
                out.setdefault(view.job_key, []).append(view)
        return out

    def epochs_of(self, run_uids: Collection[str]) -> dict[str, list[EpochRow]]:
        """As `Store.epochs_of`: the epochs of runs, each in order, by run uid; StoreError where one is not there."""
        out: dict[str, list[EpochRow]] = {}
        typed = _converter(EpochRow._fields, _EPOCH_TYPES)
        for chunk in _chunks(run_uids):
            marks = ", ".join("?" * len(chunk))
            found = self._connection.execute(f"SELECT id, uid FROM run WHERE uid IN ({marks})", chunk)
            by_id: dict[int, list[EpochRow]] = {run_id: out.setdefault(uid, []) for run_id, uid in found}
            rows = self._connection.execute(
                f"SELECT run_id, {', '.join(EpochRow._fields)} FROM epoch "
                f"WHERE run_id IN ({', '.join('?' * len(by_id))}) ORDER BY run_id, epoch",
                list(by_id),
            )
            for run_id, *row in rows:
                by_id[run_id].append(EpochRow._make(typed(row)))
        missing = [uid for uid in run_uids if uid not in out]
        if missing:
            raise StoreError(f"no run has the uid {missing[0]!r}.", "See the runs of a job: lnlbench show job KEY")
        return out

    def extras_of(self, run_uids: Collection[str]) -> dict[str, dict[str, Any]]:
        """As `Store.extras_of`: what the results of runs hold beyond their columns, by run uid."""
        out: dict[str, dict[str, Any]] = {}
        for chunk in _chunks(run_uids):
            rows = self._connection.execute(
                "SELECT run.uid, result.extra FROM run JOIN result ON result.run_id = run.id "
                f"WHERE result.extra IS NOT NULL AND run.uid IN ({', '.join('?' * len(chunk))})",
                chunk,
            )
            out.update((uid, json.loads(extra)) for uid, extra in rows)
        return out


def glance_at(path: str | Path) -> Glance | None:
    """A look at the database file `path`; None for a URL, for no file, for another schema, for any trouble."""
    if "://" in str(path):
        return None
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        return None
    # A WAL database cannot be opened where nothing may be written; there nobody writes to it either.
    for mode in ("mode=ro", *([] if os.access(file.parent, os.W_OK) else ["mode=ro&immutable=1"])):
        connection = None
        try:
            connection = sqlite3.connect(f"{file.as_uri()}?{mode}", uri=True, timeout=30)
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        except sqlite3.Error:
            found = []
        if found == [(HEAD,)] and connection is not None:
            return Glance(connection)
        if connection is not None:
            connection.close()
    return None


def _selections(keys: Collection[str] | None) -> Iterator[tuple[str, list[str]]]:
    if keys is None:
        yield "", []
        return
    for chunk in _chunks(keys):
        yield f" AND job.key IN ({', '.join('?' * len(chunk))})", chunk


def _chunks(values: Collection[str]) -> Iterator[list[str]]:
    rest = iter(dict.fromkeys(values))
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _converter(
    fields: Sequence[str], types: Mapping[str, Callable[[Any], Any]]
) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Turns what SQLite has no type for into it, column by column; what is missing stays so."""
    places = [(fields.index(name), convert) for name, convert in types.items()]

    def converted(row: Sequence[Any]) -> Sequence[Any]:
        out = list(row)
        for place, convert in places:
            if out[place] is not None:
                out[place] = convert(out[place])
        return out

    return converted
