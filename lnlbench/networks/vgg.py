"""VGG-19 with batch norm: the full network of Animal-10N's tables, SSR's start of it, and a small one for tests.

Module names of the convolutions follow torchvision's, so that its ImageNet weights load. The version without batch
norm is used by no table and is not here.
"""

from __future__ import annotations

from torch import Tensor, nn

from lnlbench.networks.base import Backbone, scaled
from lnlbench.networks.pretrained import load_weights


class VGG(Backbone):
    """VGG's pooling to 7x7 and two hidden fully connected layers of 4096, each ReLU and dropout, before the head.

    features (B, 4096) are those after the second dropout. Linear weights N(0, linear_std^2), biases 0.
    """

    linear_head = False

    def __init__(self, num_classes: int, *, dropout: float, linear_std: float) -> None:
        super().__init__(_convolutions(64), num_classes, map_dim=512, feature_dim=4096, min_image_size=32)
        self.average = nn.AdaptiveAvgPool2d(7)
        self.hidden = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, linear_std)
                nn.init.zeros_(module.bias)

    def pool(self, fmap: Tensor) -> Tensor:
        """Features (B, 4096) of a map (B, 512, h, w), through the two hidden layers."""
        features: Tensor = self.hidden(self.average(fmap).flatten(1))
        return features


def vgg19_bn(num_classes: int, *, dropout: float = 0.5, pretrained: str | None = None) -> Backbone:
    """16 convolutions and 3 linear layers as torchvision's, std 0.01; 139,622,218 parameters for C = 10."""
    net = VGG(num_classes, dropout=dropout, linear_std=0.01)
    if pretrained is not None:
        load_weights(net, "vgg19_bn", pretrained, {"features.": "trunk.", "classifier.": "hidden."}, "classifier.6.")
    return net


def vgg19_bn_ssr(num_classes: int, *, dropout: float = 0.2) -> Backbone:
    """The same with SSR's dropout 0.2 and linear weights N(0, 0.005^2)."""
    return VGG(num_classes, dropout=dropout, linear_std=0.005)


def vgg19_bn_small(num_classes: int, *, width: float = 1.0) -> Backbone:
    """16 convolutions, global average, Linear(512, C); 20,040,522 parameters for C = 10. Initialised as `vgg19_bn`."""
    base = scaled(64, width)
    net = Backbone(_convolutions(base), num_classes, map_dim=8 * base, min_image_size=32)
    nn.init.normal_(net.head.weight, 0.0, 0.01)
    nn.init.zeros_(net.head.bias)
    return net


def _convolutions(base: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for out, depth in ((base, 2), (2 * base, 2), (4 * base, 4), (8 * base, 4), (8 * base, 4)):
        for _ in range(depth):
            conv = nn.Conv2d(channels, out, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            layers += [conv, nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)
