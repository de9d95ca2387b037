"""The probability that a sample's label is wrong, from a two-component beta mixture of the per-sample losses
(M-correction). Beta densities live on [0, 1] and can lean to either side, which the losses of clean labels do.

Constants and the order of steps are those of PaulAlbert31/LabelNoiseCorrection; floors keep a fit on losses that are
all alike from dividing by 0. Not for Gaussian mixtures (see mixtures.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EDGE = 1e-4
"""Losses that are fitted, and posteriors of the table, stay this far from 0 and 1."""
GRID = 100
"""Cells of the table."""
TINY = 1e-12


def fit_beta_mixture(values: Tensor, iterations: int = 10) -> Tensor:
    """alpha, beta and weight of two beta components, (3, 2) float64, by expectation maximisation on values (N,).

    values: in [0, 1], held in [1e-4, 1 - 1e-4]. The fit starts at Beta(1, 2) and Beta(2, 1) of equal weight and makes
    `iterations` steps, no more and no less (ten do not converge: they are the method); the M step is by weighted
    moments. The component of the lower mean comes first. Arazo et al. (ICML 2019), sec. 3.2 and Algorithm 1.
    """
    x = values.double().clamp(EDGE, 1 - EDGE)
    parameters = torch.tensor([[1.0, 2.0], [2.0, 1.0], [0.5, 0.5]], dtype=x.dtype, device=x.device)
    for _ in range(iterations):
        joint = _joint(x, parameters).clamp_min(TINY)
        shares = joint / joint.sum(1, keepdim=True)
        mass = shares.sum(0)
        mean = (shares * x[:, None]).sum(0) / mass
        variance = ((shares * (x[:, None] - mean).square()).sum(0) / mass).clamp_min(1e-6)
        alpha = (mean * (mean * (1 - mean) / variance - 1)).clamp_min(1e-2)
        beta = (alpha * (1 - mean) / mean).clamp_min(1e-2)
        parameters = torch.stack([alpha, beta, mass / mass.sum()])
    alpha, beta, _ = parameters
    means = alpha / (alpha + beta)
    return torch.where(means[0] <= means[1], parameters, parameters.flip(1))


def beta_posterior(values: Tensor, parameters: Tensor) -> Tensor:
    """Posterior (M,) float64 of the second component at values (M,) inside (0, 1); parameters (3, 2)."""
    joint = _joint(values.double(), parameters)
    return joint[:, 1] / (joint.sum(1) + TINY)


class BetaMixture(nn.Module):
    """How likely labels are wrong, by the losses of one network; refitted from scratch whenever `fit` is called.

    table: (100,) posteriors at equally spaced losses; span: the two losses that stand for 0 and 1.
    """

    table: Tensor
    span: Tensor
    started: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(GRID))
        self.register_buffer("span", torch.tensor([0.0, 1.0]))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def fit(self, losses: Tensor) -> Tensor:
        """Fits losses (N,) between their 5th and 95th percentile; returns the posterior (N,) of a wrong label.

        The posterior falls again near the largest loss: from its maximum on it is held there. Where losses are
        all alike or not finite no label is taken for wrong.
        """
        losses = losses.detach().float()
        low, high = torch.quantile(losses, losses.new_tensor([0.05, 0.95])).unbind()
        self.span.copy_(torch.stack([low + 1e-5, high]))
        self.started.fill_(True)
        inside = losses[(losses >= low) & (losses <= high)]
        if not bool(high - low > 2e-5):
            self.table.zero_()
            return torch.zeros_like(losses)
        parameters = fit_beta_mixture(self._scaled(inside))
        grid = torch.linspace(TINY, 1 - TINY, GRID, dtype=torch.float64, device=losses.device)
        posterior = beta_posterior(grid, parameters)
        top, peak = posterior.max(0)
        self.table.copy_(torch.where(torch.arange(GRID, device=losses.device) >= peak, top, posterior))
        scaled = self._scaled(losses).double()
        return torch.where(scaled >= grid[peak], top, beta_posterior(scaled, parameters)).float()

    def wrong(self, losses: Tensor) -> Tensor:
        """Posterior (B,) of a wrong label at losses (B,), from the table, in [1e-4, 1 - 1e-4]."""
        cell = (GRID * self._scaled(losses.detach())).long().clamp(0, GRID - 1)
        return self.table[cell].clamp(EDGE, 1 - EDGE)

    def _scaled(self, losses: Tensor) -> Tensor:
        low, high = self.span.unbind()
        x = (losses.float() - low) / (high - low + 1e-6)
        return torch.where(x >= 1, 0.999, torch.where(x <= 0, 0.001, x))


def _joint(x: Tensor, parameters: Tensor) -> Tensor:
    """weight_k * Beta(x_i; alpha_k, beta_k), (M, 2)."""
    alpha, beta, weight = parameters
    norm = torch.lgamma(alpha + beta) - torch.lgamma(alpha) - torch.lgamma(beta)
    x = x[:, None]
    return weight * (norm + (alpha - 1) * x.log() + (beta - 1) * (-x).log1p()).exp()
