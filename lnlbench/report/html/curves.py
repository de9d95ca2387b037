"""A run's epochs as the page carries them: quantised to 16 bits, finer than what is shown, and base64."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

from lnlbench.store.rows import EpochRow

MISSING = 0xFFFF
_STEPS = MISSING - 1

# Field of an epoch, and the step of its quantisation; None: 65,534 steps from the run's least to its greatest value.
METRICS: tuple[tuple[str, float | None], ...] = (
    ("test_accuracy", 0.01),
    ("clean_auc", 0.0001),
    ("loss", None),
    ("memorisation", 0.0001),
)


def pack(epochs: Sequence[EpochRow]) -> list[Any]:
    """A run's curves as JSON: [epochs, stages, ranges, base64].

    epochs: their first and count, or every one where some are not there. stages: [name, index of its first epoch, 1
    where its predictions count]. ranges: per metric of `METRICS` [least value, step], null where it has no value.
    base64: one little-endian 16-bit number an epoch and metric with values, metric by metric; 65535 is missing.
    """
    if not epochs:
        return [[], [], [None] * len(METRICS), ""]
    columns: dict[str, tuple[Any, ...]] = dict(zip(EpochRow._fields, zip(*epochs, strict=True), strict=True))
    numbers = list(columns["epoch"])
    contiguous = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    where = {"first": numbers[0], "count": len(numbers)} if contiguous else numbers
    stages: list[list[Any]] = []
    for i, (stage, counts) in enumerate(zip(columns["stage"], columns["counts"], strict=True)):
        if not stages or [stage, int(counts)] != stages[-1][::2]:
            stages.append([stage, i, int(counts)])
    ranges: list[list[float] | None] = []
    packed = b""
    for name, step in METRICS:
        there = [value for value in columns[name] if value is not None]
        if not there:
            ranges.append(None)
            continue
        low, width = (0.0, step) if step else (min(there), (max(there) - min(there)) / _STEPS or 1.0)
        ranges.append([low, width])
        packed += _quantised(columns[name], low, width)
    return [where, stages, ranges, base64.b64encode(packed).decode()]


def _quantised(values: Sequence[float | None], low: float, width: float) -> bytes:
    high = low + _STEPS * width
    steps = [MISSING if v is None else round((min(max(v, low), high) - low) / width) for v in values]
    return struct.pack(f"<{len(steps)}H", *steps)
