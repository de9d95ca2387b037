"""Where pixels move: crop and flip, affine maps, resized crops, for a whole batch with one map a sample.

Functions named `random_...` draw their parameters from a generator; the others take them and are what the
tests hold against PIL and torchvision. Not for anything that changes a pixel's value (see pixels.py).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

FIXED_POINT = 1 << 16  # PIL maps coordinates in 16.16 fixed point; so do we, to land on the same pixels


def uniform(low: float, high: float, batch: int, generator: Generator) -> Tensor:
    """(batch,) float64 uniform in [low, high), on the generator's device."""
    draw = torch.rand(batch, generator=generator, device=generator.device, dtype=torch.float64)
    return low + (high - low) * draw


def coin(probability: float, batch: int, generator: Generator) -> Tensor:
    """(batch,) bool, true with `probability`, on the generator's device."""
    return torch.rand(batch, generator=generator, device=generator.device) < probability


def crop_flip(
    images: Tensor, top: Tensor, left: Tensor, flip: Tensor, pad: int, padding: str = "zero", size: int | None = None
) -> Tensor:
    """Pad by `pad`, cut a window at (top, left) of the padded image, mirror where `flip`.

    images: (B, C, H, W) uint8. size: side of the window, None for the image's own height and width. top, left: (B,)
    int64 in 0..2 pad (and what the image is larger than the window). flip: (B,) bool. padding: 'zero' (black) or
    'reflect' (the border pixel is not repeated). Returns the windows, uint8.
    """
    height, width = images.shape[-2:]
    out_height, out_width = (height, width) if size is None else (size, size)
    columns = torch.arange(out_width, device=images.device)
    rows = top[:, None] + torch.arange(out_height, device=images.device)
    columns = left[:, None] + torch.where(flip[:, None], out_width - 1 - columns, columns)
    if padding == "reflect":
        return _gather(images, _reflect(rows - pad, height), _reflect(columns - pad, width))
    return _gather(F.pad(images, (pad, pad, pad, pad)), rows, columns)


def random_crop_flip(
    images: Tensor, pad: int, padding: str, flip_probability: float, generator: Generator, size: int | None = None
) -> Tensor:
    """`crop_flip` of square images, windows uniform over all places and flips with `flip_probability`, one draw a
    sample."""
    batch, side = images.shape[0], images.shape[-1]
    places = 2 * pad + 1 + (0 if size is None else side - size)
    offsets = torch.randint(places, (2, batch), generator=generator, device=generator.device)
    return crop_flip(images, offsets[0], offsets[1], coin(flip_probability, batch, generator), pad, padding, size)


