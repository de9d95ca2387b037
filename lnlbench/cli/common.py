"""What the commands share: where things lie, how options are read, how to print. Light to import."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.errors import InvalidSetting, LnlbenchError

if TYPE_CHECKING:
    from rich.console import Console

    from lnlbench.store import Glance, Store

DEFAULT_DB = "lnlbench.sqlite"
_ENDLESS = 10_000

DbOption = Annotated[
    str | None,
    typer.Option("--db", help=f"Database: a file or an SQLAlchemy URL. Default: $LNLBENCH_DB or ./{DEFAULT_DB}."),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the data sets. Default: $LNLBENCH_DATA or a folder of yours."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
PluginOption = Annotated[
    list[Path] | None, typer.Option("--plugin", help="A Python file with methods of yours; repeatable.")
]


def console(*, stderr: bool = False) -> Console:
    """A rich console; plain text, whose lines and tables are as long as they are, when the output is no terminal."""
    from rich.console import Console

    width = None if (sys.stderr if stderr else sys.stdout).isatty() else _ENDLESS
    return Console(stderr=stderr, soft_wrap=not sys.stdout.isatty(), highlight=False, width=width)


def print_error(error: LnlbenchError) -> None:
    """One message on standard error: what is wrong, and what to do."""
    from rich.text import Text

    out = console(stderr=True)
    out.print(Text.assemble(("error: ", "bold red"), error.message))
    if error.hint:
        out.print(Text(error.hint))


def print_json(value: Any) -> None:
    """JSON on standard output, indented."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def database_url(db: str | None) -> str:
    """The database that the option, the environment or the default names."""
    return db or os.environ.get("LNLBENCH_DB") or DEFAULT_DB


def same_database(db: str | None) -> str:
    """The `--db` option for a command to go on with, as its ending; a URL, which may hold a password, unsaid."""
    if not db:
        return ""
    return " with the same --db" if "://" in db else f" --db {shlex.quote(db)}"


def runs_dir(url: str) -> Path:
    """Where checkpoints and logs lie: $LNLBENCH_RUNS, else `.lnlbench` beside the database file."""
    given = os.environ.get("LNLBENCH_RUNS")
    if given:
        return Path(given).expanduser().resolve()
    path = url.removeprefix("sqlite:///")
    folder = Path.cwd() if "://" in path else Path(path).expanduser().resolve().parent
    return folder / ".lnlbench"


def open_existing(db: str | None) -> Store:
    """The store of a command that only reads; a missing file is an error that says how to make one."""
    from lnlbench.store import open_store

    return open_store(database_url(db), create=False)


def look_at(db: str | None) -> Store | Glance:
    """The results and counts of a database that exists, opened the fast way where there is one."""
    from lnlbench.store import glance_at

    return glance_at(database_url(db)) or open_existing(db)


def data_dir(given: Path | None) -> Path:
    """The folder of the data sets. One that is given also holds the descriptions of data sets of one's own, for
    everything that is named in this process and those it starts."""
    from lnlbench.data.catalogue import default_data_dir

    folder = (given or default_data_dir()).expanduser().resolve()
    if given is not None:
        os.environ["LNLBENCH_DATA"] = str(folder)
    return folder


def load_plugins(paths: Sequence[Path] | None) -> tuple[str, ...]:
    """Registers the methods of plug-in files; returns the files' absolute paths for the workers."""
    if not paths:
        return ()
    from lnlbench.methods.registry import load_plugin

    for path in paths:
        load_plugin(path)
    return tuple(str(path.expanduser().resolve()) for path in paths)


def parse_settings(pairs: Sequence[str] | None) -> dict[str, Any]:
    """`--set name=value` options as a dictionary; values are read as YAML: numbers, true, null, [lists], text."""
    values: dict[str, Any] = {}
    for pair in pairs or ():
        name, sign, text = pair.partition("=")
        if not sign or not name.strip():
            raise InvalidSetting(f"--set {pair!r} is not NAME=VALUE.", "Write for example --set lambda_u=0.")
        values[name.strip()] = parse_value(text, f"--set {name}")
    return values


def parse_value(text: str, where: str) -> Any:
    """A value as YAML reads it, with 1e-3 taken for the number it is meant to be."""
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidSetting(f"{where}: {text!r} cannot be read as a value.") from error
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def duration(seconds: float) -> str:
    """'45 s', '12 min', '3.4 h', '5.1 days'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
