"""Losses and penalties against numerical references (cards gce.md and dividemix.md)."""

import math

import pytest
import torch
from torch.nn import functional as F

from lnlbench.errors import InvalidSetting
from lnlbench.learning.losses import (
    PROB_FLOOR,
    confidence_penalty,
    early_learning_penalty,
    lq_loss,
    prior_penalty,
    soft_cross_entropy,
)


def logits_of(p):
    """Two-class logits (1, 2) in which class 0 has probability p."""
    return torch.tensor([[math.log(p), math.log1p(-p)]], dtype=torch.float64)


LABELS = torch.tensor([0, 3, 9, 3])


@pytest.fixture
def logits():
    return torch.randn(4, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_soft_cross_entropy_is_torchs_for_classes_and_distributions(logits, reduction):
    targets = torch.softmax(logits.flip(0), dim=1)
    for given in (LABELS, targets, F.one_hot(LABELS, 10).double()):
        ours = soft_cross_entropy(logits, given, reduction)
        torch.testing.assert_close(ours, F.cross_entropy(logits, given, reduction=reduction))


def test_soft_cross_entropy_takes_negative_targets_and_extreme_logits():
    logits = torch.tensor([[1e4, 0.0]], requires_grad=True)
    loss = soft_cross_entropy(logits, torch.tensor([[-0.5, 1.5]]))
    assert loss.item() == pytest.approx(1.5e4)
    loss.backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[1.5, -1.5]]))


def test_unknown_reduction_is_refused(logits):
    with pytest.raises(InvalidSetting, match="reduction"):
        soft_cross_entropy(logits, LABELS, "average")


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9, 0.999])
def test_small_q_is_cross_entropy(p):
    loss = lq_loss(logits_of(p), torch.tensor([0]), 1e-3).item()
    assert loss == pytest.approx(-math.log(p), rel=0.005)


def test_tiny_q_keeps_its_digits_in_single_precision():
    loss = lq_loss(logits_of(0.3).float(), torch.tensor([0]), 1e-6).item()
    assert loss == pytest.approx(-math.log(0.3), rel=1e-5)


@pytest.mark.parametrize("p", [0.0001, 0.3, 1 - 1e-9])
def test_q_one_is_one_minus_p(p):
    assert lq_loss(logits_of(p), torch.tensor([0]), 1).item() == pytest.approx(1 - p)


@pytest.mark.parametrize("q", [0.3, 0.7, 1.0])
def test_lq_gradient_is_cross_entropys_times_p_to_the_q(logits, q):
    logits.requires_grad_()
    lq_loss(logits, LABELS, q).backward()
    probs = logits.detach().softmax(1)
    p = probs.gather(1, LABELS[:, None])
    expected = p**q * (probs - F.one_hot(LABELS, 10)) / len(LABELS)
    torch.testing.assert_close(logits.grad, expected, atol=1e-6, rtol=0)


def test_lq_gradient_is_zero_where_p_underflows():
    logits = torch.tensor([[0.0, 1e4]], requires_grad=True)
    loss = lq_loss(logits, torch.tensor([0]), 0.7)
    loss.backward()
    assert loss.item() == pytest.approx(1 / 0.7)
    assert torch.equal(logits.grad, torch.zeros(1, 2))


def test_lq_over_all_labels_lies_between_its_bounds():
    q, classes = 0.7, 10
    low, high = (classes - classes ** (1 - q)) / q, (classes - 1) / q
    assert (low, high) == (pytest.approx(11.435, abs=1e-3), pytest.approx(12.857, abs=1e-3))
    for scale in (0.0, 0.1, 1.0, 10.0, 1000.0):
        logits = scale * torch.randn(50, classes, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        total = sum(lq_loss(logits, torch.full((50,), c), q, "none") for c in range(classes))
        assert total.min() >= low - 1e-9
        assert total.max() <= high + 1e-9


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_lq_reductions_follow_from_none(logits, reduction):
    each = lq_loss(logits, LABELS, 0.7, "none")
    assert each.shape == (4,)
    torch.testing.assert_close(lq_loss(logits, LABELS, 0.7, reduction), getattr(each, reduction)())


@pytest.mark.parametrize("q", [0, -0.1, 1.1, float("nan")])
def test_q_outside_its_range_is_refused(logits, q):
    with pytest.raises(InvalidSetting, match="q of the"):
        lq_loss(logits, LABELS, q)


def test_confidence_penalty_lies_between_uniform_and_certain():
    uniform = torch.zeros(3, 10)
    assert confidence_penalty(uniform).item() == pytest.approx(-math.log(10))
    certain = torch.tensor([[1e5, 0.0]], requires_grad=True)
    penalty = confidence_penalty(certain)
    penalty.backward()
    assert penalty.item() == 0
    assert torch.isfinite(certain.grad).all()


def test_confidence_penalty_averages_over_the_batch(logits):
    probs = logits.softmax(1)
    torch.testing.assert_close(confidence_penalty(logits), (probs * probs.log()).sum() / 4)


def test_prior_penalty_is_zero_for_a_uniform_mean_only():
    assert prior_penalty(torch.eye(10)).item() == pytest.approx(0, abs=1e-6)
    probs = torch.tensor([[0.7, 0.3], [0.9, 0.1]])
    expected = 0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2)
    assert prior_penalty(probs).item() == pytest.approx(expected)
    assert expected > 0


def test_prior_penalty_takes_another_prior_with_empty_classes():
    prior, probs = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([[0.2, 0.3, 0.5], [0.4, 0.1, 0.5]])
    expected = 0.5 * math.log(0.5 / 0.3) + 0.5 * math.log(0.5 / 0.2)
    assert prior_penalty(probs, prior).item() == pytest.approx(expected, rel=1e-5)
    assert prior_penalty(prior[None], prior).item() == pytest.approx(0, abs=1e-6)


def test_prior_penalty_is_finite_for_a_class_nobody_predicts():
    probs = torch.tensor([[1.0, 0.0]], requires_grad=True)
    penalty = prior_penalty(probs)
    penalty.backward()
    assert penalty.item() == pytest.approx(0.5 * math.log(0.5) + 0.5 * math.log(0.5 / 1e-8))
    assert torch.isfinite(probs.grad).all()


def test_the_early_learning_penalty_has_the_gradient_of_the_closed_form(logits):
    targets = torch.rand(4, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) / 10
    logits.requires_grad_()
    penalty = early_learning_penalty(logits.softmax(1), targets)
    penalty.backward()
    p = logits.detach().softmax(1)
    inner = (p * targets).sum(1, keepdim=True)
    assert penalty.item() == pytest.approx((1 - inner).log().mean().item())
    torch.testing.assert_close(logits.grad, p / (1 - inner) * (inner - targets) / 4, atol=1e-12, rtol=1e-5)


def test_the_early_learning_penalty_is_bounded_and_has_no_slope_where_it_is_held():
    probs = torch.tensor([[1.0, 0.0]], requires_grad=True)
    penalty = early_learning_penalty(probs, torch.tensor([[1.0, 0.0]]))
    assert penalty.item() == pytest.approx(math.log(PROB_FLOOR), rel=1e-3)
    penalty.backward()
    assert not probs.grad.any()
    assert early_learning_penalty(probs, torch.zeros(1, 2)) == 0
