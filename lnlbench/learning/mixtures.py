"""The probability that a sample's label is clean, from a two-component Gaussian mixture of the per-sample losses.

DivideMix and its descendants split the training set by it. Which losses, normalised how and averaged over which
epochs is the method's business; `normalised` is the usual first step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import log, pi
from typing import Literal

import torch
from torch import Tensor, nn

from lnlbench.errors import unknown_name

Engine = Literal["sklearn", "torch"]


def normalised(losses: Tensor) -> Tensor:
    """Losses (N,) moved and scaled to [0, 1] over the N samples; all 0 where they are constant."""
    low, high = losses.min(), losses.max()
    span = high - low
    return (losses - low) / torch.where(span > 0, span, torch.ones_like(span))


class LossMixture(nn.Module):
    """Which labels are clean, by a network's losses over the last epochs; its history is part of the checkpoint.

    history: (window, N), the last `window` vectors of normalised losses, NaN before there were any. max_iter: steps
    of the fit at most.
    """

    history: Tensor

    def __init__(self, num_samples: int, window: int = 1, max_iter: int = 10) -> None:
        super().__init__()
        self.max_iter = max_iter
        self.register_buffer("history", torch.full((window, num_samples), torch.nan))

    @property
    def started(self) -> bool:
        """Whether a posterior has been asked for."""
        return not bool(self.history[-1].isnan().all())

    def posterior(self, losses: Tensor, seed: int, samples: Tensor | None = None) -> Tensor:
        """Adds this epoch's losses (M,) of `samples` (M,), all by default, and returns `clean_posterior` of the
        window's mean for them, (M,)."""
        which = slice(None) if samples is None else samples
        self.history.copy_(self.history.roll(-1, 0))
        self.history[-1] = torch.nan
        self.history[-1, which] = normalised(losses)
        return clean_posterior(self.history[:, which].nanmean(0), seed=seed, max_iter=self.max_iter)


def clean_posterior(
    losses: Tensor,
    *,
    seed: int,
    max_iter: int = 10,
    tol: float = 1e-2,
    reg_covar: float = 5e-4,
    engine: Engine = "sklearn",
) -> Tensor:
    """Posterior (N,) in [0, 1] of the component with the smaller mean (DivideMix, Sec. 3.1).

    losses: (N,) float on any device, usually `normalised`, for which max_iter, tol (on the mean log-likelihood) and
    reg_covar (added to both variances) are the released code's. The result has their dtype and device.
    It need not be monotone in the loss: with a tight clean component and a wide noisy one very small losses get a
    low posterior. The released code accepts that, and so does this.

    engine 'sklearn': GaussianMixture with its k-means start seeded by `seed`, the released code's; through the CPU.
    engine 'torch': the same updates on the losses' device without waiting for it, from the optimal 2-means split
        instead of a random k-means; it uses no seed. Equal to 'sklearn' from an equal start, so wherever its k-means
        finds that split. On overlapping losses it may find another, and the early stop keeps the difference: up to
        0.2 in the posterior, as between two seeds of 'sklearn'.

    Collapsed: fewer than two losses, constant ones, or any that is not finite give a posterior of 1 everywhere (every
    label is taken for clean), as does a fit that breaks down.
    """
    if engine not in _ENGINES:
        raise unknown_name("mixture engine", engine, _ENGINES)
    if losses.ndim != 1:
        raise ValueError(f"losses must be (N,), got {tuple(losses.shape)}")
    if len(losses) < 2:
        return torch.ones_like(losses)
    with torch.no_grad():
        return _ENGINES[engine](losses.detach(), seed, max_iter, tol, reg_covar).to(losses)


def _sklearn_posterior(losses: Tensor, seed: int, max_iter: int, tol: float, reg_covar: float) -> Tensor:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    column = losses.cpu().double().numpy().reshape(-1, 1)
    ones = torch.ones(len(column), dtype=torch.float64)
    if not torch.isfinite(losses).all() or column.max() == column.min():
        return ones
    mixture = GaussianMixture(2, max_iter=max_iter, tol=tol, reg_covar=reg_covar, random_state=seed)
    with warnings.catch_warnings():
        # Ten iterations are the method, not a failure to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(column)
    posterior = torch.from_numpy(mixture.predict_proba(column)[:, mixture.means_.argmin()])
    return posterior if torch.isfinite(posterior).all() else ones


def _torch_posterior(losses: Tensor, seed: int, max_iter: int, tol: float, reg_covar: float) -> Tensor:
    x = losses.double()
    collapsed = ~torch.isfinite(x).all() | (x.max() == x.min())
    parameters = _maximised(x, _two_means(x), reg_covar)
    bound = torch.full((), -torch.inf, dtype=x.dtype, device=x.device)
    converged = torch.zeros((), dtype=torch.bool, device=x.device)
    for _ in range(max_iter):
        log_joint = _log_joint(x, parameters)
        new_bound = log_joint.logsumexp(dim=1).mean()
        updated = _maximised(x, log_joint.softmax(dim=1), reg_covar)
        # Stopping early would ask the device whether to: instead, the parameters stand still once converged.
        parameters = torch.where(converged, parameters, updated)
        converged = converged | ((new_bound - bound).abs() < tol)
        bound = new_bound
    posteriors = _log_joint(x, parameters).softmax(dim=1)
    posterior = torch.where(parameters[1, 0] <= parameters[1, 1], posteriors[:, 0], posteriors[:, 1])
    collapsed = collapsed | ~torch.isfinite(posterior).all()
    return torch.where(collapsed, torch.ones_like(posterior), posterior)


_ENGINES: dict[str, Callable[[Tensor, int, int, float, float], Tensor]] = {
    "sklearn": _sklearn_posterior,
    "torch": _torch_posterior,
}


def _two_means(x: Tensor) -> Tensor:
    """One-hot (N, 2) of the split of x (N,) into low and high with the least squared distance to the two means.

    In one dimension the best clusters are intervals, so all N - 1 splits of the sorted values can be compared.
    """
    ordered = (x - x.mean()).sort().values
    sums = ordered.cumsum(0)[:-1]
    count = torch.arange(1, len(x), dtype=x.dtype, device=x.device)
    # The centred total is 0, so both sides have the same squared sum.
    between = sums.square() * (1 / count + 1 / (len(x) - count))
    # Equal values on both sides of a split cannot be told apart: such a split does not exist.
    between = torch.where(ordered[1:] > ordered[:-1], between, -1.0)
    # gather, because indexing with a tensor of one number would wait for the device.
    boundary = ordered.gather(0, between.argmax()[None])
    high = (x - x.mean()) > boundary
    return torch.stack([~high, high], dim=1).to(x)


def _maximised(x: Tensor, responsibilities: Tensor, reg_covar: float) -> Tensor:
    """M step: rows weight, mean, variance of both components (3, 2) from responsibilities (N, 2)."""
    mass = responsibilities.sum(dim=0) + 10 * torch.finfo(x.dtype).eps
    mean = (responsibilities * x[:, None]).sum(dim=0) / mass
    variance = (responsibilities * (x[:, None] - mean).square()).sum(dim=0) / mass + reg_covar
    return torch.stack([mass / mass.sum(), mean, variance])


def _log_joint(x: Tensor, parameters: Tensor) -> Tensor:
    """log weight_k + log N(x_i; mean_k, variance_k), (N, 2)."""
    weight, mean, variance = parameters
    log_density = -0.5 * (log(2 * pi) + variance.log() + (x[:, None] - mean).square() / variance)
    log_joint: Tensor = weight.log() + log_density
    return log_joint
