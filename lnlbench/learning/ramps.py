"""Weights that rise over training. The learning rate's schedule is the trainer's, not here."""

from __future__ import annotations


def linear_rampup(current: float, start: float, length: float) -> float:
    """clip((current - start) / length, 0, 1): 0 up to `start`, 1 from `start + length` on.

    current: epochs done so far, with their fraction. length 0: a step at `start` (1 from it on).
    """
    if length <= 0:
        return float(current >= start)
    return min(1.0, max(0.0, (current - start) / length))
