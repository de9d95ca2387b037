"""Which samples are looked at: a fixed draw of a split, alike for every job that has the same samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnlbench.inspection import NotThere
from lnlbench.inspection.restore import Trained
from lnlbench.training.seeds import derive

MOST = 10_000
"""Samples, at most, that a mean is taken over: large sets are drawn from."""

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


def drawn(count: int, most: int, seed: int) -> Int64:
    """`most` of the positions 0..count-1, or all, in ascending order; a smaller draw lies in every larger one."""
    return np.sort(generator(seed).permutation(count)[:most])


def generator(seed: int) -> np.random.Generator:
    """The generator of a figure's draws."""
    return np.random.Generator(np.random.PCG64(derive(seed, "samples")))


def same_samples(jobs: Sequence[Trained], split: str) -> None:
    """Raises NotThere unless the jobs have the same images with the same labels in a split, seen in the same size."""
    if len({_identity(trained, split) for trained in jobs}) > 1:
        what = "images or labels" if split == "train" else "images"
        raise NotThere(
            f"the {'training' if split == 'train' else 'test'} {what} of these jobs differ (noise, seed, subset or "
            "size), and the same samples are shown for each."
        )


def _identity(trained: Trained, split: str) -> tuple[object, ...]:
    recipe, data = trained.job.recipe, trained.data
    subset = (recipe.train_subset, recipe.validation, recipe.meta_size) if split == "train" else recipe.test_subset
    given = data.provenance["noisy_labels_sha256"] if split == "train" else None
    return data.provenance["data_fingerprint"], given, subset, recipe.image_size, recipe.crop


def pixels(trained: Trained, views: Tensor) -> Float32:
    """Normalised images (B, 3, H, W) as (B, H, W, 3) float32 in [0, 1], cut off at both ends."""
    plain = trained.run.engine.views.denormalise(views.float()).clamp(0, 1)
    return plain.permute(0, 2, 3, 1).cpu().numpy()


def as_tensor(indices: Int64) -> Tensor:
    """Positions (M,) as a tensor."""
    return torch.from_numpy(np.ascontiguousarray(indices))
