"""Losses and penalties that several methods share, as pure functions of logits or probabilities.

Everything logarithmic goes through log_softmax, so values and gradients stay finite where a probability underflows.
A loss that one method alone uses is in that method's file.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lnlbench.errors import InvalidSetting

Reduction = Literal["none", "mean", "sum"]

PROB_FLOOR = 1e-4
"""ELR's released code holds probabilities in [1e-4, 1 - 1e-4]; without it the logarithm of its penalty has no bound."""

LOG_ZERO = -9.210340371976182
"""log(1e-4), what the released code of symmetric cross-entropy takes log 0 for."""


def soft_cross_entropy(logits: Tensor, targets: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Cross entropy -sum_c t_c log p_c, p = softmax(logits).

    logits: (B, C). targets: distributions (B, C), which may have negative entries, or classes (B,) int64.
    Returns (B,) for reduction 'none', else a scalar: the mean over B, or the sum.
    """
    log_probs = F.log_softmax(logits, dim=1)
    if targets.ndim == 1:
        losses = F.nll_loss(log_probs, targets, reduction="none")
    else:
        losses = -(targets * log_probs).sum(dim=1)
    return _reduced(losses, reduction)


def lq_loss(logits: Tensor, labels: Tensor, q: float, reduction: Reduction = "mean") -> Tensor:
    """Generalized cross entropy L_q = (1 - p_y^q) / q (Zhang & Sabuncu, NeurIPS 2018, Eq. 6).

    logits: (B, C); labels: (B,) int64; 0 < q <= 1: CE as q -> 0, 1 - p_y at q = 1 (half of MAE).
    Returns (B,) for reduction 'none', else a scalar. The gradient by the logits is p_y^q (p - e_y), 0 at p_y = 0.
    InvalidSetting for q outside (0, 1].
    """
    if not 0 < q <= 1:
        raise InvalidSetting(f"q of the generalized cross entropy must be above 0 and at most 1, got {q!r}.")
    log_p = -F.nll_loss(F.log_softmax(logits, dim=1), labels, reduction="none")
    # p^q as exp(q log p): pow has an infinite slope at p = 0. expm1 keeps small q exact.
    return _reduced(-torch.expm1(q * log_p) / q, reduction)


def symmetric_cross_entropy(
    logits: Tensor, labels: Tensor, alpha: float, beta: float, A: float = LOG_ZERO, reduction: Reduction = "mean"
) -> Tensor:
    """alpha CE + beta RCE (Wang et al., ICCV 2019, Eq. 7), RCE = -sum_k p_k log q_k with log 0 taken for A, that is
    -A (1 - p_y).

    logits: (B, C); labels: (B,) int64; A < 0. Returns (B,) for reduction 'none', else a scalar.
    """
    cross_entropy = F.cross_entropy(logits, labels, reduction="none")
    return _reduced(alpha * cross_entropy + beta * (A * (-cross_entropy).expm1()), reduction)


def confidence_penalty(logits: Tensor) -> Tensor:
    """Mean negative entropy, mean_b sum_c p_bc log p_bc, of softmax(logits); logits (B, C), returns a scalar.

    In [-log C, 0]; minimising it raises the entropy (Pereyra et al., 2017; DivideMix's warm-up, asymmetric noise).
    """
    log_probs = F.log_softmax(logits, dim=1)
    return (log_probs.exp() * log_probs).sum(dim=1).mean()


def prior_penalty(probs: Tensor, prior: Tensor | None = None) -> Tensor:
    """KL(prior || mean prediction) = sum_c prior_c log(prior_c / pbar_c), pbar the mean of probs (B, C) over B.

    prior: (C,) distribution, uniform by default; its entries may be 0. A scalar >= 0, 0 where the mean prediction is
    the prior (Tanaka et al., CVPR 2018; DivideMix, Eq. 11 of the paper). pbar is held at 1e-8 or more, since a class
    nobody predicts may underflow.
    """
    mean = probs.mean(dim=0).clamp_min(1e-8)
    if prior is None:
        # Not by way of the general form: the last bits of DivideMix's runs are those of this one.
        share = 1.0 / probs.shape[1]
        return (share * (share / mean).log()).sum()
    return (torch.xlogy(prior, prior) - prior * mean.log()).sum()


def early_learning_penalty(probs: Tensor, targets: Tensor) -> Tensor:
    """ELR's regulariser, mean_b log(1 - <t_b, p_b>), probs held in [PROB_FLOOR, 1 - PROB_FLOOR] (Liu et al., NeurIPS
    2020, sec. 4).

    probs: softmax (B, C), which the gradient goes through where it is not held; targets: (B, C), constants, >= 0 with
    sums of at most 1. A scalar in [log PROB_FLOOR, 0]. Minimising it pushes the classes up whose target is above
    <t, p>, so that the pull of a label which the targets contradict is cancelled.
    """
    held = probs.clamp(PROB_FLOOR, 1 - PROB_FLOOR)
    return torch.log1p(-(targets * held).sum(dim=1)).mean()


def _reduced(losses: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "none":
        return losses
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    raise InvalidSetting(f"unknown reduction {reduction!r}.", "Choose from: none, mean, sum.")
