"""What a sample's nearest neighbours in feature space say of its label. All pairs are compared on the device, in chunks
of rows: for 50,000 samples that is a second of a GPU, and never the whole matrix in memory.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 2**26
"""Similarities held at once: 256 MiB of float32."""


def knn_votes(features: Tensor, labels: Tensor, num_classes: int, k: int) -> Tensor:
    """(N, C) float32 shares of the labels among each sample's k nearest by cosine similarity, itself among them (SSR).

    features: (N, D) float, not normalised; labels: (N,) int64 in [0, C); k: at most N are taken. Rows sum to 1. The
    similarities themselves do not weigh. Of equally similar ones, such as duplicates, any may be among the k.
    """
    neighbours = min(k, len(features))
    # bfloat16 has too few digits to tell neighbours apart.
    with torch.autocast(features.device.type, enabled=False):
        unit = F.normalize(features.float(), dim=1)
        votes = [
            _counts(labels[(rows @ unit.T).topk(neighbours, dim=1, sorted=False).indices], num_classes)
            for rows in unit.split(max(1, CHUNK // len(unit)))
        ]
    return torch.cat(votes) / neighbours


def balanced_votes(votes: Tensor, labels: Tensor) -> Tensor:
    """Votes (N, C) divided by the frequency of each class among labels (N,), and rows scaled to sum 1 again (SSR)."""
    frequency = torch.bincount(labels, minlength=votes.shape[1]) + 1e-10
    balanced = votes / (frequency / frequency.sum())
    return balanced / balanced.sum(1, keepdim=True)


def _counts(labels: Tensor, num_classes: int) -> Tensor:
    """(R, C) float32, how often each class is in each row of labels (R, k)."""
    rows = torch.arange(len(labels), device=labels.device)[:, None]
    counts = torch.bincount((rows * num_classes + labels).flatten(), minlength=len(labels) * num_classes)
    return counts.view(-1, num_classes).float()
