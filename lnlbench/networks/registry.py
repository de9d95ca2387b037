"""From a network's name and options to the network. It imports a family only when one of its networks is built.

Options are checked here against the catalogue, so that a family's function takes only what its networks have.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lnlbench.errors import InvalidSetting, unknown_name
from lnlbench.networks.catalogue import BACKBONES, BackboneInfo

if TYPE_CHECKING:
    from lnlbench.networks.base import Backbone


def build(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    image_size: int | None = None,
    pretrained: str | None = None,
    dropout: float | None = None,
) -> Backbone:
    """The network `name` for `num_classes` classes, with initial weights from torch's global generator.

    width: factor on the channel counts (see `base.scaled`); must be 1 for networks that are not scalable.
    image_size: side of the images it will see, checked against the smallest the network takes.
    pretrained: 'imagenet' or the path of a state dict in torchvision's names; only where ImageNet weights exist.
        Everything but the head is loaded.
    dropout: rate in place of the network's own; only where it has dropout.

    Raises UnknownName, InvalidSetting for an option the network does not take, DataError for missing weights.
    """
    if name not in BACKBONES:
        raise unknown_name("backbone", name, BACKBONES, "lnlbench list backbones")
    info = BACKBONES[name]
    if num_classes < 1:
        raise InvalidSetting(f"a network needs at least one class, got num_classes {num_classes}.")
    if image_size is not None:
        from lnlbench.networks.base import check_image_size

        check_image_size(image_size, info.min_image_size, name)
    factory: Callable[..., Backbone] = getattr(import_module(f"lnlbench.networks.{info.family}"), name)
    return factory(num_classes, **_options(info, width, pretrained, dropout))


def _options(info: BackboneInfo, width: float, pretrained: str | None, dropout: float | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if info.scalable:
        options["width"] = width
    elif width != 1:
        raise _refused(info, f"has a fixed width, got width {width:g}", [i.name for i in _all() if i.scalable])
    if info.imagenet:
        options["pretrained"] = pretrained
    elif pretrained is not None:
        raise _refused(info, f"has no pre-trained weights, got {pretrained!r}", [i.name for i in _all() if i.imagenet])
    if info.dropout is None:
        if dropout is not None:
            raise _refused(info, f"has no dropout, got {dropout:g}", [i.name for i in _all() if i.dropout is not None])
    else:
        rate = info.dropout if dropout is None else dropout
        if not 0 <= rate < 1:
            raise InvalidSetting(f"dropout must be at least 0 and below 1, got {rate!r}.")
        options["dropout"] = rate
    return options


def _all() -> list[BackboneInfo]:
    return list(BACKBONES.values())


def _refused(info: BackboneInfo, what: str, allowed: list[str]) -> InvalidSetting:
    return InvalidSetting(f"{info.name} {what}.", f"Leave it out, or choose from: {', '.join(allowed)}.")
