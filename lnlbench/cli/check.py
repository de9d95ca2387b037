"""`lnlbench check`: the regression check of a suite against a baseline, for people and for CI.

Its exit codes are an answer: 1 is a regression and nothing else, so whatever keeps it from comparing ends with 3.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from lnlbench.cli import common, selection
from lnlbench.cli.printing import heading, line, table
from lnlbench.errors import LnlbenchError

if TYPE_CHECKING:
    from lnlbench.regression import Check
    from lnlbench.regression.words import Where
    from lnlbench.suite import Plan

COULD_NOT_COMPARE = 3
_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
"""click's UsageError, or that of the copy of click which newer versions of typer bring along."""

BaselineOption = Annotated[
    Path | None, typer.Option("--baseline", "-b", help="Baseline file. Default: results/baselines/SUITE.json.")
]


class CheckCommand(TyperCommand):
    """A command whose wrong options end with 3: the usual 2 means that cells were not measured."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().make_context(*args, **kwargs)
        except _USAGE_ERROR as error:
            error.exit_code = COULD_NOT_COMPARE  # type: ignore[attr-defined]
            raise


def default_baseline(suite: str) -> Path:
    """Where a suite's baseline lies."""
    return Path("results") / "baselines" / f"{Path(suite).stem}.json"


def check(
    suite: Annotated[str, typer.Option("--suite", "-s", help="The suite: its name, or a YAML file.")] = "nightly",
    baseline: BaselineOption = None,
    scale: Annotated[str | None, typer.Option("--scale", help="Default: the baseline's.")] = None,
    seed: selection.SeedOption = None,
    plugin: common.PluginOption = None,
    db: common.DbOption = None,
    stat: Annotated[
        list[str] | None, typer.Option("--stat", help="Only this statistic; repeatable. Default: the suite's.")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Chance of any false alarm in the whole check.")] = 0.01,
    min_drop: Annotated[
        float, typer.Option("--min-drop", help="Points (percent, or hundredths of AUC) below which no drop counts.")
    ] = 0.0,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Also write Markdown to this file.")] = None,
    as_json: common.JsonOption = False,
) -> None:
    """Compare the newest runs of a suite with its baseline, cell by cell.

    Exit code: 0 no regression, 1 a regression; without one 3 when cells (or anything) could not be compared, else 2
    when cells were not measured.
    """
    from lnlbench.regression.words import Where

    file = baseline or default_baseline(suite)

    def compare() -> Check:
        picked = selection.chosen(suite, scale, None, None, None, None, seed, None, plugin)
        found = _compared(picked, file, db, alpha, stat, min_drop)
        where = Where(
            suite,
            str(file),
            common.same_database(db),
            plugin=selection.same_choice(None, plugin),
            seeds=selection.same_choice(seed, None),
        )
        if as_json:
            from lnlbench.regression.json_ import plain

            common.print_json(plain(found))
        else:
            _print(found, where)
        _write(found, where, junit, markdown)
        return found

    code = _never_one(compare).exit_code
    if code:
        raise typer.Exit(code)


def _never_one(compare: Callable[[], Check]) -> Check:
    """What `compare` finds; whatever it raises ends with 3, a bug after its traceback."""
    try:
        return compare()
    except LnlbenchError as error:
        error.exit_code = COULD_NOT_COMPARE
        raise
    except Exception as error:
        traceback.print_exc()
        raise typer.Exit(COULD_NOT_COMPARE) from error


def _compared(
    picked: selection.Chosen, file: Path, db: str | None, alpha: float, stats: list[str] | None, min_drop: float
) -> Check:
    from lnlbench import regression

    known = regression.read_baseline(file, picked.suite or "NAME")
    with common.look_at(db) as source:
        return regression.check(_plan(picked, known), known, source, alpha=alpha, stats=stats, min_drop=min_drop)


def _plan(picked: selection.Chosen, known: Any) -> Plan:
    """The suite at the scale asked for, else the baseline's."""
    import dataclasses

    return picked.plan() if picked.scale else dataclasses.replace(picked, scale=known.scale).plan()


def _print(found: Check, where: Where) -> None:
    from lnlbench.regression.words import sections

    for section in sections(found, where):
        if section.title:
            heading(section.title)
        else:
            line()
        if section.columns:
            table(section.columns, section.rows, right=section.right)
        for text in section.text:
            line(text)


def _write(found: Check, where: Where, junit: Path | None, markdown: Path | None) -> None:
    from lnlbench.regression.junit import junit as as_junit
    from lnlbench.regression.markdown import markdown as as_markdown

    for path, text in ((junit, as_junit(found)), (markdown, as_markdown(found, where))):
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise LnlbenchError(f"cannot write {path}: {error.strerror}.", "Choose another place.") from error
