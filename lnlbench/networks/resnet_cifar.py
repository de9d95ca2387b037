"""Post-activation ResNets with a 3x3 stem for small images (RFL, ELR, GCE, CDR, CIFAR-N), and their blocks.

ResNets with ImageNet's 7x7 stem are in `torchvision_nets.py`, the narrow ResNet-32 in `resnet32.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from lnlbench.networks.base import Backbone, scaled


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Shortcut where the shape changes: conv1x1 (stride, no bias) and BN (option B of He et al.)."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


class BasicBlock(nn.Module):
    """ReLU(BN(conv3x3(ReLU(BN(conv3x3(x, stride))))) + shortcut(x)); the shortcut is x where the shape stays.

    x (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        shortcut: Callable[[int, int, int], nn.Module] = projection,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """conv1x1 - conv3x3 (stride) - conv1x1, each with BN, ReLU between and after the sum.

    x (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)); out_channels is 4 times the
    inner width.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        inner = out_channels // 4
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else projection(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


def resnet_trunk(
    depths: Sequence[int], stem: int, outs: Sequence[int], block: Callable[[int, int, int], nn.Module]
) -> nn.Sequential:
    """conv3x3(3 -> stem), BN, ReLU, then one stage per entry of depths and outs, halving the map from the second on."""
    trunk = nn.Sequential()
    trunk.add_module("conv", nn.Conv2d(3, stem, 3, padding=1, bias=False))
    trunk.add_module("bn", nn.BatchNorm2d(stem))
    trunk.add_module("relu", nn.ReLU())
    channels = stem
    for stage, (depth, out) in enumerate(zip(depths, outs, strict=True)):
        stride = 1 if stage == 0 else 2
        blocks = [block(channels, out, stride), *(block(out, out, 1) for _ in range(depth - 1))]
        trunk.add_module(f"stage{stage + 1}", nn.Sequential(*blocks))
        channels = out
    return trunk


def resnet18_cifar(num_classes: int, *, width: float = 1.0) -> Backbone:
    """[2, 2, 2, 2] basic blocks of 64 to 512 channels; 11,173,962 parameters for C = 10. PyTorch's initialisation."""
    return _resnet((2, 2, 2, 2), BasicBlock, 1, width, num_classes)


def resnet34_cifar(num_classes: int, *, width: float = 1.0) -> Backbone:
    """[3, 4, 6, 3] basic blocks of 64 to 512 channels; 21,282,122 parameters for C = 10. PyTorch's initialisation."""
    return _resnet((3, 4, 6, 3), BasicBlock, 1, width, num_classes)


def resnet50_cifar(num_classes: int, *, width: float = 1.0) -> Backbone:
    """[3, 4, 6, 3] bottlenecks of 256 to 2048 channels; 23,520,842 parameters for C = 10. PyTorch's initialisation."""
    return _resnet((3, 4, 6, 3), Bottleneck, 4, width, num_classes)


def _resnet(
    depths: Sequence[int],
    block: Callable[[int, int, int], nn.Module],
    expansion: int,
    width: float,
    num_classes: int,
) -> Backbone:
    base = scaled(64, width)
    outs = [expansion * base * 2**stage for stage in range(len(depths))]
    return Backbone(resnet_trunk(depths, base, outs, block), num_classes, map_dim=outs[-1])
