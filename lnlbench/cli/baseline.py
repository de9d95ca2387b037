"""`lnlbench baseline write`: the newest finished runs of a suite become what `lnlbench check` compares with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnlbench.cli import common, selection
from lnlbench.cli.check import default_baseline
from lnlbench.cli.printing import counted, heading, line, table
from lnlbench.errors import LnlbenchError

if TYPE_CHECKING:
    from lnlbench.regression import Baseline

app = typer.Typer(help="Make baselines for the regression check.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Make baselines for the regression check."""


@app.command("write")
def write(
    suite: Annotated[str, typer.Option("--suite", "-s", help="The suite: its name, or a YAML file.")] = "nightly",
    scale: selection.ScaleOption = None,
    seed: selection.SeedOption = None,
    plugin: common.PluginOption = None,
    db: common.DbOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file. Default: results/baselines/SUITE.json.")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Leave out cells that are not complete.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of an existing baseline.")] = False,
    as_json: common.JsonOption = False,
) -> None:
    """Write a baseline from finished runs: every seed's numbers of every cell, and how and when they were made."""
    from lnlbench import regression
    from lnlbench.execution.provenance import git_state

    path = out or default_baseline(suite)
    if path.exists() and not replace:
        raise LnlbenchError(
            f"{path} is there already.", "Give --replace to put a new one in its place, or --out another file."
        )
    plan = selection.chosen(suite, scale, None, None, None, None, seed, None, plugin).plan()
    commit, dirty = git_state()
    from lnlbench import __version__

    code = {"lnlbench_version": __version__, "git_commit": commit, "git_dirty": dirty}
    try:
        with common.look_at(db) as source:
            made = regression.make_baseline(plan, source, code, partial=partial)
    except regression.Incomplete as error:
        same = f"{selection.same_choice(seed, plugin)}{common.same_database(db)}"
        run = f"lnlbench run --suite {shlex.quote(suite)} --scale {plan.scale}{same}"
        error.hint = f"{error.hint} The command: {run}"
        raise
    old = _old(path)
    regression.write_baseline(made, path)
    if as_json:
        common.print_json({"file": str(path), "cells": len(made.cells), "left_out": made.left_out, "seeds": plan.seeds})
        return
    _tell(made, path, plan.seeds)
    if old is not None:
        _tell_moved(old, made)


def _old(path: Path) -> Baseline | None:
    """The baseline that is being replaced; what cannot be read has nothing to say."""
    from lnlbench.regression import BaselineError, read_baseline

    if not path.exists():
        return None
    try:
        return read_baseline(path)
    except BaselineError as error:
        typer.echo(f"caution: the old file is lost unread: {error.message}", err=True)
        return None


def _tell(made: Baseline, path: Path, seeds: tuple[int, ...]) -> None:
    line(f"{path}: {counted(len(made.cells), 'cell')} of {made.suite} at {made.scale} scale, {len(seeds)} seeds each.")
    for environment in made.environments:
        line(f"  {_of(environment)}")
    if len(made.environments) > 1:
        line("caution: its runs are from different machines, versions or commits; a check takes them for alike.")
    if any(environment.get("git_dirty") for environment in made.environments):
        line("caution: its runs are of a checkout with uncommitted changes, which nobody can go back to.")
    for cell in made.cells:
        if cell.diverged:
            shown = ", ".join(map(str, cell.diverged))
            line(f"caution: {cell.row}, {cell.column} diverged with seed {shown}: its accuracy will not be compared.")
    for place in made.left_out:
        line(f"left out: {', '.join(filter(None, place))}")


def _of(environment: object) -> str:
    from lnlbench.regression.history import code_label

    assert isinstance(environment, dict)
    versions = environment.get("versions") or {}
    device = environment.get("device_name") or environment.get("device") or "?"
    torch = versions.get("torch", "?")
    return (
        f"{counted(environment['runs'], 'run')} of {code_label(environment)}, {environment['first'][:10]} to "
        f"{environment['last'][:10]}, on {device} in {environment.get('precision') or '?'} with torch {torch}"
    )


def _tell_moved(old: Baseline, made: Baseline) -> None:
    from lnlbench.regression import replaced
    from lnlbench.regression.words import heading as title
    from lnlbench.regression.words import summary
    from lnlbench.report.statistics import summarise

    moved = replaced(old, made)
    heading("What it replaces")
    if moved.cells:
        rows = [
            (name, title(stat), summary(summarise(was), stat), summary(summarise(now), stat))
            for name, stat, was, now in moved.cells
        ]
        table(["cell", "statistic", "was", "is"], rows, right=("was", "is"))
    for text in moved.told:
        line(text)
    if not moved.cells and not moved.told:
        line("Every number is as it was.")
