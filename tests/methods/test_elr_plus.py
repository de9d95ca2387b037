"""ELR+: teachers, targets, mixing and ramps, step by step against an explicit re-computation (card elr_plus.md)."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.learning import masking
from lnlbench.methods import elr_plus
from lnlbench.resolve import resolve_job

N, C, FLOOR = 12, 4, 1e-4


@pytest.fixture
def fixed(rig, table):
    """A rig of table networks with random logits that hardly move; by default one batch an epoch and no mixing.

    The averages are tables of their own, frozen: with `gamma=1` and `ema_step=0` they stay as they are.
    """

    def make(num_classes=C, **settings):
        draw = torch.Generator().manual_seed(5)
        settings = {"alpha": 0.0, "gamma": 1.0, "ema_step": 0, **settings}
        recipe = {"batch_size": N, "optimizer": {"lr": 1e-12}, **settings.pop("recipe", {})}
        run = rig("elr_plus", n=N, num_classes=num_classes, numbered=True, recipe=recipe, **settings)
        logits = [torch.randn(N, num_classes, generator=draw) for _ in range(4)]
        run.method.averages = torch.nn.ModuleList(table(z).requires_grad_(False) for z in logits[2:])
        run.replace_nets(table(logits[0]), table(logits[1]))
        return run

    return make


@pytest.fixture
def mixes(monkeypatch):
    """What goes into each call of mix: (inputs, targets, lam, order)."""
    calls, mix = [], elr_plus.mix
    monkeypatch.setattr(elr_plus, "mix", lambda *args: calls.append(args) or mix(*args))
    return calls


def logits_of(net):
    return net.logits.detach().clone()


def numbers(images):
    return images[:, 0, 0, 0].round().long()


def test_without_mixing_and_penalty_each_network_has_cross_entropy(fixed):
    run = fixed(lambda_elr=0.0)
    before = [logits_of(net) for net in run.method.nets]
    for step, z, net in zip(run.epoch(0), before, run.method.nets, strict=True):
        assert step.net is net
        assert step.loss == pytest.approx(F.cross_entropy(z, run.labels).item(), abs=1e-6)


def test_targets_are_what_the_other_networks_average_predicts_on_the_unmixed_image(fixed):
    run = fixed(alpha=1.0, beta=0.7)
    taught = [logits_of(net).softmax(1) for net in run.method.averages]
    run.method.targets.copy_(torch.rand(2, N, C) / C)
    before = run.method.targets.clone()
    run.epoch(0)
    for k in (0, 1):
        torch.testing.assert_close(run.method.targets[k], 0.7 * before[k] + 0.3 * taught[1 - k])


def test_a_teacher_predicts_with_the_statistics_of_the_batch_and_is_no_part_of_the_graph(rig):
    run = rig("elr_plus", recipe={"batch_size": 16})
    modes = []
    for average in run.method.averages:
        average.trunk.register_forward_pre_hook(lambda m, _: modes.append((m.training, torch.is_grad_enabled())))
    first, second = run.epoch(0)
    assert modes == [(True, False)] * 2
    for step, net in ((first, run.method.nets[0]), (second, run.method.nets[1])):
        assert step.net is net
        assert all(g is not None for g in step.grads.values())
    assert all(p.grad is None for p in run.method.averages.parameters())


def test_a_step_leaves_the_other_network_and_its_average_alone(rig):
    run = rig("elr_plus", recipe={"batch_size": 16})
    batch = run.batch()
    run.engine.begin_epoch(run.method, 0)
    others = [run.method.nets[1], run.method.averages[1]]
    before = [[p.detach().clone() for p in net.parameters()] for net in others]
    run.method.train_step(0, batch, 1)
    for net, values in zip(others, before, strict=True):
        assert all(p.grad is None for p in net.parameters())
        assert all(torch.equal(p, value) for p, value in zip(net.parameters(), values, strict=True))
    assert not run.method.targets[1].any()


def test_the_second_network_is_taught_by_the_average_that_the_first_has_just_moved(fixed):
    run = fixed(beta=0.0, gamma=0.0)
    first = run.method.nets[0]
    run.epoch(0)
    # At decay 0 the first average is the first network; its own first average taught nobody.
    torch.testing.assert_close(run.method.targets[1], logits_of(first).softmax(1))


def test_networks_train_in_turns_and_count_the_same_steps(fixed, monkeypatch):
    run = fixed(recipe={"batch_size": 5})
    seen = []
    monkeypatch.setattr(run.method, "train_step", lambda k, batch, step: seen.append((k, len(batch), step)))
    run.epoch(0)
    run.epoch(1)
    lengths = (5, 5, 2)
    expected = [(k, b, 3 * e + i) for e in (0, 1) for k in (0, 1) for i, b in enumerate(lengths, 1)]
    assert seen == expected


def test_images_labels_and_targets_are_mixed_alike_and_the_loss_follows(fixed, mixes):
    run = fixed(alpha=1.0, lambda_elr=2.0)
    before = [logits_of(net) for net in run.method.nets]
    steps = run.epoch(0)
    for k, (step, (images, _, lam, order), z) in enumerate(zip(steps, mixes, before, strict=True)):
        assert 0.5 <= lam <= 1
        assert sorted(order.tolist()) == list(range(N))
        which = numbers(images)
        y, t = F.one_hot(run.labels, C).float()[which], run.method.targets[k][which]
        labels, targets = (lam * v + (1 - lam) * v[order] for v in (y, t))
        seen = z[numbers(lam * images + (1 - lam) * images[order])]
        p = seen.softmax(1).clamp(FLOOR, 1 - FLOOR)
        penalty = (1 - (targets * p).sum(1)).log().mean()
        assert step.loss == pytest.approx((F.cross_entropy(seen, labels) + 2 * penalty).item(), rel=1e-5)


def test_labels_multiplied_by_targets_sum_to_one_within_the_mixed_classes(fixed, monkeypatch):
    seen, loss = [], elr_plus.soft_cross_entropy
    monkeypatch.setattr(elr_plus, "soft_cross_entropy", lambda z, t: seen.append(t) or loss(z, t))
    run = fixed(num_classes=100, alpha=1.0, label_product=True)
    run.epoch(0)
    for labels in seen:
        torch.testing.assert_close(labels.sum(1), torch.ones(N), atol=1e-3, rtol=0)
        assert ((labels > 0).sum(1) <= 2).all()


def test_labels_that_no_target_supports_make_no_nan(fixed):
    run = fixed(label_product=True, beta=0.5)
    for average in run.method.averages:
        average.logits.data = 200.0 * F.one_hot((run.labels + 1) % C, C).float()
    assert all(math.isfinite(step.loss) for step in run.epoch(0))


def test_the_penaltys_weight_rises_over_coef_step(fixed):
    run = fixed(lambda_elr=1.0, coef_step=40)
    batch = run.batch()
    run.engine.begin_epoch(run.method, 0)
    z = logits_of(run.method.nets[0])
    ce, extra = F.cross_entropy(z, run.labels).item(), []
    for step in (20, 40, 60):
        run.method.targets.zero_()
        run.method.train_step(0, batch, step)
        extra.append(run.steps[-1].loss - ce)
    assert extra[0] / extra[1] == pytest.approx(0.28650, rel=1e-3)
    assert extra[1] == pytest.approx(extra[2], rel=1e-4)


def test_the_decay_of_the_averages_rises_with_the_steps_or_follows_their_number(rig):
    ramped = rig("elr_plus").method
    assert ramped.decay(1) == pytest.approx(0.997 * math.exp(-5 * (1 - 2 / 40000) ** 2))
    assert ramped.decay(19999) == pytest.approx(0.997 * 0.28650, rel=1e-4)
    assert ramped.decay(40000) == 0.997
    counted = rig("elr_plus", ema_step=None, gamma=0.9).method
    assert [counted.decay(s) for s in (1, 3, 8, 50)] == pytest.approx([1 / 2, 3 / 4, 8 / 9, 0.9])


def test_an_average_forgets_its_own_first_weights_at_once(rig):
    run = rig("elr_plus", recipe={"batch_size": 4})
    net, average = run.method.nets[0], run.method.averages[0]
    assert not torch.equal(net.head.weight, average.head.weight)
    run.epoch(0)
    mine, theirs = (torch.cat([p.detach().flatten() for p in m.parameters()]) for m in (net, average))
    assert (mine - theirs).norm() < 0.01 * mine.norm()


def test_the_prediction_is_the_mean_of_the_trained_networks_logits(rig):
    run = rig("elr_plus")
    run.method.eval()
    images = run.batch().plain()
    first, second = run.method.nets
    torch.testing.assert_close(run.method.predict(images), (first(images) + second(images)) / 2)


def test_the_clean_score_is_the_mean_target_of_the_given_label(fixed):
    run = fixed()
    run.epoch(0)
    expected = run.method.targets[:, torch.arange(N), run.labels].mean(0)
    torch.testing.assert_close(run.method.clean_score(), expected)


def test_targets_and_averages_are_part_of_the_checkpoint_and_only_networks_are_trained(rig):
    run = rig("elr_plus")
    names = run.method.state_dict().keys()
    assert "targets" in names
    assert any(name.startswith("averages.1.") for name in names)
    assert set(run.method.backbones()) == {"nets.0", "nets.1"}


@pytest.mark.parametrize(
    ("dataset", "noise", "changed"),
    [
        ("cifar10", Noise("symmetric", 0.5), {}),
        ("cifar10", Noise("asymmetric", 0.4), {"lambda_elr": 1, "beta": 0.9}),
        (
            "cifar100",
            Noise("symmetric", 0.9),
            {"lambda_elr": 7, "beta": 0.9, "coef_step": 40000, "label_product": True},
        ),
        ("clothing1m", Noise("real"), {"gamma": 0.9999, "ema_step": None}),
        ("webvision", Noise("real"), {"alpha": 1.5}),
    ],
)
def test_constants_of_the_released_configurations(dataset, noise, changed):
    common = {
        "lambda_elr": 3,
        "beta": 0.7,
        "alpha": 1,
        "gamma": 0.997,
        "ema_step": 40000,
        "coef_step": 0,
        "label_product": False,
    }
    assert resolve_job("elr_plus", dataset, noise, 1).hyperparameters == {**common, **changed}


# Under SANM: painted rows are mixed with the plain ones, under their own labels and the same targets.


@pytest.mark.parametrize(("views", "blocks"), [("joint", 2), ("separate", 3)])
def test_painted_rows_join_with_labels_refined_by_the_teacher_and_the_targets_of_their_image(
    rig, mixes, monkeypatch, views, blocks
):
    posterior = torch.linspace(0, 1, N)
    run = rig("sanm(elr_plus)", n=N, start_epoch=0, views=views, mu=0.4, beta=0.0, recipe={"batch_size": N})
    run.method.clean.copy_(torch.stack([1 - posterior, posterior]))
    run.method.active = True
    run.engine.begin_epoch(run.method, 0)
    taught, forward = [], run.method.host.averages[1].forward
    monkeypatch.setattr(
        run.method.host.averages[1], "forward", lambda x: taught.append(forward(x).softmax(1)) or forward(x)
    )
    batch = run.batch()
    run.method.host.train_step(0, batch, 1)
    images, both, _, order = mixes[0]
    labels, targets = both.chunk(2, 1)
    assert len(images) == len(order) == blocks * N
    assert torch.equal(images[:N], batch.plain())
    assert torch.equal(labels[:N], batch.one_hot)
    # The teacher of the first network is the average of the second, whose mixture is the posterior.
    g = posterior[:, None]
    moved = masking.shifted_labels(g * batch.one_hot + (1 - g) * taught[0], 0.4 * (1 - posterior))
    for block in range(blocks):
        rows = slice(block * N, (block + 1) * N)
        torch.testing.assert_close(targets[rows], run.method.host.targets[0])
        if block:
            assert (images[rows] != images[:N]).any()
            torch.testing.assert_close(labels[rows], moved)
