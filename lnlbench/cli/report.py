"""`lnlbench report`: prints tables from the database. It imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli import common, selection
from lnlbench.cli.found import plans_with_results
from lnlbench.errors import InvalidSetting, LnlbenchError, UnknownName

if TYPE_CHECKING:
    from lnlbench.report import Table
    from lnlbench.store import Glance, Store
    from lnlbench.store.rows import ResultView
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
    format: Annotated[str, typer.Option("--format", "-f", help="table, latex, markdown, csv, json or html.")] = "table",
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
    test: Annotated[
        str | None, typer.Option("--test", help="--against: welch, or paired over common seeds. Default: welch.")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option("--alpha", help="--against: level of all tests of a table together. Default: 0.05.")
    ] = None,
    ranks: Annotated[bool, typer.Option("--ranks", help="The average rank of each row over the columns.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file instead.")] = None,
) -> None:
    """Print a suite's table from the results there are; without --suite, every suite that has results."""
    if against is None and (test, alpha) != (None, None):
        option = "--test" if test is not None else "--alpha"
        raise InvalidSetting(f"{option} is for tests against a row.", "Give --against ROW, or leave it out.")
    picked = selection.chosen(suite, scale, method, dataset, noise, rate, seed, settings, plugin, recipe)
    store = common.look_at(db)
    try:
        shape: dict[str, Any] = {"stats": stat or None, "compare": compare, "ddof": ddof, "ranked": ranks}
        shape |= {"against": against, "test": test or "welch", "alpha": 0.05 if alpha is None else alpha}
        planned = plans_with_results(store, picked, also or ())
        tables = _tables(planned, shape)
        page = _page(store, [plan for plan, _ in planned], tables, db) if format == "html" and tables else None
    finally:
        store.close()
    if not tables:
        raise LnlbenchError(
            "no suite has results in this database.",
            "Run: lnlbench run --suite quickstart. A suite of your own is a file: --suite FILE. "
            "Jobs that were chosen by --method are shown by the same options.",
        )
    _write(tables, format, out, page)


def _tables(planned: Sequence[tuple[Plan, list[ResultView]]], shape: dict[str, Any]) -> list[Table]:
    """The tables of the plans; where there are several, one without the row to test against says so and goes on."""
    from lnlbench.report import build_table

    tables, misfits = [], []
    for plan, results in planned:
        try:
            tables.append(build_table(plan, results, **shape))
        except UnknownName as error:
            if shape["against"] is None or len(planned) == 1:
                raise
            misfits.append(error)
            untested = build_table(plan, results, **{**shape, "against": None})
            note = f"Nothing is tested: the table has no row {shape['against']!r}."
            tables.append(dataclasses.replace(untested, notes=(*untested.notes, note)))
    if misfits and len(misfits) == len(planned):
        raise misfits[0]
    return tables


def _page(store: Store | Glance, plans: Sequence[Plan], tables: Sequence[Table], db: str | None) -> str:
    """All tables as one page, which names the database but neither its server nor its folder."""
    from lnlbench.report.html import render_report

    name = str(getattr(store, "name", common.database_url(db)))
    return render_report(store, list(zip(plans, tables, strict=True)), Path(name.partition("?")[0]).name)


def _write(tables: Sequence[Table], format: str, out: Path | None, page: str | None = None) -> None:
    from lnlbench.report import render

    if format == "table" and out is None:
        from lnlbench.report import terminal

        console = common.console()
        if console.is_terminal:
            for table in tables:
                console.print(terminal.render(table, console.width))
            return
    text = "\n".join(render(table, format) for table in tables) if page is None else page
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LnlbenchError(f"cannot write {out}: {error.strerror}.", "Choose another place with --out.") from error
