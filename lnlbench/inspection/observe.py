"""Predictions together with the feature maps they are made from, of whichever networks `predict` calls.

Hooks see which networks those are: both of a pair, an average of weights, the one of the last stage. So nothing here
knows a method, and what is shown is what the reported accuracy is made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lnlbench.data.sources import source_of
from lnlbench.inspection import NotThere
from lnlbench.inspection.restore import Trained
from lnlbench.learning.masking import class_activation_map, squared_activation_map
from lnlbench.networks.base import Backbone
from lnlbench.training.data import Split
from lnlbench.training.engine import eval_batch


class Pass(NamedTuple):
    """One forward pass of a network within a prediction. headed: whether its own head made logits of it."""

    net: Backbone
    fmap: Tensor
    headed: bool


class Observed(NamedTuple):
    """A batch as the method sees it. views (B, 3, H, W) normalised; predicted (B,) classes; passes: at least one."""

    views: Tensor
    predicted: Tensor
    passes: Sequence[Pass]

    def features(self) -> Tensor:
        """(B, D) pooled features, float32; of several networks side by side."""
        return torch.cat([seen.net.pool(seen.fmap).float() for seen in self.passes], dim=1)

    def maps(self) -> Tensor:
        """(B, H, W) activation maps of the predicted classes, enlarged bilinearly; the mean over the networks.

        CAM where a linear head follows the average pooling, else the sum of squared features.
        """
        size = self.views.shape[-2:]
        maps = [
            class_activation_map(seen.fmap, seen.net.head.weight, self.predicted)
            if seen.headed and seen.net.linear_head
            else squared_activation_map(seen.fmap)
            for seen in self.passes
        ]
        large = [F.interpolate(one[:, None], size=size, mode="bilinear", align_corners=False)[:, 0] for one in maps]
        return torch.stack(large).mean(0)


@torch.no_grad()
def observe(trained: Trained, split: Split, indices: Tensor) -> Iterator[Observed]:
    """The samples `indices` (M,) int64 of a split in their order, in large batches of plain views, in eval mode.

    Raises NotThere where the prediction comes from none of our networks.
    """
    run = trained.run
    source = source_of(split.images, run.place.device)
    order = indices.to(run.place.device)
    with _watched(run.method) as passes:
        for images in source.stream(order, eval_batch(source.shape)):
            passes.clear()
            views = run.engine.views.plain(images)
            with run.place.autocast():
                out = run.method.predict(views).float()
            if not passes:
                raise NotThere(f"the prediction of {trained.job.method} is made without a network of lnlbench.")
            probs = out.softmax(-1)
            yield Observed(views, (probs if out.dim() == 2 else probs.mean(0)).argmax(-1), tuple(passes))


@contextmanager
def _watched(method: nn.Module) -> Iterator[list[Pass]]:
    """A list that fills with the passes of the method's networks while the block runs."""
    passes: list[Pass] = []

    def trunk_of(net: Backbone) -> Any:
        return lambda module, args, fmap: passes.append(Pass(net, fmap, False))

    def head_of(net: Backbone) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...], logits: Tensor) -> None:
            if passes and passes[-1].net is net:
                passes[-1] = passes[-1]._replace(headed=True)

        return hook

    handles = []
    for net in [module for module in method.modules() if isinstance(module, Backbone)]:
        handles += [net.trunk.register_forward_hook(trunk_of(net)), net.head.register_forward_hook(head_of(net))]
    try:
        yield passes
    finally:
        for handle in handles:
            handle.remove()
