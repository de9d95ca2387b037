"""A check in words: sections of sentences and tables that the terminal and Markdown print. Decides nothing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from lnlbench.regression.findings import CellCheck, Check, Move
from lnlbench.report.numbers import HEADINGS
from lnlbench.report.statistics import Summary
from lnlbench.suite import Stat

MOVED = ("cell", "statistic", "baseline", "now", "change", "p")


class Where(NamedTuple):
    """The options of the command, for the commands it advises.

    db, plugin, seeds: as endings, '' or ' --db FILE', ' --plugin FILE', ' --seeds 1-5'.
    """

    suite: str
    baseline: str
    db: str = ""
    plugin: str = ""
    seeds: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the text. right: names of the columns that hold numbers. text: sentences below the table."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    text: tuple[str, ...] = ()
    right: tuple[str, ...] = ("baseline", "now", "change", "p")


def sections(check: Check, where: Where) -> Iterator[Section]:
    """The whole text from top to bottom."""
    yield Section("", text=(_what(check, where), headline(check)))
    yield from _moved(check)
    yield from _not_compared(check, where)
    if check.moves:
        yield _seen(check)
    yield Section("", text=tuple(_small_print(check)))


def headline(check: Check) -> str:
    """The verdict in one sentence."""
    dropped, diverging = len(check.with_verdict("regression")), sum(cell.newly_diverged for cell in check.cells)
    compared = len(check.in_state("compared", "partly measured"))
    seen = f"{counted(len(check.moves), 'comparison')} of {counted(compared, 'cell')}"
    if dropped or diverging:
        parts = [f"{dropped} of {seen} dropped"] if dropped else []
        parts += [f"{counted(diverging, 'cell')} diverge{'s' * (diverging == 1)}"] if diverging else []
        return f"REGRESSION: {', '.join(parts)}."
    unfit, missing = check.in_state("not comparable"), check.in_state("not measured", "partly measured")
    rest = [f"{counted(len(unfit), 'cell')} could not be compared"] if unfit or not check.cells else []
    rest += [f"{_were(len(missing))} not or only partly measured"] if missing else []
    if rest and not check.moves:
        return f"Nothing was compared: {' and '.join(rest)}."
    if rest:
        return f"No regression in {seen}, but {' and '.join(rest)}."
    return f"No regression in {seen}."


def counted(number: int, noun: str) -> str:
    """'1 cell', '12 cells'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _were(cells: int) -> str:
    return f"{counted(cells, 'cell')} {'was' if cells == 1 else 'were'}"


def number(value: float, stat: str) -> str:
    """A value: two decimals of percent, four of AUC."""
    decimals = 4 if stat in ("auc", "last_auc") else 2
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def summary(values: Summary, stat: str) -> str:
    """'93.21 ± 0.20 (5)': mean, sample standard deviation, number of seeds."""
    if values.mean is None:
        return "–"
    std = "" if values.std is None else f" ± {number(values.std, stat)}"
    return f"{number(values.mean, stat)}{std} ({values.n})"


def change(move: Move) -> str:
    """'−1.23', '+0.40'."""
    text = number(abs(move.change), move.stat)
    return f"{'+' if move.change > 0 else '−'}{text}" if float(text) else text


def probability(p: float) -> str:
    """'0.0021', '< 1e-6'."""
    return "< 1e-6" if p < 1e-6 else f"{p:.2g}"


def heading(stat: str) -> str:
    """'best' as tables print it."""
    known: dict[Stat, str] = HEADINGS
    return next((title for name, title in known.items() if name == stat), stat)


def row(cell: CellCheck, move: Move, p: float) -> tuple[str, ...]:
    """A line of a table under `MOVED`."""
    then, now = summary(move.was, move.stat), summary(move.now, move.stat)
    return cell.name, heading(move.stat), then, now, change(move), probability(p)


def _what(check: Check, where: Where) -> str:
    made = f"{where.baseline}, written {str(check.written.get('at', '?'))[:10]} from runs of {_versions(check.made_by)}"
    runs = f"the newest runs ({_versions(check.measured_by)})" if check.measured_by else "no new runs"
    seeds = f"{'seed' if len(check.seeds) == 1 else 'seeds'} {', '.join(map(str, check.seeds))}"
    return f"{check.suite}, {check.scale} scale, {seeds}: {runs} against {made}."


def _versions(codes: Sequence[str]) -> str:
    return ", ".join(codes[:3]) + (f" and {len(codes) - 3} more versions" if len(codes) > 3 else "")


