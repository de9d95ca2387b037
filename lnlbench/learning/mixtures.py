"""The probability that a sample's label is clean, from a two-component Gaussian mixture of the per-sample losses.

DivideMix and its descendants split the training set by it. Which losses, normalised how and averaged over which
epochs is the method's business; `normalised` is the usual first step.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor, nn


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
    losses: Tensor, *, seed: int, max_iter: int = 10, tol: float = 1e-2, reg_covar: float = 5e-4
) -> Tensor:
    """Posterior (N,) in [0, 1] of the component with the smaller mean (DivideMix, Sec. 3.1).

    losses: (N,) float on any device, usually `normalised`, for which max_iter, tol (on the mean log-likelihood) and
    reg_covar (added to both variances) are the released code's. The result has their dtype and device.
    It need not be monotone in the loss: with a tight clean component and a wide noisy one very small losses get a
    low posterior. The released code accepts that, and so does this. The fit is scikit-learn's, as the released code's
    is, on the CPU, with its k-means start seeded by `seed`.

    Collapsed: fewer than two losses, constant ones, or any that is not finite give a posterior of 1 everywhere (every
    label is taken for clean), as does a fit that breaks down.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    if losses.ndim != 1:
        raise ValueError(f"losses must be (N,), got {tuple(losses.shape)}")
    column = losses.detach().cpu().double().numpy().reshape(-1, 1)
    if len(column) < 2 or not np.isfinite(column).all() or column.max() == column.min():
        return torch.ones_like(losses)
    mixture = GaussianMixture(2, max_iter=max_iter, tol=tol, reg_covar=reg_covar, random_state=seed)
    with warnings.catch_warnings():
        # Ten iterations are the method, not a failure to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(column)
    posterior = mixture.predict_proba(column)[:, mixture.means_.argmin()]
    return torch.from_numpy(posterior).to(losses) if np.isfinite(posterior).all() else torch.ones_like(losses)
