"""How often `lnlbench check` cries wolf: a suite run again and again with fresh seeds, nothing broken.

    python benchmarks/false_alarms.py --repeats 20 --db false_alarms.sqlite
    python benchmarks/false_alarms.py --simulate 10000

The first runs the baseline's seeds and then `--repeats` disjoint sets of seeds, compares each with the baseline, and
every set with every other. It goes on where it stopped: what is in the database is not run again. The second draws
whole suites from known distributions instead, and beside the test of lnlbench tries those it was chosen over.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
from scipy import stats as scipy_stats

from lnlbench.cli.common import parse_settings
from lnlbench.regression import Check, check, make_baseline
from lnlbench.regression.moderated import Pair, judge
from lnlbench.report.significance import holm
from lnlbench.store import Store, open_store
from lnlbench.suite import Plan, load_suite

FIRST_SEED = 1000
"""Seeds of the repeats start here, a thousand apart: no suite's own are so large."""


def main() -> None:
    """Reads the options and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20, help="sets of fresh seeds")
    parser.add_argument("--db", default="false_alarms.sqlite", help="database, made where there is none")
    parser.add_argument("--suite", default="nightly", help="name or YAML file")
    parser.add_argument("--scale", choices=("paper", "desk", "smoke"), help="default: the suite's first")
    parser.add_argument("--method", action="append", default=[], help="only this row; repeatable")
    parser.add_argument("--set", action="append", default=[], help="as of `lnlbench run`; repeatable")
    parser.add_argument("--alpha", type=float, default=0.01, help="stated chance of a false alarm in a check")
    parser.add_argument("--workers", type=int, help="of `lnlbench run`")
    parser.add_argument("--no-run", action="store_true", help="compare what is in the database; run nothing")
    parser.add_argument("--simulate", type=int, metavar="N", help="draw N suites instead of running any")
    given = parser.parse_args()
    if given.simulate:
        simulate(given.simulate, given.alpha)
        return
    if given.repeats < 1:
        parser.error("--repeats is at least 1")
    plans = seed_sets(given)
    if not given.no_run:
        run(given, plans)
    with open_store(given.db, create=False) as store:
        report(store, plans, given.alpha)


def seed_sets(given: argparse.Namespace) -> list[Plan]:
    """The suite with its own seeds, then with as many others in each of `--repeats` disjoint sets."""
    suite = load_suite(given.suite)
    choice = {"methods": given.method, "settings": parse_settings(given.set)}
    first = suite.plan(given.scale, **choice)
    count = len(first.seeds)
    sets = [range(FIRST_SEED * r, FIRST_SEED * r + count) for r in range(1, given.repeats + 1)]
    return [first, *(suite.plan(first.scale, seeds=list(seeds), **choice) for seeds in sets)]


def run(given: argparse.Namespace, plans: Sequence[Plan]) -> None:
    """`lnlbench run` with the seeds of all sets; a failure ends the count."""
    words = ["run", "--suite", given.suite, "--scale", plans[0].scale, "--db", given.db, "--device", "cpu"]
    words += [word for plan in plans for seed in plan.seeds for word in ("--seed", str(seed))]
    words += [word for method in given.method for word in ("--method", method)]
    words += [word for pair in given.set for word in ("--set", pair)]
    words += ["--workers", str(given.workers)] if given.workers else []
    code = subprocess.run([sys.executable, "-m", "lnlbench", *words], check=False).returncode
    if code:
        sys.exit(f"lnlbench run ended with {code}; the same command goes on where it stopped.")


def report(store: Store, plans: Sequence[Plan], alpha: float) -> None:
    """Each set against the first, then every ordered pair of sets."""
    sets = [(plan, make_baseline(plan, store, {})) for plan in plans]
    print("repeat  seeds          comparisons  smallest p  verdict")
    alarms = 0
    for number, (plan, _) in enumerate(sets[1:], 1):
        found = check(plan, sets[0][1], store, alpha=alpha)
        alarms += found.exit_code == 1
        seeds = f"{plan.seeds[0]}-{plan.seeds[-1]}"
        print(f"{number:>6}  {seeds:<13}  {len(found.moves):>11}  {smallest(found):>10.3g}  {said(found)}")
    print(f"\nAgainst the baseline: {alarms} false alarms in {len(sets) - 1} checks.")
    pairs = [
        check(plan, base, store, alpha=alpha)
        for i, (_, base) in enumerate(sets)
        for j, (plan, _) in enumerate(sets)
        if i != j
    ]
    crying = sum(found.exit_code == 1 for found in pairs)
    print(
        f"Every set against every other: {crying} in {len(pairs)} checks, {100 * crying / len(pairs):.1f}%; "
        f"stated: at most {100 * alpha:g}%."
    )


def smallest(found: Check) -> float:
    """The corrected p-value nearest to an alarm."""
    return min((move.p for _, move in found.moves), default=1.0)


def said(found: Check) -> str:
    """What a check said of a repeat."""
    names = [f"{cell.name} {move.stat}" for cell, move in found.with_verdict("regression")]
    names += [f"{cell.name} diverges" for cell in found.cells if cell.newly_diverged]
    return f"FALSE ALARM: {'; '.join(names)}" if names else "no regression"


IMAGES, CELLS = 360, 24
SHAPES = {
    "alike": 0.0,
    "unlike": 0.5,
    "very unlike": 1.0,
}
"""Spread of the logarithm of the cells' standard deviations."""
TESTS = ("moderated", "pooled", "Welch")


