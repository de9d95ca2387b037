"""Pixel operations against PIL: no pixel may differ."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor
from torchvision.transforms import functional as TF

from lnlbench.data.augment import pixels

FACTORS = [0.0, 0.05, 0.14, 0.1, 0.73, 1.0, 1.27, 1.63, 1.9]
BITS = [8, 7, 6, 5, 4, 1, 0]
THRESHOLDS = [256.0, 255.0, 227.555, 178.5, 128.0, 85.333, 28.4, 0.0]


def image_batch(height: int = 32, width: int = 32) -> Tensor:
    """Noise, narrow ranges, few values, gradients, and constants: what tables and means can stumble over."""
    g = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (40, 3, height, width), generator=g)
    narrow = torch.randint(60, 131, (20, 3, height, width), generator=g)
    few = torch.randint(0, 3, (10, 3, height, width), generator=g) * 100
    peaked = (40 * torch.randn(40, 3, height, width, generator=g) + 120).clamp(0, 255)
    ramp = torch.linspace(3, 250, width).expand(2, 3, height, width)
    constant = torch.tensor([0, 255, 77]).view(3, 1, 1, 1).expand(3, 3, height, width)
    two = (torch.arange(width) == 0).expand(1, 3, height, width) * 9 + 5
    return torch.cat([part.to(torch.uint8) for part in (noise, narrow, few, peaked, ramp, constant, two)])


def pil_batch(images: Tensor, operation: Callable[[Image.Image], Image.Image]) -> Tensor:
    outs = [np.array(operation(Image.fromarray(i.permute(1, 2, 0).numpy()))) for i in images]
    return torch.from_numpy(np.stack(outs)).permute(0, 3, 1, 2)


def apply(function: Callable[..., Tensor], images: Tensor, name: str, magnitude: float) -> Tensor:
    codes = torch.full((len(images),), pixels.CODE[name])
    return function(images, codes, torch.full((len(images),), magnitude, dtype=torch.float64))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(
    ("name", "enhancer"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("color", ImageEnhance.Color),
        ("contrast", ImageEnhance.Contrast),
        ("sharpness", ImageEnhance.Sharpness),
    ],
)
@pytest.mark.parametrize("side", [32, 8])
def test_enhance_equals_pil(name, enhancer, factor, side):
    images = image_batch(side, side)
    want = pil_batch(images, lambda image: enhancer(image).enhance(factor))
    assert torch.equal(apply(pixels.enhance, images, name, factor), want)


@pytest.mark.parametrize("bits", BITS)
def test_posterize_equals_pil(bits):
    images = image_batch()
    want = pil_batch(images, lambda image: ImageOps.posterize(image, bits)) if bits else torch.zeros_like(images)
    assert torch.equal(apply(pixels.lookup, images, "posterize", bits), want)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_solarize_equals_pil(threshold):
    images = image_batch()
    want = pil_batch(images, lambda image: ImageOps.solarize(image, threshold))
    assert torch.equal(apply(pixels.lookup, images, "solarize", threshold), want)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 64), (8, 8), (24, 40)])
@pytest.mark.parametrize("name", ["autocontrast", "equalize", "invert"])
def test_table_operations_equal_pil(name, height, width):
    images = image_batch(height, width)
    want = pil_batch(images, getattr(ImageOps, name))
    assert torch.equal(apply(pixels.lookup, images, name, 0), want)


def test_autocontrast_equals_pil_for_every_range_of_values():
    low, high = (v.flatten() for v in torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij"))
    low, high = low[low < high][::7], high[low < high][::7]
    ramp = torch.arange(256).clamp(low[:, None], high[:, None]).to(torch.uint8)
    images = ramp.view(-1, 1, 16, 16).expand(-1, 3, -1, -1).contiguous()
    want = pil_batch(images, ImageOps.autocontrast)
    assert torch.equal(apply(pixels.lookup, images, "autocontrast", 0), want)


@pytest.mark.parametrize("name", ["equalize", "autocontrast"])
def test_a_constant_image_keeps_its_value(name):
    images = torch.full((2, 3, 32, 32), 77, dtype=torch.uint8)
    assert torch.equal(apply(pixels.lookup, images, name, 0), images)


def test_invert_twice_is_the_identity():
    images = image_batch()
    once = apply(pixels.lookup, images, "invert", 0)
    assert not torch.equal(once, images)
    assert torch.equal(apply(pixels.lookup, once, "invert", 0), images)


def test_each_sample_has_its_own_operation_and_factor():
    images = image_batch()[:30]
    codes = torch.arange(30) % len(pixels.OPERATIONS)
    magnitude = torch.linspace(0.2, 1.8, 30, dtype=torch.float64)
    together = pixels.enhance(pixels.lookup(images, codes, 4 * magnitude), codes, magnitude)
    for i in range(30):
        code, m = codes[i : i + 1], magnitude[i : i + 1]
        alone = pixels.enhance(pixels.lookup(images[i : i + 1], code, 4 * m), code, m)
        assert torch.equal(together[i : i + 1], alone)


@pytest.mark.parametrize("name", ["identity", "shear_x", "rotate", "translate_y"])
def test_operations_of_other_files_leave_pixels_alone(name):
    images = image_batch()
    assert torch.equal(apply(pixels.lookup, images, name, 7.0), images)
    assert torch.equal(apply(pixels.enhance, images, name, 7.0), images)


def test_luma_and_smooth_equal_pil():
    images = image_batch()
    gray = pil_batch(images, lambda image: image.convert("L").convert("RGB"))
    assert torch.equal(pixels.luma(images.float()).to(torch.uint8), gray[:, :1])
    smooth = pil_batch(images, lambda image: image.filter(ImageFilter.SMOOTH))
    assert torch.equal(pixels.smooth(images.float()).to(torch.uint8), smooth)


@pytest.mark.parametrize("shift", [-0.5, -0.37, -0.1, 0.0, 0.04, 0.1, 0.25, 0.4, 0.5])
def test_hue_is_within_one_of_torchvision(shift):
    images = image_batch()
    got = pixels.hue(images.float(), torch.full((len(images),), shift))
    assert (got - TF.adjust_hue(images, shift).float()).abs().max() <= 1


def test_hue_without_shift_changes_nothing():
    images = image_batch().float()
    assert torch.equal(pixels.hue(images, torch.zeros(len(images))), images)
    assert torch.equal(pixels.hue(images, torch.ones(len(images))), images)
