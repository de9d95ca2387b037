"""Focal loss: its value and gradient against the formula, and the corner where gamma below 1 breaks (card focal.md)."""

import pytest
import torch
import torch.nn.functional as F

N, C = 20, 5


@pytest.fixture
def logits():
    return 2 * torch.randn(N, C, generator=torch.Generator().manual_seed(0))


def step(rig, table, logits, **settings):
    """The only step of an epoch on free logits."""
    run = rig("focal", n=N, num_classes=C, numbered=True, recipe={"batch_size": N}, **settings)
    run.replace_nets(table(logits))
    (taken,) = run.epoch(0)
    return taken, run.labels


@pytest.mark.parametrize("detach", [False, True])
def test_gamma_zero_is_cross_entropy(rig, table, logits, detach):
    taken, labels = step(rig, table, logits, gamma=0.0, detach_weight=detach)
    assert taken.loss == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-6)
    expected = (logits.softmax(1) - F.one_hot(labels, C)) / N
    torch.testing.assert_close(taken.grads["logits"], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("detach", [False, True])
def test_the_gradient_is_cross_entropys_times_the_weight_of_the_card(rig, table, logits, detach):
    taken, labels = step(rig, table, logits, detach_weight=detach)
    lp = -F.cross_entropy(logits, labels, reduction="none")
    p = lp.exp()
    weight = (1 - p) ** 2 if detach else (1 - p) ** 2 - 2 * p * (1 - p) * lp
    expected = weight[:, None] * (logits.softmax(1) - F.one_hot(labels, C)) / N
    torch.testing.assert_close(taken.grads["logits"], expected, atol=1e-6, rtol=0)
    assert taken.loss == pytest.approx((-((1 - p) ** 2) * lp).mean().item(), rel=1e-5)


def test_a_sample_at_one_half_keeps_a_quarter_of_its_cross_entropy(rig):
    loss = rig("focal").method.loss(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
    assert loss.item() == pytest.approx(0.25 * torch.tensor(2.0).log().item())


def test_it_is_never_above_cross_entropy(rig, logits):
    method = rig("focal").method
    for row in logits:
        losses = [method.loss(row[None], torch.tensor([y])) for y in range(C)]
        plain = [F.cross_entropy(row[None], torch.tensor([y])) for y in range(C)]
        assert all(focal <= ce for focal, ce in zip(losses, plain, strict=True))


@pytest.mark.parametrize("gap", [18.4, 40.0, 200.0])
def test_certain_samples_have_finite_gradients_below_gamma_one(rig, gap):
    logits = torch.tensor([[gap, 0.0]], requires_grad=True)
    loss = rig("focal", gamma=0.5).method.loss(logits, torch.tensor([0]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_the_clean_score_is_the_default_not_the_weight_which_ranks_wrong_labels_first(rig):
    assert rig("focal").method.clean_score() is None
