"""Spoilt test images and what a method's decoders make of them (SANM, supp. Fig. 2; RFL, Fig. 2).

The method spoils and restores (`Method.restorations`), the errors are taken here, in normalised pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lnlbench.data.augment.views import Views
from lnlbench.data.sources import source_of
from lnlbench.data.task import Batch
from lnlbench.inspection import NotThere
from lnlbench.inspection.restore import Trained
from lnlbench.inspection.samples import MOST, Float32, as_tensor, drawn, generator, pixels, same_samples
from lnlbench.methods.base import Restoration
from lnlbench.training.engine import eval_batch


class RestorationNumbers(NamedTuple):
    """Mean squared errors over the test set, in normalised pixels: of the restored and of the spoilt images."""

    network: str
    restored: float
    corrupted: float


@dataclass(frozen=True)
class RestorationRow:
    """One view of one job: spoilt and restored images (n, H, W, 3) in [0, 1], with the errors over the test set."""

    job: int
    corrupted: Float32
    restored: Float32
    numbers: RestorationNumbers


@dataclass(frozen=True)
class Reconstruction:
    """Test images (n, H, W, 3) with what the jobs make of them.

    rows: those of each job's first network. others: the errors of its other networks, by job. variance: mean squared
    deviation of the images from their mean colour, the error of a decoder that knows nothing. of: test images that
    errors are taken over. without: why jobs are not here, by job.
    """

    images: Float32
    rows: tuple[RestorationRow, ...]
    others: tuple[tuple[int, RestorationNumbers], ...]
    variance: float
    of: int
    without: tuple[tuple[int, str], ...]


@torch.no_grad()
def reconstruction(jobs: Sequence[Trained], samples: int = 8, seed: int = 0) -> Reconstruction:
    """Restorations of `samples` test images, with the errors over the test set (of MOST images at most).

    Raises NotThere where no job restores images, or the jobs' test images are not the same.
    """
    same_samples(jobs, "test")
    count = len(jobs[0].data.test.given)
    chosen = drawn(count, MOST, seed)
    shown = as_tensor(generator(seed).permutation(count)[:samples])
    rows: list[RestorationRow] = []
    others: list[tuple[int, RestorationNumbers]] = []
    without: list[tuple[int, str]] = []
    for place, trained in enumerate(jobs):
        trained.seed(seed)
        pictures = list(_batches(trained, shown))
        if not pictures[0][1]:
            without.append((place, f"{trained.job.method} has no decoder"))
            continue
        numbers = _errors(_batches(trained, as_tensor(chosen)))
        first = numbers[0].network
        for view, of_view in enumerate(numbers):
            if of_view.network != first:
                others.append((place, of_view))
                continue
            spoilt = np.concatenate([pixels(trained, found[view].corrupted) for _, found in pictures])
            restored = np.concatenate([pixels(trained, found[view].restored) for _, found in pictures])
            rows.append(RestorationRow(place, spoilt, restored, of_view))
    if not rows:
        raise NotThere(f"{' and '.join(why for _, why in without)}: nothing is restored.")
    images = np.concatenate([pixels(jobs[0], plain) for plain, _ in _batches(jobs[0], shown)])
    variance = _variance(plain for plain, _ in _batches(jobs[0], as_tensor(chosen)))
    return Reconstruction(images, tuple(rows), tuple(others), variance, len(chosen), tuple(without))


@torch.no_grad()
def _batches(trained: Trained, indices: Tensor) -> Iterator[tuple[Tensor, list[Restoration]]]:
    """Plain views (B, 3, H, W) and their restorations. The method is given no label of a test image."""
    run = trained.run
    # Without random crop and flip every job restores the same picture.
    plain = Views(
        trained.job.recipe.replace(augment="none"),
        torch.tensor(trained.data.mean),
        torch.tensor(trained.data.std),
        run.streams.tensors,
        channels_last=True,
    )
    source = source_of(trained.data.test.images, run.place.device)
    for images in source.stream(indices.to(run.place.device), eval_batch(source.shape)):
        nothing = torch.zeros(len(images), dtype=torch.int64, device=run.place.device)
        with run.place.autocast():
            found = run.method.restorations(Batch(images, nothing, nothing, trained.data.num_classes, plain))
        yield plain.plain(images), found


def _errors(batches: Iterator[tuple[Tensor, list[Restoration]]]) -> list[RestorationNumbers]:
    """The mean squared errors of each restoration, in the order that the method names them."""
    sums: list[tuple[str, Tensor, int]] = []
    for _, found in batches:
        parts = [(one.network, _squared(one), len(one.original)) for one in found]
        sums = [(name, a + b, n + m) for (name, a, n), (_, b, m) in zip(sums, parts, strict=True)] if sums else parts
    return [RestorationNumbers(name, *(total / n).tolist()) for name, total, n in sums]


def _squared(one: Restoration) -> Tensor:
    """(2,) sums over images of the mean squared error, restored and spoilt."""
    spoilt = F.adaptive_avg_pool2d(one.corrupted.float(), one.original.shape[-1])
    errors = [(image.float() - one.original).square().mean((1, 2, 3)).sum() for image in (one.restored, spoilt)]
    return torch.stack(errors).double()


def _variance(batches: Iterator[Tensor]) -> float:
    """Mean over channels of the variance over all pixels."""
    first, second, count = torch.zeros(3).double(), torch.zeros(3).double(), 0
    for views in batches:
        first += views.double().sum((0, 2, 3)).cpu()
        second += views.double().square().sum((0, 2, 3)).cpu()
        count += views.numel() // 3
    return float((second / count - (first / count).square()).mean())
