"""scikit-learn's handwritten digits: real images without a download, so that the first command always works.

Not the MNIST data. The split is ours (there is no official one) and does not change with scikit-learn or numpy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lnlbench.data.catalogue import DatasetInfo
from lnlbench.data.checksums import Checksums
from lnlbench.data.dataset import Dataset, Int64, fingerprint

_SPLIT_SEED = 20240
_BRIGHTEST = 16


def read(info: DatasetInfo, data_dir: Path, checksums: Checksums) -> Dataset:
    """1,437 training and 360 test images, (N, 3, 8, 8) uint8; the values 0..16 are spread over 0..255.

    Nothing is read from `data_dir`.
    """
    from sklearn.datasets import load_digits

    bundle = load_digits()
    gray = np.round(bundle.images * (255 / _BRIGHTEST)).astype(np.uint8)
    images = np.repeat(gray[:, None], 3, axis=1)
    labels = bundle.target.astype(np.int64)
    test = _stratified(labels, info.test)
    train = np.setdiff1d(np.arange(len(labels)), test)
    value = fingerprint(info.key, (images[train], labels[train]), (images[test], labels[test]))
    canonical = value == info.fingerprint
    return Dataset(
        name=info.key,
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        class_names=tuple("0123456789"),
        fingerprint=value,
        canonical=canonical,
        note="" if canonical else "digits: this scikit-learn's digits differ from the known ones.",
    )


def _stratified(labels: Int64, count: int) -> Int64:
    """Indices, ascending, of `count` samples with the classes in proportion (largest remainder first)."""
    share = np.bincount(labels) * count / len(labels)
    quota = np.floor(share).astype(np.int64)
    short = count - int(quota.sum())
    quota[np.argsort(-(share - quota), kind="stable")[:short]] += 1
    # Raw bits of PCG64 are fixed for good; the methods of numpy's Generator may change between versions.
    keys = np.random.PCG64(_SPLIT_SEED).random_raw(len(labels))
    by_class = [np.flatnonzero(labels == c) for c in range(len(quota))]
    picked = [members[np.argsort(keys[members])[:n]] for members, n in zip(by_class, quota, strict=True)]
    return np.sort(np.concatenate(picked))
