"""Images that lie in files of their own: which they are, and how one becomes pixels.

Nothing is read until it is asked for, so that a subset costs its own images alone. A file's pixels depend on
the file and the side only, never on who decodes it. Not for deciding what stays in memory (see sources.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlbench.data.dataset import Int64, UInt8
from lnlbench.errors import DataError, InvalidSetting

PER_TASK = 8
"""Images a thread decodes before it takes up the next piece of work."""
_PER_QUESTION = 4096
_MOST_LOADERS = 16
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """N image files under `root`, in a fixed order, each (3, side, side) uint8 when read.

    paths: (N,) relative to root, as bytes of the file system, so that a million take little memory.
    """

    root: Path
    paths: NDArray[np.bytes_]
    side: int

    @classmethod
    def of(cls, root: Path, paths: Sequence[str], side: int) -> ImageFiles:
        """The files with these relative paths, in this order."""
        return cls(root, np.array([os.fsencode(path) for path in paths], dtype=np.bytes_), side)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Int64 | slice) -> ImageFiles:
        """Some of the files, in the order of `indices`."""
        return replace(self, paths=self.paths[indices])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, 3, side, side)."""
        return len(self.paths), 3, self.side, self.side

    @property
    def nbytes(self) -> int:
        """Bytes that the images take once decoded."""
        return len(self.paths) * 3 * self.side**2

    def resized(self, side: int) -> ImageFiles:
        """The same files, read at another side."""
        if side < 1:
            raise InvalidSetting(f"image_size: {side} is out of range, allowed: >= 1.")
        return replace(self, side=side)

    def path(self, index: int) -> Path:
        """Where one image lies."""
        return self.root / os.fsdecode(self.paths[index])

    def read(self) -> UInt8:
        """All images, (N, 3, side, side) uint8. Raises DataError with the path of one that cannot be read."""
        out = np.empty(self.shape, dtype=np.uint8)
        wait(self.begin(out, np.arange(len(self))))
        return out

    def require_readable(self) -> None:
        """Decodes every image and keeps none. Raises DataError with the first few that cannot be read."""
        wrong: list[str] = []

        def look(start: int) -> None:
            for i in range(start, min(start + PER_TASK, len(self))):
                try:
                    decode(self.path(i), self.side)
                except DataError as error:
                    wrong.append(error.message)

        wait([_loaders(loaders()).submit(look, start) for start in range(0, len(self), PER_TASK)])
        if wrong:
            shown = "\n".join(sorted(wrong)[:_SHOWN])
            raise DataError(f"{len(wrong):,} of {len(self):,} images cannot be read:\n{shown}", "Replace these files.")

    def begin(self, out: UInt8, indices: Int64) -> list[Future[None]]:
        """Sets threads to fill out[i] with the image `indices[i]`; `wait` for what is returned."""
        pool = _loaders(loaders())

        def fill(start: int) -> None:
            for i in range(start, min(start + PER_TASK, len(indices))):
                out[i] = decode(self.path(int(indices[i])), self.side)

        return [pool.submit(fill, start) for start in range(0, len(indices), PER_TASK)]


def wait(work: Iterable[Future[None]]) -> None:
    """Until threads have finished; the first error they met is raised, and what has not begun is dropped."""
    work = list(work)
    try:
        for piece in work:
            piece.result()
    finally:
        for piece in work:
            piece.cancel()


def decode(path: Path, side: int) -> UInt8:
    """(3, side, side) uint8: the file as RGB, its shorter side brought to `side` (PIL's bilinear, antialiased), then
    the centre square, as torchvision's Resize and CenterCrop. Raises DataError.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except FileNotFoundError as error:
        raise DataError(f"{path}: the image is gone.", "Put it back, or look with: lnlbench data verify") from error
    except Exception as error:  # PIL raises whatever the broken byte led to
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as an image: {reason}.", "Replace the file by a whole one.") from error
    width, height = image.size
    short = min(width, height)
    if short != side:
        width, height = (side if n == short else int(side * n / short) for n in (width, height))
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - side) / 2), round((height - side) / 2)
    pixels = np.asarray(image)[top : top + side, left : left + side]
    return pixels.transpose(2, 0, 1)


def loaders() -> int:
    """Threads that decode: $LNLBENCH_LOADERS, else as many as the cores of this process, 16 at most."""
    given = os.environ.get("LNLBENCH_LOADERS")
    if given is None:
        return min(_MOST_LOADERS, _cores())
    if not given.isdecimal() or int(given) < 1:
        raise InvalidSetting(f"LNLBENCH_LOADERS: {given!r} is no number of threads.", "For example LNLBENCH_LOADERS=8")
    return int(given)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _loaders(count: int) -> ThreadPoolExecutor:
    """Threads, not processes: PIL lets go of the interpreter while it decodes, and threads leave nobody behind."""
    return ThreadPoolExecutor(count, thread_name_prefix="loader")


def sizes(files: ImageFiles) -> Int64:
    """(N,) int64: bytes of each file, -1 for one that is not there."""

    out = np.full(len(files), -1, dtype=np.int64)

    def ask(start: int) -> None:
        for i in range(start, min(start + _PER_QUESTION, len(files))):
            with contextlib.suppress(OSError):
                out[i] = os.stat(files.path(i)).st_size

    # In threads: over a network a million questions one after the other take an hour.
    wait([_loaders(loaders()).submit(ask, start) for start in range(0, len(files), _PER_QUESTION)])
    return out


def files_fingerprint(name: str, *splits: tuple[ImageFiles, Int64, Int64]) -> str:
    """sha256 over (relative path, size, label) of each image of each (files, sizes, labels) split."""
    digest = hashlib.sha256(name.encode())
    for files, in_bytes, labels in splits:
        digest.update(f"{len(files)}\n".encode())
        for path, size, label in zip(files.paths.tolist(), in_bytes.tolist(), labels.tolist(), strict=True):
            digest.update(b"%s\0%d\0%d\n" % (path, size, label))
    return digest.hexdigest()
