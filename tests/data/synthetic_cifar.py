"""Small copies of CIFAR in the standard layout, for the tests of readers, downloads and verification.

The catalogue's checksums and the canonical labels are replaced by those of the small copy.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnlbench.data import catalogue, cifar

SIZE = 30


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def images(seed: int, count: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def labels(seed: int, classes: int, count: int = SIZE) -> list[int]:
    return np.random.default_rng(100 + seed).integers(0, classes, count).tolist()


def python2_batch(data: np.ndarray, numbers: list[int], key: bytes = b"labels") -> bytes:
    """A batch as Python 2 and old numpy pickled it, opcode by opcode: the form of the real archives."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNNJ" + b"\xff" * 4
    dtype += b"J" + b"\xff" * 4 + b"K\x00tb"
    shape = b"M" + struct.pack("<H", data.shape[0]) + b"M" + struct.pack("<H", data.shape[1]) + b"\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R(K\x01"
    array += shape + dtype + b"\x89T" + struct.pack("<i", data.size) + data.tobytes() + b"tb"
    listed = b"](" + b"".join(b"K" + bytes([n]) for n in numbers) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(key) + listed + b"u."


def cifar10_members() -> dict[str, bytes]:
    members = {f"data_batch_{k}": python2_batch(images(k), labels(k, 10)) for k in range(1, 6)}
    members["test_batch"] = python2_batch(images(6), labels(6, 10))
    members["batches.meta"] = pickle.dumps({"label_names": list(cifar.LAYOUTS["cifar10"].classes or ())}, protocol=2)
    return members


def cifar100_members() -> dict[str, bytes]:
    coarse = cifar.LAYOUTS["cifar100"].coarse or ()
    members = {}
    for k, name in ((1, "train"), (2, "test")):
        fine = labels(k, 100)
        batch = {b"data": images(k), b"fine_labels": fine, b"coarse_labels": [coarse[c] for c in fine]}
        members[name] = pickle.dumps(batch, protocol=2)
    members["meta"] = pickle.dumps({"fine_label_names": [f"class {c:02d}" for c in range(100)]}, protocol=2)
    return members


def packed(folder: str, members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            item = tarfile.TarInfo(f"{folder}/{name}")
            item.size = len(content)
            tar.addfile(item, io.BytesIO(content))
    return buffer.getvalue()


def write(data_dir: Path, key: str, members: dict[str, bytes]) -> Path:
    folder = (data_dir / catalogue.DATASETS[key].members[0].path).parent
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in members.items():
        (folder / name).write_bytes(content)
    return folder


def declare_canonical(monkeypatch: pytest.MonkeyPatch, key: str, members: dict[str, bytes]) -> bytes:
    """Make this small copy the canonical release of `key`; returns its archive."""
    info, layout = catalogue.DATASETS[key], cifar.LAYOUTS[key]
    folder = Path(info.members[0].path).parent
    archive = packed(str(folder), members)
    monkeypatch.setitem(
        catalogue.DATASETS,
        key,
        dataclasses.replace(
            info,
            members=tuple(dataclasses.replace(m, md5=md5(members[m.name])) for m in info.members),
            archive=dataclasses.replace(info.archive, md5=md5(archive), bytes=len(archive)),
            unpacked_bytes=sum(map(len, members.values())),
        ),
    )

    def batch(known: cifar.Batch) -> cifar.Batch:
        values: dict[Any, Any] = pickle.loads(members[known.file], encoding="bytes")
        numbers = np.array({str(k, "ascii"): v for k, v in values.items()}[layout.label_key], dtype=np.uint8)
        counts = tuple(int(n) for n in np.bincount(numbers, minlength=info.classes))
        return cifar.Batch(known.file, counts, known.sha256 and hashlib.sha256(numbers.tobytes()).hexdigest())

    small = dataclasses.replace(layout, train=tuple(map(batch, layout.train)), test=batch(layout.test))
    monkeypatch.setitem(cifar.LAYOUTS, key, small)
    return archive
