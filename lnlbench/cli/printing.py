"""Tables, lists of facts and sentences on standard output: drawn by rich on a terminal, aligned plain text elsewhere.

Everything is printed literally, so that names with [brackets] stay as they are. Knows nothing of what it prints.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer


def terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def cell(value: Any) -> str:
    """A value as people read it: '-' for none, 'yes' and 'no', numbers without trailing zeros, lists with commas."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(entry) for entry in value) or "-"
    return str(value)


def setting(value: Any) -> str:
    """A setting as `--set` takes it: null, true, [a, b]."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(setting(entry) for entry in value) + "]"
    return str(value)


def settings(values: Mapping[str, Any]) -> str:
    """'lambda_u 0, extra_views [a, b]'."""
    return ", ".join(f"{name} {setting(value)}" for name, value in values.items())


def counted(number: int, noun: str) -> str:
    """'1 job', '1,200 jobs'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def line(text: str = "") -> None:
    """One or more lines; wrapped at words on a terminal."""
    if not terminal():
        typer.echo(text)
        return
    from rich.text import Text

    from lnlbench.cli.common import console

    console().print(Text(text))


@contextmanager
def cautions() -> Iterator[None]:
    """Says lnlbench's own warnings as one line each on standard error, without Python's file and line."""
    from lnlbench.data.noise import NoiseWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NoiseWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, NoiseWarning):
            typer.echo(f"caution: {warning.message}", err=True)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def heading(text: str) -> None:
    """A line that opens a part."""
    typer.echo()
    typer.secho(text, bold=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Collection[str] = ()) -> None:
    """Rows of values under column names; `right` names the columns of numbers."""
    texts = [[cell(value) for value in row] for row in rows]
    if terminal():
        _rich_table(columns, texts, right)
        return
    widths = [max(len(text) for text in column) for column in zip(columns, *texts, strict=True)]
    for row in ([name.upper() for name in columns], *texts):
        padded = (
            text.rjust(width) if name in right else text.ljust(width)
            for name, text, width in zip(columns, row, widths, strict=True)
        )
        typer.echo("  ".join(padded).rstrip())


def facts(pairs: Iterable[tuple[str, Any]]) -> None:
    """Names with values, one a line, the values aligned."""
    texts = [(name, cell(value)) for name, value in pairs]
    if terminal():
        _rich_facts(texts)
        return
    width = max((len(name) for name, _ in texts), default=0)
    for name, text in texts:
        lines = text.splitlines() or [""]
        typer.echo(f"{name.ljust(width)}  {lines[0]}".rstrip())
        for more in lines[1:]:
            typer.echo(f"{' ' * width}  {more}".rstrip())


def _rich_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from lnlbench.cli.common import console

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for position, name in enumerate(columns):
        # The first column holds the names one types: they are never cut.
        drawn.add_column(
            Text(name), justify="right" if name in right else "left", no_wrap=position == 0, overflow="fold"
        )
    for row in rows:
        drawn.add_row(*(Text(text) for text in row))
    console().print(drawn)


def _rich_facts(pairs: Iterable[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from lnlbench.cli.common import console

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in pairs:
        grid.add_row(Text(name, style="bold"), Text(text))
    console().print(grid)
