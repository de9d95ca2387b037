"""What the page's script works on: tables, jobs, runs and curves as compact JSON. Reads the store, writes no HTML.

Every job is held once, whatever number of tables it stands in. Columns whose values repeat are dictionary-encoded
and curves packed, so that 10,000 runs of 100 epochs stay a page that a browser opens at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lnlbench.report.cells import Cell, Table
from lnlbench.report.html.curves import METRICS, pack
from lnlbench.report.numbers import HEADINGS, decimals, signed
from lnlbench.report.table import FIELDS
from lnlbench.store.rows import EpochRow, ResultView, RunView
from lnlbench.store.states import FINISHED

BLOCK = 250
"""Runs whose curves lie in one script element; the browser decodes a block when one of its runs is opened."""

_OF_RUN = (
    *("status", "attempt", "host", "device", "device_name", "precision", "threads", "git_commit", "git_dirty"),
    *("lnlbench_version", "data_fingerprint", "data_canonical", "data_note", "noisy_labels_sha256", "noise_realised"),
    *("seconds", "error"),
)


class Source(Protocol):
    """What is asked of the store; `store.Store` and `store.Glance` both answer it."""

    def results(self, keys: Collection[str] | None = None) -> list[ResultView]: ...
    def runs_of(self, keys: Collection[str]) -> dict[str, list[RunView]]: ...
    def epochs_of(self, run_uids: Collection[str]) -> dict[str, list[EpochRow]]: ...


@dataclass(frozen=True)
class Runs:
    """The run that is shown of each job, by job key: the one its number is from, else the newest attempt.

    curves: packed epochs by job key, see `curves.pack`. Jobs that never ran are absent.
    """

    views: Mapping[str, RunView] = field(default_factory=dict)
    results: Mapping[str, ResultView] = field(default_factory=dict)
    curves: Mapping[str, list[Any]] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        """Number of runs that have ended by themselves."""
        return sum(view.status in FINISHED for view in self.views.values())


def read_runs(store: Source, keys: Collection[str]) -> Runs:
    """Runs, results and epochs of jobs; the epochs block by block, never all at once."""
    results = {result.key: result for result in store.results(keys)}
    views = {}
    for key, attempts in store.runs_of(keys).items():
        shown = results[key].run_uid if key in results else attempts[-1].uid
        views[key] = next(run for run in attempts if run.uid == shown)
    curves: dict[str, list[Any]] = {}
    for block in _blocks(list(views)):
        epochs = store.epochs_of([views[key].uid for key in block])
        curves.update((key, pack(epochs[views[key].uid])) for key in block)
    return Runs(views, results, curves)


@dataclass(frozen=True)
class PageData:
    """main: what the script needs at once. curves: blocks of packed curves, in the order of the jobs."""

    main: dict[str, Any]
    curves: tuple[list[Any], ...]


def page_data(tables: Sequence[Table], runs: Runs) -> PageData:
    """The JSON behind a page. A place is a table's row and column; it has the index of each of its jobs."""
    jobs: dict[str, int] = {}
    seeds: list[int] = []
    values: dict[str, dict[str, float]] = {}
    diverged: set[str] = set()
    places: list[list[int]] = []
    described = []
    for table in tables:
        described.append(_described(table, len(places)))
        for row in table.rows:
            for cells in zip(*(line.cells for line in row.lines), strict=True):
                first = cells[0]
                for key, seed in zip(first.keys, first.seeds, strict=True):
                    if key not in jobs:
                        jobs[key] = len(jobs)
                        seeds.append(seed)
                    diverged.update([key] if seed in first.diverged else [])
                    for cell in cells:
                        if cell.values and seed in cell.values:
                            values.setdefault(key, {})[cell.stat] = cell.values[seed]
                places.append([jobs[key] for key in first.keys])
    main = {
        "stats": {stat: {"heading": HEADINGS[stat], "decimals": decimals(stat) + 1} for stat in FIELDS},
        "metrics": [name for name, _ in METRICS],
        "block": BLOCK,
        "tables": described,
        "places": places,
        "jobs": {"key": list(jobs), "seed": seeds, **_columns(list(jobs), values, diverged, runs)},
    }
    blocks = tuple([runs.curves.get(key) for key in block] for block in _blocks(list(jobs))) if runs.curves else ()
    return PageData(main, blocks)


