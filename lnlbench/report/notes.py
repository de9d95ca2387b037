"""What a table says of itself in words: caption and notes, so that no number stands without its conditions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lnlbench.job import Scale
from lnlbench.methods.spec import NEEDS
from lnlbench.report import reference
from lnlbench.report.provenance import DataOf
from lnlbench.suite import Plan, Stat

if TYPE_CHECKING:
    from lnlbench.report.cells import Cell

SCALES: dict[Scale, str] = {
    "paper": "paper scale (the paper's own recipe)",
    "desk": "desk scale (less data, a smaller network, fewer epochs)",
    "smoke": "smoke scale (small bundled data)",
}

STATS: dict[Stat, str] = {
    "best": "Best: test accuracy of the best epoch, chosen on the test set.",
    "last": "Last: test accuracy of the last epoch.",
    "last10": "Last 10: mean test accuracy of the last ten epochs.",
    "valid": "Valid: test accuracy of the epoch chosen on held-out noisy labels.",
    "auc": "AUC: of noisy-sample detection by the method's clean score, best epoch.",
    "last_auc": "Last AUC: of noisy-sample detection by the method's clean score, last epoch.",
}


def caption(
    plan: Plan, stats: Sequence[Stat], cells: Sequence[Cell], ddof: int, data: DataOf, found: Collection[str]
) -> str:
    """Title, source, scale, data, what the numbers are. found: keys of the jobs that have finished."""
    source = f" As in {plan.layout.source}." if plan.layout.source else ""
    sentences = [f"{plan.title}.{source} Run by lnlbench at {SCALES[plan.scale]}."]
    sentences += [_spread(plan, cells, ddof, found), *data.sentence(), *(STATS[stat] for stat in stats)]
    return " ".join(sentences)


def _spread(plan: Plan, cells: Sequence[Cell], ddof: int, found: Collection[str]) -> str:
    seeds = ", ".join(map(str, plan.seeds))
    measured = {cell.n for cell in cells if cell.mean is not None}
    if not measured:
        return f"{_nothing(cells, found)}; planned: {_count(len(plan.seeds), 'seed')} ({seeds})."
    if max(measured) <= ddof:
        return f"One seed, so no standard deviation (planned: {seeds})." if len(plan.seeds) > 1 else f"Seed {seeds}."
    kind = "sample standard deviation (n−1)" if ddof == 1 else "population standard deviation (n)"
    if len(measured) == 1:
        n = max(measured)
        which = seeds if n == len(plan.seeds) else f"of the planned {seeds}"
        return f"Mean ± {kind} over n = {n} {'seed' if n == 1 else 'seeds'} ({which})."
    return f"Mean ± {kind}; the number of seeds n in brackets (planned: {seeds})."


def _nothing(cells: Sequence[Cell], found: Collection[str]) -> str:
    if not found:
        return "No results yet"
    if any(cell.diverged for cell in cells):
        return "No mean, for in every cell with results a run diverged"
    return "The finished runs have no such numbers"


def notes(
    plan: Plan,
    stats: Sequence[Stat],
    cells: Sequence[Cell],
    daggers: Mapping[tuple[str, ...], str],
    data: DataOf,
    found: Collection[str],
    compare: bool,
) -> Iterator[str]:
    """Everything that would mislead if it were not said, one sentence or two each."""
    for needs, dagger in daggers.items():
        yield f"{dagger} needs {' and '.join(NEEDS[need] for need in needs)}."
    yield from data.notes()
    yield from (" ".join(note.split()) for note in plan.layout.notes)
    if plan.layout.bold == "group" and any(cell.best for cell in cells):
        yield "Bold: the best of each column in each group of rows."
    if any(cell.diverged for cell in cells):
        yield "fail: training diverged; fail (k/n): in k of n finished seeds, and no mean is shown."
    if plan.missing_rows:
        yield f"Not in lnlbench: {', '.join(row.label for row in plan.missing_rows)}."
    if 0 < len(found) < len(plan.jobs):
        yield f"Partial: {len(found)} of {len(plan.jobs)} jobs have finished."
    if compare:
        yield from _compared(plan, stats, cells)


def _compared(plan: Plan, stats: Sequence[Stat], cells: Sequence[Cell]) -> Iterator[str]:
    table = plan.layout.published
    if table is None or not any(cell.published for cell in cells):
        yield "No published numbers for these cells."
        return
    yield "Published: the paper's number, in brackets ours minus it."
    if "final" in reference.stats_of(table):
        yield "The paper does not say of which epoch its numbers are."
    if plan.scale != "paper":
        yield f"The published numbers are from the paper's recipe, ours from {plan.scale} scale: not comparable."


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
