"""MAE: its value and gradient, its kin, and the symmetry that makes it robust, as training steps (card mae.md)."""

import pytest
import torch
import torch.nn.functional as F

N, C = 20, 5


@pytest.fixture
def logits():
    return 2 * torch.randn(N, C, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def step(rig, table, logits):
    """`step(labels, method, settings)`: the only step of an epoch on free logits."""

    def take(labels=None, method="mae", **settings):
        run = rig(method, n=N, num_classes=C, numbered=True, recipe={"batch_size": N}, labels=labels, **settings)
        run.replace_nets(table(logits))
        (taken,) = run.epoch(0)
        return taken

    return take


def test_the_loss_is_the_distance_between_softmax_and_label(step, logits):
    labels = torch.arange(N) % C
    distance = (logits.softmax(1) - F.one_hot(labels, C)).abs().sum(1).mean()
    assert step().loss == pytest.approx(distance.item(), abs=1e-6)


def test_the_gradient_is_2_p_times_cross_entropys(step, logits):
    labels = torch.arange(N) % C
    p = logits.softmax(1)
    expected = 2 * p.gather(1, labels[:, None]) * (p - F.one_hot(labels, C)) / N
    torch.testing.assert_close(step().grads["logits"], expected, atol=1e-6, rtol=0)


def test_over_all_labels_losses_sum_to_a_constant_and_gradients_to_nothing(step):
    taken = [step(torch.full((N,), label)) for label in range(C)]
    assert sum(s.loss for s in taken) == pytest.approx(2 * (C - 1), abs=1e-5)
    assert sum(s.grads["logits"] for s in taken).abs().max() < 1e-7


def test_uniform_noise_only_shrinks_the_expected_gradient_and_does_more_to_cross_entropys(step):
    """Rate r, the true class included: the average over noisy labels is (1 - r) times the clean gradient."""
    rate, clean = 0.4, torch.arange(N) % C

    def expected(method):
        noisy = [step((clean + shift) % C, method).grads["logits"] for shift in range(C)]
        return (1 - rate) * noisy[0] + rate * sum(noisy) / C, (1 - rate) * noisy[0]

    torch.testing.assert_close(*expected("mae"), atol=1e-7, rtol=0)
    mean, shrunk = expected("ce")
    assert (mean - shrunk).abs().max() > 1e-3


def test_it_is_twice_gce_at_q_1_and_sl_without_cross_entropy_over_its_constant(step):
    mae, gce = step(), step(method="gce", q=1.0)
    assert mae.loss == pytest.approx(2 * gce.loss, rel=1e-5)
    sl = step(method="sl", alpha=0.0, beta=1.0)
    assert mae.loss == pytest.approx(sl.loss / 4.605170, rel=1e-5)


def test_the_scale_is_a_factor_on_the_loss(step):
    assert step(scale=1.0).loss == pytest.approx(step().loss / 2, rel=1e-6)
