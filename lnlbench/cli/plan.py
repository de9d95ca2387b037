"""`lnlbench plan`: the matrix of a suite, what of it is done, and what the rest would cost on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli import common, plan_all, selection
from lnlbench.cli.printing import counted

if TYPE_CHECKING:
    from rich.console import Console

    from lnlbench.execution.estimate import Cost
    from lnlbench.job import Job
    from lnlbench.suite import Plan
    from lnlbench.suite.plan import PlannedCell

_GAP = 2


def plan(
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
    device: Annotated[str, typer.Option("--device", help="Where the cost is measured: auto, cpu, cuda:0.")] = "auto",
    precision: Annotated[str, typer.Option("--precision", help="auto, fp32 or bf16.")] = "auto",
    measure: Annotated[bool, typer.Option("--measure/--no-measure", help="Measure the cost on a few steps.")] = True,
    as_json: common.JsonOption = False,
) -> None:
    """Show the matrix of jobs, what is done, and what the rest costs here. Without a suite or method: all suites."""
    picked = selection.chosen(suite, scale, method, dataset, noise, rate, seed, settings, plugin, recipe)
    url = common.database_url(db)
    if suite is None and not method:
        plan_all.all_suites(url, picked.checked_scale(), as_json)
        return
    planned = picked.plan()
    planned.check()
    states = states_of(planned, url)
    todo = [job for job in planned.work if states.get(job.key) not in ("done", "diverged")]
    out = common.console(stderr=True)
    costs = estimate(todo, device, precision, out) if measure and todo else {}
    if as_json:
        common.print_json(_plain(planned, states, costs))
        return
    _print_matrix(planned, states)
    _print_cost(todo, costs)


def states_of(planned: Plan, url: str) -> dict[str, str]:
    """The state of each job that the database knows; empty where there is no database yet."""
    from lnlbench.store import open_store

    if "://" not in url and not Path(url).expanduser().exists():
        return {}
    store = open_store(url, create=False)
    try:
        return {view.key: view.state for view in store.jobs([job.key for job in planned.work])}
    finally:
        store.close()


def estimate(jobs: Sequence[Job], device: str, precision: str, out: Console) -> dict[str, Cost]:
    """Measures the cost of jobs with one line of progress for each kind of job."""
    import os

    import torch

    from lnlbench.execution.estimate import measure_all
    from lnlbench.training.devices import place

    # As a worker does: one job a core.
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    where = place(device, precision)
    return measure_all(
        jobs, where, lambda job: out.print(f"  measuring {job.method} on {job.dataset} ...", markup=False)
    )


def _print_matrix(planned: Plan, states: Mapping[str, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    out = common.console()
    out.print(f"{planned.name}, {planned.scale} scale: {planned.title}", markup=False)
    heads = [f"{column.dataset}\n{column.noise.label()}" for column in planned.columns]
    counts = [[_count(cell, states) for cell in cells] for cells in planned.grid]
    for block in _blocks([row.label for row in planned.rows], heads, out.width):
        table = Table(box=None, pad_edge=False)
        table.add_column("Method", no_wrap=True)
        for head in heads[block]:
            table.add_column(Text(head), justify="right", no_wrap=True)
        for row, cells in zip(planned.rows, counts, strict=True):
            table.add_row(Text(row.label), *cells[block])
        out.print(table)
    done = sum(states.get(job.key) in ("done", "diverged") for job in planned.work)
    failed = sum(states.get(job.key) == "failed" for job in planned.work)
    before = len(planned.work) - len(planned.jobs)
    out.print(
        f"{counted(len(planned.jobs), 'job')} ({counted(len(planned.seeds), 'seed')} a cell)"
        + (f" and {before} more whose networks they start from" if before else "")
        + f", {done} done"
        + (f", {failed} failed" if failed else "")
        + ".",
        markup=False,
    )
    if planned.missing_rows:
        names = ", ".join(f"{row.label} ({row.method})" for row in planned.missing_rows)
        out.print(f"Not in lnlbench, rows of dashes: {names}.", markup=False)


def _count(cell: PlannedCell, states: Mapping[str, str]) -> str:
    done = sum(states.get(job.key) in ("done", "diverged") for job in cell.jobs)
    return f"{done}/{len(cell.jobs)}" if cell.jobs else "-"


def _blocks(labels: Sequence[str], heads: Sequence[str], width: int) -> Iterator[slice]:
    """The columns in blocks that fit, for below each other: with heads cut, cifar10 and cifar100 look the same."""
    from rich.cells import cell_len

    front = max(map(cell_len, ["Method", *labels]))
    start, taken = 0, front
    for i, head in enumerate(heads):
        room = _GAP + max(map(cell_len, head.split("\n")))
        if taken + room > width and i > start:
            yield slice(start, i)
            start, taken = i, front
        taken += room
    yield slice(start, len(heads))


def _print_cost(todo: Sequence[Job], costs: Mapping[str, Cost]) -> None:
    if not costs:
        return
    from rich.table import Table
    from rich.text import Text

    out = common.console()
    kinds: dict[tuple[str, str], list[Cost]] = {}
    for job in todo:
        kinds.setdefault((job.method, job.dataset), []).append(costs[job.key])
    table = Table(box=None, pad_edge=False)
    for name in ("Method", "Data", "Jobs left", "images/s", "Hours a job", "Hours"):
        table.add_column(name, justify="left" if name in ("Method", "Data") else "right")
    for (method, dataset), found in kinds.items():
        seconds = sum(cost.seconds for cost in found)
        table.add_row(
            Text(method),
            dataset,
            str(len(found)),
            f"{1 / found[0].train_per_image:,.0f}",
            f"{seconds / len(found) / 3600:.2f}",
            f"{seconds / 3600:.2f}",
        )
    out.print(table)
    total = sum(cost.seconds for cost in costs.values())
    out.print(
        f"About {common.duration(total)} of one worker's time in all, measured here on a few steps "
        "(samples through training a second, past warm-up).",
        markup=False,
    )


def _plain(planned: Plan, states: Mapping[str, str], costs: Mapping[str, Cost]) -> dict[str, Any]:
    return {
        "suite": planned.name,
        "scale": planned.scale,
        "jobs": [
            {
                "key": job.key,
                "method": job.method,
                "dataset": job.dataset,
                "noise": job.noise.name,
                "rate": job.noise.rate,
                "seed": job.seed,
                "state": states.get(job.key, "new"),
                "seconds": costs[job.key].seconds if job.key in costs else None,
            }
            for job in planned.work
        ],
        "missing_rows": [row.method for row in planned.missing_rows],
        "seconds": sum(cost.seconds for cost in costs.values()) if costs else None,
    }
