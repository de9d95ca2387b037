"""Bootstrapping: both modes' gradients against their closed forms (card bootstrap.md)."""

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.resolve import resolve_job

N, C = 12, 4


@pytest.fixture
def step(rig, table):
    """`step(logits, **settings)`: the one step of an epoch from given logits (N, C), and the labels."""

    def make(logits, epoch=0, **settings):
        run = rig("bootstrap", n=N, num_classes=C, numbered=True, recipe={"batch_size": N}, **settings)
        run.replace_nets(table(logits))
        (taken,) = run.epoch(epoch)
        return taken, run.labels

    return make


def drawn():
    return 2 * torch.randn(N, C, generator=torch.Generator().manual_seed(3))


def cross_entropy_gradient(logits, labels):
    return (logits.softmax(1) - F.one_hot(labels, C)) / N


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_with_beta_one_it_is_cross_entropy(step, mode):
    taken, labels = step(drawn(), mode=mode, beta=1.0)
    assert taken.loss == pytest.approx(F.cross_entropy(drawn(), labels).item(), abs=1e-6)
    torch.testing.assert_close(taken.grads["logits"], cross_entropy_gradient(drawn(), labels), atol=1e-6, rtol=0)


def test_hard_pulls_towards_the_label_and_the_argmax(step):
    logits = drawn()
    taken, labels = step(logits)
    mixed = 0.8 * F.one_hot(labels, C) + 0.2 * F.one_hot(logits.argmax(1), C)
    torch.testing.assert_close(taken.grads["logits"], (logits.softmax(1) - mixed) / N, atol=1e-6, rtol=0)
    assert taken.loss == pytest.approx(-(mixed * logits.log_softmax(1)).sum(1).mean().item(), rel=1e-6)


def test_hard_is_cross_entropy_where_the_network_agrees(step):
    logits = 3.0 * F.one_hot(torch.arange(N) % C, C)
    taken, labels = step(logits)
    assert taken.loss == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-6)


def test_soft_keeps_the_gradient_through_its_own_prediction(step):
    logits = drawn()
    taken, labels = step(logits, mode="soft", beta=0.95)
    p, log_p = logits.softmax(1), logits.log_softmax(1)
    entropy = -(p * log_p).sum(1, keepdim=True)
    expected = 0.95 * (p - F.one_hot(labels, C)) - 0.05 * p * (log_p + entropy)
    torch.testing.assert_close(taken.grads["logits"], expected / N, atol=1e-6, rtol=0)
    # A constant target would leave exactly this.
    scaled = 0.95 * cross_entropy_gradient(logits, labels)
    assert (taken.grads["logits"] - scaled).abs().max() > 1e-3


def test_the_prediction_that_is_sure_costs_nothing_beyond_the_label(step):
    logits = 1e4 * F.one_hot((torch.arange(N) + 1) % C, C).float()
    taken, _ = step(logits, mode="soft", beta=0.5)
    assert taken.loss == pytest.approx(0.5e4)


def test_warm_up_is_cross_entropy(step):
    taken, labels = step(drawn(), warmup_epochs=2, epoch=1)
    torch.testing.assert_close(taken.grads["logits"], cross_entropy_gradient(drawn(), labels), atol=1e-6, rtol=0)
    after, _ = step(drawn(), warmup_epochs=2, epoch=2)
    assert (after.grads["logits"] - taken.grads["logits"]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "beta"), [({}, 0.8), ({"mode": "soft"}, 0.95), ({"mode": "soft", "beta": 0.9}, 0.9)]
)
def test_beta_belongs_to_the_mode_unless_given(settings, beta):
    job = resolve_job("bootstrap", "cifar10", Noise("symmetric-exclusive", 0.6), 1, overrides=[settings])
    assert job.hyperparameters["beta"] == beta
