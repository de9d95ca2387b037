"""IMAE: lengths, direction and weights of its gradient (card imae.md)."""

import math

import pytest
import torch
import torch.nn.functional as F

N, C = 12, 4


def drawn(scale=2.0):
    return scale * torch.randn(N, C, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def step(rig, table):
    def make(logits, **settings):
        run = rig("imae", n=N, num_classes=C, numbered=True, recipe={"batch_size": N}, **settings)
        run.replace_nets(table(logits))
        (taken,) = run.epoch(0)
        return taken, run.labels

    return make


def weights(logits, labels, spread=8.0):
    p = logits.softmax(1)[torch.arange(N), labels]
    return torch.exp(spread * p * (1 - p))


@pytest.mark.parametrize("scale", [0.0, 2.0, 80.0])
def test_each_sample_has_the_length_of_its_weight(step, scale):
    taken, labels = step(drawn(scale))
    lengths = N * taken.grads["logits"].abs().sum(1)
    torch.testing.assert_close(lengths, weights(drawn(scale), labels), atol=1e-5, rtol=1e-5)


def test_a_sample_learnt_by_heart_keeps_its_length(step):
    logits = 200.0 * F.one_hot(torch.arange(N) % C, C)
    taken, _ = step(logits)
    torch.testing.assert_close(N * taken.grads["logits"].abs().sum(1), torch.ones(N))


def test_with_t_zero_all_samples_weigh_the_same(step):
    taken, _ = step(drawn(), T=0.0)
    torch.testing.assert_close(N * taken.grads["logits"].abs().sum(1), torch.ones(N))


def test_the_direction_is_cross_entropys(step):
    taken, labels = step(drawn())
    p = drawn().softmax(1)
    p_y = p[torch.arange(N), labels]
    scaled = N * taken.grads["logits"] * (2 * (1 - p_y) / weights(drawn(), labels))[:, None]
    torch.testing.assert_close(scaled, p - F.one_hot(labels, C), atol=1e-5, rtol=0)
    assert taken.grads["logits"].sum(1).abs().max() < 1e-6


def test_the_official_variant_divides_by_the_sum_of_the_weights(step):
    paper, labels = step(drawn())
    official, _ = step(drawn(), variant="official")
    factor = N / weights(drawn(), labels).sum()
    torch.testing.assert_close(official.grads["logits"], factor * paper.grads["logits"])
    assert official.grads["logits"].abs().sum().item() == pytest.approx(1, rel=1e-5)


def test_the_loss_that_is_shown_is_cross_entropy(step):
    taken, labels = step(drawn())
    assert taken.loss == pytest.approx(F.cross_entropy(drawn(), labels).item(), rel=1e-5)


def test_the_weights_vary_as_the_papers_figure_says(rig):
    """Variance of the gradients' lengths over p_y uniform on [0, 1]: 4.55 with T = 8 (CE 0.33)."""
    p = (torch.arange(20000) + 0.5) / 20000
    logits = torch.stack([p.log(), (1 - p).log()], 1)
    method = rig("imae", num_classes=2).method
    lengths = len(p) * method.gradient(logits, torch.zeros(len(p), dtype=torch.long)).abs().sum(1)
    assert float(lengths.var()) == pytest.approx(4.55, abs=0.01)
    assert float(lengths.max()) == pytest.approx(math.exp(2), rel=1e-4)


def test_a_step_reads_no_value_back_from_the_device(rig):
    """Meta tensors have no values: an operation whose shape depends on them, for which a GPU is waited for, fails."""
    method = rig("imae").method
    gradient = method.gradient(torch.empty(N, C, device="meta"), torch.empty(N, dtype=torch.long, device="meta"))
    assert gradient.shape == (N, C)
