"""D2L: the dimensionality estimate, the turning point, and the mixture that follows it (card d2l.md)."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.methods import registry
from lnlbench.methods.d2l import intrinsic_dimensionality
from lnlbench.resolve import resolve_hyperparameters, resolve_job

N, C = 16, 4


def ball(d, groups=40, m=128):
    """Points uniform in the unit ball of d dimensions."""
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(groups, m, d, generator=draw)
    radius = torch.rand(groups, m, 1, generator=draw) ** (1 / d)
    return radius * points / points.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize(("d", "expected"), [(2, 2.1), (5, 4.6), (10, 8.0)])
def test_the_estimate_on_balls_of_known_dimension(d, expected):
    assert float(intrinsic_dimensionality(ball(d), 20).mean()) == pytest.approx(expected, abs=0.1)


def test_the_estimate_knows_neither_scale_nor_constant_columns():
    points = ball(5, groups=2)
    plain = intrinsic_dimensionality(points, 20)
    padded = torch.cat([points, torch.ones(2, 128, 3)], 2)
    torch.testing.assert_close(intrinsic_dimensionality(100 * padded, 20), plain, rtol=1e-3, atol=1e-3)


def test_the_estimate_of_one_point_is_the_formula():
    line = torch.tensor([0.0, 1.0, 3.0, 7.0])[None, :, None]
    found = intrinsic_dimensionality(line, 2)[0, 0]
    assert float(found) == pytest.approx(-2 / (math.log(1 / 3 + 1e-8) + math.log(1 + 1e-8)), rel=1e-5)


def test_each_group_is_looked_at_by_itself():
    points = ball(3, groups=3)
    apart = torch.cat([intrinsic_dimensionality(points[i : i + 1], 20) for i in range(3)])
    torch.testing.assert_close(intrinsic_dimensionality(points, 20), apart)


def recorded(rig, lids, **settings):
    """A method that has seen these LIDs, one an epoch."""
    run = rig("d2l", recipe={"epochs": max(20, len(lids))}, **settings)
    for epoch, lid in enumerate(lids):
        run.method.record(epoch, torch.tensor(float(lid)))
    return run.method


@pytest.mark.parametrize(
    ("lids", "turned"),
    [
        ([5, 5, 5, 5, 5, 5.1], True),
        ([5, 5, 5, 5, 5, 5], False),
        ([4 + 0.1 * e for e in range(6)], True),
        ([9 - 0.1 * e for e in range(12)], False),
        ([5, 5, 5, 5, 5.1], False),
        ([5, 6, 5, 6, 5, 6.2], False),
    ],
)
def test_a_rise_above_two_deviations_of_the_window_is_the_turning_point(rig, lids, turned):
    assert bool(recorded(rig, lids, E0=0.0).turned) == turned


def test_it_is_not_looked_for_before_a_third_of_training_and_a_window(rig):
    rising = [4 + 0.1 * e for e in range(18)]
    found = [bool(recorded(rig, rising[: e + 1]).turned) for e in range(18)]
    assert found.index(True) == round(20 / 3) + 5
    assert all(found[found.index(True) :])


def test_a_turning_point_stays_when_the_dimensionality_falls_again(rig):
    assert recorded(rig, [5, 5, 5, 5, 5, 6, 3, 2, 1], E0=0.0).turned


@pytest.mark.parametrize("broken", [math.nan, math.inf, 0.0, -1.0])
def test_a_degenerate_estimate_repeats_the_previous(rig, broken):
    assert recorded(rig, [5, 4, broken]).lids[:3].tolist() == [5, 4, 4]


def test_the_given_labels_share_falls_with_progress_and_growth(rig):
    method = recorded(rig, [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5], E0=0.0)
    assert method.alpha(10) == 1
    method.turned.fill_(True)
    assert method.alpha(10) == pytest.approx(math.exp(-0.5))
    method.lids[10] = 7.5
    assert method.alpha(10) == pytest.approx(math.exp(-0.5 * 1.5))
    method.lids[10] = 4
    assert method.alpha(10) == pytest.approx(math.exp(-0.5))


def step(rig, table, alpha, monkeypatch, labels=None, **settings):
    run = rig("d2l", n=N, num_classes=C, numbered=True, recipe={"batch_size": N}, labels=labels, **settings)
    logits = 2 * torch.randn(N, C, generator=torch.Generator().manual_seed(1))
    run.replace_nets(table(logits))
    monkeypatch.setattr(run.method, "lid", lambda: torch.tensor(5.0))
    monkeypatch.setattr(run.method, "alpha", lambda epoch: alpha)
    (taken,) = run.epoch(0)
    return run, logits, taken


def test_before_the_turning_point_it_is_cross_entropy(rig, table, monkeypatch):
    run, logits, taken = step(rig, table, 1.0, monkeypatch)
    assert taken.loss == pytest.approx(F.cross_entropy(logits, run.labels).item(), abs=1e-6)
    assert torch.equal(run.method.corrected_labels(), run.labels)


def test_without_a_share_the_label_does_not_matter(rig, table, monkeypatch):
    run, logits, taken = step(rig, table, 0.0, monkeypatch)
    assert taken.loss == pytest.approx(-logits.softmax(1).max(1).values.log().mean().item(), abs=1e-6)
    _, _, other = step(rig, table, 0.0, monkeypatch, labels=(torch.arange(N) + 1) % C)
    assert torch.equal(taken.grads["logits"], other.grads["logits"])
    assert torch.equal(run.method.corrected_labels(), logits.argmax(1))


def test_between_the_target_is_the_mixture_and_a_constant(rig, table, monkeypatch):
    run, logits, taken = step(rig, table, 0.6, monkeypatch)
    target = 0.6 * F.one_hot(run.labels, C) + 0.4 * F.one_hot(logits.argmax(1), C)
    torch.testing.assert_close(taken.grads["logits"], (logits.softmax(1) - target) / N, atol=1e-6, rtol=0)


def test_the_later_codes_first_loss_is_symmetric_cross_entropy_until_the_turning_point(rig, table, monkeypatch):
    _, logits, taken = step(rig, table, 1.0, monkeypatch, pre_loss="sce")
    sl = rig("sl", n=N, num_classes=C, numbered=True, recipe={"batch_size": N})
    sl.replace_nets(table(logits))
    assert taken.loss == pytest.approx(sl.epoch(0)[0].loss)
    _, _, after = step(rig, table, 0.6, monkeypatch, pre_loss="sce")
    _, _, plain = step(rig, table, 0.6, monkeypatch)
    assert after.loss == plain.loss


def test_the_dimensionality_is_measured_before_an_epochs_steps_in_eval_mode_on_few_images(rig, table):
    run = rig("d2l", n=N, num_classes=C, numbered=True, group=4, groups=2)
    run.replace_nets(table(torch.randn(N, C, generator=torch.Generator().manual_seed(1))))
    net = run.method.net
    net.features = net.forward
    run.epoch(0)
    assert net.modes[0] is False
    assert net.seen[0] == 8
    assert all(net.modes[1:])
    assert run.method.lids[0] > 0


def test_cifar100_has_its_own_start_and_weights():
    expression, noise = registry.parse("d2l"), Noise("uniform", 0.4)
    plain, other = (resolve_hyperparameters(expression, name, noise) for name in ("cifar10", "cifar100"))
    assert (plain["E0"], other["E0"]) == (pytest.approx(1 / 3), 0.3)
    values = resolve_job("d2l", "cifar100", noise, 1, overrides=[{"pre_loss": "sce"}]).hyperparameters
    assert (values["sce_alpha"], values["sce_beta"]) == (6.0, 0.1)
    assert (plain["k"], plain["group"], plain["groups"], plain["window"], plain["threshold"]) == (20, 128, 10, 5, 2.0)


def test_the_curve_and_the_turning_point_are_in_the_checkpoint(rig):
    assert {"lids", "turned", "targets"} <= rig("d2l").method.state_dict().keys()
