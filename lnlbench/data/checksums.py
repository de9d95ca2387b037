"""Checksums of data files, remembered beside the data so that a thousand jobs hash 180 MB once, not each.

A remembered md5 holds while a file's size and modification time stand. `Checksums(..., reuse=False)`
computes all anew, for `lnlbench data verify`. Where the folder cannot be written nothing is remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlbench.data.catalogue import DataFile
from lnlbench.errors import DataError

MEMORY = ".lnlbench-verified.json"
"""Name of the file under the data folder."""

_FORMAT = 1
_PARTS = ("files", "fingerprints", "incomplete")


class Checksums:
    """md5 of files under `data_dir` and fingerprints of what was read from them. Call `save` at the end."""

    def __init__(self, data_dir: str | Path, *, reuse: bool = True) -> None:
        self.data_dir = Path(data_dir)
        remembered = _load(self.data_dir / MEMORY)
        # What a person allowed is no measurement: it holds also where everything is measured anew.
        self._known = remembered if reuse else {**_empty(), "incomplete": remembered["incomplete"]}
        self._changed = False

    def read(self, path: Path) -> tuple[bytes, str]:
        """Content and md5 of a file. Raises OSError."""
        # The stamp is taken first: a file that changes while it is read is hashed again next time.
        stamp = _stamp(path)
        content = path.read_bytes()
        known = self._remembered(path, stamp)
        return content, known or self._remember(path, stamp, hashlib.md5(content, usedforsecurity=False).hexdigest())

    def md5(self, path: Path) -> str:
        """md5 of a file. Raises OSError."""
        stamp = _stamp(path)
        known = self._remembered(path, stamp)
        return known or self._remember(path, stamp, md5_of(path))

    def fingerprint(self, name: str, md5s: Sequence[str], compute: Callable[[], str]) -> str:
        """The fingerprint of data set `name` read from files with these md5s; computed where not remembered."""
        known = self._known["fingerprints"].get(name)
        if isinstance(known, dict) and known.get("md5s") == list(md5s) and isinstance(known.get("value"), str):
            return str(known["value"])
        value = compute()
        self._known["fingerprints"][name] = {"md5s": list(md5s), "value": value}
        self._changed = True
        return value

    def allow_missing(self, name: str) -> None:
        """From now on data set `name` may be used although images of it are missing."""
        self._known["incomplete"][name] = True
        self._changed = True

    def allows_missing(self, name: str) -> bool:
        """Whether somebody said that data set `name` may lack images."""
        return name in self._known["incomplete"]

    def save(self) -> None:
        """Write what is new, merged with what other processes wrote. A folder that cannot be written is left alone."""
        if not self._changed:
            return
        merged = _load(self.data_dir / MEMORY)
        for part in _PARTS:
            merged[part].update(self._known[part])
        with contextlib.suppress(OSError):
            _write_atomically(self.data_dir / MEMORY, json.dumps(merged, indent=1))
        self._changed = False

    def _key(self, path: Path) -> str:
        return path.relative_to(self.data_dir).as_posix()

    def _remembered(self, path: Path, stamp: list[int]) -> str | None:
        known = self._known["files"].get(self._key(path))
        fresh = isinstance(known, dict) and known.get("stamp") == stamp and isinstance(known.get("md5"), str)
        return str(known["md5"]) if fresh else None

    def _remember(self, path: Path, stamp: list[int], md5: str) -> str:
        self._known["files"][self._key(path)] = {"stamp": stamp, "md5": md5}
        self._changed = True
        return md5


def md5_of(path: Path) -> str:
    """md5 of a file as it is now. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def require_md5(path: Path, file: DataFile, checksums: Checksums) -> None:
    """Raise DataError unless the md5 of `path` is the one the catalogue has for `file`, if it has one."""
    try:
        got, size = checksums.md5(path), path.stat().st_size
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read: {error.strerror or error}.") from error
    if file.md5 is not None and got != file.md5:
        raise DataError(
            wrong_md5(path.name, file, got, size),
            "The download is incomplete or altered: delete it and download again.",
        )


def wrong_md5(name: str, file: DataFile, got: str, size: int) -> str:
    """The message for a file whose md5 is not the catalogue's."""
    of = f" of {file.bytes:,}" if file.bytes else ""
    return f"{name}: md5 is {got}, expected {file.md5} ({size:,}{of} bytes)."


def labels_sha256(labels: NDArray[np.int64]) -> str:
    """sha256 of labels as uint8 bytes, as int64 bytes where there are more than 256 classes."""
    small = labels.size == 0 or int(labels.max()) < 256
    return hashlib.sha256(labels.astype(np.uint8 if small else "<i8").tobytes()).hexdigest()


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _empty() -> dict[str, Any]:
    return {"format": _FORMAT, **{part: {} for part in _PARTS}}


def _load(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return _empty()
    if not isinstance(known, dict) or known.get("format") != _FORMAT:
        return _empty()
    known = {**_empty(), **known}
    return known if all(isinstance(known[part], dict) for part in _PARTS) else _empty()


def _write_atomically(path: Path, text: str) -> None:
    # Not tempfile: its files are for their owner alone, and a data folder is often shared.
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
