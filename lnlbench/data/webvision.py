"""WebVision mini: the first 50 classes of the images that Google found, in the resized version of WebVision 1.0.

Validation images of WebVision are the test set. ImageNet's, which papers report beside them, are not read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lnlbench.data.checksums import Checksums
from lnlbench.data.dataset import Dataset
from lnlbench.data.info import DatasetInfo
from lnlbench.data.trees import Listed, dataset_of, read_lines, require_paths
from lnlbench.errors import DataError

TRAIN, TEST, NAMES = "info/train_filelist_google.txt", "info/val_filelist.txt", "info/synsets.txt"
_TEST_FOLDERS = ("val_images_256", "val_images")


def read(info: DatasetInfo, data_dir: Path, checksums: Checksums) -> Dataset:
    """65,944 training and 2,500 test images. Raises DataError."""
    root = data_dir / info.key
    if not info.available(data_dir):
        raise info.absence(data_dir)
    folder = next((name for name in _TEST_FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        raise DataError(f"{info.key}: no validation images; looked for {' and '.join(_TEST_FOLDERS)} in {root}.")
    train = _listed(info, root / TRAIN, "", info.train)
    test = _listed(info, root / TEST, f"{folder}/", info.test)
    return dataset_of(info, root, checksums, train=train, test=test, class_names=_names(info, root / NAMES))


def _listed(info: DatasetInfo, path: Path, prefix: str, count: int) -> Listed:
    """The lines `path target` with a target among the first classes."""
    paths, labels = [], []
    for number, line in enumerate(read_lines(path), 1):
        image, _, target = line.rpartition(" ")
        if not (image and target.isascii() and target.isdecimal()):
            raise DataError(f"{info.key}: {path.name}, line {number:,}: {line[:80]!r} is not 'path target'.")
        if int(target) < info.classes:
            paths.append(prefix + image)
            labels.append(int(target))
    if len(paths) != count:
        raise DataError(
            f"{info.key}: {path.name} has {len(paths):,} images of the first {info.classes} classes, "
            f"expected {count:,}.",
            f"{path} is cut, edited, or of another version of WebVision.",
        )
    require_paths(f"{info.key}: {path.name}", paths)
    return Listed(paths, np.array(labels, dtype=np.int64))


def _names(info: DatasetInfo, path: Path) -> tuple[str, ...]:
    """First word of each class after its WordNet id, in the order of the targets; numbers without the list."""
    lines = read_lines(path)[: info.classes] if path.is_file() else []
    names = [line.partition(" ")[2].split(",")[0] for line in lines]
    return tuple(names) if len(names) == info.classes and all(names) else tuple(str(c) for c in range(info.classes))
