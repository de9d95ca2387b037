"""Activation maps of trained jobs (SANM, Fig. 1): where a network finds its evidence for the class it predicts.

As numbers, which the paper's figures do not have: the share of a map that lies in the central half of the image, and
the entropy of the map, 1 where it is spread evenly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnlbench.inspection import NotThere
from lnlbench.inspection.observe import observe
from lnlbench.inspection.restore import Trained
from lnlbench.inspection.samples import MOST, Float32, Int64, as_tensor, drawn, generator, pixels, same_samples

SplitName = Literal["train", "test"]
GROUPS: dict[SplitName, tuple[str, str]] = {
    "train": ("correctly labelled", "mislabelled"),
    "test": ("correctly predicted", "wrongly predicted"),
}


class MapNumbers(NamedTuple):
    """Means over a group of samples: of how many, share in the central half, entropy; None without samples."""

    group: str
    samples: int
    central_share: float | None
    entropy: float | None


@dataclass(frozen=True)
class MapRow:
    """One job: its maps (n, H, W) in [0, 1] of the shown samples, the classes it predicts for them (n,), its means."""

    maps: Float32
    predicted: Int64
    numbers: tuple[MapNumbers, MapNumbers]


@dataclass(frozen=True)
class Activation:
    """Maps of the same samples by several jobs.

    images (n, H, W, 3) in [0, 1]; second (n,) bool, whether a sample is of the second of the two `groups`; given,
    true (n,) classes. of: how many samples the numbers are taken over, out of `there`.
    """

    split: SplitName
    groups: tuple[str, str]
    images: Float32
    second: NDArray[np.bool_]
    given: Int64
    true: Int64
    rows: tuple[MapRow, ...]
    class_names: tuple[str, ...]
    of: int
    there: int


@torch.no_grad()
def activation(jobs: Sequence[Trained], split: SplitName, samples: int = 4, seed: int = 0) -> Activation:
    """Maps of up to `samples` samples of each of two groups, and the means of all (of MOST at most).

    split 'train': correctly labelled and mislabelled samples; 'test': those that the first job predicts correctly and
    wrongly, in the numbers each job by itself. Raises NotThere where the true labels are unknown, or the jobs' samples
    are not the same.
    """
    same_samples(jobs, split)
    first = jobs[0].split(split)
    if first.true is None:
        raise NotThere("the true labels of the training samples are unknown.")
    chosen = drawn(len(first.given), MOST, seed)
    given, true = first.given[chosen], first.true[chosen]
    measured = [_measured(trained, split, chosen) for trained in jobs]
    wrong = [given != true if split == "train" else predicted != true for predicted, _ in measured]
    picked = _picked(wrong[0], samples, seed)
    shown = [_shown(trained, split, chosen[picked]) for trained in jobs]
    groups = GROUPS[split]
    return Activation(
        split=split,
        groups=groups,
        images=shown[0][0],
        second=wrong[0][picked],
        given=given[picked],
        true=true[picked],
        rows=tuple(
            MapRow(maps, predicted[picked], (_means(groups[0], values[~bad]), _means(groups[1], values[bad])))
            for (predicted, values), bad, (_, maps) in zip(measured, wrong, shown, strict=True)
        ),
        class_names=jobs[0].data.class_names,
        of=len(chosen),
        there=len(first.given),
    )


def normalised(maps: Tensor) -> Tensor:
    """Maps (B, H, W) from 0 at each one's least value to 1 at its greatest; one without contrast is 1 everywhere."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return torch.where(high > low, (maps - low) / (high - low).clamp_min(torch.finfo(maps.dtype).tiny), 1.0)


def central_share(heat: Tensor) -> Tensor:
    """(B,) share of maps (B, H, W) >= 0 in the middle half of the rows and of the columns; 0.25 where even."""
    height, width = heat.shape[1:]
    top, left = height // 4, width // 4
    return heat[:, top : height - top, left : width - left].sum((1, 2)) / heat.sum((1, 2))


def entropy(heat: Tensor) -> Tensor:
    """(B,) entropy of maps (B, H, W) >= 0 taken as distributions over pixels, divided by its maximum log(HW)."""
    p = heat.flatten(1) / heat.sum((1, 2))[:, None]
    return torch.special.entr(p).sum(1) / math.log(p.shape[1])


def _measured(trained: Trained, split: SplitName, chosen: Int64) -> tuple[Int64, NDArray[np.float32]]:
    """Predicted classes (M,), and (M, 2) share and entropy of each sample's map."""
    predicted, values = [], []
    for seen in observe(trained, trained.split(split), as_tensor(chosen)):
        heat = normalised(seen.maps())
        predicted.append(seen.predicted.cpu())
        values.append(torch.stack([central_share(heat), entropy(heat)], 1).cpu())
    return torch.cat(predicted).numpy(), torch.cat(values).numpy()


def _shown(trained: Trained, split: SplitName, indices: Int64) -> tuple[Float32, Float32]:
    """Images (n, H, W, 3) and maps (n, H, W) of the shown samples."""
    seen = list(observe(trained, trained.split(split), as_tensor(indices)))
    images = np.concatenate([pixels(trained, part.views) for part in seen])
    return images, np.concatenate([normalised(part.maps()).cpu().numpy() for part in seen])


def _picked(wrong: NDArray[np.bool_], samples: int, seed: int) -> Int64:
    """Positions of up to `samples` of each group, those of the first group first."""
    order = generator(seed).permutation(len(wrong))
    return np.concatenate([order[~wrong[order]][:samples], order[wrong[order]][:samples]])


def _means(group: str, values: NDArray[np.float32]) -> MapNumbers:
    if not len(values):
        return MapNumbers(group, 0, None, None)
    share, spread = values.mean(0, dtype=np.float64)
    return MapNumbers(group, len(values), float(share), float(spread))
