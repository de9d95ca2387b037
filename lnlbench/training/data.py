"""From a job to the arrays it trains on: the data set, its noisy labels, the subset, the noisy validation
split, and what of all this the method may know."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lnlbench.data import noise as label_noise
from lnlbench.data.catalogue import normalisation
from lnlbench.data.dataset import Dataset, Int64, UInt8
from lnlbench.data.load import load_dataset, subset_indices
from lnlbench.errors import InvalidSetting
from lnlbench.job import Job
from lnlbench.training.seeds import derive


@dataclass(frozen=True)
class Split:
    """Images (M, 3, H, W) uint8 with their given labels (M,) and, for the evaluator, their true ones (M,)."""

    images: UInt8
    given: Int64
    true: Int64


@dataclass(frozen=True)
class Prepared:
    """The data of one job. granted: the value of every need a method could declare.

    validation is a held-out part of the noisy training set, or None. provenance goes into the run.
    """

    train: Split
    test: Split
    validation: Split | None
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool
    granted: Mapping[str, Any]
    provenance: Mapping[str, Any]


def prepare(job: Job, data_dir: Path) -> Prepared:
    """Reads the data set, draws the noise on its whole training set, then takes the job's subset.

    Noise comes first so that human labels, released draws and imported files line up with their images.
    """
    dataset = _load(job.dataset, data_dir, job.recipe.image_size)
    noisy = label_noise.corrupt(
        job.noise,
        dataset.train_labels,
        dataset.num_classes,
        job.noise_seed,
        dataset=job.dataset,
        images=dataset.train_images,
        coarse=dataset.coarse,
        data_dir=data_dir,
    )
    recipe = job.recipe
    kept = _kept(dataset.train_labels, recipe.train_subset, dataset, "train")
    kept_test = _kept(dataset.test_labels, recipe.test_subset, dataset, "test")
    training, held_out = _hold_out(kept, recipe.validation, job.seed)

    def part(indices: Int64) -> Split:
        return Split(dataset.train_images[indices], noisy[indices], dataset.train_labels[indices])

    train = part(training)
    report = label_noise.measure(train.true, train.given, dataset.num_classes)
    mean, std = normalisation(job.dataset, recipe.normalisation)
    return Prepared(
        train=train,
        test=Split(dataset.test_images[kept_test], dataset.test_labels[kept_test], dataset.test_labels[kept_test]),
        validation=part(held_out) if len(held_out) else None,
        num_classes=dataset.num_classes,
        mean=mean,
        std=std,
        flip=recipe.augment == "crop-flip",
        granted=_knowledge(job, dataset, report.share),
        provenance={
            "data_fingerprint": dataset.fingerprint,
            "data_canonical": dataset.canonical,
            "data_note": dataset.note,
            "noisy_labels_sha256": report.sha256,
            "noise_realised": report.share,
        },
    )


@lru_cache(maxsize=2)
def _load(name: str, data_dir: Path, image_size: int | None) -> Dataset:
    """A long-lived worker reads each data set once."""
    return load_dataset(name, data_dir, image_size=image_size)


def _kept(labels: Int64, count: int | None, dataset: Dataset, split: Literal["train", "test"]) -> Int64:
    if count is None:
        return np.arange(len(labels))
    return subset_indices(labels, count, dataset.name, split)


def _hold_out(indices: Int64, fraction: float, seed: int) -> tuple[Int64, Int64]:
    """(training, validation) indices; the split is uniform over samples, as an honest user could make it."""
    count = math.floor(fraction * len(indices) + 1e-9)
    if fraction > 0 and count == 0:
        raise InvalidSetting(f"recipe setting 'validation': {fraction:g} of {len(indices)} samples is none.")
    order = np.random.Generator(np.random.PCG64(derive(seed, "validation"))).permutation(indices)
    return np.sort(order[count:]), np.sort(order[:count])


def _knowledge(job: Job, dataset: Dataset, realised: float) -> dict[str, Any]:
    """What a method may be told if it declares it. Noise without a rate is known by its realised share."""
    known: dict[str, Any] = {
        "noise_rate": realised if job.noise.rate is None else job.noise.rate,
        "noise_share": realised,
        "noise_type": job.noise.name,
    }
    with contextlib.suppress(InvalidSetting):  # human, instance and file noise have no matrix
        matrix = label_noise.transition_matrix(job.noise, dataset.num_classes, job.dataset, dataset.coarse)
        known["transition_matrix"] = matrix
        frequencies = np.bincount(dataset.train_labels, minlength=dataset.num_classes) / len(dataset.train_labels)
        known["noise_share"] = float(1 - frequencies @ np.diag(matrix))
    return known
