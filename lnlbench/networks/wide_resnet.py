"""WideResNet-28-10 and -28-2 (MW-Net, RMW-Net): pre-activation blocks, final BN and ReLU, no dropout.

Unlike the LNL PreAct ResNets, the identity shortcut here is the raw input, and the stem has no BN. IEG's network of
the same name is another one.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from lnlbench.networks.base import Backbone, scaled


class WideBlock(nn.Module):
    """a = ReLU(BN(x)); conv3x3(ReLU(BN(conv3x3(a, stride)))) + r, with r = x, or conv1x1(a, stride) where the channel
    count changes.

    x (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut = (
            None if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        y: Tensor = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        return y + (x if self.shortcut is None else self.shortcut(activated))


def wrn28_10(num_classes: int, *, width: float = 1.0) -> Backbone:
    """Three groups of 4 blocks, 160, 320, 640 channels; 36,479,194 parameters for C = 10."""
    return _wide_resnet(10, width, num_classes)


def wrn28_2(num_classes: int, *, width: float = 1.0) -> Backbone:
    """Three groups of 4 blocks, 32, 64, 128 channels; 1,467,610 parameters for C = 10."""
    return _wide_resnet(2, width, num_classes)


def _wide_resnet(factor: int, width: float, num_classes: int) -> Backbone:
    channels = scaled(16, width)
    base = scaled(16 * factor, width)
    trunk = nn.Sequential()
    trunk.add_module("conv", nn.Conv2d(3, channels, 3, padding=1, bias=False))
    for group in range(3):
        out = base * 2**group
        stride = 1 if group == 0 else 2
        blocks = [WideBlock(channels, out, stride), *(WideBlock(out, out) for _ in range(3))]
        trunk.add_module(f"group{group + 1}", nn.Sequential(*blocks))
        channels = out
    trunk.add_module("bn", nn.BatchNorm2d(channels))
    trunk.add_module("relu", nn.ReLU())
    net = Backbone(trunk, num_classes, map_dim=channels)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(net.head.bias)
    return net
