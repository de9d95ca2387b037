"""Targets made from predictions and labels: sharpening and one-hot rows. All (B, C), all constants for a loss."""

from __future__ import annotations

import torch
from torch import Tensor

from lnlbench.errors import InvalidSetting


def sharpen(probs: Tensor, T: float) -> Tensor:
    """p_c^(1/T) / sum_k p_k^(1/T) for distributions (B, C) and a temperature T > 0 (MixMatch, Eq. 7).

    T = 1 changes nothing, T -> 0 gives the one-hot row of the largest entry; a one-hot row stays exactly as it is.
    InvalidSetting for T <= 0.
    """
    if not T > 0:
        raise InvalidSetting(f"the sharpening temperature T must be above 0, got {T!r}.")
    # Relative to the largest entry, so that not every power underflows at small T.
    powers = (probs / probs.amax(dim=1, keepdim=True)) ** (1 / T)
    return powers / powers.sum(dim=1, keepdim=True)


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """Rows e_y (B, C) in torch's default dtype for labels (B,) int64 in [0, C), on their device."""
    rows = torch.zeros(len(labels), num_classes, device=labels.device)
    return rows.scatter_(1, labels[:, None], 1.0)
