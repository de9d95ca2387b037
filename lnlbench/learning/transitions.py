"""Transition matrices T[i, j] = P(given label j | true label i), rows summing to 1: estimated from predictions and
labels, and used in a loss. Which predictions these are, and of which images, is the method's business.
"""

from __future__ import annotations

from math import ceil, log

import torch
from torch import Tensor
from torch.nn import functional as F

from lnlbench.errors import InvalidSetting
from lnlbench.learning.pseudo_labels import one_hot

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


def estimated_by_trusted(probs: Tensor, labels: Tensor) -> Tensor:
    """T (C, C): row k is the mean prediction over the samples that truly are of class k (Hendrycks et al., NeurIPS
    2018, Eq. 1).

    probs: (M, C) a network's estimates of the *given* label; labels: (M,) int64 true ones, of samples that the network
    has not seen. A class without a sample gets the identity's row.
    """
    return _mean_rows(one_hot(labels, probs.shape[1]), probs)


def estimated_by_confusion(probs: Tensor, labels: Tensor, hard: bool = True) -> Tensor:
    """T (C, C): row i is how the given labels of the samples that a network takes for class i are spread (Goldberger
    and Ben-Reuven, ICLR 2017, sec. 3).

    probs: (N, C) the network's predictions; labels: (N,) int64 given ones. hard: a sample counts for its likeliest
    class, else for every class by its probability. A class that is never predicted gets the identity's row.
    """
    classes = probs.shape[1]
    return _mean_rows(one_hot(probs.argmax(1), classes) if hard else probs, one_hot(labels, classes))


def _mean_rows(weights: Tensor, values: Tensor) -> Tensor:
    """(C, C): row i is the mean of `values` (N, C) under column i of `weights` (N, C), or the identity's where that is
    0."""
    total = weights.sum(0)[:, None]
    identity = torch.eye(weights.shape[1], device=weights.device)
    return torch.where(total > 0, weights.T @ values / total.clamp_min(1e-30), identity)


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
