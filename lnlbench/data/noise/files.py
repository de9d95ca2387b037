"""Noisy labels in files, as people share them: JSON lists, SSR's JSON dict, .npy, CSV, CIFAR-N's .pt.

Reading checks length, type, range and image order, because a file in another order trains without complaint and
ruins the result. Writing adds a `.meta.json` with how the labels came about. Nothing is unpickled.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lnlbench.data.noise.human import HUMAN_FILES, read_human_labels, refuse_tensorflow_order
from lnlbench.data.noise.measure import NoiseReport, checked_labels, measure
from lnlbench.errors import DataError
from lnlbench.job import Noise

Int64 = NDArray[np.int64]

PLC_LENGTH = 45_000
RRL_LENGTH = 70_000
FORMATS = ".json (a list, or SSR's dict), .npy (integers), .csv (index,label), .pt (CIFAR-N)"


def import_labels(
    path: Path | str, clean_labels: ArrayLike, num_classes: int, *, dataset: str, variant: str | None = None
) -> tuple[Int64, NoiseReport]:
    """Noisy labels (N,) int64 from a file in the data set's order, and what was measured on them.

    clean_labels: (N,) true labels; variant: which labels of a CIFAR-N .pt file.
    Raises DataError for a format, length, value or order that does not fit.
    """
    path = Path(path).expanduser()
    clean = checked_labels(clean_labels, num_classes, "clean labels")
    labels = checked_labels(read_labels(path, variant), num_classes, path.name)
    _check_length(path.name, len(labels), len(clean), dataset)
    report = measure(clean, labels, num_classes)
    _check_order(path.name, report, np.bincount(clean, minlength=num_classes), dataset)
    return labels, report


def export_labels(
    path: Path | str,
    noisy_labels: ArrayLike,
    clean_labels: ArrayLike,
    num_classes: int,
    *,
    noise: Noise,
    seed: int,
    dataset: str,
    fingerprint: str,
) -> Path:
    """Write labels as .json (a list in data set order, the common currency), .npy or .csv, by the name's ending.

    Beside it goes `<name>.meta.json`: noise, seed, data set and its fingerprint, share, measured matrix and sha256.
    fingerprint: of the data set. Returns the path of the meta file. Both files appear whole or not at all.
    """
    path = Path(path).expanduser()
    labels = checked_labels(noisy_labels, num_classes, "noisy labels")
    report = measure(clean_labels, labels, num_classes)
    settings = noise.to_dict()
    meta = {
        "noise": settings.pop("name"),
        "rate": settings.pop("rate"),
        "seed": seed,
        "sampling": settings.pop("sampling"),
        "parameters": {k: v for k, v in settings.items() if k in noise.canonical() and k != "seed"},
        "dataset": dataset,
        "fingerprint": fingerprint,
        "num_classes": num_classes,
        **report.to_dict(),
    }
    _write(path, _encoded(path, labels))
    meta_path = path.with_name(path.stem + ".meta.json")
    _write(meta_path, json.dumps(meta, indent=1, allow_nan=False).encode())
    return meta_path


def read_labels(path: Path, variant: str | None = None) -> np.ndarray:
    """The labels in a file as an integer array (n,), length and range unchecked. DataError if it holds none."""
    refuse_tensorflow_order(path)
    if not path.is_file():
        raise DataError(f"no noisy labels at {path}.", f"Readable: {FORMATS}.")
    ending = path.suffix.lower()
    if ending == ".json":
        return _from_json(path)
    if ending == ".npy":
        return _from_npy(path)
    if ending == ".csv":
        return _from_csv(path)
    if ending == ".pt":
        return _from_pt(path, variant)
    raise DataError(f"{path.name}: no way to read labels from {ending or 'a file without an ending'!r}.", FORMATS)


def _from_json(path: Path) -> np.ndarray:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path.name}: not valid JSON: {error}") from error
    if isinstance(content, dict) and "noise_labels" in content:
        if content.get("open_noise"):
            raise DataError(
                f"{path.name}: replaces {len(content['open_noise']):,} images by images of no class "
                "(SSR's open-set noise), which lnlbench does not do.",
                "Its closed-set files, with an empty open_noise, can be read.",
            )
        content = content["noise_labels"]
    if not isinstance(content, list):
        raise DataError(f"{path.name}: expected a list of labels, or SSR's dict with 'noise_labels'.")
    for index, value in enumerate(content):
        if type(value) is not int:
            raise DataError(f"{path.name}: entry {index:,} is {value!r}, labels are whole numbers.")
    return _integers(content, path.name)


def _from_npy(path: Path) -> np.ndarray:
    try:
        # Not np.load: it takes what begins like a zip archive for one.
        with path.open("rb") as handle:
            return np.asarray(np.lib.format.read_array(handle, allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise DataError(
            f"{path.name}: not a plain array of labels: {error}", "Pickled content is never loaded."
        ) from error


def _from_csv(path: Path) -> np.ndarray:
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows = list(csv.reader(handle))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name}: not a text file with index,label: {error}.") from error
    if not rows or [name.strip() for name in rows[0]] != ["index", "label"]:
        raise DataError(
            f"{path.name}: the first line is {','.join(rows[0]) if rows else ''!r}, expected index,label.",
            "Lists of path,label belong to the data set 'folder'.",
        )
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != 2:
            raise DataError(f"{path.name}: line {line:,} has {len(row)} fields, expected index,label.")
    index, labels = (_integers([row[column] for row in rows[1:]], path.name) for column in (0, 1))
    if not np.array_equal(np.sort(index), np.arange(len(index))):
        raise DataError(f"{path.name}: index must name each of 0..{len(index) - 1:,} once.")
    return labels[np.argsort(index)]


def _from_pt(path: Path, variant: str | None) -> np.ndarray:
    arrays = read_human_labels(path)
    if variant not in arrays:
        variants = [v for released in HUMAN_FILES.values() for v in released.variants if v in arrays]
        raise DataError(
            f"{path.name}: holds several labels, no variant {variant!r}.",
            f"Use noise name: human with variant: {', '.join(variants)}.",
        )
    return arrays[variant]


def _integers(values: list[Any], name: str) -> Int64:
    try:
        return np.array(values, dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{name}: labels are whole numbers: {error}") from error


def _check_length(name: str, found: int, expected: int, dataset: str) -> None:
    if found == expected:
        return
    message = f"{name} has {found:,} labels, {dataset} has {expected:,}."
    if found == PLC_LENGTH:
        raise DataError(
            message,
            "PLC's files cover the first 45,000 training images (the last 5,000 are its clean validation set): "
            "use the file with the first 45,000 images only.",
        )
    if found == RRL_LENGTH:
        raise DataError(
            message,
            "RRL's open-set files append the labels of 20,000 foreign images, which lnlbench does not add: "
            "keep the first 50,000 entries to use its labels of the data set itself.",
        )
    raise DataError(message, "One label for each training image, in the data set's order.")


def _check_order(name: str, report: NoiseReport, class_counts: Int64, dataset: str) -> None:
    """A file in another image order agrees with the true labels only as often as chance has it."""
    size = report.num_samples
    chance = float(class_counts @ report.given_counts) / size**2
    spread = math.sqrt(chance * (1 - chance) / size)
    agreement = 1 - report.share
    if abs(agreement - chance) <= 3 * spread:
        raise DataError(
            f"{name}: agrees with {dataset}'s labels on {agreement:.4f} of the samples, as chance would "
            f"({chance:.4f}). The labels do not seem to be in this data set's order.",
            "Labels must follow the training order of the Python archives (data_batch_1 to 5).",
        )


def _encoded(path: Path, labels: Int64) -> bytes:
    ending = path.suffix.lower()
    if ending == ".json":
        return json.dumps(labels.tolist()).encode()
    if ending == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, labels, allow_pickle=False)
        return buffer.getvalue()
    if ending == ".csv":
        lines = [f"{index},{label}\n" for index, label in enumerate(labels.tolist())]
        return "".join(["index,label\n", *lines]).encode()
    raise DataError(f"{path.name}: labels are written as .json, .npy or .csv.")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_bytes(content)
    partial.replace(path)
