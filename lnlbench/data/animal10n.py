"""Animal-10N: 64x64 images of five pairs of animals that are easily confused, labelled by people with mistakes.

Two releases are read, as image files (the label is in the name, or the folder is the class) and as the binary
batches of SELFIE's code. They need not share an order. Nobody knows the true training labels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lnlbench.data.checksums import Checksums
from lnlbench.data.dataset import Dataset, Int64, UInt8, fingerprint
from lnlbench.data.info import DatasetInfo
from lnlbench.data.listing import list_images
from lnlbench.data.trees import Listed, by_class_folder, dataset_of
from lnlbench.errors import DataError

CLASSES = ("cat", "lynx", "wolf", "coyote", "cheetah", "jaguar", "chimpanzee", "orangutan", "hamster", "guinea pig")
_SIDE = 64
_RECORD = np.dtype([("id", ">u4"), ("label", ">u4"), ("pixels", "u1", (3, _SIDE, _SIDE))])
_BINARY = ("data_batch_1.bin", "test_batch.bin")


def read(info: DatasetInfo, data_dir: Path, checksums: Checksums) -> Dataset:
    """50,000 training and 5,000 test images. Raises DataError for what is missing or cannot be right."""
    root = data_dir / info.key
    for train, test in (("training", "testing"), ("train", "test")):
        if (root / train).is_dir() and (root / test).is_dir():
            return _from_files(info, root, train, test, checksums)
    if all((root / name).is_file() for name in _BINARY):
        return _from_batches(info, root, checksums)
    raise info.absence(data_dir)


def _from_files(info: DatasetInfo, root: Path, train: str, test: str, checksums: Checksums) -> Dataset:
    listed = {train: _listed(info, root, train), test: _listed(info, root, test)}
    expected = {train: ("training", info.train), test: ("test", info.test)}
    wrong = []
    for folder, (split, count) in expected.items():
        found = len(listed[folder].paths)
        if found != count:
            difference = f"{count - found:,} missing" if found < count else f"{found - count:,} too many"
            wrong.append(f"{found:,} {split} images, expected {count:,} ({difference})")
    if wrong and not checksums.allows_missing(info.key):
        raise DataError(
            f"{info.key}: {' and '.join(wrong)}.",
            f"Looked in {root / train} and {root / test}. Unpack the archive again. To go on all the same, marked in "
            f"every report: lnlbench data verify {info.key} --allow-missing",
        )
    return dataset_of(
        info,
        root,
        checksums,
        train=listed[train],
        test=listed[test],
        class_names=CLASSES,
        incomplete="; ".join(wrong),
    )


def _listed(info: DatasetInfo, root: Path, folder: str) -> Listed:
    if (root / folder / "0").is_dir():
        return by_class_folder(root, folder, [str(c) for c in range(info.classes)])
    paths = list_images(root, folder)
    labels = [path.rsplit("/", 1)[1].split("_")[0] for path in paths]
    for path, label in zip(paths, labels, strict=True):
        if not (label.isascii() and label.isdecimal() and int(label) < info.classes):
            raise DataError(
                f"{info.key}: {root / path} has no label before its first '_'.",
                f"Names are <label>_<id>.jpg with a label from 0 to {info.classes - 1}. Remove what is not an image "
                "of the data set.",
            )
    return Listed(paths, np.array(labels, dtype=np.int64) if labels else np.zeros(0, np.int64))


def _from_batches(info: DatasetInfo, root: Path, checksums: Checksums) -> Dataset:
    train_images, train_labels = _batch(info, root / _BINARY[0], info.train)
    test_images, test_labels = _batch(info, root / _BINARY[1], info.test)
    value = checksums.fingerprint(
        info.key,
        [checksums.md5(root / name) for name in _BINARY],
        lambda: fingerprint(info.key, (train_images, train_labels), (test_images, test_labels)),
    )
    return Dataset(
        name=info.key,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=CLASSES,
        fingerprint=value,
        noisy=True,
    )


def _batch(info: DatasetInfo, path: Path, count: int) -> tuple[UInt8, Int64]:
    """Images and labels of a batch, by id."""
    size = path.stat().st_size
    if size % _RECORD.itemsize:
        raise DataError(
            f"{path.name}: {size:,} bytes is not a multiple of {_RECORD.itemsize:,} (id 4 + label 4 + 3x64x64).",
            f"{path} is cut or another file: download it again.",
        )
    records = np.fromfile(path, dtype=_RECORD)
    if len(records) != count:
        raise DataError(f"{path.name}: {len(records):,} images, expected {count:,}.", f"Download {path} again.")
    order = np.argsort(records["id"], kind="stable")
    if not np.array_equal(records["id"][order], np.arange(count)):
        raise DataError(f"{path.name}: ids are not 0 to {count - 1:,}, each once.", f"Download {path} again.")
    labels = records["label"][order].astype(np.int64)
    if labels.max() >= info.classes:
        raise DataError(f"{path.name}: label {labels.max()} is outside 0 to {info.classes - 1}.")
    return np.ascontiguousarray(records["pixels"][order]), labels
