"""Instance-dependent noise (Xia et al., Part-dependent label noise): the wrong class depends on the image.

Works on the whole training set in chunks of one class, with our generator. Not a repetition of the released draw,
whose stream (scipy, then numpy, one call per sample) is another.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lnlbench.data.noise.drawing import noise_generator
from lnlbench.errors import DataError
from lnlbench.job import Noise

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

CHUNK = 2048
"""Samples a matrix product: bounds the memory of their float64 pixels to 50 MB on CIFAR."""


def draw_instance(
    noise: Noise, labels: Int64, images: np.ndarray | None, num_classes: int, seed: int, dataset: str
) -> Int64:
    """Noisy labels (N,) int64: g ~ row_i with row_i[y] = 1 - q_i and q_i softmax(x_i W_y) on the other classes.

    labels: (N,) int64; images: (N, ...) uint8. q_i ~ Normal(rate, std^2) truncated to [0, 1]. Raises DataError
    without images. Drawn in this order: N uniforms for q, N for the label, then W of class 0, 1, ...
    """
    if images is None or len(images) != len(labels):
        raise DataError(
            "noise 'instance' needs the training images in memory, one for each label.",
            "It is for data sets of small images (cifar10, cifar100, digits).",
        )
    generator = noise_generator(noise.name, seed)
    flip = flip_probabilities(noise.rate or 0.0, noise.std, generator.random(len(labels)))
    uniforms = generator.random(len(labels))
    shift, scale = _scaling(images, noise.input_scale, dataset)
    given = labels.copy()
    for c in range(num_classes):
        weights = generator.standard_normal((math.prod(_shape(images, dataset)), num_classes))
        members = np.flatnonzero(labels == c)
        for start in range(0, len(members), CHUNK):
            chunk = members[start : start + CHUNK]
            pixels = _pixels(images[chunk], shift, scale, dataset)
            rows = _rows(pixels @ weights, c, flip[chunk])
            cumulative = rows.cumsum(axis=1)
            cumulative[:, -1] = 1.0
            given[chunk] = (cumulative <= uniforms[chunk, None]).sum(axis=1)
    return given


def flip_probabilities(rate: float, std: float, uniforms: Float64) -> Float64:
    """Quantiles of Normal(rate, std^2) truncated to [0, 1] at `uniforms` (N,): inverse of its tabulated CDF.

    The table spans 10 std on either side in 20,000 steps; its error is below 1e-6 std.
    """
    grid = np.linspace(max(0.0, rate - 10 * std), min(1.0, rate + 10 * std), 20_001)
    density = np.exp(-0.5 * ((grid - rate) / std) ** 2)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.asarray(np.interp(uniforms, mass / mass[-1], grid))


def expected_flip_probability(rate: float, std: float) -> float:
    """E q, the expected share of wrong labels: the mean of the truncated normal in closed form."""
    low, high = -rate / std, (1 - rate) / std
    density = [math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) for z in (low, high)]
    below = [0.5 * (1 + math.erf(z / math.sqrt(2))) for z in (low, high)]
    return rate + std * (density[0] - density[1]) / (below[1] - below[0])


def _rows(scores: Float64, true_class: int, flip: Float64) -> Float64:
    scores[:, true_class] = -np.inf
    rows: Float64 = np.exp(scores - scores.max(axis=1, keepdims=True))
    rows *= (flip / rows.sum(axis=1))[:, None]
    rows[:, true_class] = 1 - flip
    return rows


def _shape(images: np.ndarray, dataset: str) -> tuple[int, ...]:
    """Shape of one sample as the product sees it; digits count once though they come in three equal channels."""
    return (1, *images.shape[2:]) if dataset == "digits" else images.shape[1:]


def _pixels(images: np.ndarray, shift: Float64, scale: Float64, dataset: str) -> Float64:
    """(n, S) float64 inputs of the product."""
    if dataset == "digits":
        images = images[:, :1]
    return np.asarray((images - shift) / scale, dtype=np.float64).reshape(len(images), -1)


def _scaling(images: np.ndarray, input_scale: str, dataset: str) -> tuple[Float64, Float64]:
    """Shift and scale that broadcast over images: pixels as they are, or normalised by channel.

    Digits have 17 gray levels, however the reader stretches them: their `uint8` is the level over the highest.
    """
    if input_scale == "uint8":
        return np.zeros(1), np.array([images.max() if dataset == "digits" else 1.0])
    channels = images[:, :1] if dataset == "digits" else images
    counts = [np.bincount(channels[:, c].ravel(), minlength=256) for c in range(channels.shape[1])]
    levels = np.arange(256)
    mean = np.array([np.average(levels, weights=n) for n in counts])
    std = np.array([math.sqrt(np.average((levels - m) ** 2, weights=n)) for n, m in zip(counts, mean, strict=True)])
    std[std == 0] = 1.0
    return mean[:, None, None], std[:, None, None]
