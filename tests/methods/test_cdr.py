"""CDR: which gradients remain and what is done to them, by both variants (card cdr.md)."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from lnlbench.job import Noise
from lnlbench.methods.cdr import keep_critical
from lnlbench.resolve import resolve_job

N, C = 16, 4


def with_gradients(*pairs):
    params = []
    for value, grad in pairs:
        params.append(nn.Parameter(torch.tensor(value)))
        params[-1].grad = torch.tensor(grad)
    return params


def test_the_largest_products_of_gradient_and_value_are_kept_and_scaled():
    (p,) = with_gradients(([[1.0, -2.0], [0.5, 4.0]], [[3.0, 1.0], [-2.0, 0.1]]))
    keep_critical([p], 2, 0.5)
    assert torch.equal(p.grad, torch.tensor([[1.5, 0.5], [0.0, 0.0]]))


def test_the_rank_is_over_all_parameters_together():
    first, second = with_gradients(([[1.0, 1.0]], [[9.0, 8.0]]), ([[1.0, 1.0]], [[7.0, 6.0]]))
    keep_critical([first, second], 2, 1.0)
    assert first.grad.tolist() == [[9.0, 8.0]]
    assert second.grad.tolist() == [[0.0, 0.0]]


def test_ties_are_kept_and_so_is_at_least_one():
    (p,) = with_gradients(([1.0, 1.0, 1.0], [2.0, -2.0, 1.0]))
    keep_critical([p], 1, 1.0)
    assert p.grad.tolist() == [2.0, -2.0, 0.0]
    (p,) = with_gradients(([1.0, 1.0], [2.0, 1.0]))
    keep_critical([p], 0, 1.0)
    assert p.grad.tolist() == [2.0, 0.0]


def test_gradients_that_are_all_zero_stay_so_and_a_parameter_without_one_is_left_alone():
    (p,) = with_gradients(([1.0, 2.0], [0.0, 0.0]))
    idle = nn.Parameter(torch.ones(3))
    keep_critical([p, idle], 1, 0.5)
    assert not p.grad.any()
    assert idle.grad is None


def test_the_memory_format_of_kernels_does_not_matter():
    draw = torch.Generator().manual_seed(0)
    value, grad = torch.randn(4, 3, 3, 3, generator=draw), torch.randn(4, 3, 3, 3, generator=draw)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        p = nn.Parameter(value.to(memory_format=layout))
        p.grad = grad.to(memory_format=layout)
        keep_critical([p], 54, 1.0)
        found.append(p.grad)
    assert torch.equal(*found)
    assert int((found[0] != 0).sum()) == 54


@pytest.mark.parametrize("tau", [0.2, 0.5, 0.9])
def test_officially_a_share_of_the_kernels_and_matrices_moves_and_biases_move_in_full(rig, tau):
    plain = rig("cdr", tau=0.0, recipe={"batch_size": N}).epoch(0)[0].grads
    held = rig("cdr", tau=tau, recipe={"batch_size": N}).epoch(0)[0].grads
    wide = [name for name, g in plain.items() if g.ndim in (2, 4)]
    assert 0 < len(wide) < len(plain)
    total, kept = sum(plain[name].numel() for name in wide), sum(int((held[name] != 0).sum()) for name in wide)
    assert kept == int((1 - tau) * total + 1e-6)
    for name, grad in plain.items():
        if name in wide:
            where = held[name] != 0
            torch.testing.assert_close(held[name][where], (1 - tau) * grad[where])
        else:
            assert torch.equal(held[name], grad)


def test_the_kept_ones_are_those_of_largest_product(rig):
    run = rig("cdr", tau=0.5, recipe={"batch_size": N})
    values = {name: p.detach().clone() for name, p in run.method.net.named_parameters() if p.ndim in (2, 4)}
    plain = rig("cdr", tau=0.0, recipe={"batch_size": N}).epoch(0)[0].grads
    held = run.epoch(0)[0].grads
    products = torch.cat([(plain[name] * value).abs().flatten() for name, value in values.items()])
    kept = torch.cat([(held[name] != 0).flatten() for name in values])
    assert products[kept].min() >= products[~kept].max()


def test_a_rate_of_zero_is_cross_entropy_bit_for_bit(rig):
    recipe = {"optimizer": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3}}
    states = []
    for method, settings in (("ce", {}), ("cdr", {"tau": 0.0})):
        run = rig(method, recipe=recipe, **settings)
        run.epoch(0)
        run.epoch(1)
        states.append(run.method.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_what_is_held_back_decays_by_the_optimisers_factor(rig):
    run = rig("cdr", tau=0.5, recipe={"batch_size": N, "optimizer": {"lr": 0.1, "weight_decay": 0.2}})
    before = {name: p.detach().clone() for name, p in run.method.net.named_parameters()}
    (step,) = run.epoch(0)
    for name, p in run.method.net.named_parameters():
        idle = step.grads[name] == 0
        torch.testing.assert_close(p.detach()[idle], before[name][idle] * (1 - 0.1 * 0.2))


def test_momentum_moves_a_parameter_on_that_is_no_longer_critical(rig):
    run = rig("cdr", tau=0.5, recipe={"batch_size": N, "optimizer": {"lr": 0.05, "momentum": 0.9}})
    name = "trunk.3.weight"
    values = [run.method.net.get_parameter(name).detach().clone()]
    grads = []
    for epoch in range(2):
        (step,) = run.epoch(epoch)
        grads.append(step.grads[name])
        values.append(run.method.net.get_parameter(name).detach().clone())
    left = (grads[0] != 0) & (grads[1] == 0)
    assert left.any()
    first, second = (b - a for a, b in pairwise(values))
    torch.testing.assert_close(second[left], 0.9 * first[left], atol=1e-7, rtol=1e-3)


def test_the_equations_rank_all_parameters_and_decay_by_the_sign(rig):
    tau, decay, lr = 0.7, 0.01, 0.1
    recipe = {"batch_size": N, "optimizer": {"lr": lr, "weight_decay": 0.5}}
    plain = rig("cdr", tau=0.0, recipe=recipe).epoch(0)[0].grads
    run = rig("cdr", variant="paper", tau=tau, l1_decay=decay, recipe=recipe)
    run.engine.begin_stage(run.method.stages()[0].optimizer, None, 3)
    before = {name: p.detach().clone() for name, p in run.method.net.named_parameters()}
    (step,) = run.epoch(0)
    kept = 0
    for name, p in run.method.net.named_parameters():
        followed = step.grads[name] - decay * before[name].sign()
        where = followed.abs() > 1e-9
        kept += int(where.sum())
        torch.testing.assert_close(followed[where], (1 - tau) * plain[name][where], atol=1e-8, rtol=1e-3)
        # The optimiser's own decay, 0.5 in the recipe, is off.
        torch.testing.assert_close(p.detach(), before[name] - lr * step.grads[name])
    total = sum(value.numel() for value in before.values())
    # Rounding hides a gradient below that of the sign; zeros at dead units hide more.
    assert kept == pytest.approx((1 - tau) * total, rel=0.02)


@pytest.mark.parametrize(("num_gradual", "expected"), [(0, [0.4, 0.4, 0.4]), (3, [0, 0.2, 0.4]), (1, [0, 0.4, 0.4])])
def test_the_share_rises_where_that_is_asked_for(rig, num_gradual, expected):
    method = rig("cdr", tau=0.4, num_gradual=num_gradual).method
    assert [method.held_back(e) for e in range(3)] == pytest.approx(expected)
    assert method.held_back(50) == 0.4


def test_tau_is_the_noise_rate_unless_given(rig):
    assert rig("cdr", granted={"noise_rate": 0.35}).method.held_back(5) == 0.35
    assert rig("cdr", granted={"noise_rate": 0.35}, tau=0.1).method.held_back(5) == 0.1


def test_what_is_attached_to_the_network_later_follows_its_gradient(rig):
    run = rig("sanm(cdr)", tau=0.9, start_epoch=0, recipe={"batch_size": N})
    (step,) = run.epoch(0)
    assert (step.grads["decoder.0.weight"] != 0).float().mean() > 0.9
    own = [g for name, g in step.grads.items() if "decoder" not in name and g.ndim in (2, 4)]
    assert sum(int((g != 0).sum()) for g in own) == int(0.1 * sum(g.numel() for g in own) + 1e-6)


def test_the_papers_decay_is_insisted_on_at_paper_scale_only():
    noise = Noise("symmetric", 0.5)
    paper, desk = (
        resolve_job("cdr", "cifar10", noise, 1, scale=scale, recipe={"optimizer": {"weight_decay": 5e-4}})
        for scale in ("paper", "desk")
    )
    assert paper.recipe.optimizer.weight_decay == 1e-3
    assert desk.recipe.optimizer.weight_decay == 5e-4
    assert paper.hyperparameters == {"variant": "official", "tau": None, "num_gradual": 0, "l1_decay": 1e-3}
