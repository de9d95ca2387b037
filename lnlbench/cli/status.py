"""`lnlbench status`: what the database's jobs are doing, and why some failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli import common, selection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lnlbench.store import FailureView, JobView, Store
    from lnlbench.store.states import JobState


def status(
    suite: selection.SuiteOption = None,
    scale: selection.ScaleOption = None,
    db: common.DbOption = None,
    failed: Annotated[bool, typer.Option("--failed", help="Failed jobs with their errors and tracebacks.")] = False,
    as_json: common.JsonOption = False,
) -> None:
    """Show counts by state and the running jobs; with --failed, what went wrong."""
    keys = None
    if suite is not None:
        picked = selection.chosen(suite, scale, None, None, None, None, None, None, None)
        keys = [job.key for job in picked.plan().jobs]
    with common.look_at(db) as look:
        counts = look.counts(keys)
    if not failed and not counts["running"]:
        _print_overview(counts, [], db, as_json)
        return
    store = common.open_existing(db)
    try:
        if failed:
            _failures(store, keys, as_json)
        else:
            _overview(store, keys, db, as_json)
    finally:
        store.close()


def _overview(store: Store, keys: list[str] | None, db: str | None, as_json: bool) -> None:
    counts = store.counts(keys)
    running = [_running(store, view) for view in store.jobs(keys, state="running")]
    _print_overview(counts, running, db, as_json)


def _print_overview(
    counts: Mapping[JobState, int], running: Sequence[Mapping[str, Any]], db: str | None, as_json: bool
) -> None:
    if as_json:
        common.print_json({"states": counts, "running": running})
        return
    out = common.console()
    out.print(", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no jobs", markup=False)
    for row in running:
        accuracy = "" if row["accuracy"] is None else f", accuracy {row['accuracy']:.2f}%"
        out.print(
            f"{row['key'][:12]}  {row['job']}: epoch {row['epoch']}/{row['epochs']}{accuracy}, on {row['worker']}",
            markup=False,
        )
    if counts.get("failed"):
        out.print(f"Why they failed: lnlbench status --failed{common.same_database(db)}", markup=False)


def _running(store: Store, view: JobView) -> dict[str, Any]:
    runs = store.runs(view.key)
    epochs = store.epochs(runs[-1].uid) if runs else []
    last = epochs[-1] if epochs else None
    return {
        "key": view.key,
        "job": view.job.label(),
        "epoch": last.epoch + 1 if last else 0,
        "epochs": view.job.recipe.epochs,
        "accuracy": last.test_accuracy if last else None,
        "worker": view.lease_owner,
        "lease_until": view.lease_until,
    }


def _failures(store: Store, keys: list[str] | None, as_json: bool) -> None:
    newest: dict[str, FailureView] = {}
    for failure in store.failures(keys):
        if failure.state == "failed":
            known = newest.get(failure.key)
            if known is None or failure.attempt > known.attempt:
                newest[failure.key] = failure
    if as_json:
        common.print_json([failure._asdict() for failure in newest.values()])
        return
    out = common.console()
    for failure in newest.values():
        out.print(
            f"{failure.key[:12]}  {failure.method} {failure.dataset} {failure.noise_label} seed {failure.seed}, "
            f"attempt {failure.attempt} on {failure.host or '?'}",
            markup=False,
        )
        out.print("\n".join("  " + line for line in (failure.error or "?").splitlines()), markup=False)
        if failure.traceback:
            out.print("\n".join("  | " + line for line in failure.traceback.rstrip().splitlines()), markup=False)
        if failure.log_path:
            out.print(f"  log: {failure.log_path}", markup=False)
    if not newest:
        out.print("No job has failed.", markup=False)
