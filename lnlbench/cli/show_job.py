"""`lnlbench show job`: a job as it was resolved, its runs with their provenance, its result and its epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli.common import DbOption, JsonOption, duration, open_existing, print_json
from lnlbench.cli.printing import counted, facts, heading, line, setting, settings, table

if TYPE_CHECKING:
    from lnlbench.store import EpochRow, JobView, ResultView, RunView

LAST = 5
"""Epochs shown unless all are asked for."""

_COLUMNS = {
    "test_accuracy": ("accuracy", 2),
    "clean_auc": ("clean AUC", 4),
    "select_precision": ("precision", 4),
    "select_recall": ("recall", 4),
    "corrected_accuracy": ("corrected", 2),
    "memorisation": ("memorised", 4),
    "loss": ("loss", 4),
    "lr": ("lr", 6),
    "images_per_second": ("images/s", 0),
    "peak_memory_mb": ("memory MB", 0),
    "seconds": ("seconds", 1),
}


def job(
    key: Annotated[str, typer.Argument(help="The start of the job's key, as far as it is unambiguous.")],
    db: DbOption = None,
    epochs: Annotated[bool, typer.Option("--epochs", help="Every epoch of the newest run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """A job: its resolved settings, state, runs and result."""
    store = open_existing(db)
    try:
        view = store.find_job(key)
        runs = store.runs(view.key)
        results = store.results([view.key])
        # A run that has only been queued again has no epochs yet: the newest run that has some is shown.
        tables = store.epochs_of([run.uid for run in runs])
    finally:
        store.close()
    result = results[0] if results else None
    shown = next((run.uid for run in reversed(runs) if tables[run.uid]), None)
    rows = tables[shown] if shown else []
    if as_json:
        print_json(_plain(view, runs, result, rows if epochs else rows[-LAST:]))
        return
    _print_job(view)
    if runs:
        _print_runs(runs)
    if result:
        _print_result(result)
    if rows:
        _print_epochs(rows if epochs else rows[-LAST:], len(rows))


def _print_job(view: JobView) -> None:
    from lnlbench.cli import wording

    found = view.job
    held = f", held by {view.lease_owner} until {view.lease_until:%Y-%m-%d %H:%M} UTC" if view.lease_until else ""
    facts(
        [
            ("job", view.key),
            ("state", f"{view.state}, {counted(view.attempts, 'attempt')}{held}"),
            ("method", f"{found.method}, version {found.method_version}"),
            ("data set", found.dataset),
            ("noise", wording.noise(found.noise)),
            ("seed", f"{found.seed}, of the noise {found.noise_seed}"),
            ("scale", found.scale),
        ]
    )
    heading("Hyperparameters")
    values = wording.flat(found.hyperparameters)
    facts([(name, setting(value)) for name, value in values.items()] or [("none", "")])
    heading("Recipe")
    facts(wording.recipe(found.recipe))


def _print_runs(runs: list[RunView]) -> None:
    heading("Runs")
    table(
        ["run", "attempt", "status", "started", "took", "host", "device", "from epoch"],
        [
            [
                run.uid[:12],
                run.attempt,
                run.status,
                f"{run.started_at:%Y-%m-%d %H:%M} UTC",
                None if run.seconds is None else duration(run.seconds),
                run.host,
                run.device_name or run.device,
                run.start_epoch,
            ]
            for run in runs
        ],
        right=("attempt", "from epoch"),
    )
    newest = runs[-1]
    heading("Provenance of the newest run")
    commit = f"{newest.git_commit}{' with changes' if newest.git_dirty else ''}" if newest.git_commit else None
    facts(
        [
            ("lnlbench", newest.lnlbench_version),
            ("commit", commit),
            ("versions", settings(newest.versions or {})),
            ("precision", newest.precision),
            ("CPU threads", newest.threads),
            ("data", newest.data_fingerprint),
            ("canonical data", newest.data_canonical),
            ("data note", newest.data_note),
            ("noisy labels", newest.noisy_labels_sha256),
            ("share of wrong labels", newest.noise_realised),
            ("resumed from", newest.resumed_from),
            ("log", newest.log_path),
            ("error", newest.error),
        ]
    )
    if newest.traceback:
        line(f"\n{newest.traceback.rstrip()}")


def _print_result(result: ResultView) -> None:
    heading(f"Result of run {result.run_uid[:12]} ({result.status}), accuracies in percent")
    best = None if result.best is None else f"{result.best:.2f} in epoch {_shown_epoch(result.best_epoch)}"
    facts(
        [
            ("best", best),
            ("last", _number(result.last, 2)),
            ("mean of the last 10", _number(result.last10, 2)),
            ("picked by noisy validation", _number(result.valid_pick, 2)),
            ("best clean AUC", _number(result.best_auc, 4)),
            ("last clean AUC", _number(result.last_auc, 4)),
            ("epochs", result.epochs_done),
            ("took", None if result.seconds is None else duration(result.seconds)),
            ("images/s", _number(result.images_per_second, 0)),
        ]
    )


def _print_epochs(rows: list[EpochRow], total: int) -> None:
    """A column for every metric that some epoch has."""
    names = [name for name in _COLUMNS if any(getattr(row, name) is not None for row in rows)]
    watched = list(dict.fromkeys(name for row in rows for name in row.extra or ()))
    heading("Epochs" if len(rows) == total else f"The last {len(rows)} of {total} epochs (all: --epochs)")
    titles = [*(_COLUMNS[name][0] for name in names), *(name.replace("_", " ") for name in watched)]
    table(
        ["epoch", "stage", *titles],
        [
            [
                _shown_epoch(row.epoch),
                row.stage,
                *(_number(getattr(row, name), _COLUMNS[name][1]) for name in names),
                *(_watched((row.extra or {}).get(name)) for name in watched),
            ]
            for row in rows
        ],
        right=("epoch", *titles),
    )


def _shown_epoch(epoch: int | None) -> int | None:
    """Epochs are stored from 0 and shown from 1, as `lnlbench status` does."""
    return None if epoch is None else epoch + 1


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:,.{digits}f}"


def _watched(value: float | None) -> str | None:
    return None if value is None else f"{value:,.4g}"


def _plain(view: JobView, runs: list[RunView], result: ResultView | None, epochs: list[EpochRow]) -> dict[str, Any]:
    return {
        "key": view.key,
        "state": view.state,
        "attempts": view.attempts,
        "job": view.job.to_dict(),
        "runs": [run._asdict() for run in runs],
        "result": result._asdict() if result else None,
        "epochs": [row._asdict() for row in epochs],
    }
