"""Transition matrices T[i, j] = P(given label j | true label i), rows summing to 1: estimated from predictions of
noisy labels, and used in a loss. Which predictions these are, and of which images, is the method's business.
"""

from __future__ import annotations

from math import ceil, log

import torch
from torch import Tensor
from torch.nn import functional as F

from lnlbench.errors import InvalidSetting

_LOWEST = log(1e-12)


def estimated_by_anchors(probs: Tensor, percentile: float | None = 97.0) -> Tensor:
    """T (C, C): row i is the prediction for the sample that most surely is of class i (Patrini et al., 2017, Eq. 12).

    probs: (N, C) a network's estimates of the *given* label. percentile: of column i, samples at or above it are
    taken for outliers and not for anchors; it is an observed value, the higher of two neighbours. None: no filter.
    Where all samples are equal, and so outliers, there is no filter either. InvalidSetting outside [0, 100].
    """
    if percentile is None:
        candidates = probs
    else:
        if not 0 <= percentile <= 100:
            raise InvalidSetting(f"the percentile of outliers must be from 0 to 100, got {percentile!r}.")
        # The difference keeps 97% of 100 steps from being 97.00000000000001 of them.
        rank = ceil(percentile / 100 * (len(probs) - 1) - 1e-9)
        below = probs < probs.kthvalue(rank + 1, dim=0).values
        candidates = probs.where(below | ~below.any(0), torch.full_like(probs, -1.0))
    rows = probs[candidates.argmax(0)]
    return rows / rows.sum(1, keepdim=True)


def forward_cross_entropy(logits: Tensor, labels: Tensor, matrix: Tensor) -> Tensor:
    """Mean over the batch of -log (p T)_y, p = softmax(logits): cross-entropy of the given label when p models the
    true one (Patrini et al., 2017, Theorem 2).

    logits: (B, C); labels: (B,) int64; matrix: (C, C), row-stochastic. A scalar. Its gradient by the logits is
    (p - c)/B, c the posterior of the true class given image and label.
    """
    return -_log_joint(logits, labels, matrix).logsumexp(1).mean()


def log_posterior_correct(logits: Tensor, labels: Tensor, matrix: Tensor) -> Tensor:
    """(B,) log c_y, c_y = p_y T[y, y] / (p T)_y: how sure it is that the given label is the true one.

    Arguments as `forward_cross_entropy`. At most 0; 0 everywhere for the identity.
    """
    log_posterior = _log_joint(logits, labels, matrix).log_softmax(1)
    return log_posterior.gather(1, labels[:, None]).squeeze(1)


def _log_joint(logits: Tensor, labels: Tensor, matrix: Tensor) -> Tensor:
    """(B, C) log p_i + log T[i, y], finite also where T is 0."""
    columns = matrix.log().clamp_min(_LOWEST).t()
    return F.log_softmax(logits.float(), dim=1) + columns[labels]
