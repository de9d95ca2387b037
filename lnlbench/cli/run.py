"""`lnlbench run`: schedules the jobs of a suite, or of methods and data sets, on this machine's devices."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli import common, selection
from lnlbench.cli.printing import counted
from lnlbench.cli.selection import Chosen
from lnlbench.errors import LnlbenchError

if TYPE_CHECKING:
    from lnlbench.execution.local import Summary
    from lnlbench.job import Job
    from lnlbench.store import Store
    from lnlbench.suite import Plan

DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda (every one), cuda:0, mps.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", "-w", min=1, help="Worker processes. Default: as fit.")]


def run(
    suite: selection.SuiteOption = None,
    scale: selection.ScaleOption = None,
    method: selection.MethodOption = None,
    dataset: selection.DatasetOption = None,
    noise: selection.NoiseOption = None,
    rate: selection.RateOption = None,
    seed: selection.SeedOption = None,
    settings: selection.SetOption = None,
    recipe: selection.RecipeOption = selection.DEFAULT_RECIPE,
    plugin: common.PluginOption = None,
    db: common.DbOption = None,
    data_dir: common.DataDirOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    jobs_per_gpu: Annotated[int, typer.Option("--jobs-per-gpu", min=1, help="Jobs at a time on each GPU.")] = 1,
    precision: Annotated[str, typer.Option("--precision", help="auto (bf16 on CUDA), fp32 or bf16.")] = "auto",
    attempts: Annotated[int, typer.Option("--attempts", min=1, help="Attempts a job gets when it crashes.")] = 2,
    checkpoint_minutes: Annotated[
        float, typer.Option("--checkpoint-minutes", min=0, help="Least minutes between checkpoints; 0: every epoch.")
    ] = 1.0,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from checkpoints of interrupted jobs.")
    ] = True,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed jobs again.")] = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="Run finished jobs once more; old runs stay.")] = False,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep each job's trained networks, for `lnlbench plot --job`.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the jobs.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Go on where it takes long.")] = False,
    as_json: common.JsonOption = False,
) -> None:
    """Run jobs. What is done already is not done again; Ctrl-C stops and the same command goes on.

    Exit code: 0 when every job is done, 1 when some failed, 130 after Ctrl-C.
    """
    folder = common.data_dir(data_dir)
    picked = selection.chosen(suite, scale, method, dataset, noise, rate, seed, settings, plugin, recipe)
    plan = picked.plan()
    plan.check()
    url = common.database_url(db)
    if dry_run:
        _list_jobs(plan, url, as_json)
        return
    if not plan.jobs:
        rows = ", ".join(row.method for row in plan.missing_rows)
        raise LnlbenchError(f"no job to run: lnlbench does not have {rows} yet.", "Run: lnlbench list methods")
    _check_data(plan.work, folder)

    from lnlbench.execution.local import LocalEngine, slots
    from lnlbench.execution.protocol import WorkerConfig
    from lnlbench.store import open_store

    places = slots(device, workers, jobs_per_gpu, len(plan.work))
    if plan.scale == "paper" and not places[0].device.startswith("cuda") and not yes:
        _refuse_slow(_unfinished(plan, url, rerun=rerun), precision)
    store = open_store(url)
    try:
        todo = _queue(store, plan, retry_failed=retry_failed, rerun=rerun)
        keys = tuple(job.key for job in plan.work)
        config = WorkerConfig(
            name="",
            database=_for_workers(url),
            keys=keys,
            data_dir=str(folder),
            runs_dir=str(common.runs_dir(url)),
            precision=precision,
            retry_limit=attempts,
            checkpoint_minutes=checkpoint_minutes,
            resume=resume,
            keep_models=keep_models,
            plugins=picked.plugins,
        )
        summary = _work(store, plan, todo, LocalEngine(store, config, places))
        _conclude(store, picked, plan, summary, common.same_database(db), as_json)
    finally:
        store.close()


def _for_workers(url: str) -> str:
    return url if "://" in url else str(Path(url).expanduser().resolve())


def _check_data(jobs: Sequence[Job], folder: Path) -> None:
    """Every data set must be there before anything starts."""
    from lnlbench.data.catalogue import dataset_info

    for name in sorted({job.dataset for job in jobs}):
        info = dataset_info(name)
        if not info.available(folder):
            raise info.absence(folder)


def _queue(store: Store, plan: Plan, *, retry_failed: bool, rerun: bool) -> list[Job]:
    """Puts the jobs and those that they start from into the store; returns those that are not finished."""
    keys = [job.key for job in plan.work]
    store.add_jobs(plan.work)
    if rerun:
        # What they start from stays as it is.
        store.requeue([job.key for job in plan.jobs], states=("done", "diverged", "failed", "stopped"))
    elif retry_failed:
        store.requeue_failed(keys)
    open_states = {"queued", "running"}
    open_keys = {view.key for view in store.jobs(keys) if view.state in open_states}
    return [job for job in plan.work if job.key in open_keys]


def _unfinished(plan: Plan, url: str, *, rerun: bool) -> list[Job]:
    """The jobs that would be run; asks the database without making or changing one."""
    from lnlbench.cli.plan import states_of

    finished = () if rerun else ("done", "diverged")
    states = states_of(plan, url)
    return [job for job in plan.work if states.get(job.key) not in finished]


def _refuse_slow(todo: Sequence[Job], precision: str) -> None:
    """Says how long the paper's recipe would take without a GPU, and stops; nothing to do is nothing to refuse."""
    if not todo:
        return
    from lnlbench.cli.plan import estimate

    out = common.console(stderr=True)
    out.print("No GPU here: measuring what the paper's recipe would cost on the CPU ...", markup=False)
    costs = estimate(todo, "cpu", precision, out)
    hours = sum(cost.seconds for cost in costs.values())
    raise LnlbenchError(
        f"{counted(len(todo), 'job')} at paper scale would take about {common.duration(hours)} on this machine's CPU.",
        "Use a machine with a GPU, a smaller --scale, a filter (--method, --rate, --seed), or --yes to go on.",
    )


