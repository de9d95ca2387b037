"""What noise there is in labels at hand: the realised share, the measured matrix, the hash. For provenance.

Needs the true labels, so it is for the evaluator, `data noise` commands and tests, never for a method.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lnlbench.errors import DataError

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NoiseReport:
    """Measured noise of N labels over C classes.

    share = wrong / num_samples; per_class_share: (C,) float64; transition_matrix: (C, C) float64,
    [i, j] the fraction of class i that is labelled j; both nan where a class has no sample.
    given_counts: (C,) int64; sha256: of the given labels as little-endian int64.
    """

    num_samples: int
    wrong: int
    share: float
    per_class_share: Float64
    transition_matrix: Float64
    given_counts: Int64
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; nan becomes null."""
        return {
            "num_samples": self.num_samples,
            "wrong": self.wrong,
            "share": self.share,
            "per_class_share": _without_nan(self.per_class_share),
            "transition_matrix": [_without_nan(row) for row in self.transition_matrix],
            "given_counts": self.given_counts.tolist(),
            "sha256": self.sha256,
        }


def measure(clean: ArrayLike, noisy: ArrayLike, num_classes: int) -> NoiseReport:
    """Compare given with true labels, both (N,) integers in 0..C-1. Raises DataError if they are not."""
    true = checked_labels(clean, num_classes, "clean labels")
    given = checked_labels(noisy, num_classes, "noisy labels")
    if len(true) != len(given):
        raise DataError(f"{len(true):,} clean and {len(given):,} noisy labels, expected as many.")
    counts = np.bincount(true * num_classes + given, minlength=num_classes**2).reshape(num_classes, num_classes)
    sizes = counts.sum(axis=1, keepdims=True)
    matrix = np.divide(counts, sizes, out=np.full(counts.shape, np.nan), where=sizes > 0)
    wrong = int((true != given).sum())
    return NoiseReport(
        num_samples=len(true),
        wrong=wrong,
        share=wrong / max(len(true), 1),
        per_class_share=1 - matrix.diagonal(),
        transition_matrix=matrix,
        given_counts=counts.sum(axis=0),
        sha256=labels_sha256(given),
    )


def labels_sha256(labels: ArrayLike) -> str:
    """sha256 of labels as little-endian int64, 64 hex digits."""
    return hashlib.sha256(np.ascontiguousarray(labels, dtype="<i8").tobytes()).hexdigest()


def checked_labels(labels: ArrayLike, num_classes: int, what: str) -> Int64:
    """`labels` as a new (N,) int64 array. DataError unless they are integers in 0..C-1."""
    array = np.asarray(labels)
    if array.ndim != 1:
        raise DataError(f"{what}: shape {array.shape}, expected one label per sample.")
    if array.dtype.kind not in "iu":
        raise DataError(f"{what}: {array.dtype} values, labels are whole numbers.")
    if len(array) and (array.min() < 0 or array.max() >= num_classes):
        place = int(np.flatnonzero((array < 0) | (array >= num_classes))[0])
        raise DataError(f"{what}: label {array[place]} at index {place:,} is outside 0..{num_classes - 1}.")
    return array.astype(np.int64)


def _without_nan(values: Float64) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in values]