def simulate(repeats: int, alpha: float) -> None:
    """False alarms and found drops of the test and its rivals, per cent of simulated suites."""
    print(f"{CELLS} cells, 2 correlated statistics, accuracies in steps of 1/{IMAGES}; {repeats} suites a line.")
    print("False alarms (%), and drops of four standard deviations in one cell found (%).\n")
    print(f"{'seeds':>8}  {'spreads':<12}" + "".join(f"{test:>11}" for test in TESTS) * 2)
    for was, now in ((5, 5), (3, 3), (20, 5)):
        for name, spread in SHAPES.items():
            rng = np.random.default_rng([was, now, int(10 * spread)])
            alarms, found = np.zeros(len(TESTS)), np.zeros(len(TESTS))
            for number in range(repeats):
                suite = draw(rng, was, now, spread)
                alarms += [min(holm(p)) <= alpha for p in tested(suite)]
                if number % 10 == 0:
                    found += [min(holm(p)[::CELLS]) <= alpha for p in tested(broken(suite, 4.0))]
            rates = [*(100 * alarms / repeats), *(100 * found / (-(-repeats // 10)))]
            print(f"{was:>3} v {now:>2}  {name:<12}" + "".join(f"{rate:>11.2f}" for rate in rates), flush=True)


def draw(rng: np.random.Generator, was: int, now: int, spread: float) -> tuple[list[list[Pair]], np.ndarray]:
    """An unbroken suite, pairs by statistic and cell, and the cells' true standard deviations."""
    stds = np.exp(spread * rng.standard_normal((CELLS, 1, 1)))
    shared, own = rng.standard_normal((CELLS, was + now, 1)), rng.standard_normal((CELLS, was + now, 2))
    values = 90 + stds * (np.sqrt(0.7) * shared + np.sqrt(0.3) * own)
    values = np.minimum(np.round(values * IMAGES / 100), IMAGES) * 100 / IMAGES
    floor = 100 / IMAGES
    pairs = [[Pair(v[:was, s].tolist(), v[was:, s].tolist(), floor) for v in values] for s in range(2)]
    return pairs, stds.ravel()


def broken(suite: tuple[list[list[Pair]], np.ndarray], by: float) -> tuple[list[list[Pair]], np.ndarray]:
    """The suite with the first cell lower by so many of its standard deviations, in all statistics."""
    pairs, stds = suite
    lowered = [[p[0]._replace(now=[value - by * stds[0] for value in p[0].now]), *p[1:]] for p in pairs]
    return lowered, stds


def tested(suite: tuple[list[list[Pair]], np.ndarray]) -> list[list[float]]:
    """One-sided p-values by test, over statistics and cells."""
    pairs = suite[0]
    rows = [pair for by_cell in pairs for pair in by_cell]
    moderated = [one.p_drop for by_cell in pairs for one in judge(by_cell)]
    pooled = [judge([pair])[0].p_drop for pair in rows]
    was, now = np.array([pair.was for pair in rows]), np.array([pair.now for pair in rows])
    n, m, floor = was.shape[1], now.shape[1], (100 / IMAGES) ** 2
    a, b = np.maximum(was.var(1, ddof=1), floor) / n, np.maximum(now.var(1, ddof=1), floor) / m
    df = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
    welch = scipy_stats.t.cdf((now.mean(1) - was.mean(1)) / np.sqrt(a + b), df)
    return [moderated, pooled, welch.tolist()]


if __name__ == "__main__":
    main()
