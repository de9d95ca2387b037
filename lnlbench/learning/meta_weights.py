"""Sample weights that are learned from a meta set: a small network of the loss, and the gradient that reaches the
weights through one virtual step of the classifier (Meta-Weight-Net and what builds on it), or from no step (L2RW).

Pure functions over parameter dictionaries; the classifier, its buffers and its optimiser are left as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, jvp

from lnlbench.networks.base import Backbone

How = Literal["exact", "finite_difference", "last_layer"]
Params = dict[str, Tensor]
MetaLoss = Callable[[Tensor, Tensor], Tensor]
"""(logits (M, C), labels (M,)) -> scalar."""


class WeightNet(nn.Module):
    """Losses (B,) -> weights (B,) in (0, 1): Linear(1, hidden), ReLU, Linear(hidden, 1), sigmoid, in float32."""

    def __init__(self, hidden: int = 100) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Sigmoid())

    def forward(self, losses: Tensor) -> Tensor:
        with torch.autocast(losses.device.type, enabled=False):
            weights: Tensor = self.layers(losses.float()[:, None]).squeeze(1)
        return weights


def normalised_weights(weights: Tensor) -> Tensor:
    """Weights (B,) >= 0 that sum to 1; unchanged where all are 0."""
    total = weights.sum()
    return weights / torch.where(total > 0, total, torch.ones_like(total))


def absolute_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean absolute error (B,) between softmax and one-hot label, 2 (1 - p_y): its sum over all labels is
    2 (C - 1) (Ghosh and Lan, WACV 2021)."""
    return 2 * (1 - logits.softmax(1).gather(1, labels[:, None]).squeeze(1))


def meta_gradient(
    net: Backbone,
    images: Tensor,
    labels: Tensor,
    weights: Tensor,
    rate: float,
    meta_images: Tensor,
    meta_labels: Tensor,
    meta_loss: MetaLoss,
    how: How = "exact",
) -> Tensor:
    """d L_meta / d weight (B,) after one virtual SGD step of `net` on sum_i weight_i CE_i, without momentum or decay.

    c_i = -rate <G, grad CE_i(w)> with G the meta loss's gradient at the stepped parameters. Batch norm uses batch
    statistics, of the training batch in the step and of the meta batch in the meta loss; the running ones of `net`
    do not move. images (B, 3, H, W), labels (B,) int64, weights (B,) without gradient; float32 throughout, since
    forward-mode differentiation fails under autocast and differences cancel in bfloat16.

    exact: one forward-mode product. finite_difference: two passes at w +- eps G, eps = 0.001 / |G|; a percent off.
    last_layer: step and product of the linear head alone, a third of the cost; its error is as large as its value.
    """
    with torch.autocast(images.device.type, enabled=False), torch.enable_grad():
        if how == "last_layer":
            return -rate * _of_last_layer(net, images, labels, weights, rate, meta_images, meta_labels, meta_loss)
        at = {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}
        start = {name: p.clone().requires_grad_() for name, p in at.items()}
        step = _gradient((weights * _losses(net, start, images, labels)).sum(), start)
        there = {name: (p - rate * step[name]).requires_grad_() for name, p in at.items()}
        towards = _gradient(meta_loss(_logits(net, there, meta_images), meta_labels), there)
        return -rate * _along(net, at, towards, images, labels, how)


def gradient_alignment(
    net: Backbone,
    images: Tensor,
    labels: Tensor,
    meta_images: Tensor,
    meta_labels: Tensor,
    meta_loss: MetaLoss,
    how: How = "exact",
) -> Tensor:
    """<G, grad CE_i> (B,), G the meta loss's gradient, both at the parameters of `net`: how much a little more weight
    for a sample would lower the meta loss (Ren et al., ICML 2018, Eq. 12, over the step length).

    It is `meta_gradient` at weights of 0 and rate 1, negated; no virtual step is needed. Arguments and modes as there.
    """
    with torch.autocast(images.device.type, enabled=False), torch.enable_grad():
        if how == "last_layer":
            nothing = torch.zeros(len(labels), device=images.device)
            return _of_last_layer(net, images, labels, nothing, 0.0, meta_images, meta_labels, meta_loss)
        at = {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}
        start = {name: p.clone().requires_grad_() for name, p in at.items()}
        towards = _gradient(meta_loss(_logits(net, start, meta_images), meta_labels), start)
        return _along(net, at, towards, images, labels, how)


def _along(net: nn.Module, at: Params, towards: Params, images: Tensor, labels: Tensor, how: How) -> Tensor:
    """<towards, grad CE_i> (B,) at `at`."""
    if how == "finite_difference":
        return _difference(net, at, towards, images, labels)
    return _product(net, at, towards, images, labels)


def _product(net: nn.Module, at: Params, towards: Params, images: Tensor, labels: Tensor) -> Tensor:
    """<towards, grad CE_i> (B,) at `at`, in forward mode: one pass for all samples."""
    with warnings.catch_warnings():
        # torch's own table of forward-mode rules is still made by torch.jit.script.
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.jit")
        both: tuple[Any, ...] = jvp(lambda p: _losses(net, p, images, labels), (at,), (towards,))
    product: Tensor = both[1]
    return product


def _logits(net: nn.Module, params: Params, images: Tensor) -> Tensor:
    # Cloned inside: batch norm counts its batches in place, which forward mode forbids on captured tensors.
    buffers = {name: b.clone() for name, b in net.named_buffers()}
    logits: Tensor = functional_call(net, (params, buffers), (images,))
    return logits


def _losses(net: nn.Module, params: Params, images: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(_logits(net, params, images), labels, reduction="none")


def _gradient(loss: Tensor, params: Params) -> Params:
    found = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(params.items(), found, strict=True)}


@torch.no_grad()
def _difference(net: nn.Module, at: Params, towards: Params, images: Tensor, labels: Tensor) -> Tensor:
    norm = torch.stack([g.square().sum() for g in towards.values()]).sum().sqrt()
    eps = 1e-3 / norm.clamp_min(1e-12)
    ahead, behind = (
        _losses(net, {name: p + sign * eps * towards[name] for name, p in at.items()}, images, labels)
        for sign in (1, -1)
    )
    return (ahead - behind) / (2 * eps)


def _of_last_layer(
    net: Backbone,
    images: Tensor,
    labels: Tensor,
    weights: Tensor,
    rate: float,
    meta_images: Tensor,
    meta_labels: Tensor,
    meta_loss: MetaLoss,
) -> Tensor:
    with torch.no_grad():
        features, meta_features = (_features(net, x) for x in (images, meta_images))
        errors = net.head(features).softmax(1) - F.one_hot(labels, net.num_classes)
        pulled = weights[:, None] * errors
        stepped = [net.head.weight - rate * pulled.T @ features, net.head.bias - rate * pulled.sum(0)]
    head = {"weight": stepped[0].requires_grad_(), "bias": stepped[1].requires_grad_()}
    towards = _gradient(meta_loss(F.linear(meta_features, head["weight"], head["bias"]), meta_labels), head)
    return (errors * (features @ towards["weight"].T + towards["bias"])).sum(1)


class _Features(nn.Module):
    """The features of a network as a module's forward pass, which `functional_call` can take."""

    def __init__(self, net: Backbone) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        return self.net.features(images).float()


def _features(net: Backbone, images: Tensor) -> Tensor:
    # In copies of the buffers: a graph that waits for its backward pass may hold the originals.
    buffers = {f"net.{name}": b.clone() for name, b in net.named_buffers()}
    features: Tensor = functional_call(_Features(net), buffers, (images,))
    return features