def centre_crop(images: Tensor, size: int) -> Tensor:
    """The middle (B, C, size, size) of images (B, C, H, W), as torchvision's CenterCrop."""
    top, left = (round((n - size) / 2) for n in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


def affine_nearest(images: Tensor, matrix: Tensor, fill: int = 0) -> Tensor:
    """Nearest-pixel affine map in PIL's convention, bit for bit as `Image.transform(size, AFFINE, ...)`.

    images: (B, C, H, W) uint8. matrix: (B, 2, 3) floating, ((a, b, c), (d, e, f)): the output pixel (x, y)
    takes the input pixel that holds (a x' + b y' + c, d x' + e y' + f), x' = x + 1/2, y' = y + 1/2; x runs to
    the right, y down. fill: value of what comes from outside. Returns the shape and dtype of images.
    """
    height, width = images.shape[-2:]
    linear, shift = matrix[..., :2], matrix[..., 2]
    linear_fixed = _fixed(linear)
    shift_fixed = _fixed(shift + linear.sum(-1) / 2)
    x = torch.arange(width, device=images.device, dtype=torch.int32)
    y = torch.arange(height, device=images.device, dtype=torch.int32)[:, None]

    def source(axis: int, size: int) -> Tensor:
        a, b, c = linear_fixed[:, axis, 0], linear_fixed[:, axis, 1], shift_fixed[:, axis]
        position = (c[:, None, None] + b[:, None, None] * y) + a[:, None, None] * x
        return (position >> 16).clamp_(-1, size).add_(1)

    # a frame of one fill pixel makes every outside position an ordinary one: no mask, no second pass
    framed = F.pad(images, (1, 1, 1, 1), value=fill)
    return _gather_flat(framed, source(1, height) * (width + 2) + source(0, width))


def affine_matrix(
    angle: Tensor, translate: tuple[Tensor, Tensor], scale: Tensor, shear: Tensor, height: int, width: int
) -> Tensor:
    """(B, 2, 3) matrices for `affine_nearest` of torchvision's `affine` about the centre with x-shear only.

    angle, shear: (B,) degrees. translate: right and down, (B,) pixels. scale: (B,) above 0. All float64.
    """
    radians, slope = torch.deg2rad(angle), torch.tan(torch.deg2rad(shear))
    cos, sin = torch.cos(radians), torch.sin(radians)
    a, b, d, e = (cos - slope * sin) / scale, (sin + slope * cos) / scale, -sin / scale, cos / scale
    x, y = width / 2 + translate[0], height / 2 + translate[1]
    c, f = width / 2 - a * x - b * y, height / 2 - d * x - e * y
    return torch.stack([a, b, c, d, e, f], -1).view(-1, 2, 3)


def random_affine(images: Tensor, generator: Generator) -> Tensor:
    """The random affine map of C2D's warm-up view: up to 15 degrees, shift .1, scale 2/3..3/2, shear .1 degree.

    images: (B, C, H, W) uint8; shifts are whole pixels, outside is black. Source: C2D's code, `--aug`.
    """
    batch, _, height, width = images.shape
    angle = uniform(-15, 15, batch, generator)
    shift_x = uniform(-0.1 * width, 0.1 * width, batch, generator).round()
    shift_y = uniform(-0.1 * height, 0.1 * height, batch, generator).round()
    scale = uniform(2 / 3, 3 / 2, batch, generator)
    shear = uniform(-0.1, 0.1, batch, generator)
    return affine_nearest(images, affine_matrix(angle, (shift_x, shift_y), scale, shear, height, width))


def resized_crop(
    images: Tensor,
    top: Tensor,
    left: Tensor,
    height: Tensor,
    width: Tensor,
    flip: Tensor | None = None,
    size: int | None = None,
) -> Tensor:
    """Cut a box from each image, resize it (bilinear, antialiased), mirror where `flip`.

    images: (B, C, H, W) uint8. Boxes: (B,) in pixels, inside the image. size: side of the result, None for the
    image's own height and width. Returns uint8, within 1 of PIL, which rounds between its two passes. As in PIL,
    nothing outside the box shines in.
    """
    batch, channels, rows, columns = images.shape
    out_rows, out_columns = (rows, columns) if size is None else (size, size)
    to_columns = _resize_weights(left, width, columns, out_columns, flip)
    to_rows = _resize_weights(top, height, rows, out_rows, None)
    # autocast would do these products in half precision, which cannot hold 8-bit pixels
    with torch.autocast(images.device.type, enabled=False):
        out = torch.bmm(images.float().view(batch, channels * rows, columns), to_columns)
        out = out.view(batch, channels, rows, out_columns).transpose(2, 3).reshape(batch, channels * out_columns, rows)
        out = torch.bmm(out, to_rows).view(batch, channels, out_columns, out_rows).transpose(2, 3)
    return out.add(0.5).clamp_(0, 255).to(torch.uint8).contiguous()


def random_resized_crop(
    images: Tensor, scale: tuple[float, float], flip_probability: float, g: Generator, size: int | None = None
) -> Tensor:
    """`resized_crop` of boxes with an area fraction uniform in `scale` and log aspect uniform in log 3/4..log 4/3.

    Up to 10 tries a sample, then the whole image cut to the allowed aspect, as torchvision's RandomResizedCrop.
    """
    batch, _, height, width = images.shape
    tries = 10 * batch
    area = height * width * uniform(*scale, tries, g).view(10, batch)
    aspect = uniform(math.log(3 / 4), math.log(4 / 3), tries, g).exp().view(10, batch)
    widths, heights = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    first = fits.to(torch.uint8).argmax(0, keepdim=True)
    any_fits = fits.any(0)
    whole_height, whole_width = _fallback_box(height, width)
    box_height = torch.where(any_fits, heights.gather(0, first)[0], whole_height)
    box_width = torch.where(any_fits, widths.gather(0, first)[0], whole_width)
    position = torch.rand(2, batch, generator=g, device=g.device, dtype=torch.float64)
    top = torch.where(any_fits, (position[0] * (height - box_height + 1)).floor(), (height - whole_height) // 2)
    left = torch.where(any_fits, (position[1] * (width - box_width + 1)).floor(), (width - whole_width) // 2)
    return resized_crop(images, top, left, box_height, box_width, coin(flip_probability, batch, g), size)


def _fallback_box(height: int, width: int) -> tuple[int, int]:
    if width / height < 3 / 4:
        return round(width / (3 / 4)), width
    if width / height > 4 / 3:
        return height, round(height * 4 / 3)
    return height, width


def _resize_weights(start: Tensor, length: Tensor, pixels: int, size: int, flip: Tensor | None) -> Tensor:
    """(B, pixels, size) float32 weights of a triangle filter from start..start+length of `pixels` to `size` ones."""
    out = torch.arange(size, device=start.device)
    order = out.expand(start.shape[0], -1) if flip is None else torch.where(flip[:, None], size - 1 - out, out)
    step = length[:, None] / size
    centre = (start[:, None] + (order + 0.5) * step)[:, None, :]
    pixel = torch.arange(pixels, device=start.device)[:, None]
    weight = (1 - (pixel + 0.5 - centre).abs() / step.clamp(min=1)[:, None]).clamp_(min=0)
    inside = (pixel >= start[:, None, None]) & (pixel < (start + length)[:, None, None])
    weight = weight * inside
    return (weight / weight.sum(1, keepdim=True)).float()


def _reflect(position: Tensor, size: int) -> Tensor:
    period = max(2 * size - 2, 1)
    position = position.remainder(period)
    return torch.minimum(position, period - position)


def _fixed(value: Tensor) -> Tensor:
    return (value.double() * FIXED_POINT + 0.5).floor().int()


def _gather(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return _gather_flat(images, rows[:, :, None] * images.shape[3] + columns[:, None, :])


def _gather_flat(images: Tensor, index: Tensor) -> Tensor:
    """Pixels of (B, C, h, w) images at flat positions (B, H, W), as (B, C, H, W)."""
    batch, channels = images.shape[:2]
    flat = index.long().view(batch, 1, -1).expand(-1, channels, -1)
    return images.view(batch, channels, -1).gather(2, flat).view(batch, channels, *index.shape[1:])
