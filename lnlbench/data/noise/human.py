"""Human labels: the files of CIFAR-10N and CIFAR-100N, read without running anything that is pickled in them.

The labels are not ours to distribute: they are read from the user's data folder, and need no torch.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lnlbench.data.batch_pickle import load_batch
from lnlbench.data.noise.catalogue import NoiseWarning
from lnlbench.errors import DataError, InvalidSetting

Int64 = NDArray[np.int64]

MAX_BYTES = 64 * 2**20
"""Of the pickle in a label file; the released ones have 2.4 MB at most."""

_AGAIN = "Delete it and download the released file again."


class HumanFile(NamedTuple):
    """A released file: its name, sha256, and our name of each of its arrays."""

    name: str
    sha256: str
    keys: dict[str, str]
    variants: tuple[str, ...]


HUMAN_FILES = {
    "cifar10": HumanFile(
        "CIFAR-10_human.pt",
        "873e69c39cb9b5e97fb6bae2d60bb59b38a5cbc31d2b868f7903dcb2b9dd2310",
        {
            "clean": "clean_label",
            "aggre": "aggre_label",
            "worst": "worse_label",
            "random1": "random_label1",
            "random2": "random_label2",
            "random3": "random_label3",
        },
        ("aggre", "worst", "random1", "random2", "random3"),
    ),
    "cifar100": HumanFile(
        "CIFAR-100_human.pt",
        "bd2d80409754d420292d622e15e25248ba21e37d27429efac49c8da723f44394",
        {
            "clean": "clean_label",
            "fine": "noisy_label",
            "clean_coarse": "clean_coarse_label",
            "coarse": "noisy_coarse_label",
        },
        ("fine",),
    ),
}

HUMAN_SHARES = {
    "aggre": 4_505 / 50_000,
    "random1": 8_617 / 50_000,
    "random2": 9_061 / 50_000,
    "random3": 8_820 / 50_000,
    "worst": 20_104 / 50_000,
    "fine": 20_100 / 50_000,
}
"""Measured share of wrong labels in the released files."""


def check_variant(variant: str | None, dataset: str) -> None:
    """InvalidSetting unless `variant` is a variant of the data set's human labels."""
    if dataset not in HUMAN_FILES:
        raise InvalidSetting(
            f"noise 'human' exists for {' and '.join(HUMAN_FILES)}, not for {dataset!r}.",
            "On other data sets: symmetric, instance, or file with labels of your own.",
        )
    allowed = HUMAN_FILES[dataset].variants
    if variant not in allowed:
        raise InvalidSetting(
            f"noise 'human' on {dataset} has no variant {variant!r}.", f"Choose variant: {', '.join(allowed)}."
        )


def human_labels(variant: str, dataset: str, clean_labels: Int64, data_dir: Path | None) -> Int64:
    """The given labels (N,) int64 of a variant, after checking that the file is in the data set's order.

    Raises DataError if the file is missing in `data_dir`, damaged, or its clean labels are not `clean_labels`.
    """
    name = HUMAN_FILES[dataset].name
    if data_dir is None:
        raise DataError(f"noise 'human' reads {name} from the data folder, and no data folder is set.")
    path = Path(data_dir) / name
    arrays = read_human_labels(path)
    clean = arrays["clean"]
    if len(clean) != len(clean_labels):
        raise DataError(
            f"{name} has {len(clean):,} labels, {dataset} has {len(clean_labels):,}.",
            "Human labels belong to the whole training set: corrupt it first, take a subset afterwards.",
        )
    differing = int((clean != clean_labels).sum())
    if differing:
        raise DataError(
            f"{name}: its clean labels differ from {dataset}'s at {differing:,} of {len(clean):,} places.",
            "The labels do not seem to be in this data set's order; only the Python archives' order fits the file.",
        )
    return arrays[variant]


def read_human_labels(path: Path) -> dict[str, Int64]:
    """The arrays of CIFAR-10_human.pt or CIFAR-100_human.pt, each (50000,) int64, by our names.

    CIFAR-10: clean, aggre, worst, random1, random2, random3; CIFAR-100: clean, fine, clean_coarse, coarse.
    Raises DataError for a missing file, the TensorFlow-order .npy, a pickle with anything but arrays in it,
    and missing keys. A file whose sha256 is not the released one is read with a NoiseWarning.
    """
    path = Path(path)
    refuse_tensorflow_order(path)
    if not path.is_file():
        raise DataError(
            f"no human labels at {path}.",
            f"Put {path.name} of the CIFAR-N release (UCSC-REAL/cifar-10-100n, CC BY-NC 4.0) there.",
        )
    content = _safe_load(path)
    released = next((f for f in HUMAN_FILES.values() if set(f.keys.values()) <= set(content)), None)
    if released is None:
        raise DataError(
            f"{path.name}: holds {', '.join(map(repr, content)) or 'nothing'}, "
            "which are not the arrays of CIFAR-10_human.pt or CIFAR-100_human.pt."
        )
    _compare_checksum(path, released)
    return {ours: _labels(content[theirs], path.name, theirs) for ours, theirs in released.keys.items()}


def refuse_tensorflow_order(path: Path) -> None:
    """DataError for CIFAR-N's `*_human_ordered.npy`: another image order, and a pickle."""
    if path.name.endswith("_human_ordered.npy"):
        fitting = path.name.replace("_ordered.npy", ".pt")
        raise DataError(f"{path.name} is in TensorFlow's image order; use {fitting}.")


def _safe_load(path: Path) -> dict[str, Any]:
    """The dict in a torch zip file, its arrays rebuilt by our own pickle reader.

    Not torch.load: to load these files its weights_only mode must be told to allow numpy.ndarray, and with that
    a crafted file makes an object array over bytes, which reads arbitrary memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = next((m for m in archive.infolist() if m.filename.endswith("/data.pkl")), None)
            if member is None or member.file_size > MAX_BYTES:
                raise DataError(f"{path.name}: not a file of labels as torch writes it.", _AGAIN)
            content = archive.read(member)
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: cannot be read: {error}.", _AGAIN) from error
    try:
        return load_batch(path.name, content)
    except DataError as error:
        raise DataError(error.message, _AGAIN) from error


def _compare_checksum(path: Path, released: HumanFile) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != released.sha256:
        warnings.warn(
            f"{path.name} is not the released {released.name}: its sha256 is {found}, expected {released.sha256}. "
            "It is used as it is.",
            NoiseWarning,
            stacklevel=3,
        )


def _labels(values: object, file_name: str, key: str) -> Int64:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(f"{file_name}: {key!r} is {array.dtype} of shape {array.shape}, expected a list of integers.")
    return array.astype(np.int64)
