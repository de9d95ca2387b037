"""Initial weights from a file: torchvision's ImageNet weights in torch's hub cache, or any path in their format.

Nothing is downloaded here: a worker that reaches for the network in the middle of a suite is a surprise. A missing
file is an error that says which file, from where and to where.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch

from lnlbench.errors import DataError
from lnlbench.networks.base import Backbone


def load_weights(backbone: Backbone, name: str, source: str, prefixes: Mapping[str, str], head: str) -> None:
    """Load everything but the head into `backbone`, in place.

    name: torchvision's name of the network. source: 'imagenet' (its first ImageNet weights, V1, those of the papers)
    or the path of a state dict with torchvision's names. prefixes: theirs -> ours; head: prefix of what is left out.
    DataError when the file is missing, altered, or of another network.
    """
    path = imagenet_file(name) if source == "imagenet" else Path(source).expanduser()
    if not path.is_file():
        raise DataError(f"no weights at {path}.", "Give 'imagenet' or the path of a state dict saved with torch.save.")
    state = {}
    for key, tensor in _read(path).items():
        ours = _renamed(key, prefixes)
        if ours is not None and not key.startswith(head):
            state[ours] = tensor
    try:
        missing, unexpected = backbone.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise DataError(f"{path} does not hold weights of {name}.", str(error)) from None
    missing = [key for key in missing if not key.startswith("head.")]
    if missing or unexpected:
        raise DataError(
            f"{path} does not hold weights of {name}: {len(missing)} entries are missing, {len(unexpected)} not known.",
            f"For example: {(missing + unexpected)[0]}. It must be a state dict with torchvision's names.",
        )


def imagenet_file(name: str) -> Path:
    """Where torchvision's V1 ImageNet weights lie in torch's hub cache; DataError when missing or altered."""
    from torchvision.models import get_model_weights

    url: str = get_model_weights(name)["IMAGENET1K_V1"].url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not path.is_file():
        raise DataError(
            f"the ImageNet weights of {name} are not on this machine ({path}).",
            f"Fetch them once: curl --create-dirs -o {path} {url}\n"
            "Or leave pretrained out to train from scratch; on Clothing1M that costs about 4 points.",
        )
    # torchvision's file names end in the first digits of their sha256.
    digest = path.stem.rsplit("-", 1)[1]
    with path.open("rb") as file:
        if not hashlib.file_digest(file, "sha256").hexdigest().startswith(digest):
            raise DataError(f"{path} is damaged: its sha256 does not start with {digest}.", f"Fetch it again: {url}")
    return path


def _read(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise DataError(f"{path} is not a state dict saved with torch.save.", str(error)) from None
    if not isinstance(state, Mapping):
        raise DataError(f"{path} holds a {type(state).__name__}, not a state dict.")
    return state


def _renamed(key: str, prefixes: Mapping[str, str]) -> str | None:
    for theirs, ours in prefixes.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return None
