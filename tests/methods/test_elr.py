"""ELR: its targets, its penalty and its gradient against the card's numbers (card elr.md)."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.resolve import resolve_job

N, C, FLOOR = 12, 4, 1e-4


def held(probs):
    """Probabilities as they are averaged: off 0 and 1, and renormalised."""
    probs = probs.clamp(FLOOR, 1 - FLOOR)
    return probs / probs.sum(1, keepdim=True)


@pytest.fixture
def fixed(rig, table):
    """A rig whose network has free logits, by default random ones, and hardly moves; one step an epoch."""

    def make(logits=None, **settings):
        if logits is None:
            logits = torch.randn(N, C, generator=torch.Generator().manual_seed(5))
        recipe = {"batch_size": len(logits), "optimizer": {"lr": 1e-12}}
        run = rig("elr", n=len(logits), num_classes=logits.shape[1], numbered=True, recipe=recipe, **settings)
        run.replace_nets(table(logits))
        return run

    return make


def test_without_the_penalty_it_is_cross_entropy_and_targets_are_kept_all_the_same(fixed):
    run = fixed(lambda_elr=0.0)
    logits = run.method.net.logits.detach().clone()
    (step,) = run.epoch(0)
    assert step.loss == pytest.approx(F.cross_entropy(logits, run.labels).item(), abs=1e-6)
    torch.testing.assert_close(run.method.targets, 0.3 * held(logits.softmax(1)))


@pytest.mark.parametrize(("num_classes", "penalty"), [(10, -0.030459), (100, -0.0030045)])
def test_the_first_step_on_uniform_predictions(fixed, num_classes, penalty):
    (step,) = fixed(torch.zeros(N, num_classes), lambda_elr=1.0).epoch(0)
    assert step.loss - math.log(num_classes) == pytest.approx(penalty, abs=2e-6)


@pytest.mark.parametrize("beta", [0.7, 0.9])
def test_targets_of_unchanging_predictions_sum_to_one_minus_a_power_of_beta(fixed, beta):
    run = fixed(beta=beta)
    probs = held(run.method.net.logits.detach().softmax(1))
    for epoch in range(4):
        run.epoch(epoch)
        torch.testing.assert_close(run.method.targets, (1 - beta ** (epoch + 1)) * probs)


def test_the_loss_sees_the_targets_that_the_step_has_just_moved(fixed):
    run = fixed(lambda_elr=2.0)
    logits = run.method.net.logits.detach().clone()
    run.method.targets.copy_(torch.rand(N, C) / C)
    moved = 0.7 * run.method.targets + 0.3 * held(logits.softmax(1))
    (step,) = run.epoch(0)
    torch.testing.assert_close(run.method.targets, moved)
    penalty = (1 - (moved * logits.softmax(1)).sum(1)).log().mean()
    assert step.loss == pytest.approx((F.cross_entropy(logits, run.labels) + 2 * penalty).item(), rel=1e-5)


def test_the_gradient_is_cross_entropys_and_the_closed_form_with_constant_targets(fixed):
    run = fixed(lambda_elr=3.0)
    logits = run.method.net.logits.detach().clone()
    (step,) = run.epoch(0)
    p, t = logits.softmax(1), run.method.targets
    inner = (p * t).sum(1, keepdim=True)
    expected = (p - F.one_hot(run.labels, C) + 3 * p / (1 - inner) * (inner - t)) / N
    torch.testing.assert_close(step.grads["logits"], expected, atol=1e-6, rtol=1e-4)


def test_targets_cancel_the_pull_of_a_label_they_contradict(fixed):
    logits = torch.zeros(1, C)
    logits[0, 2] = 3.0
    pulls = []
    for weight in (0.0, 3.0):
        run = fixed(logits, lambda_elr=weight)
        run.method.targets.copy_(logits.softmax(1))
        (step,) = run.epoch(0)
        pulls.append(step.grads["logits"][0, 2].item())
    assert pulls[0] > 0.8, "the label alone pulls the predicted class down"
    assert pulls[1] < 0, "with the penalty it is held up"


def test_sure_predictions_have_a_finite_penalty_at_its_floor(fixed):
    logits = 200.0 * F.one_hot(torch.arange(N) % 10, 10)
    run = fixed(logits, lambda_elr=1.0, beta=0.0)
    (step,) = run.epoch(0)
    assert step.loss == pytest.approx(-6.91, abs=0.01)


def test_samples_keep_their_targets_whatever_the_order(rig, table):
    run = rig("elr", n=N, numbered=True, recipe={"batch_size": 5, "optimizer": {"lr": 1e-12}})
    logits = torch.randn(N, C, generator=torch.Generator().manual_seed(1))
    run.replace_nets(table(logits))
    assert len(run.epoch(0)) == 3
    torch.testing.assert_close(run.method.targets, 0.3 * held(logits.softmax(1)))


def test_the_clean_score_is_the_target_of_the_given_label(fixed):
    run = fixed()
    run.epoch(0)
    assert torch.equal(run.method.clean_score(), run.method.targets[torch.arange(N), run.labels])


def test_targets_are_part_of_the_checkpoint(fixed):
    run = fixed()
    run.epoch(0)
    again = fixed()
    again.method.load_state_dict(run.method.state_dict())
    assert torch.equal(again.method.targets, run.method.targets)
    assert again.method.targets.any()


@pytest.mark.parametrize(
    ("dataset", "noise", "weight", "beta"),
    [
        ("cifar10", Noise("symmetric", 0.5), 3, 0.7),
        ("cifar10", Noise("asymmetric", 0.4), 1, 0.9),
        ("cifar100", Noise("symmetric", 0.5), 7, 0.9),
        ("cifar100", Noise("block-next", 0.4), 7, 0.9),
        ("clothing1m", Noise("real"), 3, 0.7),
    ],
)
def test_constants_of_the_released_configurations(dataset, noise, weight, beta):
    found = resolve_job("elr", dataset, noise, 1).hyperparameters
    assert found == {"lambda_elr": weight, "beta": beta}
