"""Rectangular masks placed by a network's activation map, and the labels that go with them (SANM).

Pure functions over whole batches; which sample gets how large a mask is the method's business.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def class_activation_map(fmap: Tensor, weight: Tensor, classes: Tensor) -> Tensor:
    """CAM (B, h, w) = sum_d W[k, d] F_d of each sample's class k; no ReLU, no bias (SANM Eq. 1).

    fmap (B, D, h, w), weight (C, D) of the linear head, classes (B,) int64. float32 whatever the precision of fmap.
    """
    # No matrix product: autocast would round the sum to bfloat16, whose ties move the extrema.
    return (fmap.float() * weight[classes].float()[:, :, None, None]).sum(1)


def squared_activation_map(fmap: Tensor) -> Tensor:
    """(B, h, w) sum over channels of F^2, class-agnostic: the map of SANM's released code. fmap (B, D, h, w)."""
    return fmap.float().square().sum(1)


def extrema(
    maps: Tensor, size: tuple[int, int], locate: Literal["upsample", "cell"] = "upsample"
) -> tuple[Tensor, Tensor]:
    """Peak and valley of each map as pixel positions (B, 2) (row, column), float.

    maps (B, h, w). 'upsample' takes the first extremum of the bilinearly enlarged map, as the paper does; 'cell'
    the centre of the extreme cell of the small map, (i + 0.5) H / h - 0.5.
    """
    if locate == "cell":
        grid, scale = maps, (size[0] / maps.shape[1], size[1] / maps.shape[2])
    else:
        grid = F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        scale = (1.0, 1.0)
    width = grid.shape[2]

    def position(flat: Tensor) -> Tensor:
        row, col = flat.div(width, rounding_mode="floor"), flat % width
        return torch.stack([(row + 0.5) * scale[0] - 0.5, (col + 0.5) * scale[1] - 0.5], 1)

    flat = grid.flatten(1)
    return position(flat.argmax(1)), position(flat.argmin(1))


def centred_rectangles(centre: Tensor, ratio: Tensor, aspect: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks (B, 1, H, W) bool: rectangles of area ratio * H * W around `centre`, clipped at the border (SANM Eq. 4).

    centre (B, 2), ratio (B,) in [0, 1], aspect (B,) height over width. Half-open ranges; ratio 0 masks nothing.
    """
    height, width = size
    half_height = (height * width * ratio * aspect).sqrt() / 2
    half_width = (height * width * ratio / aspect).sqrt() / 2
    start = centre - torch.stack([half_height, half_width], 1)
    stop = centre + torch.stack([half_height, half_width], 1)
    return _inside(start, stop, size)


def cornered_rectangles(corner: Tensor, ratio: Tensor, aspect: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks (B, 1, H, W) bool: whole-pixel rectangles with their top-left corner at `corner`, moved back inside
    where they would cross the border, as SANM's released code places them. Arguments as centred_rectangles."""
    height, width = size
    tall = (height * width * ratio * aspect).sqrt().round().clamp(max=height)
    wide = (height * width * ratio / aspect).sqrt().round().clamp(max=width)
    start = torch.stack([torch.minimum(corner[:, 0], height - tall), torch.minimum(corner[:, 1], width - wide)], 1)
    return _inside(start, start + torch.stack([tall, wide], 1), size)


def shifted_labels(targets: Tensor, ratio: Tensor) -> Tensor:
    """Noisy label regularisation: `ratio` of the leading class's mass is spread over all classes (SANM Eq. 7).

    targets (B, C) distributions, ratio (B,). y^r_j = y_j - r at j = argmax y, then + r/C everywhere, with
    r <= y_j C/(C-1), so that no entry turns negative; neither paper nor released code has that guard. Sums stay 1.
    """
    num_classes = targets.shape[1]
    top, leading = targets.max(1)
    ratio = torch.minimum(ratio, top * num_classes / (num_classes - 1))
    return targets + ratio[:, None] * (1 / num_classes - F.one_hot(leading, num_classes))


def _inside(start: Tensor, stop: Tensor, size: tuple[int, int]) -> Tensor:
    rows = torch.arange(size[0], device=start.device)
    cols = torch.arange(size[1], device=start.device)
    in_rows = (rows >= start[:, :1].clamp(min=0)) & (rows < stop[:, :1])
    in_cols = (cols >= start[:, 1:].clamp(min=0)) & (cols < stop[:, 1:])
    return (in_rows[:, :, None] & in_cols[:, None, :])[:, None]
