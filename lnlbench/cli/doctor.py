"""`lnlbench doctor`: whether this machine can run jobs, and what to do about what is not right. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lnlbench.cli import common
from lnlbench.cli.printing import counted, line

if TYPE_CHECKING:
    from lnlbench.cli.diagnosis import Finding

_MARKS = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "fail": ("FAIL", "red")}


def doctor(db: common.DbOption = None, data: common.DataDirOption = None, as_json: common.JsonOption = False) -> None:
    """Check this installation: packages, devices, memory, disk, data, database. Exit code 1 when jobs cannot run."""
    from dataclasses import asdict

    from lnlbench.cli.diagnosis import examine

    url = common.database_url(db)
    findings = examine(url, common.data_dir(data), common.runs_dir(url))
    failed = [finding for finding in findings if finding.status == "fail"]
    if as_json:
        common.print_json({"ready": not failed, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
        line(f"\n{counted(len(failed), 'problem')}: jobs cannot run here yet." if failed else "\nReady to run jobs.")
    if failed:
        raise typer.Exit(1)


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        text, colour = _MARKS[finding.status]
        mark = typer.style(text, fg=colour, bold=finding.status == "fail")
        typer.echo(f"{mark}  {finding.name.ljust(width)}  {finding.value}")
        if finding.advice:
            typer.echo(f"{' ' * (width + 8)}{finding.advice}")
