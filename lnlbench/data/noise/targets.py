"""Which class goes to which: class maps, superclasses, and the released target classes of flip and flip2.

Arrays of class ids only; what probability they get is `definitions.py`'s business.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

RELEASED_TARGET_SEED = 1
"""arghosh/RobustMW-Net builds the flip targets from this seed, whatever its --seed is."""

_DIGIT_MAP = {7: 1, 2: 7, 3: 8, 5: 6, 6: 5}

ASYMMETRIC_MAPS: dict[str, dict[int, int]] = {
    "cifar10": {9: 1, 2: 0, 4: 7, 3: 5, 5: 3},
    "digits": _DIGIT_MAP,
    "mnist": _DIGIT_MAP,
    "fashion_mnist": {0: 6, 2: 4, 5: 7, 7: 5},
}

CIFAR100_COARSE: tuple[int, ...] = (
    *(4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11),
    *(6, 11, 5, 10, 7, 6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5),
    *(5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17),
    *(10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13),
    *(16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13),
)
"""Superclass of each of CIFAR-100's fine classes, canonical ids."""


def flip_targets(num_classes: int, count: int, seed: int) -> tuple[Int64, np.random.RandomState]:
    """`count` distinct other classes for each class, (C, count) int64, and the state after drawing them.

    With seed 1 these are the released targets: per class one legacy `choice` among the other classes, ascending
    (count 1: flip) or one without replacement (count 2: flip2). The released draws go on from the state.
    """
    state = np.random.RandomState(seed)
    classes = np.arange(num_classes)
    targets = np.empty((num_classes, count), dtype=np.int64)
    for c in range(num_classes):
        others = np.delete(classes, c)
        # A `choice` of one without replacement would consume the stream differently from a plain `choice`.
        targets[c] = state.choice(others) if count == 1 else state.choice(others, count, replace=False)
    return targets, state


def superclass_next(coarse: Int64) -> Int64:
    """(C,) int64: the next class of the same superclass by id, the last one's is the first. coarse: (C,) int64."""
    targets = np.empty(len(coarse), dtype=np.int64)
    for superclass in np.unique(coarse):
        members = np.flatnonzero(coarse == superclass)
        targets[members] = np.roll(members, -1)
    return targets


def blocks(num_classes: int) -> Int64:
    """(C,) int64: five consecutive ids taken for a superclass, which on CIFAR-100 they are not."""
    return np.arange(num_classes, dtype=np.int64) // 5
