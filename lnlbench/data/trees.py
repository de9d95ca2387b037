"""What the readers of image folders share: which image has which label, whether the images are there, who they are.

The list of images decides the order of the samples; no pixel is read here. Layouts are the readers' business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lnlbench.data.checksums import Checksums
from lnlbench.data.dataset import Dataset, Int64
from lnlbench.data.files import ImageFiles, files_fingerprint, sizes
from lnlbench.data.info import DatasetInfo
from lnlbench.data.listing import list_images
from lnlbench.errors import DataError

_NAMED = 5
DEFAULT_SIDE = 256
"""Where neither the recipe nor the data set says one."""


@dataclass(frozen=True, eq=False)
class Listed:
    """One split as a list: paths relative to the data set's folder, a label each, true labels where known."""

    paths: Sequence[str]
    labels: Int64
    true: Int64 | None = None

    def keep(self, there: np.ndarray) -> Listed:
        """Those of which `there` (N,) bool says so."""
        paths = [path for path, kept in zip(self.paths, there, strict=True) if kept]
        return Listed(paths, self.labels[there], None if self.true is None else self.true[there])

    def digest(self) -> str:
        """sha256 of paths and labels."""
        text = hashlib.sha256("\0".join(self.paths).encode("utf-8", "surrogateescape"))
        text.update(self.labels.tobytes())
        text.update(b"" if self.true is None else self.true.tobytes())
        return text.hexdigest()


def dataset_of(
    info: DatasetInfo,
    root: Path,
    checksums: Checksums,
    *,
    train: Listed,
    test: Listed,
    class_names: Sequence[str],
    valid: Listed | None = None,
    note: str = "",
    incomplete: str = "",
    trusted: bool = True,
) -> Dataset:
    """The data set of these lists under `root`.

    Sizes of all files are asked for once, and again when the lists change or by `lnlbench data verify`. note: what a
    reader found that does no harm. incomplete: what it found missing and was allowed to go on without. trusted: false
    where nobody has said what the content should be. Raises DataError for images that are not there, unless somebody
    allowed that.
    """
    splits = {"training": train, "test": test} | ({} if valid is None else {"validation": valid})
    if checksums.allows_missing(info.key):
        there = {name: sizes(_files(info, root, split)) >= 0 for name, split in splits.items()}
        lost = sum(int((~kept).sum()) for kept in there.values())
        splits = {name: split.keep(there[name]) for name, split in splits.items()}
        incomplete = incomplete or (f"{lost:,} images are missing" if lost else "")
    for name, split in splits.items():
        if len(split.paths) == 0:
            raise DataError(f"{info.key}: no {name} images under {root}.", f"Needed: {info.needs}.")

    def compute() -> str:
        parts = []
        for split in splits.values():
            files = _files(info, root, split)
            in_bytes = sizes(files)
            _require(info, root, split, in_bytes >= 0)
            parts.append((files, in_bytes, split.labels if split.true is None else split.labels + (split.true << 32)))
        return files_fingerprint(f"{info.key} {info.side}", *parts)

    value = checksums.fingerprint(info.key, [split.digest() for split in splits.values()], compute)
    known = info.fingerprint in (None, value)
    remarks = [incomplete, note, "" if known else "the images are not those of the known release"]
    said = "; ".join(remark for remark in remarks if remark)
    train, test, valid = splits["training"], splits["test"], splits.get("validation")
    return Dataset(
        name=info.key,
        train_images=_files(info, root, train),
        train_labels=train.labels,
        test_images=_files(info, root, test),
        test_labels=test.labels,
        class_names=tuple(class_names),
        fingerprint=value,
        canonical=trusted and known and not incomplete,
        note=f"{info.key}: {said}." if said else "",
        noisy=info.labels != "true",
        verified_labels=train.true,
        valid_images=None if valid is None else _files(info, root, valid),
        valid_labels=None if valid is None else valid.labels,
    )


def by_class_folder(root: Path, split: str, classes: Sequence[str]) -> Listed:
    """The images of `split/CLASS/` for each class in turn, names sorted."""
    lists = [list_images(root, f"{split}/{name}") for name in classes]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(paths) for paths in lists])
    return Listed([path for paths in lists for path in paths], labels)


def inside(path: str) -> bool:
    """Whether a listed path stays in the folder that it is relative to."""
    return bool(path) and path[0] != "/" and "\0" not in path and ".." not in path.split("/")


def require_paths(where: str, paths: Sequence[str]) -> None:
    """Raises DataError for a list with a path twice, or one that leads out of the data set's folder."""
    out = next((path for path in paths if not inside(path)), None)
    if out is not None:
        raise DataError(f"{where}: {out!r} is not a path inside the data set's folder.")
    if len(set(paths)) < len(paths):
        seen: set[str] = set()
        twice = next(path for path in paths if path in seen or seen.add(path))  # type: ignore[func-returns-value]
        raise DataError(f"{where}: {twice} is listed twice.")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty. Raises DataError where it cannot be read as UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}.") from error
    return [line for line in (line.strip() for line in text.split("\n")) if line]


def _files(info: DatasetInfo, root: Path, split: Listed) -> ImageFiles:
    return ImageFiles.of(root, split.paths, info.side or DEFAULT_SIDE)


def _require(info: DatasetInfo, root: Path, split: Listed, there: np.ndarray) -> None:
    missing = [path for path, kept in zip(split.paths, there, strict=True) if not kept]
    if missing:
        shown = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        raise DataError(
            f"{info.key}: {len(missing):,} of {len(split.paths):,} listed images are not under {root}: {shown}.",
            f"Unpack the images again. To go on without them, marked in every report: "
            f"lnlbench data verify {info.key} --allow-missing",
        )
