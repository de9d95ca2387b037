"""Mixup of a batch with a permutation of itself (Zhang et al., ICLR 2018), and its coefficient.

The permutation and the coefficient are the caller's, so that one draw can serve inputs, targets and several nets.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lnlbench.errors import InvalidSetting


def mix(inputs: Tensor, targets: Tensor, lam: float | Tensor, permutation: Tensor) -> tuple[Tensor, Tensor]:
    """lam * v + (1 - lam) * v[permutation] for inputs (B, ...) and targets (B, C), both floating point.

    lam: one number, or one a row as a tensor (B,), in [0, 1]; at 1 both come back exactly. permutation: (B,) int64.
    """
    return mixed(inputs, lam, permutation), mixed(targets, lam, permutation)


def mixed(values: Tensor, lam: float | Tensor, permutation: Tensor) -> Tensor:
    """lam * values + (1 - lam) * values[permutation] for one tensor (B, ...); arguments as in `mix`."""
    if isinstance(lam, Tensor) and lam.ndim == 1:
        lam = lam.to(values).view(-1, *[1] * (values.ndim - 1))
    return values[permutation].lerp(values, lam)


def draw_lambda(alpha: float, rng: np.random.Generator, *, at_least_half: bool) -> float:
    """lam ~ Beta(alpha, alpha), 1 (no mixing) at alpha = 0.

    at_least_half: max(lam, 1 - lam), so that a mixed row stays closer to its own input (MixMatch, DivideMix).
    InvalidSetting for a negative alpha.
    """
    lam = float(_drawn(alpha, rng, 1)[0])
    return max(lam, 1 - lam) if at_least_half else lam


def draw_lambdas(alpha: float, rng: np.random.Generator, pairs: int) -> Tensor:
    """A coefficient a row, (B,) float64 on the CPU, each as `draw_lambda` draws one; pairs: B."""
    return torch.from_numpy(_drawn(alpha, rng, pairs))


def _drawn(alpha: float, rng: np.random.Generator, count: int) -> np.ndarray:
    if alpha < 0:
        raise InvalidSetting(f"alpha of mixup must be at least 0, got {alpha!r}.")
    return rng.beta(alpha, alpha, count) if alpha > 0 else np.ones(count)
