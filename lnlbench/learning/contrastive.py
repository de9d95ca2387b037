"""Contrastive losses between embedded views of images. All similarities are float32, also under autocast.

Two views of B images are stacked view-major: rows 0..B-1 are the first views, row r belongs to image r mod B.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent(embeddings: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss: the mean over all views i of -log(exp(s_ip) / sum_{j != i} exp(s_ij)), p the image's other view
    (Chen et al., ICML 2020, Eq. 1). A scalar >= 0.

    embeddings: (2B, d), view-major, not normalised; s is their cosine similarity over the temperature > 0. All 2B - 1
    other views are in the denominator, the positive too: log(2B - 1) where all are alike, 0 for a single image.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        unit = F.normalize(embeddings.float(), dim=1)
        similarity = unit @ unit.T / temperature
        itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        other = torch.arange(len(unit), device=unit.device).roll(len(unit) // 2)
        return F.cross_entropy(similarity.masked_fill(itself, -torch.inf), other)
