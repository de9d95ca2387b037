"""Where a run's images come from: one tensor on the device, or files that are decoded while the device computes.

Both give the same images for the same indices, so that what is trained does not depend on which one it was.
Views are made of what comes out here (see augment/views.py).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from lnlbench.data.dataset import UInt8
from lnlbench.data.files import PER_TASK, Future, ImageFiles, loaders, wait
from lnlbench.errors import InvalidSetting

GIB = 2**30
_IN_MEMORY_GIB = 4.0
_AHEAD = 2
"""Batches, at least, that are being decoded while one is used."""


class ImageSource(Protocol):
    """N images (3, H, W) uint8 that batches are made of."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, 3, H, W)."""

    def stream(self, order: Tensor, size: int) -> Iterator[Tensor]:
        """The images of `order` (M,) int64 in batches of `size`: (size, 3, H, W) uint8 on the device, the last one
        with what is left. Raises DataError for an image that cannot be read."""


class TensorSource:
    """All images in one tensor (N, 3, H, W) uint8 on the device."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.images.shape)

    def stream(self, order: Tensor, size: int) -> Iterator[Tensor]:
        for start in range(0, len(order), size):
            yield self.images[order[start : start + size]]


class FileSource:
    """Images decoded by threads, some batches ahead, and copied to the device while it computes."""

    def __init__(self, files: ImageFiles, device: torch.device) -> None:
        self.files = files
        self.device = device

    @property
    def shape(self) -> tuple[int, ...]:
        return self.files.shape

    def stream(self, order: Tensor, size: int) -> Iterator[Tensor]:
        wanted = order.cpu().numpy()
        ahead = max(_AHEAD, -(-2 * PER_TASK * loaders() // size))
        begun: deque[tuple[Tensor, list[Future[None]]]] = deque()
        try:
            for start in range(0, len(wanted), size):
                indices = wanted[start : start + size]
                batch = torch.empty(
                    (len(indices), *self.shape[1:]), dtype=torch.uint8, pin_memory=self.device.type == "cuda"
                )
                begun.append((batch, self.files.begin(batch.numpy(), indices)))
                if len(begun) > ahead:
                    yield self._next(begun)
            while begun:
                yield self._next(begun)
        finally:
            for _, work in begun:
                for piece in work:
                    piece.cancel()

    def _next(self, begun: deque[tuple[Tensor, list[Future[None]]]]) -> Tensor:
        batch, work = begun.popleft()
        wait(work)
        return batch.to(self.device, non_blocking=True)


def source_of(images: UInt8 | ImageFiles, device: torch.device) -> ImageSource:
    """Arrays, and files that take no more than `in_memory_bytes`, as one tensor on the device; other files stream."""
    if isinstance(images, ImageFiles) and images.nbytes > in_memory_bytes():
        return FileSource(images, device)
    return TensorSource(on_device(images, device))


def on_device(images: UInt8 | ImageFiles, device: torch.device) -> Tensor:
    """All images, decoded where they are files, as one tensor (N, 3, H, W) uint8 on the device."""
    return torch.from_numpy(images.read() if isinstance(images, ImageFiles) else images).to(device)


def in_memory_bytes() -> int:
    """Above how many bytes a split's files are streamed: $LNLBENCH_IMAGES_GIB, 4 by default."""
    given = os.environ.get("LNLBENCH_IMAGES_GIB")
    try:
        gib = _IN_MEMORY_GIB if given is None else float(given)
    except ValueError:
        gib = -1.0
    if not gib >= 0:
        raise InvalidSetting(f"LNLBENCH_IMAGES_GIB: {given!r} is no size.", "For example LNLBENCH_IMAGES_GIB=16")
    return int(min(gib * GIB, 2**62))
