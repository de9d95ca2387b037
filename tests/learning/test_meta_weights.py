"""The gradient of the meta loss with respect to sample weights, against double backward and finite differences."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from lnlbench import networks
from lnlbench.learning.meta_weights import (
    WeightNet,
    absolute_error,
    gradient_alignment,
    meta_gradient,
    normalised_weights,
)

B, M, C, RATE = 24, 16, 5, 0.05


def cross_entropy(logits, labels):
    return F.cross_entropy(logits, labels)


def mae(logits, labels):
    return absolute_error(logits, labels).mean()


@pytest.fixture
def problem():
    torch.manual_seed(0)
    net = networks.build("smallcnn", C, width=0.5, image_size=8)
    weights = normalised_weights(torch.rand(B))
    batch = (torch.randn(B, 3, 8, 8), torch.randint(C, (B,)), weights)
    return net, batch, (torch.randn(M, 3, 8, 8), torch.randint(C, (M,)))


def double_backward(net, batch, meta, loss):
    """The reference: autograd through the virtual step, as the official code does it."""
    weights = batch[2].clone().requires_grad_()
    return torch.autograd.grad(after_virtual_step(net, (*batch[:2], weights), meta, loss), weights)[0]


def after_virtual_step(net, batch, meta, loss):
    """The meta loss after one step of plain SGD on the weighted loss, with a graph to the weights."""
    images, labels, weights = batch
    params = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}

    def buffers():
        return {name: b.clone() for name, b in net.named_buffers()}

    losses = F.cross_entropy(functional_call(net, (params, buffers()), (images,)), labels, reduction="none")
    step = torch.autograd.grad((weights * losses).sum(), list(params.values()), create_graph=True)
    there = {name: p - RATE * g for (name, p), g in zip(params.items(), step, strict=True)}
    return loss(functional_call(net, (there, buffers()), (meta[0],)), meta[1])


@pytest.mark.parametrize("loss", [cross_entropy, mae])
def test_the_exact_gradient_is_that_of_double_backward(problem, loss):
    net, batch, meta = problem
    reference = double_backward(net, batch, meta, loss)
    found = meta_gradient(net, *batch, RATE, *meta, loss)
    assert (found - reference).norm() < 1e-5 * reference.norm()


@pytest.mark.parametrize("loss", [cross_entropy, mae])
@pytest.mark.parametrize(("how", "error"), [("exact", 1e-6), ("finite_difference", 1e-4)])
def test_it_is_the_change_of_the_meta_loss_when_a_weight_changes(loss, how, error):
    """In float64 on a smooth network with batch norm: no rounding, no kinks, no autograd in the reference."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Softplus(), nn.Flatten(), nn.Linear(4 * 36, C)
    ).double()
    images, labels, weights = torch.randn(8, 3, 8, 8).double(), torch.randint(C, (8,)), torch.rand(8).double() / 4
    meta = (torch.randn(6, 3, 8, 8).double(), torch.randint(C, (6,)))
    sides = [
        [after_virtual_step(net, (images, labels, weights + d), meta, loss).item() for d in sign * 1e-4 * torch.eye(8)]
        for sign in (1, -1)
    ]
    reference = (torch.tensor(sides[0], dtype=torch.float64) - torch.tensor(sides[1], dtype=torch.float64)) / 2e-4
    found = meta_gradient(net, images, labels, weights, RATE, *meta, loss, how)
    assert found.dtype == torch.float64
    assert (found - reference).norm() < error * reference.norm()


@pytest.mark.parametrize("loss", [cross_entropy, mae])
@pytest.mark.parametrize(("how", "error", "cosine"), [("finite_difference", 0.05, 0.999), ("last_layer", 1.0, 0.3)])
def test_approximations_err_as_much_as_is_said(problem, loss, how, error, cosine):
    net, batch, meta = problem
    exact, found = (meta_gradient(net, *batch, RATE, *meta, loss, way) for way in ("exact", how))
    assert 0 < (found - exact).norm() < error * exact.norm()
    assert F.cosine_similarity(found, exact, dim=0) > cosine


def test_the_last_layer_alone_is_exact_for_a_network_whose_trunk_does_not_move(problem):
    net, batch, meta = problem
    net.trunk.requires_grad_(False)
    exact, found = (meta_gradient(net, *batch, RATE, *meta, mae, way) for way in ("exact", "last_layer"))
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("how", ["exact", "finite_difference", "last_layer"])
def test_the_network_is_left_as_it_was(problem, how):
    net, batch, meta = problem
    before = {name: value.clone() for name, value in net.state_dict().items()}
    meta_gradient(net, *batch, RATE, *meta, cross_entropy, how)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_it_works_under_mixed_precision_in_float32(problem):
    net, batch, meta = problem
    plain = meta_gradient(net, *batch, RATE, *meta, cross_entropy)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(meta_gradient(net, *batch, RATE, *meta, cross_entropy), plain)


