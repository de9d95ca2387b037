"""`corrupt`: true training labels in, noisy labels out, by the noise of a job.

Only training labels, only their values: test labels are never touched, and image replacement is not done here.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lnlbench.data.noise import drawing
from lnlbench.data.noise.catalogue import NoiseWarning, info
from lnlbench.data.noise.checks import check_noise, own_sampling
from lnlbench.data.noise.definitions import redraw_matrix, transition_matrix, true_class_leads
from lnlbench.data.noise.files import import_labels
from lnlbench.data.noise.human import human_labels
from lnlbench.data.noise.instance import draw_instance
from lnlbench.data.noise.measure import checked_labels
from lnlbench.data.noise.released import released_labels
from lnlbench.errors import DataError
from lnlbench.job import Noise

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


def corrupt(
    noise: Noise,
    clean_labels: ArrayLike,
    num_classes: int,
    seed: int,
    *,
    dataset: str,
    images: np.ndarray | None = None,
    coarse: ArrayLike | None = None,
    data_dir: Path | None = None,
) -> Int64:
    """Noisy labels (N,) int64 in 0..C-1; a new array, the input is not modified.

    clean_labels: (N,) integers in 0..C-1; seed: the resolved noise seed (`Job.noise_seed`); dataset: our key.
    images: (N, ...) uint8, for `instance`. coarse: (C,) superclasses; cifar100's are known. data_dir: for `human`.
    The same arguments give the same labels on every platform. At rate 0 they are the clean ones.

    With draw: released, `uniform`, `flip` and `flip2` follow RMW-Net's class-sorted order and are put back in the
    canonical one; the 1,000 images that its split for `seed` moves to the meta set get its separate meta draw.
    symmetric, asymmetric, symmetric-exclusive and pairflip are released with a fixed seed: `seed` has no influence.

    Raises UnknownName, InvalidSetting and DataError as `canonical_noise`; warns with NoiseWarning where the true
    class is not the most likely given one.
    """
    labels = checked_labels(clean_labels, num_classes, "clean labels")
    check_noise(noise, dataset, num_classes, coarse)
    if noise.name in ("clean", "real") or noise.rate == 0:
        return labels
    if noise.name == "human":
        return human_labels(str(noise.variant), dataset, labels, data_dir)
    if noise.name == "file":
        return _from_file(noise, labels, num_classes, dataset)
    if noise.name == "instance":
        return draw_instance(noise, labels, images, num_classes, seed, dataset)
    matrix = transition_matrix(noise, num_classes, dataset, coarse)
    _warn_beyond_bound(noise, matrix)
    if noise.name == "matrix":
        return drawing.draw_independent(labels, matrix, drawing.noise_generator(noise.name, seed))
    redraw = redraw_matrix(noise, num_classes, dataset, coarse)
    return _drawn(noise, labels, matrix, redraw, seed)


def _drawn(noise: Noise, labels: Int64, matrix: Float64, redraw: Float64, seed: int) -> Int64:
    rate = noise.rate or 0.0
    if noise.draw == "released":
        return released_labels(noise.name, labels, matrix, redraw, rate, seed)
    generator = drawing.noise_generator(noise.name, seed)
    if noise.double_flip:
        return drawing.draw_double_flip(labels, redraw, rate, generator)
    sampling = noise.sampling or own_sampling(noise)
    if sampling == "independent":
        return drawing.draw_independent(labels, matrix, generator)
    if sampling == "exact":
        return drawing.draw_exact(labels, redraw, rate, generator)
    return drawing.draw_exact_per_class(labels, redraw, rate, generator)


def _from_file(noise: Noise, labels: Int64, num_classes: int, dataset: str) -> Int64:
    given, report = import_labels(str(noise.file), labels, num_classes, dataset=dataset)
    if noise.file_sha256 not in (None, report.sha256):
        raise DataError(
            f"{noise.file}: the labels have changed since the job was made: sha256 {report.sha256}, "
            f"the job says {noise.file_sha256}.",
            "Make the job anew, or put the old file back.",
        )
    return given


def _warn_beyond_bound(noise: Noise, matrix: Float64) -> None:
    if not true_class_leads(matrix):
        warnings.warn(
            f"noise {noise.label()}: the true class is not the most likely given one in every class "
            f"(it is where: {info(noise.name).bound}); no method can tell the classes apart from labels alone.",
            NoiseWarning,
            stacklevel=3,
        )
