"""Transition matrices: anchors recover them, and the corrected loss has the gradient of the posterior."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.errors import InvalidSetting
from lnlbench.learning.transitions import (
    estimated_by_anchors,
    estimated_by_confusion,
    estimated_by_trusted,
    forward_cross_entropy,
    log_posterior_correct,
)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def stochastic(c, seed=1):
    return drawn(c, c, seed=seed).mul(2).softmax(1)


@pytest.mark.parametrize("percentile", [None, 97.0])
@pytest.mark.parametrize("c", [2, 10, 30])
def test_anchors_recover_the_matrix_of_noisy_predictions(c, percentile):
    matrix = 0.6 * torch.eye(c) + 0.4 * stochastic(c)
    true = torch.arange(60 * c) % c
    probs = matrix[true] + 0.002 * drawn(60 * c, c)
    torch.testing.assert_close(estimated_by_anchors(probs, percentile), matrix, atol=0.02, rtol=0)


def test_rows_sum_to_one():
    probs = drawn(50, 4).softmax(1) * 3
    torch.testing.assert_close(estimated_by_anchors(probs).sum(1), torch.ones(4))


def test_the_threshold_is_an_observed_value_and_falls_itself():
    column = torch.linspace(0, 1, 101)
    probs = torch.stack([column, 1 - column], 1)
    # 97% of 100 steps is rank 97, the value .97: the largest below is .96.
    torch.testing.assert_close(estimated_by_anchors(probs, 97)[0], torch.tensor([0.96, 0.04]))
    # Between two neighbours it is the higher one.
    torch.testing.assert_close(estimated_by_anchors(probs, 96.5)[0], torch.tensor([0.96, 0.04]))
    torch.testing.assert_close(estimated_by_anchors(probs, None)[0], torch.tensor([1.0, 0.0]))


def test_an_outlier_of_one_class_can_be_the_anchor_of_another():
    """Of 100 samples the highest three of a column are outliers of its class, and of no other's (the released code
    puts zeros in their place)."""
    first, second = torch.linspace(0.1, 0.2, 100), torch.linspace(0.3, 0.2, 100)
    second[96] = 0.7
    probs = torch.stack([first, second, 1 - first - second], 1)
    found = estimated_by_anchors(probs, 97)
    torch.testing.assert_close(found[0], probs[96])
    # Sample 96 is the highest of class 1, two more are outliers with it.
    torch.testing.assert_close(found[1], probs[2])


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_few_or_equal_samples_give_a_matrix_without_nan(n):
    found = estimated_by_anchors(torch.full((n, 3), 1 / 3), 97)
    torch.testing.assert_close(found, torch.full((3, 3), 1 / 3))


@pytest.mark.parametrize("percentile", [-1, 101])
def test_a_percentile_that_is_none_is_refused(percentile):
    with pytest.raises(InvalidSetting, match="0 to 100"):
        estimated_by_anchors(torch.ones(3, 2), percentile)


def test_the_identity_gives_cross_entropy_and_its_gradient():
    logits, labels = drawn(9, 5).requires_grad_(), torch.arange(9) % 5
    ours, theirs = forward_cross_entropy(logits, labels, torch.eye(5)), F.cross_entropy(logits, labels)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    (mine,), (plain,) = torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits)
    torch.testing.assert_close(mine, plain, atol=1e-6, rtol=0)


def test_a_matrix_that_tells_nothing_costs_log_c_without_gradient():
    logits = drawn(9, 5).requires_grad_()
    loss = forward_cross_entropy(logits, torch.arange(9) % 5, torch.full((5, 5), 0.2))
    assert loss.item() == pytest.approx(math.log(5), abs=1e-6)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.abs().max() < 1e-7


def test_the_gradient_is_prediction_minus_posterior():
    logits, labels, matrix = drawn(9, 5).requires_grad_(), torch.arange(9) % 5, stochastic(5)
    p = logits.detach().softmax(1)
    joint = p * matrix[:, labels].t()
    posterior = joint / joint.sum(1, keepdim=True)
    (gradient,) = torch.autograd.grad(forward_cross_entropy(logits, labels, matrix), logits)
    torch.testing.assert_close(gradient, (p - posterior) / 9, atol=1e-6, rtol=0)
    expected = posterior[torch.arange(9), labels].log()
    torch.testing.assert_close(log_posterior_correct(logits.detach(), labels, matrix), expected)


def test_zeros_in_matrix_and_prediction_stay_finite():
    logits = torch.tensor([[1e4, 0.0], [0.0, 1e4]]).requires_grad_()
    loss = forward_cross_entropy(logits, torch.tensor([1, 0]), torch.eye(2))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_the_orientation_is_true_class_by_row():
    """Three blobs, class 0 given as 1 with probability 0.6: T finds it again, its transpose and CE do not."""
    blobs = torch.tensor([[0.0, 2.0], [-2.0, -1.0], [2.0, -1.0]]).repeat_interleave(300, 0)
    points, true = blobs + 0.3 * drawn(900, 2), torch.arange(900) // 300
    flipped = (true == 0) & (torch.rand(900, generator=torch.Generator().manual_seed(2)) < 0.6)
    given = torch.where(flipped, 1, true)
    matrix = torch.tensor([[0.4, 0.6, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])

    def recall(t):
        weight = torch.zeros(3, 3, requires_grad=True)
        inputs = torch.cat([points, torch.ones(900, 1)], 1)
        for _ in range(300):
            (gradient,) = torch.autograd.grad(forward_cross_entropy(inputs @ weight, given, t), weight)
            weight.data -= 2.0 * gradient
        return float(((inputs @ weight).argmax(1) == true)[:300].float().mean())

    assert recall(matrix) > 0.95
    assert recall(matrix.t() / matrix.t().sum(1, keepdim=True)) < 0.5
    assert recall(torch.eye(3)) < 0.5


def test_trusted_samples_give_the_matrix_of_a_predictor_that_knows_it():
    matrix, labels = stochastic(4), torch.arange(12) % 4
    found = estimated_by_trusted(matrix[labels], labels)
    torch.testing.assert_close(found, matrix)
    torch.testing.assert_close(estimated_by_trusted(drawn(12, 4).softmax(1), labels).sum(1), torch.ones(4))


def test_rows_are_true_classes():
    """All trusted samples of class 0 are predicted as given as 1, those of class 1 as 1."""
    probs = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    assert torch.equal(estimated_by_trusted(probs, torch.tensor([0, 0, 1])), torch.tensor([[0.0, 1.0], [0.0, 1.0]]))


def test_the_confusion_is_the_share_of_given_labels_in_each_predicted_class():
    predicted, given = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([0, 0, 0, 1, 0])
    hard = estimated_by_confusion(10 * torch.eye(2)[predicted] + torch.eye(2)[given], given)
    assert torch.equal(hard, torch.tensor([[0.75, 0.25], [1.0, 0.0]]))
    soft = estimated_by_confusion(torch.full((5, 2), 0.5), given, hard=False)
    torch.testing.assert_close(soft, torch.tensor([[0.8, 0.2], [0.8, 0.2]]))


def test_a_class_of_which_nothing_is_known_keeps_its_labels():
    probs = torch.tensor([[0.6, 0.4, 0.0]] * 4)
    labels = torch.tensor([0, 0, 1, 1])
    assert torch.equal(estimated_by_trusted(probs, labels)[2], torch.eye(3)[2])
    for hard in (True, False):
        assert torch.equal(estimated_by_confusion(probs, labels, hard)[2], torch.eye(3)[2])