def test_weights_sum_to_one_unless_there_are_none():
    assert float(normalised_weights(torch.rand(7)).sum()) == pytest.approx(1)
    assert torch.equal(normalised_weights(torch.zeros(3)), torch.zeros(3))


def test_the_absolute_error_sums_to_a_constant_over_all_labels():
    logits = 3 * torch.randn(50, C)
    total = sum(absolute_error(logits, torch.full((50,), c)) for c in range(C))
    torch.testing.assert_close(total, torch.full((50,), 2.0 * (C - 1)))


def meta_gradients(loss, logits, labels):
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(logits, labels), logits)[0]


@pytest.mark.parametrize(("loss", "aligned"), [(mae, True), (cross_entropy, False)])
def test_uniform_noise_leaves_the_direction_of_the_mae_gradient_alone(loss, aligned):
    generator = torch.Generator().manual_seed(1)
    eta, logits = 0.6, 2 * torch.randn(40, C, generator=generator)
    clean = torch.randint(C, (40,), generator=generator)
    draws = []
    for _ in range(3000):
        drawn = torch.randint(C, (40,), generator=generator)
        noisy = torch.where(torch.rand(40, generator=generator) < eta, drawn, clean)
        draws.append(meta_gradients(loss, logits, noisy))
    mean, target = torch.stack(draws).mean(0), meta_gradients(loss, logits, clean)
    cosine = F.cosine_similarity(mean.flatten(), target.flatten(), dim=0)
    assert (cosine > 0.99) == aligned
    if aligned:
        torch.testing.assert_close(mean / (1 - eta), target, rtol=0.2, atol=2e-3)


def test_the_weighting_network_gives_weights_between_0_and_1_in_float32():
    net = WeightNet(20)
    with torch.autocast("cpu", torch.bfloat16):
        weights = net(torch.tensor([0.0, 1.0, 30.0]))
    assert weights.dtype == torch.float32
    assert ((weights > 0) & (weights < 1)).all()
    assert math.isclose(sum(p.numel() for p in net.parameters()), 20 + 20 + 20 + 1)


@pytest.mark.parametrize("loss", [cross_entropy, mae])
def test_the_alignment_is_double_backward_at_weights_of_nothing(problem, loss):
    net, (images, labels, _), meta = problem
    reference = -double_backward(net, (images, labels, torch.zeros(B)), meta, loss) / RATE
    found = gradient_alignment(net, images, labels, *meta, loss)
    assert (found - reference).norm() < 1e-5 * reference.norm()


@pytest.mark.parametrize(("how", "agreement"), [("finite_difference", 0.95), ("last_layer", 0.9)])
def test_faster_forms_agree_in_the_sign_of_most_alignments(how, agreement):
    """On a problem with something to learn, half of whose labels are wrong."""
    draw = torch.Generator().manual_seed(3)
    true = torch.arange(64) % C
    images = torch.randn(C, 3, 8, 8, generator=draw)[true] + 0.3 * torch.randn(64, 3, 8, 8, generator=draw)
    torch.manual_seed(0)
    net = networks.build("smallcnn", C, width=0.5, image_size=8)
    optimizer = torch.optim.SGD(net.parameters(), RATE)
    for _ in range(20):
        optimizer.zero_grad()
        F.cross_entropy(net(images), true).backward()
        optimizer.step()
    noisy = torch.where(torch.arange(64) % 2 == 0, (true + 1) % C, true)
    exact, found = (gradient_alignment(net, images, noisy, images, true, cross_entropy, way) for way in ("exact", how))
    assert not torch.equal(exact, found)
    assert ((exact > 0) == (found > 0)).float().mean() >= agreement


def test_a_batch_agrees_with_itself_by_the_square_of_its_gradient(problem):
    net, (images, labels, _), _ = problem
    found = gradient_alignment(net, images, labels, images, labels, cross_entropy)
    net.train()
    loss = cross_entropy(net(images), labels)
    square = sum(g.square().sum() for g in torch.autograd.grad(loss, list(net.parameters())))
    assert float(found.sum()) == pytest.approx(B * float(square), rel=1e-4)


@pytest.mark.parametrize("how", ["exact", "finite_difference", "last_layer"])
def test_the_alignment_leaves_the_network_as_it_was(problem, how):
    net, (images, labels, _), meta = problem
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gradient_alignment(net, images, labels, *meta, cross_entropy, how)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
