"""Decoders: from the last feature map of a spoilt image back to the image as it was.

SANM's are affine in the map: transposed convolutions with bias, no activation, no normalisation (SANM, Sec. 3.4 and
yuanpengtu/SANM). RFL asks for "minimal additional parameters" and says no more: its decoder is our proposal.
"""

from __future__ import annotations

from math import ceil, log2
from typing import Literal

from torch import nn

from lnlbench.errors import InvalidSetting


def build_decoder(
    map_shape: tuple[int, int, int], image_size: int, kind: Literal["paper", "ours"] = "paper"
) -> nn.Module:
    """A module (B, D, h, w) -> (B, 3, image_size, image_size) for square maps smaller than the image.

    map_shape: (D, h, w), see `Backbone.map_shape`.
    kind 'paper': SANM's released decoder where there is one, ours for every other shape.
        4x4 -> 32 (CIFAR): D -> 256 k4 s2 -> 128 k6 s1 -> 3 k4 s2; 3,283,331 parameters for D = 512.
        7x7 -> 224: D -> 256 k6 s3 output padding 1 -> 128 k2 s3 output padding 1 -> 3 k2 s3; 19,007,363 for D = 2048.
            Kernels of 2 at stride 3 leave 55% of the pixels to the bias alone: take it to repeat the released code,
            and 'ours' for SANM as the paper describes it.
        Hidden channels are at most D/2 and D/4, so that networks of smaller width have decoders in proportion.
    kind 'ours', in no source: transposed convolutions k4 s2 p1 that halve the channels (not below 32) until the side
        reaches the image's, the last one to 3 channels; centre-cropped where the image's side is no power-of-two
        multiple of the map's.

    InvalidSetting for another kind, or a map that is not square and smaller than the image.
    """
    channels, height, width = map_shape
    _check_map(height, width, image_size)
    if kind not in ("paper", "ours"):
        raise InvalidSetting(f"unknown kind of decoder {kind!r}.", "Choose from: ours, paper.")
    if kind == "paper" and (height, image_size) == (4, 32):
        return _released(channels, [(4, 2, 0), (6, 1, 0), (4, 2, 0)])
    if kind == "paper" and (height, image_size) == (7, 224):
        return _released(channels, [(6, 3, 1), (2, 3, 1), (2, 3, 0)])
    return _doubling(channels, height, image_size)


def build_light_decoder(map_shape: tuple[int, int, int], image_size: int) -> nn.Module:
    """RFL's decoder, a module (B, D, h, w) -> (B, 3, S, S), S the image's side or, above 16 times the map's, half it.

    A 1x1 convolution to D/4 channels (16 to 128), then up to four times: nearest upsampling by 2 and a 3x3
    convolution that halves the channels (not below 16), all with batch norm and ReLU; a last 3x3 convolution to 3
    channels. 163,219 parameters from (512, 4, 4) to 32. Centre-cropped where the sides do not double evenly.
    InvalidSetting for a map that is not square and smaller than the image.
    """
    channels, height, width = map_shape
    _check_map(height, width, image_size)
    doublings = min(4, ceil(log2(image_size / height)))
    out = min(128, max(16, channels // 4))
    layers = _normalised(channels, out, 1)
    for _ in range(doublings):
        before, out = out, max(16, out // 2)
        layers += [nn.Upsample(scale_factor=2), *_normalised(before, out, 3)]
    layers.append(nn.Conv2d(out, 3, 3, padding=1))
    if height * 2**doublings > image_size:
        layers.append(_centre_crop(image_size))
    return nn.Sequential(*layers)


def _released(channels: int, layers: list[tuple[int, int, int]]) -> nn.Sequential:
    widths = [channels, min(256, max(1, channels // 2)), min(128, max(1, channels // 4)), 3]
    return nn.Sequential(
        *(
            nn.ConvTranspose2d(before, after, kernel, stride, output_padding=output_padding)
            for before, after, (kernel, stride, output_padding) in zip(widths[:-1], widths[1:], layers, strict=True)
        )
    )


def _doubling(channels: int, side: int, image_size: int) -> nn.Sequential:
    doublings = ceil(log2(image_size / side))
    decoder = nn.Sequential()
    for layer in range(doublings):
        out = 3 if layer == doublings - 1 else max(32, channels // 2)
        decoder.append(nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1))
        channels = out
    if side * 2**doublings != image_size:
        decoder.append(_centre_crop(image_size))
    return decoder


def _normalised(before: int, after: int, kernel: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]


def _centre_crop(side: int) -> nn.Module:
    from torchvision.transforms import CenterCrop

    crop: nn.Module = CenterCrop(side)
    return crop


def _check_map(height: int, width: int, image_size: int) -> None:
    if height != width or height >= image_size:
        raise InvalidSetting(
            f"no decoder from a {height}x{width} map to a {image_size}x{image_size} image.",
            "The map must be square and smaller than the image.",
        )
