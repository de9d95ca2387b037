"""Clothing1M: a million pictures from online shops, labelled by the text around them; some labelled by people.

The training set is the noisy list alone. Validation and test are the lists that people labelled; their clean
training list is not used by any method of the standard tables and not read. File names contain commas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lnlbench.data.checksums import Checksums
from lnlbench.data.dataset import Dataset, Int64
from lnlbench.data.info import DatasetInfo
from lnlbench.data.trees import Listed, dataset_of, read_lines, require_paths
from lnlbench.errors import DataError

CLASSES = (
    "T-Shirt",
    "Shirt",
    "Knitwear",
    "Chiffon",
    "Sweater",
    "Hoodie",
    "Windbreaker",
    "Jacket",
    "Downcoat",
    "Suit",
    "Shawl",
    "Dress",
    "Vest",
    "Underwear",
)
NOISY, CLEAN = "noisy_label_kv.txt", "clean_label_kv.txt"
TRAIN, VALID, TEST = "noisy_train_key_list.txt", "clean_val_key_list.txt", "clean_test_key_list.txt"


def read(info: DatasetInfo, data_dir: Path, checksums: Checksums) -> Dataset:
    """1,000,000 noisy training, 14,313 validation and 10,526 test images. Raises DataError."""
    root = data_dir / info.key
    if not (root / "images").is_dir():
        raise info.absence(data_dir)
    lists = _lists_folder(info, root)
    noisy, clean = _labels_of(lists / NOISY), _labels_of(lists / CLEAN)
    train = _listed(info, lists / TRAIN, info.train, noisy)
    valid = _listed(info, lists / VALID, info.validation, clean)
    test = _listed(info, lists / TEST, info.test, clean)
    held_out = {**dict.fromkeys(valid.paths, VALID), **dict.fromkeys(test.paths, TEST)}
    shared = [path for path in train.paths if path in held_out]
    if shared:
        raise DataError(
            f"{info.key}: {len(shared):,} images of {TRAIN} are also in {held_out[shared[0]]}, {shared[0]} first.",
            "A training list that holds test images was edited: take the lists of the release.",
        )
    return dataset_of(info, root, checksums, train=train, test=test, valid=valid, class_names=CLASSES)


def _lists_folder(info: DatasetInfo, root: Path) -> Path:
    places = (root, root / "annotations")
    names = (TRAIN, VALID, TEST, NOISY, CLEAN)
    lacking = [[name for name in names if not (place / name).is_file()] for place in places]
    for place, missing in zip(places, lacking, strict=True):
        if not missing:
            return place
    fewest = min(lacking, key=len)
    verb = "is" if len(fewest) == 1 else "are"
    raise DataError(
        f"{info.key}: images found, but {_and(fewest)} {verb} missing (looked in {places[0]} and {places[1]}).",
        "They come in the annotation archive of the release.",
    )


def _labels_of(path: Path) -> dict[str, str]:
    """Label by image; a line without a label, of which the release has one, is left out."""
    pairs = (line.rsplit(" ", 1) for line in read_lines(path))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _listed(info: DatasetInfo, path: Path, count: int, labels: Mapping[str, str]) -> Listed:
    paths = read_lines(path)
    if len(paths) != count:
        raise DataError(
            f"{info.key}: {path.name} has {len(paths):,} entries, expected {count:,}.",
            f"{path} is cut or edited: take the list of the release.",
        )
    require_paths(f"{info.key}: {path.name}", paths)
    unlabelled = [image for image in paths if image not in labels]
    if unlabelled:
        raise DataError(f"{info.key}: {len(unlabelled):,} images of {path.name} have no label, {unlabelled[0]} first.")
    return Listed(paths, _numbers(info, path, [labels[image] for image in paths]))


def _numbers(info: DatasetInfo, path: Path, texts: Sequence[str]) -> Int64:
    allowed = {str(c): c for c in range(info.classes)}
    wrong = next((text for text in texts if text not in allowed), None)
    if wrong is not None:
        raise DataError(
            f"{info.key}: an image of {path.name} has the label {wrong!r}, expected 0 to {info.classes - 1}."
        )
    return np.array([allowed[text] for text in texts], dtype=np.int64)


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
