"""Finished runs and their epochs as plain columns, for data frames: whole tables at once, no object a row.

The same statements serve a glance, which needs no SQLAlchemy, and a store on any database. What a column is called
in a frame, and what type it has there, is the notebook's business.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from lnlbench.store.glance import Glance
from lnlbench.store.states import FINISHED

if TYPE_CHECKING:
    from lnlbench.store.query import Queries

Rows = list[tuple[Any, ...]]
Values = dict[str, Any]

RUN_COLUMNS = (
    "run.id, job.key, run.uid, job.method, job.dataset, job.noise, job.noise_label, job.rate, job.seed, job.scale, "
    "run.status, result.best, result.best_epoch, result.last, result.last10, result.valid_pick, result.best_auc, "
    "result.last_auc, result.epochs_done, result.seconds, result.images_per_second, run.device, run.device_name, "
    "run.precision, run.git_commit, run.git_dirty, run.lnlbench_version, run.data_fingerprint, run.data_canonical, "
    "run.noise_realised, run.started_at, run.ended_at"
)
"""What `finished_runs` answers with, in its order."""

EPOCH_COLUMNS = (
    "run_id, epoch, stage, test_accuracy, clean_auc, select_precision, select_recall, corrected_accuracy, "
    "memorisation, loss, images_per_second, peak_memory_mb, lr, seconds, counts, CAST(extra AS TEXT)"
)
"""What `epochs_of_runs` answers with, in its order; extra is JSON text."""

_CHUNK = 900


def finished_runs(source: Glance | Queries, keys: Collection[str] | None = None, **filters: Collection[Any]) -> Rows:
    """Every finished run with `RUN_COLUMNS`, a job's oldest first, jobs in the order of adding (within 900 keys).

    filters: by column of `job` the values allowed; an empty collection is no filter. A method's slug allows it over
    any host.
    """
    conditions, values = ["run.status IN (:done, :diverged)"], dict(zip(("done", "diverged"), FINISHED, strict=True))
    for column, wanted in filters.items():
        if wanted:
            conditions.append(_any_of(column, wanted, values))
    statement = (
        f"SELECT {RUN_COLUMNS} FROM job JOIN run ON run.job_key = job.key "
        f"LEFT JOIN result ON result.run_id = run.id WHERE {' AND '.join(conditions)}"
    )
    order = "ORDER BY job.position, run.ended_at, run.id"
    if keys is None:
        return _ask(source, f"{statement} {order}", values)
    return _in_chunks(source, f"{statement} AND job.key IN ({{}}) {order}", keys, values)


def epochs_of_runs(source: Glance | Queries, run_ids: Collection[int]) -> Rows:
    """The epochs of runs by their `run.id`, with `EPOCH_COLUMNS`; each run's in order."""
    statement = f"SELECT {EPOCH_COLUMNS} FROM epoch WHERE run_id IN ({{}}) ORDER BY run_id, epoch"
    return _in_chunks(source, statement, run_ids, {})


def canonical_texts(source: Glance | Queries, keys: Collection[str]) -> dict[str, str]:
    """The canonical form of jobs by key, as JSON text."""
    return dict(_in_chunks(source, "SELECT key, canonical FROM job WHERE key IN ({})", keys, {}))


def names_in_use(source: Glance | Queries, column: str) -> set[str]:
    """The different values of a column of `job`."""
    return {str(value) for (value,) in _ask(source, f"SELECT DISTINCT {column} FROM job", {})}


def _any_of(column: str, wanted: Collection[Any], values: Values) -> str:
    parts = []
    for i, value in enumerate(wanted):
        name = f"{column}_{i}"
        values[name] = value
        if column == "rate":
            parts.append(f"abs(job.rate - :{name}) < 1e-9")
            continue
        parts.append(f"job.{column} = :{name}")
        if column == "method":
            values[f"{name}_over"] = f"{value}("
            parts.append(f"substr(job.method, 1, {len(value) + 1}) = :{name}_over")
    return f"({' OR '.join(parts)})"


def _in_chunks(source: Glance | Queries, statement: str, wanted: Collection[Any], values: Values) -> Rows:
    """The answers to a statement whose `{}` takes the names of at most `_CHUNK` parameters."""
    distinct, rows = list(dict.fromkeys(wanted)), []
    for start in range(0, len(distinct), _CHUNK):
        named = {f"in_{i}": value for i, value in enumerate(distinct[start : start + _CHUNK])}
        rows += _ask(source, statement.format(", ".join(f":{name}" for name in named)), values | named)
    return rows


def _ask(source: Glance | Queries, statement: str, values: Values) -> Rows:
    if isinstance(source, Glance):
        return source._connection.execute(statement, values).fetchall()
    from sqlalchemy import text

    with source.read() as connection:
        return [tuple(row) for row in connection.execute(text(statement), values)]
