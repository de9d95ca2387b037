"""Which jobs a query is about: filters by column and by key, and a job's columns made from the job.

Keys go to the database in chunks, since SQLite's older versions take 999 values a statement.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, TypedDict

from sqlalchemy import ColumnElement

from lnlbench.errors import unknown_name
from lnlbench.job import Job
from lnlbench.store.models import JobRecord

CHUNK = 900


class Filters(TypedDict, total=False):
    """One value or several a column; None, or leaving it out, is no filter."""

    method: str | Collection[str] | None
    dataset: str | Collection[str] | None
    noise: str | Collection[str] | None
    rate: float | Collection[float] | None
    seed: int | Collection[int] | None
    scale: str | Collection[str] | None
    state: str | Collection[str] | None


def selections(keys: Collection[str] | None, filters: Filters) -> Iterator[list[ColumnElement[bool]]]:
    """Conditions on `job`: one list, or one a chunk of keys; together they select every job once.

    Raises UnknownName for a filter there is not.
    """
    where = list(_conditions(filters))
    if keys is None:
        yield where
        return
    for chunk in chunks(keys):
        yield [*where, JobRecord.key.in_(chunk)]


def _conditions(filters: Filters) -> Iterator[ColumnElement[bool]]:
    for name, value in filters.items():
        if name not in Filters.__annotations__:
            raise unknown_name("filter", name, Filters.__annotations__)
        column = getattr(JobRecord, name)
        if isinstance(value, Collection) and not isinstance(value, str):
            yield column.in_(list(value))
        elif value is not None:
            yield column == value


def chunks(values: Iterable[str], size: int = CHUNK) -> Iterator[list[str]]:
    """The distinct values in order, in lists of at most `size`."""
    rest = iter(dict.fromkeys(values))
    while chunk := list(islice(rest, size)):
        yield chunk


def job_columns(job: Job) -> dict[str, Any]:
    """The columns of `job` that follow from the job itself."""
    return {
        "key": job.key,
        "method": job.method,
        "dataset": job.dataset,
        "noise": job.noise.name,
        "noise_label": job.noise.label(),
        "rate": job.noise.rate,
        "seed": job.seed,
        "scale": job.scale,
        "canonical": job.canonical_text,
    }
