"""What a check found, as plain data: cells, how each statistic moved, what it means, the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lnlbench.report.statistics import Summary

State = Literal["compared", "partly measured", "not measured", "not comparable", "left out"]
Verdict = Literal["regression", "improvement", "unchanged"]

REGRESSION, NOT_MEASURED, NOT_COMPARABLE = 1, 2, 3
"""Exit codes; 0 is none of them."""


@dataclass(frozen=True)
class Since:
    """Between which versions of the code a cell dropped. good: the last without the drop; bad: the first with it.

    when: of the first run with it, ISO 8601. measured: how many versions between were looked at.
    """

    good: str
    bad: str
    when: str
    measured: int


@dataclass(frozen=True)
class Move:
    """A statistic of a cell, then and now. Accuracies in percent, AUCs 0..1; larger is better.

    std: moderated standard deviation, df its degrees of freedom. p: one-sided probability of so large a drop (p_rise:
    rise) by chance, corrected by Holm over all moves of the check. detectable: the drop found in four of five cases.
    """

    stat: str
    was: Summary
    now: Summary
    change: float
    std: float
    df: float
    p: float
    p_rise: float
    detectable: float
    verdict: Verdict
    since: Since | None = None


@dataclass(frozen=True)
class CellCheck:
    """A cell of the suite or of the baseline. reason: why it was not, or only partly, compared; a whole sentence.

    diverged, diverged_before: seeds. same_numbers: every value equals the baseline's of the same seed.
    """

    group: str
    row: str
    column: str
    state: State
    reason: str = ""
    moves: tuple[Move, ...] = ()
    diverged: tuple[int, ...] = ()
    diverged_before: tuple[int, ...] = ()
    same_numbers: bool = False

    @property
    def name(self) -> str:
        """'GCE, digits symmetric 40%'."""
        return ", ".join(filter(None, (self.group, self.row, self.column)))

    @property
    def newly_diverged(self) -> bool:
        """Whether a run diverges where none of the baseline's did, or all do where some did not."""
        return bool(self.diverged) and (not self.diverged_before or self.reason == ALL_DIVERGE)

    @property
    def regressed(self) -> bool:
        """Whether any statistic dropped, or training diverges now."""
        return self.newly_diverged or any(move.verdict == "regression" for move in self.moves)


ALL_DIVERGE = "every run diverged; some of the baseline's did not."


@dataclass(frozen=True)
class Check:
    """The whole check. made_by, measured_by: the versions of the code behind the baseline and behind the runs."""

    suite: str
    scale: str
    seeds: tuple[int, ...]
    stats: tuple[str, ...]
    alpha: float
    min_drop: float
    written: Mapping[str, Any]
    made_by: tuple[str, ...]
    measured_by: tuple[str, ...]
    cells: tuple[CellCheck, ...]

    @property
    def moves(self) -> tuple[tuple[CellCheck, Move], ...]:
        """Every statistic of every compared cell."""
        return tuple((cell, move) for cell in self.cells for move in cell.moves)

    def with_verdict(self, verdict: Verdict) -> tuple[tuple[CellCheck, Move], ...]:
        """The moves of one verdict, the largest change first."""
        found = [(cell, move) for cell, move in self.moves if move.verdict == verdict]
        return tuple(sorted(found, key=lambda pair: (pair[1].p, -abs(pair[1].change / pair[1].std))))

    def in_state(self, *states: State) -> tuple[CellCheck, ...]:
        """The cells in some states."""
        return tuple(cell for cell in self.cells if cell.state in states)

    @property
    def exit_code(self) -> int:
        """1 a regression, else 3 a cell that cannot be compared, else 2 one that was not measured, else 0.

        A regression comes first: it must not hide behind another cell whose baseline is out of date.
        """
        if any(cell.regressed for cell in self.cells):
            return REGRESSION
        if self.in_state("not comparable") or not self.cells:
            return NOT_COMPARABLE
        return NOT_MEASURED if self.in_state("not measured", "partly measured") else 0
