"""Decoders: sizes of SANM's released ones and of RFL's, shapes of all, and that SANM's are affine."""

import pytest
import torch
from torch import nn

from lnlbench.errors import InvalidSetting
from lnlbench.networks.decoder import build_decoder, build_light_decoder


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_released_decoders_have_the_cards_parameters():
    cifar = build_decoder((512, 4, 4), 32)
    assert parameters(cifar) == 3_283_331
    assert [parameters(layer) for layer in cifar] == [2_097_408, 1_179_776, 6_147]
    assert parameters(build_decoder((2048, 7, 7), 224)) == 19_007_363


def test_released_cifar_decoder_grows_4_10_15_32():
    x, sizes = torch.zeros(1, 512, 4, 4, device="meta"), []
    for layer in build_decoder((512, 4, 4), 32).to("meta"):
        x = layer(x)
        sizes.append(x.shape[-1])
    assert sizes == [10, 15, 32]


@pytest.mark.parametrize("kind", ["paper", "ours"])
@pytest.mark.parametrize(
    ("map_shape", "size"),
    [
        ((512, 4, 4), 32),
        ((128, 4, 4), 32),
        ((2048, 7, 7), 224),
        ((128, 2, 2), 32),
        ((512, 2, 2), 64),
        ((64, 8, 8), 32),
        ((64, 2, 2), 8),
        ((512, 4, 4), 28),
        ((128, 1, 1), 28),
        ((16, 4, 4), 15),
    ],
)
def test_output_is_an_image_of_the_asked_size(map_shape, size, kind):
    with torch.device("meta"):
        decoder = build_decoder(map_shape, size, kind)
        assert decoder(torch.empty(2, *map_shape)).shape == (2, 3, size, size)


def test_ours_halves_channels_down_to_32():
    layers = [m for m in build_decoder((512, 7, 7), 224, "ours") if isinstance(m, nn.ConvTranspose2d)]
    assert [layer.out_channels for layer in layers] == [256, 128, 64, 32, 3]
    layers = [m for m in build_decoder((128, 2, 2), 32) if isinstance(m, nn.ConvTranspose2d)]
    assert [layer.out_channels for layer in layers] == [64, 32, 32, 3]


@pytest.mark.parametrize(("map_shape", "size"), [((64, 4, 4), 32), ((64, 2, 2), 32), ((64, 4, 4), 28)])
def test_decoders_are_affine(map_shape, size):
    decoder = build_decoder(map_shape, size).double()
    a, b = torch.randn(2, 3, *map_shape, dtype=torch.float64)
    rest = decoder(a + b) - decoder(a) - decoder(b) + decoder(torch.zeros_like(a))
    assert rest.abs().max() < 1e-10


def test_impossible_requests_are_refused():
    with pytest.raises(InvalidSetting, match="square"):
        build_decoder((64, 4, 2), 32)
    with pytest.raises(InvalidSetting, match="smaller"):
        build_decoder((64, 32, 32), 32)
    with pytest.raises(InvalidSetting, match="kind"):
        build_decoder((64, 4, 4), 32, "mine")


def test_the_light_decoder_has_the_cards_parameters():
    assert parameters(build_light_decoder((512, 4, 4), 32)) == 163_219
    assert parameters(build_light_decoder((512, 7, 7), 224)) == 165_555


@pytest.mark.parametrize(
    ("map_shape", "size", "side"),
    [
        ((512, 4, 4), 32, 32),
        ((64, 8, 8), 32, 32),
        ((16, 2, 2), 8, 8),
        ((64, 4, 4), 15, 15),
        ((512, 1, 1), 32, 16),
        ((512, 7, 7), 224, 112),
    ],
)
def test_the_light_decoder_gives_the_image_or_half_of_it(map_shape, size, side):
    with torch.device("meta"):
        decoder = build_light_decoder(map_shape, size)
        assert decoder(torch.empty(2, *map_shape)).shape == (2, 3, side, side)
    with pytest.raises(InvalidSetting, match="smaller"):
        build_light_decoder((64, 32, 32), 32)
