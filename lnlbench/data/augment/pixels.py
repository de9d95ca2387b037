"""What happens to pixel values: the enhance, table and colour operations, equal to PIL's on every pixel.

Each function treats a whole batch with one operation and one parameter a sample, in a few passes whatever the
operations are. Not for drawing parameters (see policies.py) or moving pixels (see geometry.py).
"""

from __future__ import annotations

import torch
from torch import Tensor

OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
    "invert",
)
"""The operations of AutoAugment and RandAugment; an operation's index here is its code everywhere."""

CODE = {name: code for code, name in enumerate(OPERATIONS)}


def luma(values: Tensor) -> Tensor:
    """Gray of PIL's mode L, (19595 R + 38470 G + 7471 B + 32768) >> 16.

    values: (B, 3, H, W) float32 whole numbers in 0..255. Returns (B, 1, H, W) float32 whole numbers.
    """
    # every partial sum stays below 2^24, so float32 holds it exactly
    total = values[:, 0:1] * 19595 + values[:, 1:2] * 38470 + values[:, 2:3] * 7471
    return total.add_(32768).mul_(1 / 65536).floor_()


def smooth(values: Tensor) -> Tensor:
    """PIL's SMOOTH filter: 3x3 weights 1, centre 5, over 13, rounded to nearest; border pixels are kept.

    values: (B, C, H, W) float32 whole numbers in 0..255. Returns the same.
    """
    rows = values[:, :, :-2] + values[:, :, 1:-1] + values[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    inner = total.add_(values[:, :, 1:-1, 1:-1], alpha=4).mul_(1 / 13).add_(0.5).floor_()
    out = values.clone()
    out[:, :, 1:-1, 1:-1] = inner
    return out


def enhance(images: Tensor, operation: Tensor, factor: Tensor) -> Tensor:
    """Brightness, color, contrast or sharpness by a factor, as PIL's ImageEnhance; other operations: unchanged.

    images: (B, 3, H, W) uint8. operation: (B,) codes of OPERATIONS. factor: (B,) floating, 1 is the original.
    Returns (B, 3, H, W) uint8.
    """
    values = images.float()
    sharpness = _each(operation == CODE["sharpness"])
    degenerate = torch.where(sharpness, smooth(values), colour_degenerate(values, operation))
    active = (operation >= CODE["brightness"]) & (operation <= CODE["sharpness"])
    return blend(values, degenerate, torch.where(active, factor, 1)).to(torch.uint8)


def colour_degenerate(values: Tensor, operation: Tensor) -> Tensor:
    """What factor 0 leaves: luma for color, its rounded mean for contrast, else black.

    values: (B, 3, H, W) float32 whole numbers. operation: (B,) codes. Returns (B, 1, H, W) float32.
    """
    gray = luma(values)
    count = gray.shape[2] * gray.shape[3]
    total = gray.sum((1, 2, 3), keepdim=True, dtype=torch.float64)
    mean = (total / count + 0.5).floor().float()
    contrast = torch.where(_each(operation == CODE["contrast"]), mean, 0)
    return torch.where(_each(operation == CODE["color"]), gray, contrast)


def blend(values: Tensor, degenerate: Tensor, factor: Tensor) -> Tensor:
    """floor(clip(degenerate + factor (values - degenerate), 0, 255)), in float32 as PIL's Image.blend.

    values: (B, 3, H, W) float32; degenerate: broadcastable to it; factor: (B,). Returns float32 whole numbers.
    """
    return (values - degenerate).mul_(_each(factor.float())).add_(degenerate).clamp_(0, 255).floor_()


def lookup(images: Tensor, operation: Tensor, magnitude: Tensor) -> Tensor:
    """Posterize, solarize, autocontrast, equalize or invert through one table a channel; others: unchanged.

    images: (B, 3, H, W) uint8. operation: (B,) codes. magnitude: (B,), bits kept for posterize, threshold for
    solarize (values below it stay), else not read. Returns (B, 3, H, W) uint8.
    """
    index = images.flatten(2).long()
    return tables(index, operation, magnitude).gather(2, index).view_as(images)


def tables(index: Tensor, operation: Tensor, magnitude: Tensor) -> Tensor:
    """The (B, 3, 256) uint8 tables of `lookup`. index: (B, 3, H W) int64 pixel values."""
    one = torch.ones((), dtype=torch.int32, device=index.device)
    histogram = torch.zeros((*index.shape[:2], 256), dtype=torch.int32, device=index.device)
    histogram.scatter_add_(2, index, one.expand_as(index))
    value = torch.arange(256, device=index.device, dtype=torch.int32)
    filled = histogram > 0
    low = torch.where(filled, value, 255).amin(2, keepdim=True)
    high = torch.where(filled, value, 0).amax(2, keepdim=True)
    # PIL leaves a channel as it is where one value fills it, and does not equalize too few pixels
    step = torch.div(index.shape[2] - histogram.gather(2, high.long()), 255, rounding_mode="floor")
    equalize = (operation == CODE["equalize"])[:, None, None] & (step > 0)
    autocontrast = (operation == CODE["autocontrast"])[:, None, None] & (high > low)
    table = _point_table(value, operation, magnitude)
    table = torch.where(equalize, _equalize_table(histogram, step), table)
    return torch.where(autocontrast, _autocontrast_table(value, low, high), table)


def hue(values: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue in HSV by `shift` of a full circle, rounded to whole numbers.

    values: (B, 3, H, W) float32 whole numbers in 0..255. shift: (B,) floating; at 0 nothing changes.
    torchvision's tensor formula; PIL's differs by its 8-bit hue and saturation.
    """
    red, green, blue = values.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    chroma = high - torch.minimum(torch.minimum(red, green), blue)
    safe = chroma.clamp(min=1)
    sector = torch.where(high == green, (blue - red).div_(safe).add_(2), (red - green).div_(safe).add_(4))
    sector = torch.where(high == red, (green - blue).div_(safe), sector).add_(6 * shift.float()[:, None, None])
    corner = 5 - 2 * torch.arange(3, device=values.device)[:, None, None]  # 5, 3, 1 for red, green, blue
    turn = (sector[:, None] + corner).div_(6)
    k = turn.sub_(turn.floor()).mul_(6)
    lowered = torch.minimum(k, 4 - k).clamp_(0, 1).mul_(chroma[:, None])
    return (high[:, None] - lowered).add_(0.5).floor_()


def _each(value: Tensor) -> Tensor:
    return value[:, None, None, None]


def _point_table(value: Tensor, operation: Tensor, magnitude: Tensor) -> Tensor:
    """(B, 1, 256) of posterize, solarize and invert (solarize at 0); the identity for the others."""
    cleared = torch.where(operation == CODE["posterize"], 8 - magnitude, 0).int()[:, None, None]
    kept = (value >> cleared) << cleared
    threshold = torch.where(operation == CODE["solarize"], magnitude, 256)
    threshold = torch.where(operation == CODE["invert"], 0, threshold)[:, None, None]
    return torch.where(kept < threshold, kept, 255 - kept).to(torch.uint8)


def _equalize_table(histogram: Tensor, step: Tensor) -> Tensor:
    below = histogram.cumsum(2, dtype=torch.int32).sub_(histogram)
    step = step.clamp(min=1)
    return below.add_(step // 2).floor_divide_(step).clamp_(max=255).to(torch.uint8)


def _autocontrast_table(value: Tensor, low: Tensor, high: Tensor) -> Tensor:
    # PIL's own order of operations in double precision: an exact quotient would differ by one here and there
    width = (high - low).clamp(min=1).double()
    scale = torch.full_like(width, 255.0) / width  # number / tensor would multiply by a rounded reciprocal
    return (value * scale).sub_(low * scale).clamp_(0, 255).to(torch.uint8)
