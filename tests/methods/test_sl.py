"""Symmetric cross-entropy: both terms and the gradient against their closed forms (card sl.md)."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.resolve import resolve_job

N, C = 12, 4
A = math.log(1e-4)


def drawn():
    return 2 * torch.randn(N, C, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def step(rig, table):
    def make(logits, labels=None, **settings):
        recipe = {"batch_size": N}
        run = rig("sl", n=N, num_classes=C, numbered=True, recipe=recipe, labels=labels, **settings)
        run.replace_nets(table(logits))
        (taken,) = run.epoch(0)
        return taken, run.labels

    return make


def test_without_the_reverse_term_it_is_cross_entropy(step):
    taken, labels = step(drawn(), alpha=1.0, beta=0.0)
    assert taken.loss == pytest.approx(F.cross_entropy(drawn(), labels).item(), abs=1e-6)


def test_the_reverse_term_is_that_of_the_clipped_one_hot_label(step):
    taken, labels = step(drawn(), alpha=0.0)
    p, q = drawn().softmax(1), F.one_hot(labels, C).float()
    assert taken.loss == pytest.approx(-(p * q.clamp(1e-4, 1).log()).sum(1).mean().item(), abs=1e-5)
    assert taken.loss == pytest.approx(9.2103 * (1 - p[q.bool()]).mean().item(), abs=1e-4)


def test_the_reverse_terms_of_all_labels_add_up_to_a_constant(step):
    total = sum(step(drawn(), labels=torch.full((N,), c), alpha=0.0)[0].loss for c in range(C))
    assert total == pytest.approx(9.2103 * (C - 1), abs=1e-3)


@pytest.mark.parametrize("settings", [{}, {"alpha": 6.0, "beta": 0.1}, {"A": -6.0}])
def test_the_gradient_is_cross_entropys_times_alpha_and_beta_a_p(step, settings):
    taken, labels = step(drawn(), **settings)
    p = drawn().softmax(1)
    alpha, beta, a = settings.get("alpha", 0.1), settings.get("beta", 1.0), settings.get("A", A)
    factor = alpha - beta * a * p[torch.arange(N), labels]
    expected = factor[:, None] * (p - F.one_hot(labels, C)) / N
    torch.testing.assert_close(taken.grads["logits"], expected, atol=1e-6, rtol=1e-5)


def test_a_label_without_probability_is_finite(step):
    taken, _ = step(-1e4 * F.one_hot(torch.arange(N) % C, C).float())
    assert taken.loss == pytest.approx(0.1 * 1e4 - A, rel=1e-3)
    assert taken.grads["logits"].isfinite().all()


@pytest.mark.parametrize(
    ("dataset", "alpha", "beta"), [("cifar10", 0.1, 1.0), ("cifar100", 6.0, 0.1), ("clothing1m", 0.1, 1.0)]
)
def test_the_weights_belong_to_the_data_set(dataset, alpha, beta):
    found = resolve_job("sl", dataset, Noise("clean"), 1).hyperparameters
    assert (found["alpha"], found["beta"], found["A"]) == (alpha, beta, A)
