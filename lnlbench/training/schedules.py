"""Learning-rate schedules as pure functions of the position in training, and the optimisers they drive."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from lnlbench.job import Optimizer, Schedule


def factor(schedule: Schedule, position: float, epochs: int) -> float:
    """The factor on the learning rate at `position` (in epochs, 0 at the start) of `epochs`."""
    if schedule.warmup > 0 and position < schedule.warmup:
        if schedule.warmup_start == 0:
            return max(position, 1e-3 * schedule.warmup) / schedule.warmup
        # Towards where the schedule goes on, so that the rate does not jump (SupContrast).
        end = _shape(schedule, schedule.warmup, epochs)
        return schedule.warmup_start + (end - schedule.warmup_start) * position / schedule.warmup
    return _shape(schedule, position, epochs)


def _shape(schedule: Schedule, position: float, epochs: int) -> float:
    if schedule.name == "multistep":
        passed = sum(position >= at(milestone, epochs) for milestone in schedule.milestones)
        return schedule.gamma**passed
    if schedule.name == "cosine":
        fall = 0.5 * (1 + math.cos(math.pi * min(position / epochs, 1.0)))
        return schedule.floor + (1 - schedule.floor) * fall
    if schedule.name == "linear":
        start = at(schedule.start, epochs)
        return 1.0 if position < start or start >= epochs else max(0.0, (epochs - position) / (epochs - start))
    return 1.0


def at(mark: float, epochs: int) -> float:
    """A mark of a schedule in epochs: values below 1 are fractions of the length."""
    return mark * epochs if 0 < mark < 1 else mark


def make_optimizer(settings: Optimizer, params: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The torch optimiser; fused on CUDA, where it saves a launch per tensor."""
    params = [p for p in params if p.requires_grad]
    fused = {"fused": True} if any(p.is_cuda for p in params) else {}
    if settings.name == "sgd":
        return torch.optim.SGD(
            params,
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
            **fused,
        )
    cls = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
    return cls(params, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, **fused)


def set_rate(
    optimizer: torch.optim.Optimizer, settings: Optimizer, schedule: Schedule, position: float, epochs: int
) -> float:
    """Moves an optimiser to a position in training and returns its learning rate there."""
    rate = settings.lr * factor(schedule, position, epochs)
    for group in optimizer.param_groups:
        group["lr"] = rate
        if schedule.adam_beta1 is not None and position >= at(schedule.start, epochs):
            group["betas"] = (schedule.adam_beta1, group["betas"][1])
    return rate
