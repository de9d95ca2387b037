"""ResNet-32 for 32x32 images: 3 stages of 5 basic blocks, 16-32-64 channels (MW-Net, RMW-Net).

`resnet32` has the parameter-free shortcut (option A) of those papers, `resnet32_b` projections (option B).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from lnlbench.networks.base import Backbone, scaled
from lnlbench.networks.resnet_cifar import BasicBlock, projection, resnet_trunk


class SubsampleAndPad(nn.Module):
    """Option A: every `stride`-th position, new channels zero, half of them before and half after the old ones.

    x (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


def resnet32(num_classes: int, *, width: float = 1.0) -> Backbone:
    """Option A; 464,154 parameters for C = 10. Kaiming-normal (fan in) weights of convolutions and head."""
    return _resnet32(SubsampleAndPad, width, num_classes)


def resnet32_b(num_classes: int, *, width: float = 1.0) -> Backbone:
    """Option B; 466,906 parameters for C = 10. Initialised as `resnet32`."""
    return _resnet32(projection, width, num_classes)


def _resnet32(shortcut: Callable[[int, int, int], nn.Module], width: float, num_classes: int) -> Backbone:
    base = scaled(16, width)
    trunk = resnet_trunk((5, 5, 5), base, (base, 2 * base, 4 * base), partial(BasicBlock, shortcut=shortcut))
    net = Backbone(trunk, num_classes, map_dim=4 * base)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return net
