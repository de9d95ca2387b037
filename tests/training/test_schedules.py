"""Learning-rate schedules against the tables that the papers print, and the optimisers they move."""

import pytest
import torch

from lnlbench.job import Optimizer, Schedule
from lnlbench.training.schedules import at, factor, make_optimizer, set_rate


@pytest.mark.parametrize(
    ("schedule", "epochs", "expected"),
    [
        (Schedule("constant"), 4, {0: 1, 3: 1}),
        (Schedule("multistep", (150,)), 300, {0: 1, 149: 1, 150: 0.1, 299: 0.1}),
        (Schedule("multistep", (80, 100)), 120, {79: 1, 80: 0.1, 99: 0.1, 100: 0.01}),
        (Schedule("multistep", (0.5, 0.75), gamma=0.2), 100, {49: 1, 50: 0.2, 74: 0.2, 75: 0.04}),
        (Schedule("cosine"), 100, {0: 1, 50: 0.5, 25: 0.8535534, 100: 0}),
        (Schedule("linear", start=80), 200, {0: 1, 79: 1, 80: 1, 140: 0.5, 199: 1 / 120, 200: 0}),
        (Schedule("linear", start=0.4), 200, {79: 1, 140: 0.5}),
        (Schedule("constant", warmup=5), 20, {0: 1e-3, 1: 0.2, 4: 0.8, 5: 1}),
        (Schedule("multistep", (2,), warmup=5), 20, {4: 0.8, 5: 0.1}),
        (Schedule("cosine", floor=0.02), 300, {0: 1, 150: 0.51, 300: 0.02}),
        # SupContrast: 0.5 to 0.0005 after a rise from 0.01 to 0.49988.
        (
            Schedule("cosine", floor=0.001, warmup=10, warmup_start=0.02),
            1000,
            {0: 0.02, 5: 0.50988, 9.999999: 0.99975, 10: 0.99975, 1000: 0.001},
        ),
    ],
)
def test_factor_by_epoch(schedule: Schedule, epochs: int, expected: dict) -> None:
    assert {e: factor(schedule, e, epochs) for e in expected} == pytest.approx(expected, rel=1e-5)


def test_factor_within_an_epoch() -> None:
    assert factor(Schedule("cosine"), 0.5, 2) == pytest.approx(0.8535534)
    assert factor(Schedule("linear"), 1.5, 2) == pytest.approx(0.25)
    assert factor(Schedule("multistep", (0.25,)), 0.49, 2) == 1
    assert factor(Schedule("multistep", (0.25,)), 0.5, 2) == pytest.approx(0.1)


def test_a_mark_below_one_is_a_fraction_of_the_length() -> None:
    assert [at(0, 300), at(0.5, 300), at(1, 300), at(150, 300)] == [0, 150, 1, 150]


def test_no_factor_is_negative_beyond_the_end() -> None:
    assert factor(Schedule("linear", start=1), 12, 10) == 0
    assert factor(Schedule("cosine"), 12, 10) == pytest.approx(0)


def parameters() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2), requires_grad=False)]


@pytest.mark.parametrize(
    ("settings", "cls", "values"),
    [
        (Optimizer("sgd", 0.1, 0.8, True, 1e-3), torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
        (Optimizer("adam", 0.1, weight_decay=1e-3, betas=(0.5, 0.9)), torch.optim.Adam, {"betas": (0.5, 0.9)}),
        (Optimizer("adamw", 0.1, weight_decay=1e-3), torch.optim.AdamW, {"betas": (0.9, 0.999)}),
    ],
)
def test_the_optimiser_is_as_set_and_leaves_frozen_parameters_out(settings, cls, values) -> None:
    optimizer = make_optimizer(settings, parameters())
    (group,) = optimizer.param_groups
    assert type(optimizer) is cls
    assert len(group["params"]) == 1
    assert {"lr": group["lr"], "weight_decay": group["weight_decay"]} == {"lr": 0.1, "weight_decay": 1e-3}
    assert {name: group[name] for name in values} == values


def test_set_rate_moves_the_rate_and_switches_adams_beta1_at_the_start() -> None:
    settings, schedule = Optimizer("adam", 1e-3), Schedule("linear", start=80, adam_beta1=0.1)
    optimizer = make_optimizer(settings, parameters())
    group = optimizer.param_groups[0]
    assert set_rate(optimizer, settings, schedule, 79, 200) == pytest.approx(1e-3)
    assert group["betas"] == (0.9, 0.999)
    assert set_rate(optimizer, settings, schedule, 80, 200) == group["lr"] == pytest.approx(1e-3)
    assert group["betas"] == (0.1, 0.999)
    assert set_rate(optimizer, settings, schedule, 140, 200) == group["lr"] == pytest.approx(5e-4)


def test_a_linear_fall_that_would_start_at_the_end_does_not_happen() -> None:
    assert [factor(Schedule("linear", start=3), position, 3) for position in (0.0, 2.9, 3.0)] == [1.0, 1.0, 1.0]
