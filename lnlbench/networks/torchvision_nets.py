"""torchvision's ResNets with ImageNet's 7x7 stem, for large images (Clothing1M, WebVision).

torchvision builds them; this file only cuts them into trunk and head. A new head has PyTorch's initialisation.
"""

from __future__ import annotations

from torch import nn

from lnlbench.networks.base import Backbone
from lnlbench.networks.pretrained import load_weights


def resnet18(num_classes: int, *, pretrained: str | None = None) -> Backbone:
    """11,181,642 parameters for C = 10."""
    return _resnet("resnet18", num_classes, pretrained)


def resnet34(num_classes: int, *, pretrained: str | None = None) -> Backbone:
    """21,289,802 parameters for C = 10."""
    return _resnet("resnet34", num_classes, pretrained)


def resnet50(num_classes: int, *, pretrained: str | None = None) -> Backbone:
    """ResNet-50 v1.5 (stride in the 3x3 convolution); 23,536,718 parameters for C = 14."""
    return _resnet("resnet50", num_classes, pretrained)


def _resnet(name: str, num_classes: int, pretrained: str | None) -> Backbone:
    from torchvision.models import get_model

    whole = get_model(name, weights=None, num_classes=1)
    trunk = nn.Sequential()
    for part, module in whole.named_children():
        if part not in ("avgpool", "fc"):
            trunk.add_module(part, module)
    net = Backbone(trunk, num_classes, map_dim=whole.fc.in_features, min_image_size=32)
    if pretrained is not None:
        load_weights(net, name, pretrained, {"": "trunk."}, "fc.")
    return net
