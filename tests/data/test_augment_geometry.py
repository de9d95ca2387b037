"""Batched geometry against PIL and torchvision on the same parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from lnlbench.data.augment import geometry


def random_images(batch: int, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8, generator=g)


def to_pil(image: Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def from_pil(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@pytest.mark.parametrize("padding", ["zero", "reflect"])
@pytest.mark.parametrize(("height", "width", "pad"), [(32, 32, 4), (32, 32, 8), (8, 8, 1), (24, 40, 4), (8, 8, 9)])
def test_crop_and_flip_equal_torchvision_at_every_offset(padding, height, width, pad):
    side = 2 * pad + 1
    top, left = (v.flatten() for v in torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"))
    images = random_images(side * side, height, width)
    flip = torch.arange(side * side) % 3 == 0
    got = geometry.crop_flip(images, top, left, flip, pad, padding)
    mode = "constant" if padding == "zero" else "reflect"
    for i, image in enumerate(images):
        if padding == "reflect" and pad >= min(height, width):
            padded = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (pad, pad), (pad, pad)), mode="reflect"))
        else:
            padded = TF.pad(image, [pad] * 4, padding_mode=mode)
        want = TF.crop(padded, int(top[i]), int(left[i]), height, width)
        assert torch.equal(got[i], TF.hflip(want) if flip[i] else want)


def test_random_crop_flip_draws_all_offsets_and_both_directions_uniformly():
    # the image numbers its pixels, so that each output says where it was cut and whether it was mirrored
    number = torch.arange(1, 65, dtype=torch.uint8).view(1, 1, 8, 8).expand(20_000, 3, 8, 8)
    out = geometry.random_crop_flip(number, 2, "zero", 0.5, torch.Generator().manual_seed(3))[:, 0]
    flipped = out[:, 4, 5] < out[:, 4, 4]
    upright = torch.where(flipped[:, None, None], out.flip(2), out)
    corner = upright[:, 3, 3].long() - 1
    counts = torch.bincount((corner // 8 - 1) * 5 + corner % 8 - 1, minlength=25).double()
    chi_square = ((counts - 800) ** 2 / 800).sum()
    assert chi_square < 51.2  # 24 degrees of freedom, p = 0.001
    assert abs(flipped.double().mean() - 0.5) < 4 * 0.5 / 20_000**0.5


def test_no_flip_without_probability():
    images = random_images(64)
    out = geometry.random_crop_flip(images, 0, "zero", 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(out, images)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 8), (20, 33)])
def test_affine_nearest_equals_pil_transform(height, width):
    images = random_images(60, height, width)
    g = torch.Generator().manual_seed(1)
    matrix = torch.eye(2, 3, dtype=torch.float64) + 0.4 * torch.randn(60, 2, 3, generator=g, dtype=torch.float64)
    matrix[:, :, 2] *= 10
    got = geometry.affine_nearest(images, matrix, fill=128)
    for image, out, m in zip(images, got, matrix, strict=True):
        size = (width, height)
        want = to_pil(image).transform(size, Image.Transform.AFFINE, m.flatten().tolist(), fillcolor=(128,) * 3)
        assert torch.equal(out, from_pil(want))


@pytest.mark.parametrize("side", [8, 32])
def test_affine_matrix_equals_torchvision_affine(side):
    g = torch.Generator().manual_seed(2)
    images = random_images(100, side, side)
    angle = geometry.uniform(-15, 15, 100, g)
    shift = [geometry.uniform(-3, 3, 100, g).round() for _ in range(2)]
    scale, shear = geometry.uniform(2 / 3, 3 / 2, 100, g), geometry.uniform(-10, 10, 100, g)
    matrix = geometry.affine_matrix(angle, (shift[0], shift[1]), scale, shear, side, side)
    got = geometry.affine_nearest(images, matrix)
    different = 0
    for i in range(100):
        move = [int(shift[0][i]), int(shift[1][i])]
        want = TF.affine(to_pil(images[i]), angle[i].item(), move, scale[i].item(), [shear[i].item(), 0.0])
        different += int((got[i] != from_pil(want)).any(0).sum())
    assert different <= 1e-3 * 100 * side * side


def test_random_affine_moves_every_sample_its_own_way():
    images = random_images(1).expand(64, -1, -1, -1)
    out = geometry.random_affine(images, torch.Generator().manual_seed(0))
    assert len(torch.unique(out.flatten(1), dim=0)) == 64
    assert out.shape == images.shape
    assert out.dtype == torch.uint8


def random_boxes(batch: int, height: int, width: int) -> list[Tensor]:
    g = torch.Generator().manual_seed(4)
    h = torch.randint(2, height + 1, (batch,), generator=g)
    w = torch.randint(2, width + 1, (batch,), generator=g)
    top = (torch.rand(batch, generator=g) * (height - h + 1)).long()
    return [top, (torch.rand(batch, generator=g) * (width - w + 1)).long(), h, w]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 8), (16, 40)])
def test_resized_crop_is_within_one_of_pil(height, width):
    images = random_images(80, height, width)
    boxes = random_boxes(80, height, width)
    got = geometry.resized_crop(images, *(b.double() for b in boxes))
    for i, image in enumerate(images):
        top, left, h, w = (int(b[i]) for b in boxes)
        want = TF.resized_crop(to_pil(image), top, left, h, w, [height, width], InterpolationMode.BILINEAR)
        assert (got[i].int() - from_pil(want).int()).abs().max() <= 1


def test_resized_crop_of_the_whole_image_is_the_image_and_flips():
    images = random_images(4)
    zero, side = torch.zeros(4, dtype=torch.float64), torch.full((4,), 32.0, dtype=torch.float64)
    flip = torch.tensor([False, True, False, True])
    out = geometry.resized_crop(images, zero, zero, side, side, flip)
    assert torch.equal(out[::2], images[::2])
    assert torch.equal(out[1::2], images[1::2].flip(3))


def test_resized_crop_is_exact_under_autocast():
    images = random_images(8)
    boxes = [b.double() for b in random_boxes(8, 32, 32)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = geometry.resized_crop(images, *boxes)
    assert torch.equal(inside, geometry.resized_crop(images, *boxes))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (16, 64)])
def test_random_resized_crop_boxes_follow_scale_and_ratio(monkeypatch, height, width):
    seen = {}

    def record(images, top, left, h, w, flip=None, size=None):
        seen.update(top=top, left=left, h=h, w=w)
        return images

    monkeypatch.setattr(geometry, "resized_crop", record)
    images = torch.zeros(20_000, 3, height, width, dtype=torch.uint8)
    geometry.random_resized_crop(images, (0.2, 1.0), 0.5, torch.Generator().manual_seed(0))
    top, left, h, w = (seen[name] for name in ("top", "left", "h", "w"))
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + h <= height).all()
    assert (left + w <= width).all()
    assert torch.equal(h, h.round())
    area, aspect = h * w / (height * width), w / h
    # sides are rounded to whole pixels, and the fallback box of a wide image is smaller than the scale asks
    assert area.max() <= 1
    assert aspect.min() > 0.6
    assert aspect.max() < 1.6
    if height == width:
        assert area.min() > 0.17
        assert 0.5 < area.mean() < 0.6


def test_geometry_is_the_same_for_any_number_of_threads():
    images = random_images(64)
    threads = torch.get_num_threads()
    outs = []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            g = torch.Generator().manual_seed(5)
            outs.append(geometry.random_resized_crop(geometry.random_affine(images, g), (0.08, 1), 0.5, g))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*outs)
