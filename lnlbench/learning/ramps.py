"""Weights that rise over training. The learning rate's schedule is the trainer's, not here."""

from __future__ import annotations

from math import exp


def linear_rampup(current: float, start: float, length: float) -> float:
    """clip((current - start) / length, 0, 1): 0 up to `start`, 1 from `start + length` on.

    current: epochs done so far, with their fraction. length 0: a step at `start` (1 from it on).
    """
    if length <= 0:
        return float(current >= start)
    return min(1.0, max(0.0, (current - start) / length))


def sigmoid_rampup(current: float, length: float) -> float:
    """exp(-5 (1 - min(current, length) / length)^2): 0.0067 at 0, 1 from `length` on (Laine & Aila, ICLR 2017).

    current: steps or epochs done so far. length 0: 1 always.
    """
    if length <= 0:
        return 1.0
    return exp(-5 * (1 - min(max(current, 0.0), length) / length) ** 2)
