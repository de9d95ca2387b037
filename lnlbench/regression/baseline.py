"""The baseline: for every cell of a suite each seed's numbers, and how and when they were made. Reading and checking.

A baseline is a distribution, committed as JSON whose lines do not move when nothing changed. `writing.py` makes one.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from lnlbench.errors import LnlbenchError
from lnlbench.job import Job
from lnlbench.suite import Plan, PlannedCell, Stat

FORMAT = 1
MARK = "lnlbench_baseline"
CHECKSUM = "content_sha256"
STATS: tuple[Stat, ...] = get_args(Stat)


class BaselineError(LnlbenchError):
    """A baseline that is not there, not readable, or altered."""


@dataclass(frozen=True)
class BaselineRun:
    """One seed's numbers. values: by statistic, accuracies in percent, AUCs 0..1; empty for a diverged run.

    key: of its job. run: uid of the run. environment: place in `Baseline.environments`.
    """

    seed: int
    key: str
    run: str
    environment: int
    diverged: bool
    values: Mapping[str, float]


@dataclass(frozen=True)
class BaselineCell:
    """A cell: its row, its column in words, its job without the seed, and a run a seed.

    job: canonical form of the job less the seed, with every hyperparameter and the method's version; digest: its
    sha256. test_images: on how many the accuracies were measured.
    """

    group: str
    row: str
    column: str
    job: Mapping[str, Any]
    digest: str
    test_images: int
    runs: tuple[BaselineRun, ...]

    @property
    def place(self) -> tuple[str, str, str]:
        """What it is found by in a plan."""
        return self.group, self.row, self.column

    @property
    def diverged(self) -> tuple[int, ...]:
        """Seeds of the runs that diverged."""
        return tuple(run.seed for run in self.runs if run.diverged)

    def values(self, stat: str) -> dict[int, float]:
        """A statistic by seed."""
        return {run.seed: run.values[stat] for run in self.runs if stat in run.values}


@dataclass(frozen=True)
class Baseline:
    """A suite at one scale. written: when and by which code the file was made.

    data: fingerprint of each data set. environments: the different devices, versions and commits of the runs.
    left_out: places of cells that were not complete when it was written.
    """

    suite: str
    scale: str
    written: Mapping[str, Any]
    data: Mapping[str, str | None]
    environments: tuple[Mapping[str, Any], ...]
    cells: tuple[BaselineCell, ...]
    left_out: tuple[tuple[str, str, str], ...] = field(default=())

    @property
    def run_uids(self) -> frozenset[str]:
        """The runs it is made of."""
        return frozenset(run.run for cell in self.cells for run in cell.runs)


def places(plan: Plan) -> dict[tuple[str, str, str], PlannedCell]:
    """The cells of a plan that have jobs, by group, row and column; what has the same names is numbered."""
    found: dict[tuple[str, str, str], PlannedCell] = {}
    for cell in plan.cells:
        column = f"{cell.column.dataset} {cell.column.noise.label()}"
        place, number = (cell.row.group, cell.row.label, column), 1
        while place in found:
            number += 1
            place = (cell.row.group, cell.row.label, f"{column} #{number}")
        if cell.jobs:
            found[place] = cell
    return found


def seedless(job: Job) -> dict[str, Any]:
    """The canonical form of a job without its seed: what the seeds of a cell have in common."""
    form: dict[str, Any] = json.loads(job.canonical_text)
    del form["seed"]
    return form


def digest(form: Mapping[str, Any]) -> str:
    """sha256 of a canonical form; with the seed in it, the job's key."""
    text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_baseline(path: Path, suite: str = "NAME") -> Baseline:
    """Reads a baseline and holds it to its own checksums; raises BaselineError for whatever is wrong with it.

    suite: as it was asked for, for the command that would make the baseline.
    """
    make = f"lnlbench baseline write --suite {shlex.quote(suite)}"
    restore = f"Take it from version control again, or write a new one: {make} --replace"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaselineError(f"there is no baseline {path}.", f"Make one from finished runs: {make}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BaselineError(f"baseline {path} cannot be read: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"baseline {path} is not JSON: {error}.", restore) from error
    if not isinstance(raw, dict) or MARK not in raw:
        raise BaselineError(f"{path} is no lnlbench baseline.", f"One is made by: {make}")
    if raw[MARK] != FORMAT:
        raise BaselineError(
            f"baseline {path} has format {raw[MARK]!r}; this lnlbench reads {FORMAT}.",
            "Use the lnlbench that wrote it, or write a new one.",
        )
    try:
        made = _baseline(raw)
        problem = next(_problems(made), None) or _altered(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BaselineError(f"baseline {path} is broken: {type(error).__name__}: {error}.", restore) from error
    if problem:
        raise BaselineError(f"baseline {path} is broken: {problem}.", restore)
    return made


def _altered(raw: Mapping[str, Any]) -> str | None:
    content = {name: value for name, value in raw.items() if name != CHECKSUM}
    return None if raw[CHECKSUM] == digest(content) else "it was altered after it was written"


def _baseline(raw: Mapping[str, Any]) -> Baseline:
    return Baseline(
        suite=str(raw["suite"]),
        scale=str(raw["scale"]),
        written=dict(raw["written"]),
        data=dict(raw["data"]),
        environments=tuple(dict(environment) for environment in raw["environments"]),
        cells=tuple(_cell(cell) for cell in raw["cells"]),
        left_out=tuple((str(c["group"]), str(c["row"]), str(c["column"])) for c in raw["left_out"]),
    )


def _cell(raw: Mapping[str, Any]) -> BaselineCell:
    return BaselineCell(
        group=str(raw["group"]),
        row=str(raw["row"]),
        column=str(raw["column"]),
        job=dict(raw["job"]),
        digest=str(raw["job_sha256"]),
        test_images=int(raw["test_images"]),
        runs=tuple(_run(run) for run in raw["runs"]),
    )


def _run(raw: Mapping[str, Any]) -> BaselineRun:
    values: dict[str, float] = {stat: float(raw[stat]) for stat in STATS if raw.get(stat) is not None}
    return BaselineRun(
        int(raw["seed"]), str(raw["key"]), str(raw["run"]), int(raw["environment"]), bool(raw["diverged"]), values
    )


def _problems(baseline: Baseline) -> Iterator[str]:
    if len({cell.place for cell in baseline.cells}) < len(baseline.cells):
        yield "it has a cell twice"
    for cell in baseline.cells:
        name = f"{cell.row}, {cell.column}"
        if digest(cell.job) != cell.digest:
            yield f"the job of {name} is not the one its checksum is of"
        if not isinstance(cell.job.get("dataset"), str):
            yield f"the job of {name} names no data set"
        if len({run.seed for run in cell.runs}) < len(cell.runs) or not cell.runs:
            yield f"{name} has no seed, or one twice"
        if cell.test_images < 1:
            yield f"{name} was measured on {cell.test_images} test images"
        for run in cell.runs:
            if digest({**cell.job, "seed": run.seed}) != run.key:
                yield f"the key of {name}, seed {run.seed} is not its job's"
            if not 0 <= run.environment < len(baseline.environments):
                yield f"{name}, seed {run.seed} is of an environment that is not listed"
            if not all(map(math.isfinite, run.values.values())):
                yield f"{name}, seed {run.seed} has a number that is not finite"
