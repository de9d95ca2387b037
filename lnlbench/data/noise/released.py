"""Noise as the released codes draw it (`draw: released`), to compare with other people's runs label by label.

Written from a statement of their random calls, not from their lines: DivideMix's Python `random` seeded 123,
Co-teaching's numpy RandomState(0), RMW-Net's meta split and draws. Plain loops, they run once.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lnlbench.data.noise.catalogue import CATALOGUE
from lnlbench.data.noise.drawing import pick
from lnlbench.data.noise.targets import RELEASED_TARGET_SEED, flip_targets
from lnlbench.errors import DataError, InvalidSetting

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

META_SIZE = 1000
"""Images that RMW-Net and MW-Net take out of the training set."""


class ReleasedRmw(NamedTuple):
    """RMW-Net's split and draw: int64 arrays, class-sorted by true label; indices into the canonical order."""

    train_indices: Int64
    noisy_labels: Int64
    meta_indices: Int64
    meta_noisy_labels: Int64


def released_labels(name: str, labels: Int64, matrix: Float64, redraw: Float64, rate: float, seed: int) -> Int64:
    """The labels (N,) int64 that the released code of a noise draws, in canonical order.

    symmetric, asymmetric: always seed 123; symmetric-exclusive, pairflip: always seed 0; `seed` has no influence.
    uniform, flip, flip2: the split of RMW-Net for `seed`. Its training images get its training draw, the 1,000
    images that it moves to the meta set get its meta draw (a separate one with the same matrix).
    """
    if name in ("uniform", "flip", "flip2"):
        drawn = released_rmw(labels, matrix, name, seed)
        given = np.empty_like(labels)
        given[drawn.train_indices] = drawn.noisy_labels
        given[drawn.meta_indices] = drawn.meta_noisy_labels
        return given
    fixed_seed = CATALOGUE[name].released_seed
    assert fixed_seed is not None
    if name in ("symmetric", "asymmetric"):
        return _released_dividemix(name, labels, redraw, rate, fixed_seed)
    return _released_coteaching(labels, matrix, fixed_seed)


def released_rmw(labels: Int64, matrix: Float64, name: str, seed: int, meta_size: int = META_SIZE) -> ReleasedRmw:
    """Meta split and noisy labels of arghosh/RobustMW-Net for its --seed.

    labels: (N,) int64 true labels, canonical order; matrix: T (C, C); name: uniform, flip or flip2.
    Per class meta_size/C images go to the meta set. flip and flip2 draw from RandomState(1) after the targets,
    whatever the seed is, so over the class-sorted list their labels never change; uniform goes on from the split.
    Raises DataError where a class has too few images.
    """
    train_indices, meta_indices, _ = _rmw_split(labels, len(matrix), seed, meta_size)
    draws = []
    for indices in (train_indices, meta_indices):
        state = _rmw_state(name, labels, len(matrix), seed, meta_size)
        # One legacy `choice` with p consumes one uniform and searches the cumulative p, as `pick` does.
        draws.append(pick(matrix, labels[indices], state.random_sample(len(indices))))
    return ReleasedRmw(train_indices, draws[0], meta_indices, draws[1])


def meta_split(labels: Int64, num_classes: int, seed: int, meta_size: int) -> Int64:
    """Indices (M,) int64 of RMW-Net's meta set for its --seed: meta_size // num_classes images of each true class.

    Raises InvalidSetting where a class has too few images or the size gives none.
    """
    if meta_size < num_classes:
        raise InvalidSetting(f"a meta set of {meta_size} images has none of some of the {num_classes} classes.")
    try:
        return _rmw_split(labels, num_classes, seed, meta_size)[1]
    except DataError as error:
        raise InvalidSetting(f"recipe setting 'meta_size': {error.message}", "Make it smaller.") from None


def _rmw_split(
    labels: Int64, num_classes: int, seed: int, meta_size: int
) -> tuple[Int64, Int64, np.random.RandomState]:
    state = np.random.RandomState(seed)
    per_class = meta_size // num_classes
    train, meta = [], []
    for c in range(num_classes):
        members = np.flatnonzero(labels == c)
        if len(members) < per_class:
            raise DataError(
                f"RMW-Net's split takes {per_class} meta images of each class, class {c} has {len(members)}.",
                "Use draw: ours.",
            )
        state.shuffle(members)
        meta.append(members[:per_class])
        train.append(members[per_class:])
    return np.concatenate(train), np.concatenate(meta), state


def _rmw_state(name: str, labels: Int64, num_classes: int, seed: int, meta_size: int) -> np.random.RandomState:
    if name == "uniform":
        return _rmw_split(labels, num_classes, seed, meta_size)[2]
    return flip_targets(num_classes, 1 if name == "flip" else 2, RELEASED_TARGET_SEED)[1]


def _released_dividemix(name: str, labels: Int64, redraw: Float64, rate: float, seed: int) -> Int64:
    state = random.Random(seed)
    order = list(range(len(labels)))
    state.shuffle(order)
    selected = sorted(order[: int(rate * len(labels))])
    given = labels.copy()
    if name == "asymmetric":
        given[selected] = redraw.argmax(axis=1)[labels[selected]]
    else:
        given[selected] = [state.randint(0, len(redraw) - 1) for _ in selected]
    return given


def _released_coteaching(labels: Int64, matrix: Float64, seed: int) -> Int64:
    state = np.random.RandomState(seed)
    return np.array([state.multinomial(1, matrix[y]).argmax() for y in labels], dtype=np.int64)
