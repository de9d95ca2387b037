"""Pairs the cells of a plan with the baseline's and says of each that cannot be compared what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lnlbench.regression.baseline import Baseline, BaselineCell, places, seedless
from lnlbench.regression.findings import ALL_DIVERGE, State
from lnlbench.regression.measured import Measured, Runs
from lnlbench.suite import Plan, PlannedCell

_SHOWN = 4


@dataclass(frozen=True)
class Paired:
    """A cell with its baseline and its newest runs by seed.

    state, reason: as in `CellCheck`. since: all finished runs of its jobs that are not the baseline's, oldest first.
    testable: whether numbers are to be compared, which they are not once runs have diverged.
    """

    place: tuple[str, str, str]
    state: State
    reason: str = ""
    base: BaselineCell | None = None
    fresh: Mapping[int, Measured] = field(default_factory=dict)
    since: Sequence[Measured] = ()
    testable: bool = False

    @property
    def diverged(self) -> tuple[int, ...]:
        """Seeds whose newest run diverged."""
        return tuple(seed for seed, one in self.fresh.items() if one.diverged)


def pair(plan: Plan, baseline: Baseline, runs: Runs) -> list[Paired]:
    """Every cell of the plan, then the baseline's that the plan does not have."""
    known = {cell.place: cell for cell in baseline.cells}
    planned = places(plan)
    found = [_paired(place, cell, known.get(place), baseline, runs) for place, cell in planned.items()]
    gone = "the suite has no such cell now, or lnlbench no such method."
    return found + [Paired(place, "not comparable", gone) for place in known if place not in planned]


def _paired(
    place: tuple[str, str, str], cell: PlannedCell, base: BaselineCell | None, baseline: Baseline, runs: Runs
) -> Paired:
    if base is None:
        if place in baseline.left_out:
            return Paired(place, "left out", "it was not complete when the baseline was written.")
        return Paired(place, "not comparable", "the baseline has no such cell.")
    changes = list(differences(base.job, seedless(cell.jobs[0])))
    if changes:
        more = f", and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        return Paired(place, "not comparable", f"another job than the baseline's: {', '.join(changes[:_SHOWN])}{more}.")
    own = baseline.run_uids
    fresh = {
        job.seed: runs.finished[job.key][-1]
        for job in cell.jobs
        if job.key in runs.finished and job.key not in runs.failed and runs.finished[job.key][-1].run.uid not in own
    }
    data = _other_data(cell.column.dataset, baseline, fresh)
    if data:
        return Paired(place, "not comparable", data)
    lacking = "; ".join(_lacking(cell, fresh, runs))
    if not fresh:
        return Paired(place, "not measured", f"{lacking}.", base)
    state: State = "partly measured" if lacking else "compared"
    later = [one for job in cell.jobs for one in runs.finished.get(job.key, ()) if one.run.uid not in own]
    paired = Paired(place, state, f"{lacking}." if lacking else "", base, fresh, later)
    return _with_divergence(paired)


def _with_divergence(paired: Paired) -> Paired:
    """Numbers are compared where no run diverged on either side; a mean of the survivors would hide it."""
    now, before = paired.diverged, paired.base.diverged if paired.base else ()
    if not now and not before:
        return replace(paired, testable=True)
    if before and len(now) == len(paired.fresh) and paired.base and len(before) < len(paired.base.runs):
        return replace(paired, reason=ALL_DIVERGE)
    return paired


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two canonical forms: 'recipe.epochs 20 -> 30'."""
    old, new = dict(_flat(was)), dict(_flat(now))
    for name in dict.fromkeys([*old, *new]):
        if name not in old or name not in new or old[name] != new[name]:
            yield f"{name} {_text(old, name)} -> {_text(new, name)}"


def _flat(form: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in form.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _text(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "(none)"
    value = values[name]
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _other_data(dataset: str, baseline: Baseline, fresh: Mapping[int, Measured]) -> str:
    theirs = baseline.data.get(dataset)
    for one in fresh.values():
        ours = one.run.data_fingerprint
        if ours != theirs:
            return f"measured on other data: content {(ours or '?')[:12]}, the baseline's {(theirs or '?')[:12]}."
    return ""


def _lacking(cell: PlannedCell, fresh: Mapping[int, Measured], runs: Runs) -> Iterator[str]:
    """Why seeds have no fresh run: 'seeds 2, 3 not run'."""
    why: dict[str, list[str]] = {}
    for job in cell.jobs:
        if job.seed in fresh:
            continue
        if job.key in runs.failed:
            said = (runs.failed[job.key].error or "no error recorded").strip().splitlines()
            reason = f"failed in the newest run ({said[0] if said else '?'})"
        elif job.key in runs.finished:
            reason = "not run since the baseline was written"
        else:
            reason = "not run"
        why.setdefault(reason, []).append(str(job.seed))
    for reason, seeds in why.items():
        yield f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)} {reason}"
