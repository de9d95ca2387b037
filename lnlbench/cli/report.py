"""`lnlbench report`: prints tables from the database. It imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli import common, selection
from lnlbench.cli.selection import Chosen
from lnlbench.errors import LnlbenchError, UnknownName

if TYPE_CHECKING:
    from lnlbench.job import Scale
    from lnlbench.report import Table
    from lnlbench.store import Glance, Store
    from lnlbench.suite import Plan


def report(
    suite: selection.SuiteOption = None,
    scale: selection.ScaleOption = None,
    method: selection.MethodOption = None,
    dataset: selection.DatasetOption = None,
    noise: selection.NoiseOption = None,
    rate: selection.RateOption = None,
    seed: selection.SeedOption = None,
    settings: selection.SetOption = None,
    recipe: selection.RecipeOption = selection.DEFAULT_RECIPE,
    plugin: common.PluginOption = None,
    db: common.DbOption = None,
    also: Annotated[
        list[str] | None, typer.Option("--also", help="A method below the suite's rows; repeatable.")
    ] = None,
    format: Annotated[str, typer.Option("--format", "-f", help="table, latex, markdown, csv or json.")] = "table",
    stat: Annotated[
        list[str] | None, typer.Option("--stat", help="best, last, last10, valid, auc, last_auc; repeatable.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="The published number and the difference beside ours.")
    ] = False,
    ddof: Annotated[int, typer.Option("--ddof", help="1: sample std (n-1). 0: population std, as many papers.")] = 1,
    against: Annotated[
        str | None, typer.Option("--against", help="Test every row against this one: its method or label.")
    ] = None,
    test: Annotated[str, typer.Option("--test", help="--against: welch, or paired over common seeds.")] = "welch",
    alpha: Annotated[float, typer.Option("--alpha", help="--against: level of all tests of a table together.")] = 0.05,
    ranks: Annotated[bool, typer.Option("--ranks", help="The average rank of each row over the columns.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file instead.")] = None,
) -> None:
    """Print a suite's table from the results there are; without --suite, every suite that has results."""
    picked = selection.chosen(suite, scale, method, dataset, noise, rate, seed, settings, plugin, recipe)
    store = common.look_at(db)
    try:
        shape: dict[str, Any] = {"stats": stat or None, "compare": compare, "ddof": ddof, "ranked": ranks}
        shape |= {"against": against, "test": test, "alpha": alpha}
        tables = _tables(store, _plans(store, picked, also or ()), shape)
    finally:
        store.close()
    if not tables:
        raise LnlbenchError(
            "no suite has results in this database.",
            "Run: lnlbench run --suite quickstart. A suite of your own is a file: --suite FILE. "
            "Jobs that were chosen by --method are shown by the same options.",
        )
    _write(tables, format, out)


def _plans(store: Store | Glance, picked: Chosen, also: Sequence[str]) -> list[Plan]:
    """The tables to print: one for each scale that has results, for scales are never mixed."""
    from lnlbench.suite import load_suite, suite_names

    if picked.suite is None and picked.methods:
        return [picked.plan(also=also)]
    names = [picked.suite] if picked.suite is not None else suite_names()
    wanted = picked.checked_scale()
    plans, misfits = [], []
    for name in names:
        scales: Sequence[Scale] = [wanted] if wanted else load_suite(name).scales
        for scale in scales:
            try:
                plans.append(_of_suite(picked, name).plan(scale, also))
            except UnknownName as error:
                misfits.append(error)
    if not plans:
        raise misfits[0]
    found = [plan for plan in plans if store.results([job.key for job in plan.jobs])]
    return found or (plans[:1] if picked.suite is not None else [])


def _of_suite(picked: Chosen, name: str) -> Chosen:
    return dataclasses.replace(picked, suite=name)


def _tables(store: Store | Glance, plans: Sequence[Plan], shape: dict[str, Any]) -> list[Table]:
    """The tables of the plans; where there are several, one without the row to test against says so and goes on."""
    from lnlbench.report import build_table

    tables, misfits = [], []
    for plan in plans:
        results = store.results([job.key for job in plan.jobs])
        try:
            tables.append(build_table(plan, results, **shape))
        except UnknownName as error:
            if shape["against"] is None or len(plans) == 1:
                raise
            misfits.append(error)
            untested = build_table(plan, results, **{**shape, "against": None})
            note = f"Nothing is tested: the table has no row {shape['against']!r}."
            tables.append(dataclasses.replace(untested, notes=(*untested.notes, note)))
    if misfits and len(misfits) == len(plans):
        raise misfits[0]
    return tables


def _write(tables: Sequence[Table], format: str, out: Path | None) -> None:
    from lnlbench.report import render

    if format == "table" and out is None:
        from lnlbench.report import terminal

        console = common.console()
        if console.is_terminal:
            for table in tables:
                console.print(terminal.render(table, console.width))
            return
    text = "\n".join(render(table, format) for table in tables)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LnlbenchError(f"cannot write {out}: {error.strerror}.", "Choose another place with --out.") from error
