"""When a cell dropped: the versions of the code that its runs were made by, and the one with the drop first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lnlbench.regression.findings import Since
from lnlbench.regression.measured import Measured
from lnlbench.store import RunView


def code_of(run: RunView) -> str:
    """The version of the code behind a run."""
    return code_label(run._asdict())


def code_label(made: Mapping[str, Any]) -> str:
    """'81d495f132', '81d495f132+' with uncommitted changes, 'lnlbench 0.1.0' where there is no commit."""
    if made.get("git_commit"):
        return str(made["git_commit"])[:10] + ("+" if made.get("git_dirty") else "")
    return f"lnlbench {made.get('lnlbench_version') or '?'}"


def since(was: Sequence[float], made_by: str, runs: Iterable[Measured], stat: str) -> Since | None:
    """Where in the history of a cell the drop lies, by the change point that leaves the least squares.

    was, made_by: the baseline's values and code. runs: the cell's finished runs since, the newest last. None where no
    run has the statistic.
    """
    versions: dict[str, list[Measured]] = {}
    for one in sorted((r for r in runs if stat in r.values), key=lambda r: r.run.ended_at or r.run.started_at):
        versions.setdefault(code_of(one.run), []).append(one)
    if not versions:
        return None
    names = [made_by, *versions]
    values = [list(was), *([one.values[stat] for one in members] for members in versions.values())]
    first_bad = min(range(1, len(names)), key=lambda k: _squares(values[:k]) + _squares(values[k:]))
    began = versions[names[first_bad]][0].run
    return Since(
        good=names[first_bad - 1],
        bad=names[first_bad],
        when=(began.ended_at or began.started_at).isoformat(timespec="seconds"),
        measured=len(names) - 2,
    )


def _squares(groups: Sequence[Sequence[float]]) -> float:
    values = [value for group in groups for value in group]
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)