def _moved(check: Check) -> Iterator[Section]:
    dropped = check.with_verdict("regression")
    if dropped:
        notes = dict.fromkeys(f"{cell.name}: {since(move)}" for cell, move in dropped if move.since)
        yield Section("Dropped", MOVED, tuple(row(cell, move, move.p) for cell, move in dropped), tuple(notes))
    diverging = [cell for cell in check.cells if cell.diverged or (cell.diverged_before and cell.state != "left out")]
    if diverging:
        yield Section(
            "Diverged",
            ("cell", "seeds now", "seeds in the baseline", "verdict"),
            tuple(
                (cell.name, _seeds(cell.diverged), _seeds(cell.diverged_before), _divergence(cell))
                for cell in diverging
            ),
        )
    risen = check.with_verdict("improvement")
    if risen:
        advice = ("An improvement never fails the check. To hold later runs to it, write a new baseline.",)
        yield Section("Improved", MOVED, tuple(row(cell, move, move.p_rise) for cell, move in risen), advice)


def _seeds(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds)) or "none"


def _divergence(cell: CellCheck) -> str:
    if cell.newly_diverged:
        return "regression"
    return "as in the baseline; accuracies are not compared" if cell.diverged else "the baseline's only"


def since(move: Move) -> str:
    """'dropped between 81d495f132 and 0e21d74d1c, first seen 2026-11-21.'; '' where it is not known."""
    found = move.since
    if found is None:
        return ""
    if found.good == found.bad:
        return f"dropped within {found.bad}; the runs of {found.when[:10]} are the first with the drop."
    looked = f" ({counted(found.measured, 'other version')} measured since the baseline)" if found.measured else ""
    return f"dropped between {found.good} and {found.bad}, first seen {found.when[:10]}{looked}."


def _not_compared(check: Check, where: Where) -> Iterator[Section]:
    choice = f"--suite {shlex.quote(where.suite)} --scale {check.scale}{where.plugin}"
    unfit = check.in_state("not comparable")
    if unfit:
        write = f"lnlbench baseline write {choice}{where.db} --out {shlex.quote(where.baseline)} --replace"
        advice = f"If the change is meant, write a new baseline from finished runs: {write}"
        yield _reasons("Not comparable", unfit, advice)
    missing = check.in_state("not measured", "partly measured")
    if missing:
        again = " --rerun" if any("since the baseline" in cell.reason for cell in missing) else ""
        yield _reasons(
            "Not or only partly measured", missing, f"Run: lnlbench run {choice}{where.seeds}{where.db}{again}"
        )
    left_out = check.in_state("left out")
    if left_out:
        yield _reasons("Left out of the baseline", left_out)


def _reasons(title: str, cells: Sequence[CellCheck], *advice: str) -> Section:
    return Section(title, ("cell", "why"), tuple((cell.name, cell.reason) for cell in cells), advice)


def _seen(check: Check) -> Section:
    """The power of the check, by statistic."""
    rows = []
    for stat in check.stats:
        found = [(move.detectable, cell.name) for cell, move in check.moves if move.stat == stat]
        if found:
            worst, name = max(found)
            middle = median(value for value, _ in found)
            rows.append((heading(stat), _findable(middle, stat), _findable(worst, stat), name))
    text = ("A true drop of this size would have been found in four of five cases with these seeds.",)
    columns = ("statistic", "median cell", "worst cell", "which")
    return Section("What it could have seen", columns, tuple(rows), text, ("median cell", "worst cell"))


def _findable(drop: float, stat: str) -> str:
    """A drop, or 'none' where no cell can fall that far: with few seeds the test may have no power at all."""
    whole = 1.0 if stat in ("auc", "last_auc") else 100.0
    return number(drop, stat) if drop < whole else "none"


def _small_print(check: Check) -> Iterator[str]:
    if check.moves:
        least = f", of {check.min_drop:g} points at least" if check.min_drop else ""
        among = counted(len(check.moves), "comparison")
        yield (
            f"False alarms: in at most {100 * check.alpha:g}% of checks, over all {among} together (one-sided t tests "
            f"with moderated variances{least}; p after Holm)."
        )
    same = sum(cell.same_numbers for cell in check.cells)
    if same:
        compared = len(check.in_state("compared", "partly measured"))
        yield f"{same} of {counted(compared, 'cell')} gave the baseline's numbers exactly."
