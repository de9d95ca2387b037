"""Mixup: pairs, coefficients and the loss, against the card's numbers (card mixup.md)."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import digamma

from lnlbench.learning.mixup import draw_lambdas
from lnlbench.methods import mixup
from lnlbench.resolve import resolve_job

N, C = 12, 4


@pytest.fixture
def fixed(rig, table):
    """A rig of one table network with random logits that hardly move, one batch an epoch."""

    def make(**settings):
        recipe = {"batch_size": N, "optimizer": {"lr": 1e-12}, **settings.pop("recipe", {})}
        run = rig("mixup", n=N, numbered=True, recipe=recipe, **settings)
        run.replace_nets(table(torch.randn(N, C, generator=torch.Generator().manual_seed(5))))
        return run

    return make


@pytest.fixture
def mixes(monkeypatch):
    """What goes into each call of mix and what comes out: (inputs, targets, lam, order, mixed inputs, targets)."""
    calls, mix = [], mixup.mix

    def recorded(*args):
        out = mix(*args)
        calls.append((*args, *out))
        return out

    monkeypatch.setattr(mixup, "mix", recorded)
    return calls


def shown(images):
    """The rows of a table network that images ask for."""
    return images[:, 0, 0, 0].round().long()


def test_without_mixing_it_is_cross_entropy(fixed):
    run = fixed(alpha=0.0)
    z = run.method.net.logits.detach().clone()
    (step,) = run.epoch(0)
    assert step.loss == pytest.approx(F.cross_entropy(z, run.labels).item(), abs=1e-6)
    expected = (z.softmax(1) - F.one_hot(run.labels, C)) / N
    torch.testing.assert_close(step.grads["logits"], expected, atol=1e-6, rtol=0)


def test_at_lambda_zero_it_is_cross_entropy_of_the_permuted_batch(fixed, monkeypatch):
    monkeypatch.setattr(mixup, "draw_lambda", lambda *a, **k: 0.0)
    run = fixed()
    z = run.method.net.logits.detach().clone()
    assert run.epoch(0)[0].loss == pytest.approx(F.cross_entropy(z, run.labels).item(), abs=1e-6)


@pytest.mark.parametrize("per_sample", [False, True])
def test_a_step_is_the_two_weighted_cross_entropies_of_the_paper(fixed, mixes, per_sample):
    run = fixed(alpha=1.0, per_sample_lambda=per_sample)
    z = run.method.net.logits.detach().clone()
    (step,) = run.epoch(0)
    inputs, _, lam, order, mixed, _ = mixes[0]
    seen, labels = z[shown(mixed)], run.labels[shown(inputs)]
    own, partners = (F.cross_entropy(seen, y, reduction="none") for y in (labels, labels[order]))
    assert step.loss == pytest.approx(float((lam * own + (1 - lam) * partners).mean()), abs=1e-6)


@pytest.mark.parametrize("per_sample", [False, True])
def test_images_and_labels_have_the_same_partners_and_coefficients(rig, mixes, per_sample):
    run = rig("mixup", n=N, alpha=1.0, per_sample_lambda=per_sample, recipe={"batch_size": N})
    run.images.copy_((20 * run.labels)[:, None, None, None].expand_as(run.images))
    run.epoch(0)
    _, targets, lam, order, mixed, mixed_targets = mixes[0]
    y = targets.argmax(1).float()
    means = run.engine.views.denormalise(mixed).mean((1, 2, 3)) * 255 / 20
    expected = (lam * y + (1 - lam) * y[order]).float()
    torch.testing.assert_close(means, expected, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(mixed_targets @ torch.arange(C).float(), expected, atol=1e-5, rtol=1e-5)
    assert not torch.equal(order, torch.arange(N))


def test_a_coefficient_is_drawn_for_each_step_and_not_folded(fixed, mixes):
    run = fixed(alpha=32.0, recipe={"batch_size": 2})
    for epoch in range(5):
        run.epoch(epoch)
    drawn = [lam for _, _, lam, *_ in mixes]
    assert all(isinstance(lam, float) for lam in drawn)
    assert len(set(drawn)) == len(drawn) == 30
    assert min(drawn) < 0.5 < max(drawn)


@pytest.mark.parametrize(("alpha", "std"), [(1, 0.289), (8, 0.121), (32, 0.062)])
def test_coefficients_of_pairs_have_the_spread_of_the_beta_distribution(alpha, std):
    drawn = draw_lambdas(alpha, np.random.default_rng(0), 40_000)
    assert drawn.mean() == pytest.approx(0.5, abs=0.005)
    assert drawn.std() == pytest.approx(std, abs=0.002)


def test_coefficients_without_mixing_are_one():
    assert torch.equal(draw_lambdas(0, np.random.default_rng(0), 3), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize(("alpha", "num_classes", "floor"), [(32, 10, 0.617), (32, 100, 0.679), (1, 10, 0.450)])
def test_the_loss_has_the_floor_of_the_targets_entropy(rig, mixes, alpha, num_classes, floor):
    assert (digamma(2 * alpha + 1) - digamma(alpha + 1)) * (1 - 1 / num_classes) == pytest.approx(floor, abs=1e-3)
    run = rig("mixup", n=2000, num_classes=num_classes, alpha=float(alpha), recipe={"batch_size": 100})
    for epoch in range(3):
        run.epoch(epoch)
    entropy = torch.cat([torch.special.entr(mixed).sum(1) for *_, mixed in mixes]).mean()
    assert entropy == pytest.approx(floor, abs=0.03)
    assert np.mean([step.loss for step in run.steps]) > floor - 0.03


def test_the_prediction_and_the_clean_score_are_of_images_alone(rig):
    run = rig("mixup")
    run.method.eval()
    images = run.batch().plain()
    torch.testing.assert_close(run.method.predict(images), run.method.net(images))
    assert run.method.clean_score() is None


def test_the_tables_row_has_one_alpha_at_every_rate():
    from lnlbench.job import Noise

    for dataset in ("cifar10", "cifar100"):
        for rate in (0.2, 0.5, 0.8, 0.9):
            job = resolve_job("mixup", dataset, Noise("symmetric", rate), 1)
            assert job.hyperparameters == {"alpha": 32, "per_sample_lambda": False}
