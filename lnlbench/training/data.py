"""From a job to the arrays it trains on: the data set, its noisy labels, the subset, the noisy validation
split, and what of all this the method may know."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lnlbench.data import noise as label_noise
from lnlbench.data.catalogue import dataset_info, normalisation
from lnlbench.data.dataset import Dataset, Int64, UInt8
from lnlbench.data.files import ImageFiles
from lnlbench.data.load import load_dataset, subset_indices
from lnlbench.errors import InvalidSetting
from lnlbench.job import Job, Recipe
from lnlbench.training.seeds import derive


@dataclass(frozen=True)
class Split:
    """Images (M, 3, H, W) uint8, or files that become such, with their given labels (M,) and, for the evaluator, their
    true ones (M,), where they are known."""

    images: UInt8 | ImageFiles
    given: Int64
    true: Int64 | None


@dataclass(frozen=True)
class Prepared:
    """The data of one job. granted: the value of every need a method could declare.

    validation is a held-out part of the noisy training set, else the data set's own split, or None; meta is another
    held-out part, balanced over the true classes, or None. provenance goes into the run.
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
    meta: Split | None = None
    class_names: tuple[str, ...] = ()


def prepare(job: Job, data_dir: Path) -> Prepared:
    """Reads the data set, draws the noise on its whole training set, then takes the job's subset.

    Noise comes first so that human labels, released draws and imported files line up with their images.
    """
    dataset = _load(job.dataset, data_dir, job.recipe.image_size)
    true = dataset.true_labels
    noisy = label_noise.corrupt(
        job.noise,
        dataset.train_labels if true is None or job.noise.name == "real" else true,
        dataset.num_classes,
        job.noise_seed,
        dataset=job.dataset,
        images=None if isinstance(dataset.train_images, ImageFiles) else dataset.train_images,
        coarse=dataset.coarse,
        data_dir=data_dir,
    )
    recipe = job.recipe
    _check_crop(recipe, dataset)
    kept = _kept(dataset.train_labels, recipe.train_subset, dataset, "train")
    rest, for_meta = _meta_split(kept, dataset, recipe.meta_size, job.noise_seed)
    training, held_out = _hold_out(rest, recipe.validation, job.seed)
    training = _mixed(training, dataset.train_images)

    def part(indices: Int64) -> Split:
        return Split(dataset.train_images[indices], noisy[indices], None if true is None else true[indices])

    train = part(training)
    meta = part(for_meta) if len(for_meta) else None
    sha256, share = label_noise.labels_sha256(train.given), None
    if train.true is not None:
        share = label_noise.measure(train.true, train.given, dataset.num_classes).share
    mean, std = normalisation(job.dataset, recipe.normalisation)
    return Prepared(
        train=train,
        test=_evaluated(dataset.test_images, dataset.test_labels, recipe.test_subset, dataset),
        validation=part(held_out) if len(held_out) else _own_validation(dataset, recipe),
        meta=meta,
        num_classes=dataset.num_classes,
        mean=mean,
        std=std,
        flip=recipe.augment == "crop-flip",
        granted=_knowledge(job, dataset, share) | ({} if meta is None else {"clean_meta": meta.true}),
        provenance={
            "data_fingerprint": dataset.fingerprint,
            "data_canonical": dataset.canonical,
            "data_note": dataset.note,
            "noisy_labels_sha256": sha256,
            "noise_realised": share,
        },
        class_names=dataset.class_names,
    )


def _check_crop(recipe: Recipe, dataset: Dataset) -> None:
    side = min(dataset.train_images.shape[-2:])
    if recipe.crop is not None and recipe.crop > side:
        raise InvalidSetting(
            f"recipe setting 'crop': {recipe.crop} is larger than the images of {dataset.name}, whose side is {side}.",
            "Take a smaller crop, or larger images with image_size.",
        )


