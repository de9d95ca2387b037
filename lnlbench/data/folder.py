"""The reader of data sets that a `dataset.yaml` describes (see registered.py): from its lines to labels and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lnlbench.data.checksums import Checksums
from lnlbench.data.dataset import Dataset
from lnlbench.data.info import DatasetInfo
from lnlbench.data.registered import SPLITS, Line, registered
from lnlbench.data.trees import Listed, dataset_of, require_paths


def read(info: DatasetInfo, data_dir: Path, checksums: Checksums) -> Dataset:
    """The images in the order of the table, or of their folders. Raises DataError."""
    described = registered(info.key, data_dir)
    if described is None:
        raise info.absence(data_dir)

    def listed(split: str) -> Listed:
        lines = [line for line in described.lines if line.split == split]
        return _listed(lines, described.ids, truth=split == "train" and info.labels == "both")

    train, valid, test = (listed(split) for split in SPLITS)
    require_paths(f"{info.key}: the training set", train.paths)
    require_paths(f"{info.key}: validation and test set", [*valid.paths, *test.paths])
    return dataset_of(
        info,
        described.root,
        checksums,
        train=train,
        test=test,
        valid=valid if valid.paths else None,
        class_names=described.classes,
        note="" if info.fingerprint else "its dataset.yaml names no fingerprint",
        trusted=info.fingerprint is not None,
    )


def _listed(lines: Sequence[Line], ids: dict[str, int], *, truth: bool) -> Listed:
    """True labels decide in the splits that are evaluated; in the training set they stand beside the given ones."""
    given = np.array([ids[line.label] for line in lines], dtype=np.int64)
    true = np.array([ids[line.true_label or line.label] for line in lines], dtype=np.int64)
    if truth:
        return Listed([line.path for line in lines], given, true)
    evaluated = bool(lines) and lines[0].split != "train"
    return Listed([line.path for line in lines], true if evaluated else given)
