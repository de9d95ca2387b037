"""The network of desk and smoke runs: small enough to train on a CPU in minutes. No paper uses it."""

from __future__ import annotations

from torch import nn

from lnlbench.networks.base import Backbone, scaled


def smallcnn(num_classes: int, *, width: float = 1.0) -> Backbone:
    """Three stages of two conv3x3 - BN - ReLU, 16, 32, 64 channels, strides 1, 2, 2: a map of a quarter of the side."""
    base = scaled(16, width)
    trunk = nn.Sequential(
        *_conv(3, base, 1),
        *_conv(base, base, 1),
        *_conv(base, 2 * base, 2),
        *_conv(2 * base, 2 * base, 1),
        *_conv(2 * base, 4 * base, 2),
        *_conv(4 * base, 4 * base, 1),
    )
    return Backbone(trunk, num_classes, map_dim=4 * base)


def _conv(in_channels: int, out_channels: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