def _work(store: Store, plan: Plan, todo: Sequence[Job], engine: Any) -> Summary:
    """Runs the engine under a progress display."""
    from lnlbench.cli.progress import Progress

    if not todo:
        from lnlbench.execution.local import Summary

        return Summary()
    with Progress(len(plan.work), len(plan.work) - len(todo)) as progress:
        engine.on_event = progress.hear
        summary: Summary = engine.run()
    return summary


def _choice(picked: Chosen, plan: Plan, where: str) -> str:
    """The options of the report that shows these jobs: what the suite itself does not say must be said again."""
    if picked.suite is None:
        return "with the options that chose the jobs"
    from lnlbench.suite.layout import seed_list

    own = {row.method for row in plan.layout.rows}
    beyond = {
        "--plugin": picked.plugins,
        "--method": any(row.method not in own for row in plan.rows),
        "--seed": set(plan.seeds) - set(seed_list(plan.layout.seeds)),
        "--set": picked.settings,
    }
    same = " and ".join(name for name, given in beyond.items() if given)
    rest = f", with the same {same}" if same else ""
    return f"--suite {shlex.quote(picked.suite)} --scale {plan.scale}{where}{rest}"


def _conclude(store: Store, picked: Chosen, plan: Plan, summary: Summary, where: str, as_json: bool) -> None:
    """Says how it ended and what to do next, and sets the exit code. where: the option --db."""
    counts = store.counts([job.key for job in plan.work])
    if as_json:
        common.print_json(
            {
                "suite": picked.suite,
                "scale": plan.scale,
                "states": counts,
                "failed": sorted(summary.failed),
                "missing_rows": [row.method for row in plan.missing_rows],
                "interrupted": summary.interrupted,
                "seconds": round(summary.seconds, 1),
            }
        )
    else:
        out = common.console()
        ran = summary.done + summary.diverged
        out.print(
            f"{counts['done'] + counts['diverged']} of {len(plan.work)} jobs done"
            f" ({ran} now, {common.duration(summary.seconds)})"
            + (f", {counts['diverged']} of them diverged" if counts["diverged"] else "")
            + (f", {counts['failed']} failed" if counts["failed"] else "")
            + ".",
            markup=False,
        )
        if plan.missing_rows:
            out.print("Not in lnlbench: " + ", ".join(row.label for row in plan.missing_rows) + ".", markup=False)
        if summary.interrupted:
            out.print("Stopped. The same command goes on where it stopped.", markup=False)
        elif counts["failed"]:
            why = f"Why: lnlbench status --failed{where}."
            out.print(f"{why} Once more: the same command with --retry-failed.", markup=False)
        else:
            out.print(f"The table: lnlbench report {_choice(picked, plan, where)}", markup=False)
    if summary.interrupted:
        raise typer.Exit(130)
    if counts["failed"]:
        raise typer.Exit(1)


def _list_jobs(plan: Plan, url: str, as_json: bool) -> None:
    """The jobs and their states, without running or writing anything."""
    from lnlbench.cli.plan import states_of

    states = states_of(plan, url)
    rows = [{"key": job.key, "job": job.label(), "state": states.get(job.key, "new")} for job in plan.work]
    if as_json:
        common.print_json(rows)
        return
    out = common.console()
    for row in rows:
        out.print(f"{row['key'][:12]}  {row['state']:<8}  {row['job']}", markup=False)
    out.print(f"{counted(len(rows), 'job')} at {plan.scale} scale.", markup=False)
