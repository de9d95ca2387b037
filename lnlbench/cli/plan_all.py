"""`lnlbench plan` without a suite: how large every suite is, what it adds to those above it, what is done."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lnlbench.cli import common
from lnlbench.cli.printing import counted, line, table
from lnlbench.errors import LnlbenchError

if TYPE_CHECKING:
    from lnlbench.job import Scale
    from lnlbench.suite import Plan

FINISHED = ("done", "diverged")
_NUMBERS = ("rows", "there", "columns", "seeds", "jobs", "new", "done")


def all_suites(url: str, scale: Scale | None, as_json: bool) -> None:
    """Prints a line a suite: at `scale`, or each at its first. One that cannot be read or planned is named aside."""
    plans, absent, broken = _plans(scale)
    states = states_of({job.key for plan in plans for job in plan.work}, url)
    counted_before: set[str] = set()
    rows = [_row(plan, states, counted_before) for plan in plans]
    for error in broken:
        typer.echo(f"caution: {error}", err=True)
    done = sum(state in FINISHED for state in states.values())
    if as_json:
        common.print_json({"suites": rows, "distinct_jobs": len(counted_before), "done": done, "absent": absent})
        return
    table(["suite", "scale", *_NUMBERS], [list(row.values()) for row in rows], right=_NUMBERS)
    line()
    line(f"{counted(len(counted_before), 'distinct job')}, {done:,} done; a job that several suites share is run once.")
    line("rows: of the table; there: of these, whose method lnlbench has. jobs: with those that others start from.")
    line("new: jobs in no suite above.")
    if absent:
        line(f"Without {scale} scale: {', '.join(absent)}.")


def states_of(keys: Collection[str], url: str) -> dict[str, str]:
    """The state of each job that the database knows; empty where there is no database yet."""
    from lnlbench.store import open_store

    if "://" not in url and not Path(url).expanduser().exists():
        return {}
    store = open_store(url, create=False)
    try:
        return {view.key: view.state for view in store.jobs(keys)}
    finally:
        store.close()


def _plans(scale: Scale | None) -> tuple[list[Plan], list[str], list[LnlbenchError]]:
    """The plans, the names of suites that lack the scale, and what is wrong with others."""
    from lnlbench.suite import every_suite

    suites, broken = every_suite()
    plans: list[Plan] = []
    for suite in suites:
        if scale is None or scale in suite.scales:
            try:
                plans.append(suite.plan(scale))
            except LnlbenchError as error:
                broken.append(error)
    return plans, [suite.name for suite in suites if scale is not None and scale not in suite.scales], broken


def _row(plan: Plan, states: dict[str, str], seen: set[str]) -> dict[str, Any]:
    keys = {job.key for job in plan.work}
    row = {
        "suite": plan.name,
        "scale": plan.scale,
        "rows": len(plan.rows),
        "there": len(plan.rows) - len(plan.missing_rows),
        "columns": len(plan.columns),
        "seeds": len(plan.seeds),
        "jobs": len(keys),
        "new": len(keys - seen),
        "done": sum(states.get(key) in FINISHED for key in keys),
    }
    seen |= keys
    return row
