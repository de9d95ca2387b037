"""Making a baseline from the newest finished runs, and writing it as JSON in which a diff can be read."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnlbench.data.catalogue import dataset_info
from lnlbench.errors import LnlbenchError
from lnlbench.job import Job
from lnlbench.regression.baseline import (
    CHECKSUM,
    FORMAT,
    MARK,
    Baseline,
    BaselineCell,
    BaselineError,
    BaselineRun,
    digest,
    places,
    seedless,
)
from lnlbench.regression.measured import Measured, Runs, measured
from lnlbench.store import RunView
from lnlbench.suite import Plan, PlannedCell

if TYPE_CHECKING:
    from lnlbench.store import Glance, Store

_WIDTH = 120
_ENVIRONMENT = ("device", "device_name", "precision", "threads", "versions", "lnlbench_version", "git_commit")


class Incomplete(LnlbenchError):
    """Runs are missing that a baseline of this suite needs."""


def make_baseline(plan: Plan, source: Store | Glance, written: Mapping[str, Any], *, partial: bool = False) -> Baseline:
    """A baseline from the newest finished run of each job.

    written: what is known of the writing code, for the file. partial: leave cells out that are not complete.
    Raises Incomplete where cells lack a seed, their newest run failed, or (also when partial) no cell is whole;
    BaselineError for fewer than two seeds or results on different data.
    """
    if len(plan.seeds) < 2:
        raise BaselineError(
            "a baseline of one seed knows no spread, so nothing can be compared with it.",
            "Run the suite with at least two seeds: --seed 1 --seed 2 ...",
        )
    runs = measured(source, [job.key for job in plan.jobs])
    whole: dict[tuple[str, str, str], PlannedCell] = {}
    missing: dict[tuple[str, str, str], str] = {}
    for place, cell in places(plan).items():
        lacking = _lacking(cell.jobs, runs)
        if lacking:
            missing[place] = lacking
        else:
            whole[place] = cell
    if missing and not (partial and whole):
        raise _incomplete(plan, missing, bool(whole))
    newest = {key: finished[-1] for key, finished in runs.finished.items()}
    used = [newest[job.key].run for cell in whole.values() for job in cell.jobs]
    environments = _environments(used)
    order = {uid: number for number, members in enumerate(environments.values()) for uid in members}
    return Baseline(
        suite=plan.name,
        scale=plan.scale,
        written={"at": datetime.now(UTC).isoformat(timespec="seconds"), **written},
        data=_data(whole.values(), newest),
        environments=tuple(_described(members.values()) for members in environments.values()),
        cells=tuple(_cell(place, cell, newest, order) for place, cell in whole.items()),
        left_out=tuple(missing),
    )


def _lacking(jobs: Collection[Job], runs: Runs) -> str:
    """What a cell lacks: 'seeds 2, 3 not run', or ''."""
    absent = [str(job.seed) for job in jobs if job.key not in runs.finished and job.key not in runs.failed]
    failed = [str(job.seed) for job in jobs if job.key in runs.failed]
    parts = ((absent, "not run"), (failed, "failed"))
    return "; ".join(f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)} {what}" for seeds, what in parts if seeds)


def _incomplete(plan: Plan, missing: Mapping[tuple[str, str, str], str], some: bool) -> Incomplete:
    lines = [f"  {', '.join(filter(None, place))}: {lacking}" for place, lacking in list(missing.items())[:8]]
    more = [f"  and {len(missing) - 8} more"] * (len(missing) > 8)
    hint = "Leave these cells out with --partial, or run what is missing." if some else "Run what is missing."
    of = sum(bool(cell.jobs) for cell in plan.cells)
    head = f"{len(missing)} of {of} cells are not complete:"
    return Incomplete("\n".join([head, *lines, *more]), hint)


def _environments(used: Collection[RunView]) -> dict[str, dict[str, RunView]]:
    """The runs by uid, by what they were made under, in the order of the cells."""
    found: dict[str, dict[str, RunView]] = {}
    for run in used:
        same = json.dumps([*(getattr(run, name) for name in _ENVIRONMENT), bool(run.git_dirty)], sort_keys=True)
        found.setdefault(same, {})[run.uid] = run
    return found


def _described(members: Collection[RunView]) -> dict[str, Any]:
    first = next(iter(members))
    ends = sorted((run.ended_at or run.started_at).isoformat(timespec="seconds") for run in members)
    values = {name: getattr(first, name) for name in _ENVIRONMENT}
    return {**values, "git_dirty": bool(first.git_dirty), "runs": len(members), "first": ends[0], "last": ends[-1]}


def _data(cells: Collection[PlannedCell], newest: Mapping[str, Measured]) -> dict[str, str | None]:
    found: dict[str, set[str | None]] = {}
    for cell in cells:
        for job in cell.jobs:
            found.setdefault(job.dataset, set()).add(newest[job.key].run.data_fingerprint)
    for name, fingerprints in found.items():
        if len(fingerprints) > 1:
            raise BaselineError(
                f"results on {name} are from {len(fingerprints)} different copies of the data.",
                "A baseline is of one: run the suite anew on one machine (--rerun), or write from another database.",
            )
    return {name: fingerprints.pop() for name, fingerprints in sorted(found.items())}


def _cell(
    place: tuple[str, str, str], cell: PlannedCell, newest: Mapping[str, Measured], environment: Mapping[str, int]
) -> BaselineCell:
    job = cell.jobs[0]
    form = seedless(job)
    found = [(job, newest[job.key]) for job in cell.jobs]
    runs = [
        BaselineRun(job.seed, job.key, one.run.uid, environment[one.run.uid], one.diverged, one.values)
        for job, one in found
    ]
    test_images = min(dataset_info(job.dataset).test, job.recipe.test_subset or 2**63)
    return BaselineCell(*place, form, digest(form), test_images, tuple(sorted(runs, key=lambda run: run.seed)))


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Writes the file, whole or not at all. Raises BaselineError where it cannot."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            temporary = Path(file.name)
            file.write(as_text(baseline))
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise BaselineError(f"cannot write {path}: {error.strerror}.", "Choose another place with --out.") from error


def as_text(baseline: Baseline) -> str:
    """The file: the same baseline gives the same bytes, and each seed of a cell has a line of its own."""
    plain = {
        MARK: FORMAT,
        "suite": baseline.suite,
        "scale": baseline.scale,
        "written": dict(baseline.written),
        "data": dict(baseline.data),
        "environments": [dict(environment) for environment in baseline.environments],
        "left_out": [{"group": group, "row": row, "column": column} for group, row, column in baseline.left_out],
        "cells": [_plain_cell(cell) for cell in baseline.cells],
    }
    return _laid_out({**plain, CHECKSUM: digest(plain)}, "") + "\n"


def _plain_cell(cell: BaselineCell) -> dict[str, Any]:
    runs = []
    for run in cell.runs:
        entry = asdict(run)
        runs.append({**{name: entry[name] for name in entry if name != "values"}, **entry["values"]})
    return {
        "group": cell.group,
        "row": cell.row,
        "column": cell.column,
        "job_sha256": cell.digest,
        "job": dict(cell.job),
        "test_images": cell.test_images,
        "runs": runs,
    }


def _laid_out(value: Any, margin: str, entry: bool = False) -> str:
    """JSON with a line for what fits one, and for every flat entry of a list, so that a diff shows what moved."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, dict | list) or not value:
        return line
    flat = isinstance(value, dict) and not any(isinstance(item, dict | list) for item in value.values())
    if (entry and flat) or (len(margin) + len(line) <= _WIDTH and not any(isinstance(v, dict) for v in _items(value))):
        return line
    inner = margin + " "
    if isinstance(value, dict):
        body = [f"{json.dumps(name, ensure_ascii=False)}: {_laid_out(v, inner)}" for name, v in value.items()]
        return "{\n" + ",\n".join(inner + text for text in body) + f"\n{margin}}}"
    return "[\n" + ",\n".join(inner + _laid_out(v, inner, entry=True) for v in value) + f"\n{margin}]"


