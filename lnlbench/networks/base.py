"""The one interface of all networks: images -> last feature map -> pooled features -> logits.

Methods rely on its three parts (`trunk`, `pool`, `head`) and on nothing else of a network; the architectures
themselves are in the family files, and which there are is in `catalogue.py`.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lnlbench.errors import InvalidSetting


class Output(NamedTuple):
    """What a network says of B images.

    logits: (B, C) float32; features: (B, D), what the linear head sees; fmap: (B, M, h, w), the trunk's last map.
    """

    logits: Tensor
    features: Tensor
    fmap: Tensor


class Backbone(nn.Module):
    """A network for C classes: `logits = head(pool(trunk(images)))`.

    trunk: images (B, 3, H, W) float -> last feature map (B, M, h, w). It is always called as a module, so forward
        hooks on it fire.
    pool: global average, so M = D; a family may override it (VGG's fully connected layers).
    head: Linear(D, C), PyTorch's default initialisation unless the family says otherwise.
    num_classes: C; feature_dim: D; map_dim: M; min_image_size: smallest side of an image, in pixels.
    linear_head: True where logits are average pooling and a linear layer, so that class activation maps exist:
        the average over positions of sum_d head.weight[k, d] fmap[:, d], plus head.bias[k], is the logit of k.

    Initial weights come from torch's global generator: seed it before building.
    """

    linear_head: bool = True

    def __init__(
        self,
        trunk: nn.Module,
        num_classes: int,
        *,
        map_dim: int,
        feature_dim: int | None = None,
        min_image_size: int = 8,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.map_dim = map_dim
        self.feature_dim = map_dim if feature_dim is None else feature_dim
        self.min_image_size = min_image_size
        self.trunk = trunk
        self.head = nn.Linear(self.feature_dim, num_classes)

    def pool(self, fmap: Tensor) -> Tensor:
        """Features (B, D) of a map (B, M, h, w): the average over all positions."""
        return fmap.mean(dim=(2, 3))

    def outputs(self, images: Tensor) -> Output:
        """Logits, features and last map of images (B, 3, H, W); InvalidSetting if they are too small."""
        fmap = self._map(images)
        features = self.pool(fmap)
        # In float32 whatever the precision: losses, mixtures and targets are made of these.
        return Output(self.head(features).float(), features, fmap)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, C) of images (B, 3, H, W)."""
        return self.outputs(images).logits

    def features(self, images: Tensor) -> Tensor:
        """Pooled features (B, D) of images (B, 3, H, W); the head is not evaluated."""
        return self.pool(self._map(images))

    def map_shape(self, image_size: int) -> tuple[int, int, int]:
        """(M, h, w) of the last map for square images, without computing it; hooks on the trunk see meta tensors."""
        check_image_size(image_size, self.min_image_size, type(self).__name__)
        state = {
            name: torch.empty_like(tensor, device="meta")
            for name, tensor in chain(self.trunk.named_parameters(), self.trunk.named_buffers())
        }
        # Two images, because batch norm in training mode refuses a single value per channel.
        images = torch.empty(2, 3, image_size, image_size, device="meta")
        with torch.no_grad():
            fmap = torch.func.functional_call(self.trunk, state, (images,))
        _, channels, height, width = fmap.shape
        return channels, height, width

    def _map(self, images: Tensor) -> Tensor:
        check_image_size(min(images.shape[-2:]), self.min_image_size, type(self).__name__)
        fmap: Tensor = self.trunk(images)
        return fmap


def check_image_size(side: int, smallest: int, network: str) -> None:
    """InvalidSetting if images of this side are smaller than the network can take."""
    if side < smallest:
        raise InvalidSetting(
            f"{network} needs images of at least {smallest}x{smallest} pixels, got a side of {side}.",
            f"Set the recipe's image_size to {smallest} or more, or choose another backbone "
            "(`lnlbench list backbones` shows the smallest image of each).",
        )


def scaled(channels: int, width: float) -> int:
    """Channel count at a width factor: the nearest multiple of 4, at least 4. InvalidSetting unless width > 0.

    At width 1 the count is left as it is. Families scale their narrowest stage and derive the others from it.
    """
    if not width > 0:
        raise InvalidSetting(f"width must be above 0, got {width!r}.", "1 is the network of the paper.")
    return max(4, 4 * int(channels * width / 4 + 0.5))
