"""The command line, the only room of the house that prints. `lnlbench --help` lists the commands.

Each command's module is light to import; what it works with is imported when it runs.
"""

from __future__ import annotations

import sys

import typer

from lnlbench import __version__
from lnlbench.cli import baseline as baseline_command
from lnlbench.cli import check as check_command
from lnlbench.cli import check_method as contract
from lnlbench.cli import data, database, doctor, listing, plan, plot, report, run, show, status
from lnlbench.errors import LnlbenchError

app = typer.Typer(
    name="lnlbench",
    help="The benchmark suite for learning with noisy labels.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("plan")(plan.plan)
app.command("status")(status.status)
app.command("report")(report.report)
app.command("plot")(plot.plot)
app.add_typer(listing.app, name="list")
app.add_typer(show.app, name="show")
app.add_typer(data.app, name="data")
app.add_typer(database.app, name="db")
app.command("check", cls=check_command.CheckCommand)(check_command.check)
app.add_typer(baseline_command.app, name="baseline")
app.command("doctor")(doctor.doctor)
app.command("check-method")(contract.check_method)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lnlbench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """The benchmark suite for learning with noisy labels."""


def main() -> None:
    """Entry point: errors for people end in one message and their exit code, bugs in a traceback."""
    from lnlbench.cli.common import print_error

    try:
        app()
    except LnlbenchError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
