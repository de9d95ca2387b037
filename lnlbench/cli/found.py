"""What the options of `report` and `plot` find in a database: plans with their results, one for each scale that has
some, for scales are never mixed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import typer

from lnlbench.cli.selection import Chosen
from lnlbench.errors import UnknownName

if TYPE_CHECKING:
    from lnlbench.job import Scale
    from lnlbench.store import Glance, Store
    from lnlbench.store.rows import Condition, ResultView
    from lnlbench.suite import Plan, Suite


def plans_with_results(
    store: Store | Glance, picked: Chosen, also: Sequence[str] = ()
) -> list[tuple[Plan, list[ResultView]]]:
    """The plans that the options stand for, with their results; without a suite or method, of every suite.

    A suite that was asked for comes without results where it has none. also: methods below the rows of each.
    Raises UnknownName where a filter fits nowhere.
    """
    if picked.suite is None and picked.methods:
        plan = picked.plan(also=also)
        return [(plan, _results(store, plan))]
    wanted = picked.checked_scale()
    places = [(suite, scale) for suite in _suites(picked.suite) for scale in ([wanted] if wanted else suite.scales)]
    there, rows = store.conditions(), [*picked.methods, *also]
    likely, _ = _planned(picked, also, [place for place in places if _may_have_results(*place, rows, there)])
    found = [(plan, results) for plan in likely if (results := _results(store, plan))]
    if found:
        return found
    # Either there is nothing, or a filter is wrong, which only planning everything can tell.
    plans, misfits = _planned(picked, also, places)
    if not plans and misfits:
        raise misfits[0]
    return [(plans[0], [])] if picked.suite is not None else []


def _suites(name: str | None) -> list[Suite]:
    """The suite of that name, or all; of these, one that cannot be read is named aside and hides no other."""
    from lnlbench.suite import every_suite, load_suite

    if name is not None:
        return [load_suite(name)]
    suites, broken = every_suite()
    for error in broken:
        typer.echo(f"caution: {error}", err=True)
    return suites


def _may_have_results(suite: Suite, scale: Scale, methods: Sequence[str], there: Collection[Condition]) -> bool:
    """Whether a job there is could be of this table, at a hundredth of the cost of planning it."""
    from lnlbench.store.rows import Condition
    from lnlbench.suite.plan import normal

    if scale not in suite.layouts:
        return False
    layout = suite.layouts[scale]
    names = {normal(method) for method in (*methods, *(row.method for row in layout.rows))}
    return any(
        Condition(scale, name, columns.dataset, noise.name, rate) in there
        for columns in layout.columns
        for noise in columns.noises(layout.noise)
        for rate in {noise.rate, None}  # the clean noise loses its rate when a job is made of it
        for name in names
    )


def _planned(
    picked: Chosen, also: Sequence[str], places: Sequence[tuple[Suite, Scale]]
) -> tuple[list[Plan], list[UnknownName]]:
    """The plans of suites at scales, and the errors of those that the filters do not fit."""
    plans, misfits = [], []
    for suite, scale in places:
        try:
            plans.append(picked.plan_of(suite, scale, also))
        except UnknownName as error:
            misfits.append(error)
    return plans, misfits


def _results(store: Store | Glance, plan: Plan) -> list[ResultView]:
    return store.results([job.key for job in plan.jobs])
