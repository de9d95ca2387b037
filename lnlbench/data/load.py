"""From a data set's name to its arrays: finds the reader, resizes, and picks class-balanced subsets.

`load_dataset` always gives the full set: noise is drawn for all training images first and the subset is
taken afterwards (`reduce`), so that human labels and released draws line up with their images.
"""

from __future__ import annotations

import dataclasses
from importlib import import_module
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np

from lnlbench.data.catalogue import dataset_info, default_data_dir
from lnlbench.data.checksums import Checksums
from lnlbench.data.dataset import Dataset, Int64, UInt8
from lnlbench.data.files import ImageFiles
from lnlbench.errors import InvalidSetting

_SUBSET_SEED = 1701
_RESIZE_CHUNK = 4096


def load_dataset(name: str, data_dir: str | Path | None = None, *, image_size: int | None = None) -> Dataset:
    """The full data set `name` from `data_dir` (default: `default_data_dir()`).

    image_size: side to which images are resized (bilinear, antialiased; of those that are not square the shorter
    side, then the centre square is kept); the fingerprint stays that of the images as they are on disk.
    Raises UnknownName, InvalidSetting, or DataError for what is wrong on disk.
    """
    folder = default_data_dir() if data_dir is None else Path(data_dir)
    info = dataset_info(name, folder)
    checksums = Checksums(folder)
    dataset: Dataset = import_module(info.reader).read(info, folder, checksums)
    checksums.save()
    if image_size is None:
        return dataset
    return dataclasses.replace(
        dataset,
        train_images=_at(dataset.train_images, image_size),
        test_images=_at(dataset.test_images, image_size),
        valid_images=None if dataset.valid_images is None else _at(dataset.valid_images, image_size),
    )


def _at(images: UInt8 | ImageFiles, side: int) -> UInt8 | ImageFiles:
    return images.resized(side) if isinstance(images, ImageFiles) else resize(images, side)


def subset_indices(labels: Int64, count: int, name: str, split: Literal["train", "test"] = "train") -> Int64:
    """`count` of the N positions of `labels` (N,), ascending, as evenly over the classes as they allow.

    Fixed by the data set's name and the split: no seed changes it, and a smaller subset lies in every
    larger one. Pass the true labels of the full split. Raises InvalidSetting for a count outside 1..N.
    """
    if not 1 <= count <= len(labels):
        raise InvalidSetting(f"{split}_subset: {count:,} is out of range, {name} has {len(labels):,} {split} images.")
    # Raw bits of PCG64 are fixed for good; the methods of numpy's Generator may change between versions.
    seed = np.random.SeedSequence([_SUBSET_SEED, crc32(name.encode()), crc32(split.encode())])
    keys = np.random.PCG64(seed).random_raw(len(labels))
    by_class = np.lexsort((keys, labels))
    starts = np.cumsum(np.bincount(labels)) - np.bincount(labels)
    rank_in_class = np.empty(len(labels), dtype=np.int64)
    rank_in_class[by_class] = np.arange(len(labels)) - starts[labels[by_class]]
    return np.sort(np.lexsort((keys, rank_in_class))[:count])


def reduce(dataset: Dataset, train_indices: Int64 | None = None, test_indices: Int64 | None = None) -> Dataset:
    """The data set with only these samples, in the order given; None keeps a split whole.

    Name, class names and fingerprint stay those of the full set.
    """
    train = slice(None) if train_indices is None else train_indices
    test = slice(None) if test_indices is None else test_indices
    return dataclasses.replace(
        dataset,
        train_images=dataset.train_images[train],
        train_labels=dataset.train_labels[train],
        test_images=dataset.test_images[test],
        test_labels=dataset.test_labels[test],
    )


def resize(images: UInt8, side: int) -> UInt8:
    """(N, 3, H, W) uint8 resized to (N, 3, side, side), bilinear and antialiased (as PIL's bilinear)."""
    if side < 1:
        raise InvalidSetting(f"image_size: {side} is out of range, allowed: >= 1.")
    if images.shape[2:] == (side, side):
        return images
    import torch
    from torch.nn.functional import interpolate

    out = np.empty((*images.shape[:2], side, side), dtype=np.uint8)
    for start in range(0, len(images), _RESIZE_CHUNK):
        chunk = torch.from_numpy(images[start : start + _RESIZE_CHUNK])
        resized = interpolate(chunk, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        out[start : start + _RESIZE_CHUNK] = resized.numpy()
    return out
