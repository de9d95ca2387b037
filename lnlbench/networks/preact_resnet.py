"""PreAct ResNets as the LNL literature uses them (DivideMix, ELR+, AugDesc, SSR, SANM).

Not the network of model zoos nor He et al.'s canonical form: here the stem has BN and ReLU, the identity shortcut
starts at the *activated* input, and no BN or ReLU follows the last block, so pooled features can be negative.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from lnlbench.networks.base import Backbone, scaled


class PreActBlock(nn.Module):
    """a = ReLU(BN(x)); conv3x3(ReLU(BN(conv3x3(a, stride)))) + r, with r = a, or conv1x1(a, stride) without BN
    where the shape changes.

    x (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        if stride == 1 and in_channels == out_channels:
            self.shortcut: nn.Module = nn.Identity()
        else:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        shortcut: Tensor = self.shortcut(activated)
        y: Tensor = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        return y + shortcut


def preact_resnet18(num_classes: int, *, width: float = 1.0) -> Backbone:
    """[2, 2, 2, 2] blocks of 64, 128, 256, 512 channels; 11,171,274 parameters for C = 10. PyTorch's initialisation."""
    return _preact_resnet((2, 2, 2, 2), scaled(64, width), num_classes)


def preact_resnet34(num_classes: int, *, width: float = 1.0) -> Backbone:
    """[3, 4, 6, 3] blocks of 64, 128, 256, 512 channels; 21,279,434 parameters for C = 10. PyTorch's initialisation."""
    return _preact_resnet((3, 4, 6, 3), scaled(64, width), num_classes)


def preact_resnet32(num_classes: int, *, width: float = 1.0) -> Backbone:
    """[5, 5, 5] blocks of 16, 32, 64 channels; 466,618 parameters for C = 10. PyTorch's initialisation."""
    return _preact_resnet((5, 5, 5), scaled(16, width), num_classes)


def _preact_resnet(depths: Sequence[int], base: int, num_classes: int) -> Backbone:
    trunk = nn.Sequential()
    trunk.add_module("conv", nn.Conv2d(3, base, 3, padding=1, bias=False))
    trunk.add_module("bn", nn.BatchNorm2d(base))
    trunk.add_module("relu", nn.ReLU())
    channels = base
    for stage, depth in enumerate(depths):
        out = base * 2**stage
        stride = 1 if stage == 0 else 2
        blocks = [PreActBlock(channels, out, stride), *(PreActBlock(out, out) for _ in range(depth - 1))]
        trunk.add_module(f"stage{stage + 1}", nn.Sequential(*blocks))
        channels = out
    return Backbone(trunk, num_classes, map_dim=channels)
