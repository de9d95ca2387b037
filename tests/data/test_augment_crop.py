"""Views smaller than the stored images: windows, their places, and resized crops against torchvision."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from lnlbench.data.augment import geometry
from lnlbench.data.augment.views import Views
from lnlbench.job import Recipe


def random_images(batch, height, width=None):
    g = torch.Generator().manual_seed(0)
    return torch.randint(256, (batch, 3, height, width or height), generator=g, dtype=torch.uint8)


@pytest.mark.parametrize("pad", [0, 3])
@pytest.mark.parametrize("flipped", [False, True])
def test_windows_of_another_size_equal_torchvision_at_every_place(pad, flipped):
    places = 12 + 2 * pad - 7 + 1
    top, left = (v.flatten() for v in torch.meshgrid(torch.arange(places), torch.arange(places), indexing="ij"))
    images = random_images(places**2, 12)
    got = geometry.crop_flip(images, top, left, torch.full((len(images),), flipped), pad, size=7)
    for i, image in enumerate(images):
        want = TF.crop(TF.pad(image, [pad] * 4), int(top[i]), int(left[i]), 7, 7)
        assert torch.equal(got[i], TF.hflip(want) if flipped else want)


def test_random_windows_fall_on_every_place_alike():
    number = torch.arange(100, dtype=torch.uint8).view(1, 1, 10, 10).expand(20_000, 3, 10, 10)
    out = geometry.random_crop_flip(number, 0, "zero", 0.0, torch.Generator().manual_seed(3), 6)
    assert out.shape == (20_000, 3, 6, 6)
    corner = out[:, 0, 0, 0].long()
    counts = torch.bincount(corner // 10 * 5 + corner % 10, minlength=25).double()
    assert counts.sum() == 20_000
    assert ((counts - 800) ** 2 / 800).sum() < 51.2  # 24 degrees of freedom, p = 0.001


@pytest.mark.parametrize(("height", "width", "size"), [(10, 10, 6), (11, 11, 6), (9, 14, 8), (7, 7, 7)])
def test_the_centre_is_torchvision_s(height, width, size):
    images = random_images(2, height, width)
    assert torch.equal(geometry.centre_crop(images, size), TF.center_crop(images, size))


@pytest.mark.parametrize("size", [12, 24, 50])
def test_resized_crops_to_another_size_are_within_one_of_pil(size):
    images = random_images(40, 24)
    g = torch.Generator().manual_seed(2)
    h, w = (torch.randint(4, 25, (40,), generator=g) for _ in range(2))
    top, left = ((torch.rand(40, generator=g) * (25 - length)).long() for length in (h, w))
    got = geometry.resized_crop(images, *(box.double() for box in (top, left, h, w)), size=size)
    for i, image in enumerate(images):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        want = TF.resized_crop(
            picture, int(top[i]), int(left[i]), int(h[i]), int(w[i]), [size] * 2, InterpolationMode.BILINEAR
        )
        assert (got[i].int() - TF.pil_to_tensor(want).int()).abs().max() <= 1


def test_every_view_has_the_side_of_the_crop():
    views = Views(Recipe(crop=8, pad=0), torch.zeros(3), torch.ones(3), torch.Generator().manual_seed(0))
    images = random_images(5, 12)
    for name in ("plain", "weak", "strong", "randaugment", "simclr", "simclr-wide", "jitter-affine"):
        assert views.view(images, name).shape == (5, 3, 8, 8)
    assert all(view.shape == (5, 3, 8, 8) for view in views.weak_and_distorted(images, "autoaugment", 4))
    torch.testing.assert_close(views.plain(images), images[:, :, 2:10, 2:10].float() / 255)
    assert (views.side(12), Views(Recipe(), *[torch.ones(3)] * 2, torch.Generator()).side(12)) == (8, 12)


def test_without_augmentation_the_weak_view_is_the_centre():
    recipe = Recipe(crop=8, augment="none")
    views = Views(recipe, torch.zeros(3), torch.ones(3), torch.Generator().manual_seed(0))
    images = random_images(5, 12)
    assert torch.equal(views.weak(images), views.plain(images))
