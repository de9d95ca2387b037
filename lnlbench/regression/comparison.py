"""The check itself: tests every statistic of every cell that can be compared, and corrects for how many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lnlbench.errors import InvalidSetting, LnlbenchError, unknown_name
from lnlbench.regression.baseline import STATS, Baseline
from lnlbench.regression.findings import CellCheck, Check, Move, Verdict
from lnlbench.regression.history import code_label, code_of, since
from lnlbench.regression.measured import measured
from lnlbench.regression.moderated import Judged, Pair, judge
from lnlbench.regression.pairing import Paired, pair
from lnlbench.regression.power import detectable
from lnlbench.report.significance import holm
from lnlbench.report.statistics import summarise
from lnlbench.suite import Plan

if TYPE_CHECKING:
    from lnlbench.store import Glance, Store

ALPHA = 0.01
AUC_STEP = 0.001
"""Standard deviation of an AUC below which none is believed: the last digit that is printed."""
_AUCS = ("auc", "last_auc")


def check(
    plan: Plan,
    baseline: Baseline,
    source: Store | Glance,
    *,
    alpha: float = ALPHA,
    stats: Sequence[str] | None = None,
    min_drop: float = 0.0,
) -> Check:
    """Compares the newest finished runs of a plan with a baseline.

    alpha: chance of any false alarm in the whole check. stats: None is the suite's. min_drop: in points (percent, or
    hundredths of AUC); smaller drops are never called a regression.
    Raises LnlbenchError where the baseline is of another suite or scale, or an option is out of its range.
    """
    chosen = tuple(stats) if stats else tuple(plan.stats)
    _check_options(plan, baseline, chosen, alpha, min_drop)
    pairs = pair(plan, baseline, measured(source, [job.key for job in plan.jobs]))
    moves = _moves(pairs, baseline, chosen, alpha, min_drop)
    newest = (one.run for paired in pairs for one in paired.fresh.values())
    return Check(
        suite=plan.name,
        scale=plan.scale,
        seeds=plan.seeds,
        stats=chosen,
        alpha=alpha,
        min_drop=min_drop,
        written=baseline.written,
        made_by=tuple(dict.fromkeys(map(code_label, baseline.environments))),
        measured_by=tuple(dict.fromkeys(map(code_of, newest))),
        cells=tuple(_finding(paired, moves.get(i, []), chosen) for i, paired in enumerate(pairs)),
    )


def _check_options(plan: Plan, baseline: Baseline, stats: Sequence[str], alpha: float, min_drop: float) -> None:
    for what, ours, theirs in (("suite", plan.name, baseline.suite), ("scale", plan.scale, baseline.scale)):
        if ours != theirs:
            raise LnlbenchError(
                f"the baseline is of the {what} {theirs!r}, not {ours!r}.",
                f"Give --{what} {theirs}, or a baseline of {ours}.",
            )
    for stat in stats:
        if stat not in STATS:
            raise unknown_name("statistic", stat, STATS)
    if len(set(stats)) < len(stats):
        raise InvalidSetting(f"statistics {', '.join(stats)}: give each once.")
    if not 0 < alpha <= 0.5:
        raise InvalidSetting(f"alpha is {alpha:g}, allowed: above 0, at most 0.5.", "The default is 0.01.")
    if not 0 <= min_drop <= 100:
        raise InvalidSetting(f"min-drop is {min_drop:g}, allowed: 0 to 100 points.")


class _Test(NamedTuple):
    """A statistic of the `cell`-th cell with its samples."""

    cell: int
    stat: str
    pair: Pair


def _tests(number: int, paired: Paired, stats: Sequence[str]) -> Iterator[_Test]:
    """The statistics that both sides have; two values of the baseline at least."""
    if not paired.testable or paired.base is None:
        return
    for stat in stats:
        was = list(paired.base.values(stat).values())
        now = [one.values[stat] for one in paired.fresh.values() if stat in one.values]
        if len(was) > 1 and now:
            # Accuracies come in steps of one test image.
            step = AUC_STEP if stat in _AUCS else 100 / paired.base.test_images
            yield _Test(number, stat, Pair(was, now, step))


def _moves(
    pairs: Sequence[Paired], baseline: Baseline, stats: Sequence[str], alpha: float, min_drop: float
) -> dict[int, list[Move]]:
    """The tested statistics by the number of their cell; Holm's correction is over all of them."""
    tests = [test for i, paired in enumerate(pairs) for test in _tests(i, paired, stats)]
    judged: dict[int, Judged] = {}
    for stat in stats:
        members = [i for i, test in enumerate(tests) if test.stat == stat]
        judged.update(zip(members, judge([tests[i].pair for i in members]), strict=True))
    results = [judged[i] for i in range(len(tests))]
    drops, rises = holm([one.p_drop for one in results]), holm([one.p_rise for one in results])
    found: dict[int, list[Move]] = {}
    for test, one, p, p_rise in zip(tests, results, drops, rises, strict=True):
        unit = 0.01 if test.stat in _AUCS else 1.0
        move = Move(
            stat=test.stat,
            was=summarise(test.pair.was),
            now=summarise(test.pair.now),
            change=one.change,
            std=one.std,
            df=one.df,
            p=p,
            p_rise=p_rise,
            detectable=detectable(one, alpha / len(tests), min_drop * unit),
            verdict=_verdict(one.change, p, p_rise, alpha, min_drop * unit),
        )
        found.setdefault(test.cell, []).append(_dated(move, pairs[test.cell], baseline))
    return found


def _verdict(change: float, p: float, p_rise: float, alpha: float, min_drop: float) -> Verdict:
    if p <= alpha and -change >= min_drop:
        return "regression"
    return "improvement" if p_rise <= alpha and change >= min_drop else "unchanged"


def _dated(move: Move, paired: Paired, baseline: Baseline) -> Move:
    """A regression with the version of the code that brought it."""
    if move.verdict != "regression" or paired.base is None:
        return move
    last = max((baseline.environments[run.environment] for run in paired.base.runs), key=lambda e: str(e.get("last")))
    was = list(paired.base.values(move.stat).values())
    return replace(move, since=since(was, code_label(last), paired.since, move.stat))


def _finding(paired: Paired, moves: Sequence[Move], stats: Sequence[str]) -> CellCheck:
    group, row, column = paired.place
    same = paired.base is not None and bool(moves)
    for stat in stats:
        was = paired.base.values(stat) if paired.base else {}
        now = {seed: one.values[stat] for seed, one in paired.fresh.items() if stat in one.values}
        same = same and now.items() <= was.items()
    return CellCheck(
        group=group,
        row=row,
        column=column,
        state=paired.state,
        reason=paired.reason,
        moves=tuple(moves),
        diverged=paired.diverged,
        diverged_before=paired.base.diverged if paired.base else (),
        same_numbers=same,
    )