def _described(table: Table, start: int) -> dict[str, Any]:
    """A table for the script: its labels, and its numbers by statistic, place by place from place `start` on."""
    groups = [group.label for group in table.groups for _ in range(group.span)]
    numbers: dict[str, dict[str, list[Any]]] = {
        stat: {"mean": [], "std": [], "n": [], "published": [], "rank": [], "test": []} for stat in table.stats
    }
    for row in table.rows:
        for line in row.lines:
            into = numbers[line.stat]
            into["rank"].append(line.rank)
            for cell in line.cells:
                into["mean"].append(_short(cell.mean))
                into["std"].append(_short(cell.std))
                into["n"].append(cell.n)
                into["published"].append(cell.published.mean if cell.published else None)
                into["test"].append(_tested(table, cell))
    return {
        "title": table.title,
        "name": f"{table.name}, {table.scale} scale",
        "start": start,
        "ddof": table.ddof,
        "rows": [
            {"label": f"{row.label} {row.dagger}".strip(), "method": row.method, "group": row.group}
            for row in table.rows
        ],
        "columns": [f"{group} {column.label}" for group, column in zip(groups, table.columns, strict=True)],
        "numbers": {
            stat: {name: column for name, column in columns.items() if any(value is not None for value in column)}
            for stat, columns in numbers.items()
        },
    }


def _tested(table: Table, cell: Cell) -> str | None:
    """The test of a cell against the table's chosen row, in words; None without one."""
    if table.against is None or cell.compared is None:
        return None
    found = cell.compared
    interval = f"[{signed(found.low, cell.stat)}, {signed(found.high, cell.stat)}]"
    level = f"{100 * (1 - table.against.alpha):g}% interval {interval}"
    difference = signed(found.difference, cell.stat)
    return f"{difference} against {table.against.label}, {level}, p = {found.p_holm:.2g} (Holm)"


def _columns(
    keys: Sequence[str], values: Mapping[str, Mapping[str, float]], diverged: Collection[str], runs: Runs
) -> dict[str, Any]:
    """The jobs' columns: statistics, best epoch, and the provenance of the run that is shown."""
    out: dict[str, Any] = {"diverged": [int(key in diverged) for key in keys]}
    for stat, name in FIELDS.items():
        own = (values.get(key, {}).get(stat, getattr(runs.results.get(key), name, None)) for key in keys)
        out[stat] = [_short(value) for value in own]
    out["best_epoch"] = [getattr(runs.results.get(key), "best_epoch", None) for key in keys]
    views = [runs.views.get(key) for key in keys]
    for name in _OF_RUN:
        out[name] = [_short(getattr(view, name, None)) for view in views]
    out["versions"] = [_versions(view) for view in views]
    out["started"] = [view.started_at.strftime("%Y-%m-%d %H:%M:%S UTC") if view else None for view in views]
    return {name: _encoded(column) for name, column in out.items() if any(value is not None for value in column)}


def _versions(view: RunView | None) -> str | None:
    if view is None or not view.versions:
        return None
    return ", ".join(f"{name} {version}" for name, version in view.versions.items())


def _encoded(column: list[Any]) -> Any:
    """A column whose values repeat as {"of": distinct values, "which": one each}."""
    distinct = dict.fromkeys(map(_identity, column))
    if 3 * len(distinct) > len(column):
        return column
    index = {value: i for i, value in enumerate(distinct)}
    return {"of": [value for _, value in distinct], "which": [index[_identity(value)] for value in column]}


def _identity(value: Any) -> tuple[str, Any]:
    """A dictionary would take True for 1."""
    return type(value).__name__, value


def _short(value: Any) -> Any:
    """Six decimals are more than the page ever prints."""
    return round(value, 6) if isinstance(value, float) and math.isfinite(value) else value


def _blocks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), BLOCK):
        yield keys[start : start + BLOCK]


def script_json(value: Any) -> str:
    """JSON that is inert inside a script element: neither `</script>` nor `<!--` can be spelled, all is ASCII."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def counted(values: Iterable[Any]) -> list[tuple[Any, int]]:
    """Distinct values with how often each is there, the most frequent first."""
    counts: dict[Any, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return sorted(counts.items(), key=lambda pair: -pair[1])