def _items(value: dict[str, Any] | list[Any]) -> Iterator[Any]:
    yield from value.values() if isinstance(value, dict) else value


@dataclass(frozen=True)
class Replaced:
    """What a new baseline changes of an old one. cells: name, statistic, values then, values now; told: the rest."""

    cells: tuple[tuple[str, str, tuple[float, ...], tuple[float, ...]], ...]
    told: tuple[str, ...]


def replaced(old: Baseline, new: Baseline) -> Replaced:
    """What moves when `new` takes the place of `old`."""
    before = {cell.place: cell for cell in old.cells}
    after = {cell.place: cell for cell in new.cells}
    told = [f"{', '.join(filter(None, place))}: gone" for place in before if place not in after]
    cells = []
    for place, cell in after.items():
        name = ", ".join(filter(None, place))
        if place not in before:
            told.append(f"{name}: new")
            continue
        if before[place].digest != cell.digest:
            told.append(f"{name}: another recipe, other hyperparameters or another version of the method")
        stats = dict.fromkeys(s for one in (before[place], cell) for run in one.runs for s in run.values)
        for stat in stats:
            was, now = tuple(before[place].values(stat).values()), tuple(cell.values(stat).values())
            if was != now:
                cells.append((name, stat, was, now))
    return Replaced(tuple(cells), tuple(told))
