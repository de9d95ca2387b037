"""Networks by name: `build('preact_resnet18', 10)`. Light to import; torch comes with the first network built."""

from lnlbench.networks.catalogue import BACKBONES, BackboneInfo
from lnlbench.networks.registry import build

__all__ = ["BACKBONES", "BackboneInfo", "build"]
