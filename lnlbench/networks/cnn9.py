"""The 9-layer CNN of Co-teaching (`cnn9`), with dropout that is active in training only.

The released code calls dropout without its `training` argument: never active in the PyTorch it names, always active,
even at test time, in any later one. Neither is copied; `dropout=0` gives the first.
"""

from __future__ import annotations

from torch import nn

from lnlbench.networks.base import Backbone, scaled


def cnn9(num_classes: int, *, width: float = 1.0, dropout: float = 0.25) -> Backbone:
    """Nine conv3x3 - BN - LeakyReLU(0.01); 4,434,570 parameters for C = 10; map 128 x 2 x 2 at 32x32.

    The last three convolutions have no padding: images of at least 28x28. PyTorch's initialisation.
    """
    base = scaled(128, width)
    trunk = nn.Sequential(
        *_conv(3, base),
        *_conv(base, base),
        *_conv(base, base),
        nn.MaxPool2d(2),
        nn.Dropout2d(dropout),
        *_conv(base, 2 * base),
        *_conv(2 * base, 2 * base),
        *_conv(2 * base, 2 * base),
        nn.MaxPool2d(2),
        nn.Dropout2d(dropout),
        *_conv(2 * base, 4 * base, padding=0),
        *_conv(4 * base, 2 * base, padding=0),
        *_conv(2 * base, base, padding=0),
    )
    return Backbone(trunk, num_classes, map_dim=base, min_image_size=28)


def _conv(in_channels: int, out_channels: int, padding: int = 1) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(in_channels, out_channels, 3, padding=padding),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.01),
    )
