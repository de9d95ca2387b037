"""Mixup, pseudo-labels, weight averaging and ramps: small pure functions against their equations."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lnlbench.errors import InvalidSetting
from lnlbench.learning.ema import ema_update
from lnlbench.learning.mixup import draw_lambda, mix
from lnlbench.learning.pseudo_labels import one_hot, sharpen
from lnlbench.learning.ramps import linear_rampup, sigmoid_rampup


def test_mix_weighs_each_row_with_its_partner():
    inputs, targets = torch.randn(4, 3, 2, 2), torch.rand(4, 5)
    permutation = torch.tensor([2, 0, 3, 1])
    mixed_inputs, mixed_targets = mix(inputs, targets, 0.7, permutation)
    torch.testing.assert_close(mixed_inputs, 0.7 * inputs + 0.3 * inputs[permutation])
    torch.testing.assert_close(mixed_targets, 0.7 * targets + 0.3 * targets[permutation])


def test_mix_takes_one_coefficient_a_row():
    inputs, targets = torch.randn(3, 3, 2, 2), torch.rand(3, 5)
    lam, permutation = torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64), torch.tensor([1, 2, 0])
    mixed, mixed_targets = mix(inputs, targets, lam, permutation)
    assert torch.equal(mixed[0], inputs[0])
    torch.testing.assert_close(mixed[1], (inputs[1] + inputs[2]) / 2)
    assert torch.equal(mixed[2], inputs[0])
    torch.testing.assert_close(mixed_targets[1], (targets[1] + targets[2]) / 2)


def test_mix_at_one_returns_the_inputs_exactly():
    inputs, targets = torch.randn(4, 3, 2, 2), torch.rand(4, 5)
    mixed, mixed_targets = mix(inputs, targets, 1.0, torch.tensor([3, 2, 1, 0]))
    assert torch.equal(mixed, inputs)
    assert torch.equal(mixed_targets, targets)


def test_lambda_follows_the_beta_distribution_and_its_generator():
    rng = np.random.default_rng(0)
    draws = np.array([draw_lambda(4.0, rng, at_least_half=False) for _ in range(4000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.01)
    assert draws.var() == pytest.approx(1 / (4 * 9), rel=0.1)
    halves = [draw_lambda(4.0, np.random.default_rng(s), at_least_half=True) for s in range(200)]
    plain = [draw_lambda(4.0, np.random.default_rng(s), at_least_half=False) for s in range(200)]
    assert halves == [max(v, 1 - v) for v in plain]
    assert min(plain) < 0.5 <= min(halves)


def test_lambda_without_mixing_and_with_a_negative_alpha():
    assert draw_lambda(0, np.random.default_rng(0), at_least_half=False) == 1
    with pytest.raises(InvalidSetting, match="alpha"):
        draw_lambda(-1, np.random.default_rng(0), at_least_half=False)


def test_sharpening_is_the_normalised_power():
    probs = torch.rand(6, 10).softmax(1)
    squared = probs**2
    torch.testing.assert_close(sharpen(probs, 0.5), squared / squared.sum(1, keepdim=True))
    torch.testing.assert_close(sharpen(probs, 1.0), probs)


def test_sharpening_keeps_one_hot_rows_exactly():
    rows = one_hot(torch.tensor([2, 0]), 4)
    assert torch.equal(sharpen(rows, 0.5), rows)


def test_sharpening_at_a_tiny_temperature_picks_the_largest():
    probs = torch.full((1, 100), 0.0099)
    probs[0, 7] = 0.0199
    torch.testing.assert_close(sharpen(probs, 1e-3), one_hot(torch.tensor([7]), 100))


@pytest.mark.parametrize("T", [0, -1, float("nan")])
def test_temperatures_that_are_not_positive_are_refused(T):
    with pytest.raises(InvalidSetting, match="temperature"):
        sharpen(torch.ones(1, 2) / 2, T)


def test_one_hot_rows():
    rows = one_hot(torch.tensor([1, 0, 1]), 3)
    assert rows.dtype == torch.get_default_dtype()
    assert rows.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert one_hot(torch.empty(0, dtype=torch.int64), 3).shape == (0, 3)


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def test_ema_moves_parameters_and_copies_buffers():
    teacher, student = network(), network()
    student(torch.randn(8, 3, 5, 5))
    before = copy.deepcopy(teacher.state_dict())
    ema_update(teacher, student, 0.9)
    for name, parameter in teacher.named_parameters():
        expected = 0.9 * before[name] + 0.1 * student.get_parameter(name)
        torch.testing.assert_close(parameter, expected)
    for name, buffer in teacher.named_buffers():
        assert torch.equal(buffer, student.get_buffer(name))
    assert teacher[1].num_batches_tracked == 1


def test_ema_leaves_the_student_and_the_graph_alone():
    teacher, student = network(), network()
    before = copy.deepcopy(student.state_dict())
    ema_update(teacher, student, 0.5)
    assert all(torch.equal(v, before[k]) for k, v in student.state_dict().items())
    assert all(p.is_leaf and p.requires_grad for p in teacher.parameters())


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_ema_at_its_ends_copies_or_keeps(decay):
    teacher, student = network(), network()
    before = copy.deepcopy(teacher)
    ema_update(teacher, student, decay)
    source = student if decay == 0 else before
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), source.parameters()))


def test_ema_matches_by_name_and_ignores_what_the_teacher_lacks():
    teacher = nn.ModuleDict({"b": nn.Linear(2, 2), "a": nn.Linear(2, 2)})
    student = nn.ModuleDict({"decoder": nn.Linear(5, 5), "a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    ema_update(teacher, student, 0.0)
    assert torch.equal(teacher["a"].weight, student["a"].weight)
    assert torch.equal(teacher["b"].weight, student["b"].weight)


def test_ema_refuses_a_student_that_lacks_what_the_teacher_has():
    teacher = nn.ModuleDict({"a": nn.Linear(2, 2), "extra": nn.Linear(2, 2)})
    with pytest.raises(ValueError, match="extra"):
        ema_update(teacher, nn.ModuleDict({"a": nn.Linear(2, 2)}), 0.5)


def test_nothing_here_asks_the_device_for_a_value():
    with torch.device("meta"):
        probs, labels = torch.empty(4, 10), torch.empty(4, dtype=torch.int64)
        assert mix(torch.empty(4, 3, 8, 8), sharpen(probs, 0.5), 0.3, labels)[0].shape == (4, 3, 8, 8)
        assert one_hot(labels, 10).shape == (4, 10)
        ema_update(network(), network(), 0.9)


@pytest.mark.parametrize(
    ("current", "value"), [(0, 0.0), (10, 0.0), (14, 0.25), (18, 0.5), (18.5, 0.53125), (26, 1.0), (300, 1.0)]
)
def test_rampup_is_linear_between_its_ends(current, value):
    assert linear_rampup(current, 10, 16) == value


def test_rampup_of_no_length_is_a_step():
    assert [linear_rampup(c, 10, 0) for c in (9.9, 10, 11)] == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("current", "length", "expected"),
    [
        (0, 40000, 0.0067379),
        (20000, 40000, 0.28650),
        (40000, 40000, 1),
        (50000, 40000, 1),
        (-5, 10, 0.0067379),
        (7, 0, 1),
    ],
)
def test_the_sigmoid_ramp_rises_from_near_zero_to_one(current, length, expected):
    assert sigmoid_rampup(current, length) == pytest.approx(expected, rel=1e-4)
