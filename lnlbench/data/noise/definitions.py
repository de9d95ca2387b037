"""The noises as matrices: the redraw matrix R of each name, T = (1-r) I + r R, and the share of wrong labels.

Pure functions of a `Noise` and the number of classes; nothing is drawn here. Noises that are not class-conditional
(instance, human, file, real) have no matrix and say why.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lnlbench.data.noise import targets as tables
from lnlbench.data.noise.catalogue import CATALOGUE
from lnlbench.data.noise.human import HUMAN_SHARES
from lnlbench.data.noise.instance import expected_flip_probability
from lnlbench.errors import InvalidSetting
from lnlbench.job import Noise

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_WITHOUT_MATRIX = {
    "instance": "its probabilities depend on the image, not on the class alone",
    "human": "its labels were given by people; measure() gives the matrix of the labels at hand",
    "file": "its labels come from a file; measure() gives the matrix of the labels at hand",
    "real": "the data set came noisy and its true labels are not known",
}


def transition_matrix(
    noise: Noise, num_classes: int, dataset: str | None = None, coarse: ArrayLike | None = None
) -> Float64:
    """T, (C, C) float64, T[i, j] = P(given = j | true = i); rows sum to 1 within 1e-12.

    dataset: our key, decides the class map of `asymmetric` and the superclasses of CIFAR-100.
    coarse: (C,) int, the superclass of each class, for superclass noises on other data sets.
    Raises InvalidSetting for a noise without such a matrix and for parameters that do not fit.
    """
    if noise.name == "matrix":
        return _given_matrix(noise, num_classes)
    redraw = redraw_matrix(noise, num_classes, dataset, coarse)
    rate = noise.rate or 0.0
    if noise.double_flip:
        return _walked(redraw.argmax(axis=1), rate)
    return (1 - rate) * np.eye(num_classes) + rate * redraw


def redraw_matrix(
    noise: Noise, num_classes: int, dataset: str | None = None, coarse: ArrayLike | None = None
) -> Float64:
    """R of T = (1-r) I + r R, (C, C) float64 with rows summing to 1: where a redrawn label goes.

    `matrix` has no R (its T is given whole). Raises as `transition_matrix`.
    """
    if noise.name in _WITHOUT_MATRIX:
        raise InvalidSetting(f"noise {noise.name!r} has no transition matrix: {_WITHOUT_MATRIX[noise.name]}.")
    if noise.name not in _REDRAWS:
        raise InvalidSetting(f"noise {noise.name!r} has no redraw matrix.", "Its transition matrix is the one given.")
    needed = CATALOGUE[noise.name].min_classes
    if num_classes < needed:
        raise InvalidSetting(f"noise {noise.name!r} needs at least {needed} classes, {dataset} has {num_classes}.")
    return _REDRAWS[noise.name](noise, num_classes, dataset, coarse)


def share(
    noise: Noise, class_frequencies: ArrayLike, dataset: str | None = None, coarse: ArrayLike | None = None
) -> float | None:
    """Expected share of wrong labels in 0..1, or None where it is unknown before measuring (file, real).

    class_frequencies: (C,) counts or fractions of the true classes; np.ones(C) stands for balanced classes.
    Class-conditional noises: sum_c pi_c (1 - T_cc). `human` quotes the measured share of the released files.
    """
    if noise.name in ("file", "real"):
        return None
    if noise.name == "human":
        return HUMAN_SHARES[str(noise.variant)]
    if noise.name == "instance":
        return expected_flip_probability(noise.rate, noise.std) if noise.rate else 0.0
    counts = np.asarray(class_frequencies, dtype=np.float64)
    diagonal = transition_matrix(noise, len(counts), dataset, coarse).diagonal()
    return float(np.sum(counts / counts.sum() * (1 - diagonal)))


def true_class_leads(matrix: Float64) -> bool:
    """Whether in every row of T (C, C) the true class is strictly the most likely given one."""
    others = matrix - np.diag(np.full(len(matrix), np.inf))
    return bool((matrix.diagonal() > others.max(axis=1) + 1e-12).all())


def _to(targets: Int64) -> Float64:
    """Row i spreads its mass evenly over targets[i]; targets: (C,) or (C, k), distinct within a row."""
    columns = targets.reshape(len(targets), -1)
    matrix = np.zeros((len(targets), len(targets)))
    np.put_along_axis(matrix, columns, 1 / columns.shape[1], axis=1)
    return matrix


def _identity(noise: Noise, num_classes: int, dataset: str | None, coarse: ArrayLike | None) -> Float64:
    return np.eye(num_classes)


def _all_classes(noise: Noise, num_classes: int, dataset: str | None, coarse: ArrayLike | None) -> Float64:
    return np.full((num_classes, num_classes), 1 / num_classes)


def _other_classes(noise: Noise, num_classes: int, dataset: str | None, coarse: ArrayLike | None) -> Float64:
    return (1 - np.eye(num_classes)) / (num_classes - 1)


def _neighbours(*steps: int) -> Callable[..., Float64]:
    def build(noise: Noise, num_classes: int, dataset: str | None, coarse: ArrayLike | None) -> Float64:
        return _to((np.arange(num_classes)[:, None] + np.array(steps)) % num_classes)

    return build


def _fixed_others(count: int) -> Callable[..., Float64]:
    def build(noise: Noise, num_classes: int, dataset: str | None, coarse: ArrayLike | None) -> Float64:
        seed = tables.RELEASED_TARGET_SEED if noise.targets is None else noise.targets
        return _to(tables.flip_targets(num_classes, count, seed)[0])

    return build


def _mapped(noise: Noise, num_classes: int, dataset: str | None, coarse: ArrayLike | None) -> Float64:
    targets = np.arange(num_classes)
    for source, target in class_map(noise, num_classes, dataset).items():
        targets[source] = target
    return _to(targets)


def _superclass_next(noise: Noise, num_classes: int, dataset: str | None, coarse: ArrayLike | None) -> Float64:
    return _to(tables.superclass_next(_superclasses(noise, num_classes, dataset, coarse)))


def _superclass_others(noise: Noise, num_classes: int, dataset: str | None, coarse: ArrayLike | None) -> Float64:
    superclass = _superclasses(noise, num_classes, dataset, coarse)
    others = (superclass[:, None] == superclass[None, :]) & ~np.eye(num_classes, dtype=bool)
    return np.asarray(others / others.sum(axis=1, keepdims=True))


def _block_next(noise: Noise, num_classes: int, dataset: str | None, coarse: ArrayLike | None) -> Float64:
    if num_classes % 5:
        raise InvalidSetting(
            f"noise 'block-next' needs a number of classes that is a multiple of 5, {dataset} has {num_classes}."
        )
    return _to(tables.superclass_next(tables.blocks(num_classes)))


_REDRAWS: dict[str, Callable[..., Float64]] = {
    "clean": _identity,
    "symmetric": _all_classes,
    "uniform": _all_classes,
    "symmetric-exclusive": _other_classes,
    "flip": _fixed_others(1),
    "flip2": _fixed_others(2),
    "asymmetric": _mapped,
    "pairflip": _neighbours(1),
    "superclass-next": _superclass_next,
    "block-next": _block_next,
    "hierarchical": _superclass_others,
    "tridiagonal": _neighbours(-1, 1),
}


def class_map(noise: Noise, num_classes: int, dataset: str | None) -> dict[int, int]:
    """The classes that `asymmetric` moves and where to: the noise's own map, else the data set's."""
    if noise.map is not None:
        return _checked_map(noise.map, num_classes)
    if dataset == "cifar100":
        raise InvalidSetting(
            "noise 'asymmetric' has no agreed meaning on cifar100.",
            "Choose one: "
            + "; ".join(f"{n} ({CATALOGUE[n].used_by})" for n in ("superclass-next", "block-next", "hierarchical"))
            + ". DivideMix, SANM, AugDesc, SSR and RRL define none.",
        )
    if dataset not in tables.ASYMMETRIC_MAPS:
        raise InvalidSetting(
            f"noise 'asymmetric' needs a class map on {dataset!r}.",
            f"Give map: [[from, to], ...]; built in are the maps of {', '.join(tables.ASYMMETRIC_MAPS)}. "
            "For 'every class to the next one' use pairflip.",
        )
    return tables.ASYMMETRIC_MAPS[dataset]


def _checked_map(pairs: tuple[tuple[int, int], ...], num_classes: int) -> dict[int, int]:
    moves = dict(pairs)
    outside = sorted({c for pair in pairs for c in pair if not 0 <= c < num_classes})
    if outside:
        raise InvalidSetting(f"noise setting 'map': classes {outside} are outside 0..{num_classes - 1}.")
    if len(moves) != len(pairs):
        raise InvalidSetting(f"noise setting 'map': a class is mapped twice in {[list(p) for p in pairs]}.")
    if not moves or any(source == target for source, target in pairs):
        raise InvalidSetting(
            "noise setting 'map': give the classes that move, each to another class.",
            "Classes that are not named stay where they are.",
        )
    return moves


def _superclasses(noise: Noise, num_classes: int, dataset: str | None, coarse: ArrayLike | None) -> Int64:
    if coarse is None and dataset == "cifar100":
        coarse = tables.CIFAR100_COARSE
    if coarse is None:
        raise InvalidSetting(
            f"noise {noise.name!r} needs superclasses, and {dataset!r} has none.",
            "It is defined for cifar100 and data sets with coarse labels. Without superclasses: pairflip, tridiagonal.",
        )
    superclass = np.asarray(coarse, dtype=np.int64)
    if superclass.shape != (num_classes,):
        raise InvalidSetting(f"coarse has shape {superclass.shape}, expected one superclass for {num_classes} classes.")
    if (np.unique(superclass, return_counts=True)[1] < 2).any():
        raise InvalidSetting(f"noise {noise.name!r} needs at least two classes in every superclass.")
    return superclass


def _walked(targets: Int64, rate: float) -> Float64:
    """T of a double flip: the classes are moved one after the other, ascending, moved labels included."""
    matrix = np.eye(len(targets))
    for source, target in enumerate(targets):
        step = np.eye(len(targets))
        step[source] = (1 - rate) * step[source] + rate * np.eye(len(targets))[target]
        matrix = matrix @ step
    return matrix


def _given_matrix(noise: Noise, num_classes: int) -> Float64:
    if noise.matrix is None:
        raise InvalidSetting("noise 'matrix' needs 'matrix': rows P(given = j | true = i), one per class.")
    lengths = {len(row) for row in noise.matrix}
    if len(noise.matrix) != num_classes or lengths != {num_classes}:
        raise InvalidSetting(
            f"noise setting 'matrix': {len(noise.matrix)} rows of length {sorted(lengths)}, "
            f"expected {num_classes} rows of {num_classes}."
        )
    matrix = np.array(noise.matrix, dtype=np.float64)
    sums = matrix.sum(axis=1)
    if not np.allclose(sums, 1, rtol=0, atol=1e-6):
        row = int(np.abs(sums - 1).argmax())
        columns_do = np.allclose(matrix.sum(axis=0), 1, rtol=0, atol=1e-6)
        raise InvalidSetting(
            f"noise setting 'matrix': row {row} sums to {sums[row]:.6g}, every row must sum to 1.",
            "Its columns do: it is the transpose (cleanlab's convention), transpose it." if columns_do else None,
        )
    return np.asarray(matrix / sums[:, None])
