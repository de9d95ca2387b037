"""Checks a data set's files anew, whatever is remembered of them, and says what is there, as plain data.

For `lnlbench data verify`, which prints it. Changes nothing but the remembered checksums.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lnlbench.data.catalogue import DataFile, DatasetInfo, default_data_dir, entry
from lnlbench.data.checksums import Checksums, labels_sha256, wrong_md5
from lnlbench.data.dataset import Dataset, Int64
from lnlbench.data.files import ImageFiles
from lnlbench.errors import DataError

Verdict = Literal["canonical", "modified", "missing", "broken"]


@dataclass(frozen=True)
class FileReport:
    """One file: bytes and md5 are None where it is not there."""

    path: str
    bytes: int | None
    md5: str | None
    expected_md5: str | None

    @property
    def present(self) -> bool:
        """Whether the file could be read."""
        return self.md5 is not None

    @property
    def right(self) -> bool:
        """Whether the file is there and has the md5 expected, if one is."""
        return self.present and self.expected_md5 in (None, self.md5)


@dataclass(frozen=True)
class SplitReport:
    """One split as read. histogram: images of each class; labels_sha256: of the labels as uint8 bytes."""

    name: str
    images: int
    image_shape: tuple[int, ...]
    histogram: tuple[int, ...]
    labels_sha256: str


@dataclass(frozen=True)
class VerifyReport:
    """The verdict and what it rests on. message: what differs or is wrong, '' for a canonical copy.

    splits and fingerprint are empty where nothing could be read, and for label files.
    """

    name: str
    data_dir: str
    verdict: Verdict
    message: str
    files: tuple[FileReport, ...]
    splits: tuple[SplitReport, ...] = ()
    fingerprint: str = ""

    @property
    def usable(self) -> bool:
        """Whether jobs can run on it."""
        return self.verdict in ("canonical", "modified")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dataclasses.asdict(self)


def verify(
    name: str, data_dir: str | Path | None = None, *, deep: bool = False, allow_missing: bool = False
) -> VerifyReport:
    """Hash and read everything of a data set or label file anew.

    Of data sets in image files the lists are read and the files' sizes; deep: the files too. allow_missing: from now on
    the data set may be used without images that are missing. Raises UnknownName only, and DataError for a wrong
    description of a data set.
    """
    folder = default_data_dir() if data_dir is None else Path(data_dir)
    info = entry(name, folder)
    checksums = Checksums(folder, reuse=False)
    if allow_missing:
        checksums.allow_missing(name)
    if isinstance(info, DatasetInfo):
        report = _verify_dataset(info, folder, checksums, deep)
    else:
        report = _verify_file(info.key, info.file, folder, checksums)
    checksums.save()
    return report


def _verify_dataset(info: DatasetInfo, folder: Path, checksums: Checksums, deep: bool) -> VerifyReport:
    files = tuple(_file(file, folder, checksums) for file in info.files)
    try:
        dataset: Dataset = import_module(info.reader).read(info, folder, checksums)
        for images in (dataset.train_images, dataset.valid_images, dataset.test_images):
            if deep and isinstance(images, ImageFiles):
                images.require_readable()
    except DataError as error:
        there = any(file.present for file in files) or (bool(info.layouts) and info.available(folder))
        verdict: Verdict = "broken" if there else "missing"
        return VerifyReport(info.key, str(folder), verdict, str(error), files)
    return VerifyReport(
        name=info.key,
        data_dir=str(folder),
        verdict="canonical" if dataset.canonical else "modified",
        message=dataset.note,
        files=files,
        splits=(
            _split("train", dataset.train_images.shape, dataset.train_labels, dataset.num_classes),
            *_validation(dataset),
            _split("test", dataset.test_images.shape, dataset.test_labels, dataset.num_classes),
        ),
        fingerprint=dataset.fingerprint,
    )


def _validation(dataset: Dataset) -> list[SplitReport]:
    if dataset.valid_images is None or dataset.valid_labels is None:
        return []
    return [_split("validation", dataset.valid_images.shape, dataset.valid_labels, dataset.num_classes)]


def _verify_file(key: str, file: DataFile, folder: Path, checksums: Checksums) -> VerifyReport:
    report = _file(file, folder, checksums)
    if report.right:
        return VerifyReport(key, str(folder), "canonical", "", (report,))
    if report.md5 is None or report.bytes is None:
        message = f"{key}: no {file.path} under {folder}.\nRun: lnlbench data download {key} --to {folder}"
        return VerifyReport(key, str(folder), "missing", message, (report,))
    message = wrong_md5(file.name, file, report.md5, report.bytes) + "\nDelete it and download again."
    return VerifyReport(key, str(folder), "broken", message, (report,))


def _file(file: DataFile, folder: Path, checksums: Checksums) -> FileReport:
    path = folder / file.path
    try:
        return FileReport(file.path, path.stat().st_size, checksums.md5(path), file.md5)
    except OSError:
        return FileReport(file.path, None, None, file.md5)


def _split(name: str, shape: tuple[int, ...], labels: Int64, classes: int) -> SplitReport:
    histogram = tuple(int(n) for n in np.bincount(labels, minlength=classes))
    return SplitReport(name, len(labels), shape[1:], histogram, labels_sha256(labels))
