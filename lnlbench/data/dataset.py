"""A data set as the readers deliver it: arrays in a fixed order with a content fingerprint. No torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lnlbench.data.files import ImageFiles

UInt8 = NDArray[np.uint8]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Training and test images with the labels they come with.

    train_images: (N, 3, H, W) uint8, or files that are read when needed; train_labels: (N,) int64 in 0..C-1; test
    likewise, its labels true. noisy: the training labels are not all true; verified_labels: (N,) then the true ones,
    None where nobody knows them. valid_images, valid_labels: a validation split with true labels, where it has one.
    coarse: (C,) int64, superclass of each class, where the data set has them.
    canonical: whether the files are the canonical release; `note` says what differs.
    fingerprint: sha256 of names, shapes, labels and pixels of both splits.
    """

    name: str
    train_images: UInt8 | ImageFiles
    train_labels: Int64
    test_images: UInt8 | ImageFiles
    test_labels: Int64
    class_names: tuple[str, ...]
    fingerprint: str
    canonical: bool = True
    note: str = ""
    coarse: Int64 | None = None
    noisy: bool = False
    verified_labels: Int64 | None = None
    valid_images: UInt8 | ImageFiles | None = None
    valid_labels: Int64 | None = None

    @property
    def true_labels(self) -> Int64 | None:
        """(N,) true labels of the training images, None where they are unknown."""
        return self.verified_labels if self.noisy else self.train_labels

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)


def fingerprint(name: str, *splits: tuple[UInt8, Int64]) -> str:
    """sha256 over (name, shape, dtype, label bytes, pixel bytes) of each (images, labels) split."""
    digest = hashlib.sha256(name.encode())
    for images, labels in splits:
        little = np.ascontiguousarray(labels, dtype="<i8")
        digest.update(f"{images.shape}{images.dtype}".encode())
        digest.update(little.tobytes())
        digest.update(np.ascontiguousarray(images).tobytes())
    return digest.hexdigest()
