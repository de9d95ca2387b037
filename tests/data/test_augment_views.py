"""Views of a batch: normalisation, the recipe's choices, determinism, and no read-back to the host."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.profiler import profile
from torchvision.transforms import functional as TF

from lnlbench.data.augment import policies
from lnlbench.data.augment.views import NAMES, Views
from lnlbench.errors import UnknownName
from lnlbench.job import Recipe

MEAN, STD = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2023, 0.1994, 0.2010])


def random_images(batch: int = 64, side: int = 32) -> Tensor:
    return torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(9))


def make(seed: int = 0, channels_last: bool = False, flip: bool = True, **recipe: Any) -> Views:
    return Views(Recipe(**recipe), MEAN, STD, torch.Generator().manual_seed(seed), channels_last, flip)


def test_plain_equals_torchvision_normalise():
    images = random_images()
    want = TF.normalize(images.float() / 255, MEAN.tolist(), STD.tolist())
    torch.testing.assert_close(make().plain(images), want, rtol=1e-5, atol=1e-5)


def test_normalise_and_denormalise_are_inverse():
    pixels = random_images().float() / 255
    views = make()
    torch.testing.assert_close(views.normalise(pixels), views.plain(random_images()), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(views.denormalise(views.normalise(pixels)), pixels, rtol=1e-5, atol=1e-6)


def test_padding_of_a_white_image_is_black_after_normalisation():
    white = torch.full((256, 3, 32, 32), 255, dtype=torch.uint8)
    out = make().weak(white)
    for channel in range(3):
        values = torch.unique(out[:, channel])
        want = torch.stack([-MEAN[channel] / STD[channel], (1 - MEAN[channel]) / STD[channel]])
        torch.testing.assert_close(values, want, rtol=1e-5, atol=1e-5)


def test_reflect_padding_of_a_white_image_is_white():
    white = torch.full((64, 3, 32, 32), 255, dtype=torch.uint8)
    views = make(padding="reflect")
    assert torch.equal(views.weak(white), views.plain(white))


def distinct(images: Tensor) -> int:
    return len(torch.unique(images.flatten(1), dim=0))


def test_weak_gives_many_distinct_views_of_one_image_and_new_ones_each_call():
    images, views = random_images(1).expand(64, -1, -1, -1), make()
    first, second = views.weak(images), views.weak(images)
    assert distinct(first) >= 40
    assert not torch.equal(first, second)


def test_crop_alone_and_no_flip_never_mirror_an_image():
    images = random_images(1, 8).expand(2000, -1, -1, -1)
    assert distinct(make(pad=1, augment="crop").weak(images)) == 9
    assert distinct(make(pad=1, flip=False).weak(images)) == 9
    assert distinct(make(pad=1).weak(images)) == 18


def test_half_of_the_weak_views_are_mirrored():
    images, views = random_images(1, 8).expand(20_000, -1, -1, -1), make(pad=0)
    out, plain = views.weak(images), views.plain(images)
    mirrored = (out == plain.flip(3)).flatten(1).all(1)
    assert (mirrored | (out == plain).flatten(1).all(1)).all()
    assert abs(mirrored.double().mean() - 0.5) < 4 * 0.5 / 20_000**0.5


def test_no_augmentation_is_the_plain_view():
    images, views = random_images(), make(augment="none")
    assert torch.equal(views.weak(images), views.plain(images))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [8, 32, 64])
def test_every_view_is_float_normalised_and_of_the_same_shape(name, side):
    images = random_images(16, side)
    out = make(pad=1 if side == 8 else 4).view(images, name)
    assert out.dtype == torch.float32
    assert out.shape == images.shape
    assert out.is_contiguous()
    pixels = make().denormalise(out) * 255
    torch.testing.assert_close(pixels, pixels.round(), rtol=0, atol=1e-3)
    assert pixels.min() > -1e-3
    assert pixels.max() < 255.001


def test_views_leave_the_batch_unchanged():
    images = random_images()
    before = images.clone()
    for name in NAMES:
        make(cutout=8).view(images, name)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", NAMES)
def test_generator_state_determines_the_view(name):
    images = random_images()
    views, again, other = make(1), make(1), make(2)
    first = views.view(images, name)
    assert torch.equal(first, again.view(images, name))
    if name != "plain":
        assert not torch.equal(first, other.view(images, name))
        assert not torch.equal(first, views.view(images, name))


@pytest.mark.parametrize("name", NAMES)
def test_global_random_state_is_neither_read_nor_changed(name):
    images = random_images()
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = make(1).view(images, name)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert torch.equal(make(1).view(images, name), first)


@pytest.mark.parametrize("name", NAMES)
def test_views_do_not_depend_on_the_number_of_threads(name):
    images, threads, outs = random_images(), torch.get_num_threads(), []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            outs.append(make(3).view(images, name))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*outs)


@pytest.mark.parametrize("name", NAMES)
def test_no_view_reads_a_value_back_to_the_host(name):
    # bincount, nonzero and masks as indices wait for a GPU although they show no item() on a CPU
    images, views = random_images(), make(cutout=8)
    views.view(images, name)
    with profile() as trace:
        views.view(images, name)
    called = {event.key for event in trace.key_averages()}
    assert "aten::mul_" in called
    waiting = ("item", "_local_scalar_dense", "nonzero", "is_nonzero", "bincount", "masked_select", "unique", "equal")
    assert called.isdisjoint(f"aten::{name}" for name in waiting)


def test_strong_follows_the_recipe_or_the_given_policy():
    images = random_images()
    for policy in policies.STRONG:
        given = make(4, strong="autoaugment").strong(images, policy)
        assert torch.equal(given, make(4).view(images, policy))
        if policy != "autoaugment-torchvision":
            assert torch.equal(given, make(4, strong=policy).strong(images))
    assert not torch.equal(make(4).strong(images), make(4).strong(images, "randaugment"))


def test_cutout_is_mean_gray_after_normalisation_and_in_strong_views_only():
    images = torch.full((64, 3, 32, 32), 255, dtype=torch.uint8)
    cut = make(cutout=16)
    holes = (cut.strong(images) == 0).all(1).flatten(1).sum(1)
    assert (holes >= 64).all()
    assert holes.max() == 256
    assert not (cut.weak(images) == 0).any()


def test_channels_last_changes_the_layout_and_nothing_else():
    images = random_images()
    for name in NAMES:
        out = make(1, channels_last=True).view(images, name)
        assert out.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(out, make(1).view(images, name))


def test_a_wrong_name_gets_the_nearest_one_and_the_choices():
    with pytest.raises(UnknownName, match="'randaugment'"):
        make().view(random_images(2), "randaugmnt")
    with pytest.raises(UnknownName, match="jitter-affine"):
        make().view(random_images(2), "zzz")
    with pytest.raises(UnknownName, match="strong policy"):
        make().strong(random_images(2), "simclr")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_views_run_on_a_gpu_without_waiting_for_it(name):
    generator = torch.Generator("cuda").manual_seed(0)
    views = Views(Recipe(cutout=8), MEAN, STD, generator)
    images = random_images().cuda()
    views.view(images, name)
    torch.cuda.set_sync_debug_mode("error")
    try:
        out = views.view(images, name)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert out.shape == images.shape


@pytest.mark.parametrize("augment", ["crop-flip", "crop", "none"])
def test_a_distorted_view_is_of_the_very_crop_beside_it(augment, monkeypatch):
    monkeypatch.setitem(policies.STRONG, "identity", lambda images, generator: images)
    views = make(augment=augment)
    weak, distorted = views.weak_and_distorted(random_images(), "identity", 0)
    assert torch.equal(weak, distorted)
    assert torch.equal(weak, make(augment=augment).weak(random_images()))
    weak, distorted = views.weak_and_distorted(random_images(), "identity", 8)
    changed = (weak != distorted).any(1)
    assert (distorted[:, 0][changed] == 0).all()
    sides = changed.any(2).sum(1), changed.any(1).sum(1)
    assert all(int(side.min()) >= 4 and int(side.max()) <= 8 for side in sides)
    assert not torch.equal(*views.weak_and_distorted(random_images(), "randaugment", 0))
    with pytest.raises(UnknownName, match="randaugment"):
        views.weak_and_distorted(random_images(), "randaugmen", 0)
