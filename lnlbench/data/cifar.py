"""CIFAR-10 and CIFAR-100 from the standard Python archives, unpacked or not, as arrays in archive order.

Two levels of trust: right md5s make a copy canonical; wrong ones with the canonical labels make it usable
but marked (a JPEG rebuild, for example); wrong labels are an error. Downloading is `download.py`'s.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlbench.data.batch_pickle import load_batch
from lnlbench.data.catalogue import DataFile, DatasetInfo
from lnlbench.data.checksums import Checksums, labels_sha256, require_md5
from lnlbench.data.dataset import Dataset, Int64, UInt8, fingerprint
from lnlbench.errors import DataError

_SIDE = 32
_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# CIFAR-100: superclass of each fine class, in the order of the fine ids.
_COARSE = (
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7,
    6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10,
    16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16,
    12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
)  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """What the labels of one batch file must be: how many of each class, and their sha256 where known."""

    file: str
    class_counts: tuple[int, ...]
    sha256: str | None = None

    @property
    def size(self) -> int:
        """Number of images."""
        return sum(self.class_counts)


@dataclass(frozen=True)
class Layout:
    """How a release lies in its batch files. train: batches in order; meta: the file with the class names.

    classes: the names where they are known beforehand; coarse: superclass of each class.
    """

    train: tuple[Batch, ...]
    test: Batch
    meta: str
    label_key: str
    names_key: str
    classes: tuple[str, ...] | None = None
    coarse_key: str | None = None
    coarse: tuple[int, ...] | None = None

    @property
    def batches(self) -> tuple[Batch, ...]:
        """Training batches, then the test batch."""
        return (*self.train, self.test)


LAYOUTS: dict[str, Layout] = {
    "cifar10": Layout(
        train=(
            Batch(
                "data_batch_1",
                (1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981),
                "d829dbdf32167c9d7b3687cee66d92d80d46c441308b5aca0d11e8b69e27dac9",
            ),
            Batch(
                "data_batch_2",
                (984, 1007, 1010, 995, 1010, 988, 1008, 1026, 987, 985),
                "5d18f7371ed35ea9ade77952fe958b0660a45cd6c8b8a8970030f21612cfd7e3",
            ),
            Batch(
                "data_batch_3",
                (994, 1042, 965, 997, 990, 1029, 978, 1015, 961, 1029),
                "32cf77b0ee2e790b1c4384d2d82e42dc1571b87e67f6da8f444b2725b2973f65",
            ),
            Batch(
                "data_batch_4",
                (1003, 963, 1041, 976, 1004, 1021, 1004, 981, 1024, 983),
                "d2815e3f8f656272864920fc0edde56b04ec9cf81bf397c0dd3069f4aea51aeb",
            ),
            Batch(
                "data_batch_5",
                (1014, 1014, 952, 1016, 997, 1025, 980, 977, 1003, 1022),
                "2ddf3ab27d5d04409c94ce7b56849c243129c10de1058ae0bfe14c77e934800c",
            ),
        ),
        test=Batch("test_batch", (1000,) * 10, "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5"),
        meta="batches.meta",
        label_key="labels",
        names_key="label_names",
        classes=_CIFAR10_CLASSES,
    ),
    "cifar100": Layout(
        train=(Batch("train", (500,) * 100, "9f11b9f97aad759ba6df0a33e3218b01d8deaf4ed3a14aa1185d69b9ad7ebcb3"),),
        test=Batch("test", (100,) * 100),
        meta="meta",
        label_key="fine_labels",
        names_key="fine_label_names",
        coarse_key="coarse_labels",
        coarse=_COARSE,
    ),
}


@dataclass(frozen=True)
class _Read:
    """One batch file as read."""

    images: UInt8
    labels: Int64
    md5: str


def read(info: DatasetInfo, data_dir: Path, checksums: Checksums) -> Dataset:
    """The data set under `data_dir`: (50000, 3, 32, 32) and (10000, 3, 32, 32) uint8, labels int64.

    An unpacked folder is preferred to the archive. Raises DataError for files that are missing, damaged,
    unsafe, or whose labels are not the canonical ones.
    """
    layout = LAYOUTS[info.key]
    contents, canonical_archive = _contents(info, data_dir, checksums)
    names = _class_names(info, layout, contents.pop(layout.meta)[0])
    parts = {batch.file: _parse(info, layout, batch, *contents.pop(batch.file)) for batch in layout.batches}
    _check_labels(info, layout, parts)
    altered = [] if canonical_archive else _altered(info, layout, parts)
    train_images, train_labels = _join(layout.train, parts)
    test_images, test_labels = _join((layout.test,), parts)
    value = checksums.fingerprint(
        info.key,
        [parts[batch.file].md5 for batch in layout.batches],
        lambda: fingerprint(info.key, (train_images, train_labels), (test_images, test_labels)),
    )
    return Dataset(
        name=info.key,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=names,
        fingerprint=value,
        canonical=not altered,
        note=_note(info, altered),
        coarse=np.array(layout.coarse, dtype=np.int64) if layout.coarse else None,
    )


def _contents(info: DatasetInfo, data_dir: Path, checksums: Checksums) -> tuple[dict[str, tuple[bytes, str]], bool]:
    """Content and md5 of every member by its name, and whether they come from the canonical archive."""
    if info.unpacked(data_dir):
        return {member.name: _content(data_dir / member.path, checksums) for member in info.members}, False
    if info.archive is not None and info.packed(data_dir):
        return _members(info, data_dir / info.archive.path, info.archive, checksums), True
    raise info.absence(data_dir)


def _content(path: Path, checksums: Checksums) -> tuple[bytes, str]:
    try:
        return checksums.read(path)
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read from {path.parent}: {error.strerror or error}.") from error


def _members(info: DatasetInfo, path: Path, archive: DataFile, checksums: Checksums) -> dict[str, tuple[bytes, str]]:
    require_md5(path, archive, checksums)
    wanted = {member.path: member for member in info.members}
    found: dict[str, tuple[bytes, str]] = {}
    try:
        with tarfile.open(path, "r|gz") as tar:
            for entry in tar:
                member = wanted.get(entry.name)
                stream = tar.extractfile(entry) if member is not None and entry.isreg() else None
                if member is not None and stream is not None:
                    # The archive's md5 vouches for its members, whose own md5s are thus the expected ones.
                    found[member.name] = stream.read(), member.md5 or ""
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: cannot be unpacked: {error}.", "Delete it and download again.") from error
    missing = [member.name for member in info.members if member.name not in found]
    if missing:
        raise DataError(f"{path.name}: lacks {', '.join(missing)}.", "Delete it and download again.")
    return found


def _class_names(info: DatasetInfo, layout: Layout, content: bytes) -> tuple[str, ...]:
    values = load_batch(layout.meta, content).get(layout.names_key)
    names = tuple(_text(value) for value in values) if isinstance(values, list) else ()
    right = names == layout.classes if layout.classes else names == tuple(sorted(set(names)))
    if len(names) != info.classes or not right:
        raise DataError(
            f"{layout.meta}: the class names are not those of {info.key}: found {', '.join(names[:10]) or 'none'}.",
            "Extract the archive again.",
        )
    return names


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _parse(info: DatasetInfo, layout: Layout, batch: Batch, content: bytes, md5: str) -> _Read:
    values = load_batch(batch.file, content)
    images, labels = values.get("data"), _integers(values.get(layout.label_key))
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (3 * _SIDE * _SIDE,):
        raise DataError(f"{batch.file}: 'data' is not rows of 3,072 bytes.", "Extract the archive again.")
    if labels is None:
        raise DataError(f"{batch.file}: {layout.label_key!r} is not a list of numbers.", "Extract the archive again.")
    if len(images) != batch.size or len(labels) != batch.size:
        raise DataError(
            f"{batch.file}: {len(images):,} images and {len(labels):,} labels, expected {batch.size:,} of each.",
            "Extract the archive again.",
        )
    if labels.min() < 0 or labels.max() >= info.classes:
        raise DataError(
            f"{batch.file}: labels from {labels.min()} to {labels.max()}, expected 0 to {info.classes - 1}.",
            "Extract the archive again.",
        )
    if layout.coarse and layout.coarse_key:
        coarse = _integers(values.get(layout.coarse_key))
        if coarse is None or not np.array_equal(coarse, np.array(layout.coarse)[labels]):
            raise DataError(
                f"{info.key}: coarse labels in {batch.file} do not belong to its fine labels.",
                "One of the two was edited in place: extract the archive again.",
            )
    return _Read(images.reshape(-1, 3, _SIDE, _SIDE), labels, md5)


def _join(batches: Sequence[Batch], parts: dict[str, _Read]) -> tuple[UInt8, Int64]:
    """Images and labels of the batches, in order, as arrays of their own (a batch's are views of its file)."""
    images = np.concatenate([parts[batch.file].images for batch in batches])
    return images, np.concatenate([parts[batch.file].labels for batch in batches])


def _integers(values: Any) -> Int64 | None:
    array: NDArray[Any] | None = None
    if isinstance(values, np.ndarray):
        array = values
    elif isinstance(values, list) and all(type(value) is int for value in values):
        array = np.array(values, dtype=np.int64)
    if array is None or array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        return None
    return array.astype(np.int64)


def _check_labels(info: DatasetInfo, layout: Layout, parts: dict[str, _Read]) -> None:
    for split, batches in (("training", layout.train), ("test", (layout.test,))):
        wrong = [batch for batch in batches if not _right(batch, parts[batch.file].labels)]
        if wrong:
            raise DataError(_difference(info, split, batches, wrong, parts), _advice(layout, wrong, parts))


def _right(batch: Batch, labels: Int64) -> bool:
    counted = np.array_equal(np.bincount(labels, minlength=len(batch.class_counts)), batch.class_counts)
    return counted and (batch.sha256 is None or labels_sha256(labels) == batch.sha256)


def _difference(
    info: DatasetInfo, split: str, batches: Sequence[Batch], wrong: Sequence[Batch], parts: dict[str, _Read]
) -> str:
    # Only hashes and counts of the canonical labels are shipped, so the number that differ is a lower bound.
    surplus = [np.bincount(parts[b.file].labels, minlength=info.classes) - b.class_counts for b in wrong]
    least = max(1, sum(int(s[s > 0].sum()) for s in surplus))
    total = sum(batch.size for batch in batches)
    where = ", ".join(batch.file for batch in wrong)
    return (
        f"{info.key}: {split} labels are not the canonical ones (at least {least:,} of {total:,} differ, in {where})."
    )


def _advice(layout: Layout, wrong: Sequence[Batch], parts: dict[str, _Read]) -> str:
    names = {batch.sha256: batch.file for batch in layout.batches if batch.sha256}
    held = {batch.file: names.get(labels_sha256(parts[batch.file].labels)) for batch in wrong}
    if all(held.values()):
        mixed = ", ".join(f"{file} holds {other}" for file, other in held.items())
        return f"The files were swapped ({mixed}): extract the archive again."
    return "Some tools, e.g. PENCIL's noise scripts, edit the batches in place: extract the archive again."


def _altered(info: DatasetInfo, layout: Layout, parts: dict[str, _Read]) -> list[str]:
    expected = {member.name: member.md5 for member in info.members}
    return [batch.file for batch in layout.batches if parts[batch.file].md5 != expected[batch.file]]


def _note(info: DatasetInfo, altered: Sequence[str]) -> str:
    if not altered:
        return ""
    verb = "differs" if len(altered) == 1 else "differ"
    return (
        f"{info.key}: not the canonical archive ({', '.join(altered)} {verb}). Labels are canonical. "
        f"Results will be marked '{info.key} (modified)'."
    )
