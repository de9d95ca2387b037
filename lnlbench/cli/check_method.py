"""`lnlbench check-method`: holds methods to the contract that every method keeps (lnlbench.contract)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lnlbench.cli.common import JsonOption, PluginOption, print_json
from lnlbench.cli.printing import line

if TYPE_CHECKING:
    from lnlbench.contract import CheckResult


def check_method(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="gce, 'sanm(ce)'; a plug-in alone: all its hosts.")
    ] = None,
    plugin: PluginOption = None,
    device: Annotated[str, typer.Option("--device", help="Where the checks run: cpu, cuda:0, auto.")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Check methods, by name or all of a plug-in file. Exit code 1 when a check fails; says nothing of accuracy."""
    from lnlbench.contract import run_checks
    from lnlbench.errors import InvalidSetting
    from lnlbench.methods.registry import load_plugin

    from_files = [slug for path in plugin or () for slug in load_plugin(path)]
    chosen = names or from_files
    if not chosen:
        raise InvalidSetting("nothing to check.", "Name methods (lnlbench list methods) or give --plugin FILE.")
    results: list[CheckResult] = []

    def tell(result: CheckResult) -> None:
        results.append(result)
        if not as_json:
            _print_result(result)

    for name in chosen:
        run_checks(name, tell, device=device)
    failed = [result for result in results if not result.passed]
    if as_json:
        print_json([vars(result) for result in results])
    else:
        ended = f"{len(failed)} of {len(results)} checks failed." if failed else f"All {len(results)} checks passed."
        line(f"\n{ended}")
    if failed:
        raise typer.Exit(1)


def _print_result(result: CheckResult) -> None:
    style = {"fg": "green"} if result.passed else {"fg": "red", "bold": True}
    verdict = typer.style("PASS" if result.passed else "FAIL", **style)
    typer.echo(f"{verdict}  {result.method}  {result.name}  ({result.seconds:.1f} s)")
    for text in result.message.splitlines():
        typer.echo(f"      {text}")
