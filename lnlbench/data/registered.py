"""Data sets of your own: a folder NAME with a `dataset.yaml` under the data folder makes NAME a data set.

Reads the description and the table of labels, not the images, and imports no numpy: `lnlbench list datasets`
and every command that takes a name looks here. The arrays are made by `folder.py`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from lnlbench.data.info import Channels, DatasetInfo
from lnlbench.errors import DataError, LnlbenchError
from lnlbench.settings import Settings, setting

DESCRIPTION = "dataset.yaml"
SPLITS = ("train", "val", "test")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_NONE: tuple[Channels, Channels] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_IMAGENET: tuple[Channels, Channels] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Description(Settings):
    """What `dataset.yaml` may say; everything has a default."""

    kind: ClassVar[str] = "dataset.yaml key"

    title: str | None = setting(None, "as it stands in tables; null is the folder's name")
    root: str = setting(".", "folder of the images, relative to dataset.yaml")
    labels: str | None = setting(
        None, "CSV with the columns path, label and, if known, true_label and split; null: train/CLASS/*, test/CLASS/*"
    )
    classes: tuple[str, ...] | None = setting(None, "names of the classes in order; null: sorted, or the numbers")
    image_size: int = setting(256, "side of the images where the recipe says none", low=8)
    mean: tuple[float, float, float] = setting(_IMAGENET[0], "mean of the channels, pixels in 0..1", low=0, high=1)
    std: tuple[float, float, float] = setting(_IMAGENET[1], "standard deviation of the channels", above=0)
    nominal_noise: float | None = setting(None, "share of wrong labels, where it is known", low=0, high=1)
    citation: str = setting("", "whom to cite")
    terms: str = setting("your own data", "terms of use")
    fingerprint: str | None = setting(None, "what `lnlbench data verify` printed; other content is then marked")


@dataclass(frozen=True)
class Line:
    """One line of the table: labels as they are written."""

    path: str
    label: str
    true_label: str | None
    split: str


@dataclass(frozen=True)
class Registered:
    """A described data set: its entry for the catalogue, its folder, its images in order; ids: class by label text."""

    info: DatasetInfo
    root: Path
    classes: tuple[str, ...]
    ids: dict[str, int]
    lines: tuple[Line, ...]


def registered_names(data_dir: Path) -> list[str]:
    """The described data sets under a data folder, whether or not their descriptions are right."""
    try:
        names = [path.parent.name for path in data_dir.glob(f"*/{DESCRIPTION}")]
    except OSError:
        return []
    return sorted(name for name in names if _NAME.fullmatch(name))


def registered(name: str, data_dir: Path) -> Registered | None:
    """The data set that `data_dir/name/dataset.yaml` describes, None without one. Raises DataError for a wrong one."""
    file = data_dir / name / DESCRIPTION
    if not _NAME.fullmatch(name) or not file.is_file():
        return None
    description, labels = _described(file)
    stamps = [file.stat().st_mtime_ns, labels.stat().st_mtime_ns if labels else 0]
    return _read(file, labels, description, tuple(stamps))


def _described(file: Path) -> tuple[Description, Path | None]:
    import yaml

    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        description = Description.from_dict({} if values is None else values)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LnlbenchError) as error:
        raise DataError(f"{file}: {error}") from error
    if description.labels is None:
        return description, None
    labels = file.parent / description.labels
    if not labels.is_file():
        raise DataError(f"{file}: there is no {labels}, which 'labels' names.")
    return description, labels


@lru_cache(maxsize=16)
def _read(file: Path, labels: Path | None, description: Description, stamps: Sequence[int]) -> Registered:
    # stamps: an edited file is read again.
    root = (file.parent / description.root).resolve()
    lines = tuple(_table(labels)) if labels else tuple(_folders(root))
    train = [line for line in lines if line.split == "train"]
    test = [line for line in lines if line.split == "test"]
    where = labels or root
    if not train or not test:
        lacking = "training" if not train else "test"
        hint = "A column 'split' says train, val or test." if labels else "Expected train/CLASS/* and test/CLASS/*."
        raise DataError(f"{where}: no {lacking} images.", hint)
    classes, ids = _classes(where, description.classes, lines)
    seen = {ids[line.label] for line in train}
    unseen = [name for c, name in enumerate(classes) if c not in seen]
    if unseen:
        raise DataError(f"{where}: no training image is labelled {', '.join(unseen[:5])}.")
    return Registered(_info(file, description, lines, classes, len(train), len(test)), root, classes, ids, lines)


def _info(
    file: Path, description: Description, lines: Sequence[Line], classes: Sequence[str], train: int, test: int
) -> DatasetInfo:
    name = file.parent.name
    known = all(line.true_label is not None for line in lines if line.split == "train")
    share = "" if description.nominal_noise is None else f", about {100 * description.nominal_noise:g}%"
    return DatasetInfo(
        key=name,
        title=description.title or name,
        classes=len(classes),
        train=train,
        test=test,
        image=f"files, read at {description.image_size}x{description.image_size}",
        noise=f"real{share}",
        citation=description.citation,
        terms=description.terms,
        needs=f"{name}/{DESCRIPTION} and what it names",
        reader="lnlbench.data.folder",
        normalisation={"dataset": (description.mean, description.std), "imagenet": _IMAGENET, "none": _NONE},
        layouts=((f"{name}/{DESCRIPTION}",),),
        side=description.image_size,
        labels="both" if known else "noisy",
        nominal_noise=description.nominal_noise,
        validation=sum(line.split == "val" for line in lines),
        fingerprint=description.fingerprint,
    )


def _table(path: Path) -> Iterator[Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in ("path", "label") if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path}: no column {' and '.join(missing)}.",
                    "The first line names the columns: path,label and, if known, true_label and split.",
                )
            for row in reader:
                yield _line(path, reader.line_num, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}.") from error


def _line(path: Path, number: int, row: Mapping[str | None, Any]) -> Line:
    if None in row or None in row.values():
        raise DataError(f"{path}, line {number}: not as many values as columns.", "Paths with a comma need quotes.")
    split = row.get("split") or "train"
    if split not in SPLITS:
        raise DataError(f"{path}, line {number}: split {split!r}, allowed: {', '.join(SPLITS)}.")
    if not row["path"] or not row["label"]:
        raise DataError(f"{path}, line {number}: path or label is empty.")
    return Line(row["path"], row["label"], row.get("true_label") or None, split)


def _folders(root: Path) -> Iterator[Line]:
    from lnlbench.data.listing import list_images

    for split in SPLITS:
        top = root / split
        folders = sorted(path.name for path in top.iterdir() if path.is_dir()) if top.is_dir() else []
        for name in folders:
            for image in list_images(root, f"{split}/{name}"):
                yield Line(image, name, None, split)


def _classes(
    where: Path, given: tuple[str, ...] | None, lines: Sequence[Line]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of the classes and the id of each label text: numbers are ids, names count as given or sorted."""
    used = {line.label for line in lines} | {line.true_label for line in lines if line.true_label is not None}
    if all(text.isascii() and text.isdecimal() for text in used):
        highest = max(int(text) for text in used)
        names = tuple(str(c) for c in range(highest + 1)) if given is None else given
        if highest >= len(names):
            raise DataError(f"{where}: label {highest}, and 'classes' names 0 to {len(names) - 1} only.")
        return names, {text: int(text) for text in used}
    names = tuple(sorted(used)) if given is None else given
    strange = sorted(used - set(names))
    if strange:
        raise DataError(f"{where}: label {strange[0]!r} is none of 'classes': {', '.join(names[:20])}.")
    return names, {name: c for c, name in enumerate(names)}
