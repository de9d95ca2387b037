"""`lnlbench db`: upgrades a database, says what is in it, and carries results between databases."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli import common
from lnlbench.cli.printing import counted, facts, line
from lnlbench.errors import LnlbenchError, unknown_name
from lnlbench.job import SCALES

if TYPE_CHECKING:
    from lnlbench.store import ExchangeReport, JobView, Store

app = typer.Typer(help="The database: upgrade, info, export, import, merge.", no_args_is_help=True)

_FILTERS = ("scale", "method", "dataset")


@app.command("info")
def info(db: common.DbOption = None, as_json: common.JsonOption = False) -> None:
    """What a database holds: rows by table, jobs by state, schema, size."""
    from lnlbench.store.overview import overview

    found = overview(common.database_url(db))
    if as_json:
        common.print_json({**found._asdict(), "current": found.current})
        return
    facts(
        [
            ("database", found.name),
            ("kind", found.backend),
            ("schema", found.revision if found.current else f"{found.revision}, the present one is {found.head}"),
            ("size", None if found.bytes is None else f"{found.bytes / 2**20:,.1f} MiB"),
            *((f"rows of {name}", f"{number:,}") for name, number in found.rows.items()),
            *((f"jobs {state}", f"{number:,}") for state, number in found.states.items()),
        ]
    )
    if not found.current:
        line("\nUpgrade it: lnlbench db upgrade")


@app.command("upgrade")
def upgrade(db: common.DbOption = None, as_json: common.JsonOption = False) -> None:
    """Bring an older database to the present schema. Nothing is lost; take a copy first where it matters."""
    from lnlbench.store import open_store
    from lnlbench.store.overview import overview

    url = common.database_url(db)
    before = overview(url)
    if not before.current:
        open_store(url, create=False).close()
    if as_json:
        common.print_json({"database": before.name, "from": before.revision, "to": before.head})
    elif before.current:
        line(f"{before.name} has the present schema {before.head} already.")
    else:
        line(f"{before.name}: schema {before.revision} upgraded to {before.head}.")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="File to write: JSON Lines, compressed if it ends in .gz.")],
    scale: Annotated[list[str] | None, typer.Option("--scale", help="Only this scale; repeatable.")] = None,
    method: Annotated[list[str] | None, typer.Option("--method", "-m", help="Only this method; repeatable.")] = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", "-d", help="Only this data set; repeatable.")
    ] = None,
    db: common.DbOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Write jobs with their runs, results and epochs to a file that `db import` reads."""
    for name in scale or ():
        if name not in SCALES:
            raise unknown_name("scale", name, SCALES)
    methods = [name.replace(" ", "").lower() for name in method or ()]
    chosen: dict[str, Any] = {"scale": scale or None, "method": methods or None, "dataset": dataset or None}
    store = common.open_existing(db)
    try:
        _check_filters(store, chosen)
        number = store.export(file, **chosen)
    finally:
        store.close()
    if as_json:
        common.print_json({"file": str(file), "jobs": number})
    else:
        line(f"{file}: {counted(number, 'job')}")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A file that `lnlbench db export` wrote.")],
    db: common.DbOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Take an export in. What is there already is left alone; a damaged file is refused as a whole."""
    from lnlbench.store import open_store

    if not file.is_file():
        raise LnlbenchError(f"there is no file {file}.", "Give a file that `lnlbench db export` wrote.")
    store = open_store(common.database_url(db))
    try:
        _print_exchange(store.import_(file), store.name, as_json)
    finally:
        store.close()


@app.command("merge")
def merge(
    other: Annotated[
        str, typer.Argument(metavar="OTHER_DB", help="Database to take from, a file or a URL; only read.")
    ],
    db: common.DbOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Take in what another database holds, for example another machine's."""
    from lnlbench.store import open_store
    from lnlbench.store.overview import overview

    overview(other)  # a mistyped name must not leave a new, empty database behind
    store = open_store(common.database_url(db))
    try:
        _print_exchange(store.merge(other), store.name, as_json)
    finally:
        store.close()


def _check_filters(store: Store, chosen: dict[str, Any]) -> None:
    """An export of nothing is a mistake: says which value no job has, or that no job has all of them."""
    if any(store.counts(**chosen).values()):
        return
    jobs = store.jobs()
    for name in _FILTERS:
        there = {str(getattr(view, name)) for view in jobs}
        for value in chosen[name] or ():
            if value not in there:
                raise unknown_name(f"{name} in this database", value, there)
    raise LnlbenchError(*_nothing(jobs, store.name))


def _nothing(jobs: Collection[JobView], name: str) -> tuple[str, str]:
    if jobs:
        return f"no job in {name} fits all filters at once.", "Leave one out."
    return f"{name} holds no jobs.", "Run some first: lnlbench run --suite quickstart"


def _print_exchange(report: ExchangeReport, name: str, as_json: bool) -> None:
    if as_json:
        common.print_json(report._asdict())
        return
    line(
        f"{name}: {counted(report.jobs_added, 'job')} and {counted(report.runs_added, 'run')} added; "
        f"{counted(report.jobs_skipped, 'job')} and {counted(report.runs_skipped, 'run')} there already."
    )
