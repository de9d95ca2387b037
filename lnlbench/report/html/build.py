"""From a store to the page: reads what is known of every job behind the tables, has the figures drawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from lnlbench.report.cells import Table
from lnlbench.report.html import data
from lnlbench.report.html.page import Figure, Origin, render_page
from lnlbench.suite import Plan

FIGURES_OF = 2_000
"""Most jobs of a suite that has its figures on the page; more would be drawn for minutes and told apart by nobody."""


class Source(data.Source, Protocol):
    """What is asked of the store; `store.Store` and `store.Glance` both answer it."""

    def extras_of(self, run_uids: Collection[str]) -> dict[str, dict[str, Any]]: ...


def render_report(store: Source, tables: Sequence[tuple[Plan, Table]], database: str) -> str:
    """The whole page of tables and their plans. database: its name, without a password."""
    keys = dict.fromkeys(job.key for plan, _ in tables for job in plan.jobs)
    runs = data.read_runs(store, list(keys))
    figures = {i: drawn(store, plan, runs) for i, (plan, _) in enumerate(tables) if len(plan.jobs) <= FIGURES_OF}
    shown = [table if i in figures else _without(table) for i, (_, table) in enumerate(tables)]
    return render_page(shown, Origin(database, datetime.now(UTC)), runs, figures)


def _without(table: Table) -> Table:
    note = f"No figures: there are more than {FIGURES_OF:,} jobs behind this table."
    return replace(table, notes=(*table.notes, note))


def drawn(store: Source, plan: Plan, runs: data.Runs) -> list[Figure]:
    """The figures of a suite's results, as `lnlbench plot` draws them."""
    results = [runs.results[job.key] for job in plan.jobs if job.key in runs.results]
    if not results:
        return []
    from lnlbench.report.figures import KINDS, default_kinds, draw, material, to_svg

    uids = [result.run_uid for result in results]
    epochs: Mapping[str, Sequence[Any]] = store.epochs_of(uids)
    kinds = [name for name in default_kinds(plan) if KINDS[name].of_results]
    found, _ = draw(material(plan, results, epochs, store.extras_of(uids)), kinds)
    return [Figure(_capital(KINDS[d.kind].title), d.caption, to_svg(d.figure)) for d in found]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