@lru_cache(maxsize=2)
def _load(name: str, data_dir: Path, image_size: int | None) -> Dataset:
    """A long-lived worker reads each data set once."""
    return load_dataset(name, data_dir, image_size=image_size)


def _kept(labels: Int64, count: int | None, dataset: Dataset, split: Literal["train", "test"]) -> Int64:
    if count is None:
        return np.arange(len(labels))
    return subset_indices(labels, count, dataset.name, split)


def _evaluated(images: UInt8 | ImageFiles, labels: Int64, count: int | None, dataset: Dataset) -> Split:
    kept = _kept(labels, count, dataset, "test")
    return Split(images[kept], labels[kept], labels[kept])


def _own_validation(dataset: Dataset, recipe: Recipe) -> Split | None:
    """The data set's own validation split, no larger than the test set that is evaluated beside it."""
    if dataset.valid_images is None or dataset.valid_labels is None:
        return None
    count = None if recipe.test_subset is None else min(recipe.test_subset, len(dataset.valid_labels))
    return _evaluated(dataset.valid_images, dataset.valid_labels, count, dataset)


def _meta_split(kept: Int64, dataset: Dataset, size: int | None, seed: int) -> tuple[Int64, Int64]:
    """(rest, meta) indices: RMW-Net's split, on the true labels, as its protocol says; `rest` stays in order, the meta
    set, which is drawn class by class, does not."""
    if size is None:
        return kept, kept[:0]
    if dataset.true_labels is None:
        raise InvalidSetting(
            f"recipe setting 'meta_size': the meta set is balanced over true classes, and those of {dataset.name}'s "
            "training images are unknown.",
            "Leave it out, or use a data set with true labels.",
        )
    chosen = label_noise.meta_split(dataset.true_labels[kept], dataset.num_classes, seed, size)
    return np.delete(kept, chosen), _mixed(kept[chosen], dataset.train_images)


def _mixed(indices: Int64, images: UInt8 | ImageFiles) -> Int64:
    """In an order that cannot be undone: class by class, or folder by folder, a sample's place tells its true label.

    An archive's own order is mixed; files come in that of a hash of their paths.
    """
    ordered = np.sort(indices)
    if not isinstance(images, ImageFiles):
        return ordered
    hashes = [hashlib.blake2b(path, digest_size=8).digest() for path in images.paths[ordered]]
    return ordered[np.argsort(np.frombuffer(b"".join(hashes), dtype=">u8"))]


def _hold_out(indices: Int64, fraction: float, seed: int) -> tuple[Int64, Int64]:
    """(training, validation) indices; the split is uniform over samples, as an honest user could make it."""
    count = math.floor(fraction * len(indices) + 1e-9)
    if fraction > 0 and count == 0:
        raise InvalidSetting(f"recipe setting 'validation': {fraction:g} of {len(indices)} samples is none.")
    order = np.random.Generator(np.random.PCG64(derive(seed, "validation"))).permutation(indices)
    return np.sort(order[count:]), np.sort(order[:count])


def _knowledge(job: Job, dataset: Dataset, realised: float | None) -> dict[str, Any]:
    """What a method may be told if it declares it. Noise without a rate is known by its realised share; where nobody
    can measure that, by what the data set's authors state."""
    share = dataset_info(job.dataset).nominal_noise if realised is None else realised
    rate = share if job.noise.rate is None else job.noise.rate
    known: dict[str, Any] = {"noise_type": job.noise.name}
    known |= {name: value for name, value in (("noise_rate", rate), ("noise_share", share)) if value is not None}
    with contextlib.suppress(InvalidSetting):  # human, instance and file noise have no matrix
        matrix = label_noise.transition_matrix(job.noise, dataset.num_classes, job.dataset, dataset.coarse)
        known["transition_matrix"] = matrix
        labels = dataset.train_labels if dataset.true_labels is None else dataset.true_labels
        frequencies = np.bincount(labels, minlength=dataset.num_classes) / len(labels)
        known["noise_share"] = float(1 - frequencies @ np.diag(matrix))
    return known
