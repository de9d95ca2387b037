"""Drawing noisy labels from a matrix: exact, exact-per-class, independent, and the double flip.

One generator, seeded by the noise seed and the noise's name, independent of every training seed. At one seed the
changed samples of a lower rate are among those of a higher one, which makes rate sweeps smooth.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


def noise_generator(name: str, seed: int) -> np.random.Generator:
    """The generator of every draw of ours: PCG64(SeedSequence([seed, crc32(name)]))."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())])))


def draw_independent(labels: Int64, matrix: Float64, generator: np.random.Generator) -> Int64:
    """Every sample draws from T[y], one uniform per sample in index order. labels: (N,) int64; matrix: T (C, C)."""
    return pick(matrix, labels, generator.random(len(labels)))


def draw_exact(labels: Int64, redraw: Float64, rate: float, generator: np.random.Generator) -> Int64:
    """floor(rN) distinct samples over the whole set draw from R[y]: one permutation, then one uniform per index."""
    chosen = generator.permutation(len(labels))[: _count(rate, len(labels))]
    return _redraw(labels, redraw, chosen, generator.random(len(labels)))


def draw_exact_per_class(labels: Int64, redraw: Float64, rate: float, generator: np.random.Generator) -> Int64:
    """As `draw_exact` with floor(r n_c) samples of each class, the first of them in the permutation."""
    permutation = generator.permutation(len(labels))
    by_class = permutation[np.argsort(labels[permutation], kind="stable")]
    sizes = np.bincount(labels, minlength=len(redraw))
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = by_class[rank < np.repeat(_count(rate, sizes), sizes)]
    return _redraw(labels, redraw, chosen, generator.random(len(labels)))


def draw_double_flip(labels: Int64, redraw: Float64, rate: float, generator: np.random.Generator) -> Int64:
    """Class after class, ascending, floor(r n) of the n samples that *now* bear a class move to its target."""
    given = labels.copy()
    for source, target in enumerate(redraw.argmax(axis=1)):
        if source != target:
            bearers = np.flatnonzero(given == source)
            given[generator.permutation(bearers)[: _count(rate, len(bearers))]] = target
    return given


def pick(rows: Float64, labels: Int64, uniforms: Float64) -> Int64:
    """For each sample the class whose interval of the cumulative rows[y] holds its uniform in [0, 1).

    rows: (C, C) float64, rows summing to 1; labels: (n,) int64; uniforms: (n,) float64. Returns (n,) int64:
    the count of cumulative values <= u. One vectorised search per class.
    """
    cumulative = _cumulative(rows)
    order = np.argsort(labels, kind="stable")
    edges = np.searchsorted(labels[order], np.arange(len(rows) + 1))
    given = np.empty(len(labels), dtype=np.int64)
    for c in range(len(rows)):
        members = order[edges[c] : edges[c + 1]]
        given[members] = np.searchsorted(cumulative[c], uniforms[members], side="right")
    return given


def _redraw(labels: Int64, redraw: Float64, chosen: Int64, uniforms: Float64) -> Int64:
    given = labels.copy()
    given[chosen] = pick(redraw, labels[chosen], uniforms[chosen])
    return given


def _cumulative(rows: Float64) -> Float64:
    """Cumulative rows that are exactly 1 from the last class of positive probability on.

    A rounded sum just below 1 would otherwise leave a sliver for classes of probability 0.
    """
    cumulative = rows.cumsum(axis=1)
    last = rows.shape[1] - 1 - (rows[:, ::-1] > 0).argmax(axis=1)
    cumulative[np.arange(rows.shape[1]) >= last[:, None]] = 1.0
    return cumulative


def _count(rate: float, size: ArrayLike) -> Int64:
    """floor(rate * size); the 1e-9 keeps products like 0.29 * 50,000 from losing a sample to rounding."""
    return np.asarray(np.floor(rate * np.asarray(size) + 1e-9), dtype=np.int64)
