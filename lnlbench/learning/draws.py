"""Which samples an epoch is made of, where it is not all of them: draws that are balanced over the given labels."""

from __future__ import annotations

import torch
from torch import Tensor


def balanced_draw(labels: Tensor, most: int, num_classes: int, generator: torch.Generator) -> Tensor:
    """Positions (M,) int64, ascending, of a random draw from labels (N,) in 0..C-1, M <= most.

    In random order a sample is taken while its class has fewer than most / C and all have fewer than `most`: the
    Clothing1M epochs of DivideMix's loader. A class too small for its share leaves the draw that much smaller.
    """
    walk = torch.randperm(len(labels), generator=generator, device=labels.device)
    by_class, places = labels[walk].sort(stable=True)
    starts = torch.searchsorted(by_class, torch.arange(num_classes, device=labels.device))
    taken = torch.arange(len(labels), device=labels.device) - starts[by_class] < most / num_classes
    return walk[places[taken].sort().values[:most]].sort().values
