"""Meta-Weight-Net and its noisy siblings: the three steps of an iteration, and what tells the siblings apart."""

from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from lnlbench.job import Noise
from lnlbench.learning.meta_weights import meta_gradient
from lnlbench.methods import registry
from lnlbench.resolve import resolve_hyperparameters, resolve_job
from lnlbench.training.data import prepare
from lnlbench.training.devices import place
from lnlbench.training.trainer import train

N, M = 16, 12


@pytest.fixture
def meta_rig(rig):
    def make(method="mwnet", **settings):
        return rig(method, **{"n": N, "meta": M, **settings})

    return make


def constant(method):
    """V of one value for every loss."""
    with torch.no_grad():
        method.weighting.layers[2].weight.zero_()
        method.weighting.layers[2].bias.zero_()


def test_an_iteration_first_improves_the_weights_and_then_trains_the_classifier(meta_rig):
    run = meta_rig(recipe={"batch_size": N})
    run.epoch(0)
    assert [step.net for step in run.steps] == [run.method.weighting, run.method.net]


@pytest.mark.parametrize("method", ["mwnet", "rmnwnet"])
def test_the_weights_step_down_the_meta_loss_of_a_virtual_step_at_the_current_rate(meta_rig, method):
    """Against autograd through the virtual step, plain SGD with the rate after the drop, whatever the optimiser is."""
    optimizer = {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}
    schedule = {"name": "multistep", "milestones": [1], "gamma": 0.1}
    run = meta_rig(method, recipe={"batch_size": N, "optimizer": optimizer, "schedule": schedule})
    net, weighting = run.method.net.train(), run.method.weighting
    params = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}

    def logits(at, images):
        return functional_call(net, (at, {name: b.clone() for name, b in net.named_buffers()}), (images,))

    losses = F.cross_entropy(logits(params, run.batch().plain()), run.labels, reduction="none")
    weights = weighting(losses.detach())
    step = torch.autograd.grad((weights / weights.sum() * losses).sum(), list(params.values()), create_graph=True)
    there = {name: p - 0.005 * g for (name, p), g in zip(params.items(), step, strict=True)}
    images, labels = run.engine.meta
    probs = logits(there, run.engine.views.plain(images)).softmax(1)
    given = probs.gather(1, labels[:, None])
    meta_loss = -given.log().mean() if method == "mwnet" else (probs - F.one_hot(labels, 4)).abs().sum(1).mean()
    expected = torch.autograd.grad(meta_loss, list(weighting.parameters()))
    found = run.epoch(1)[0].grads
    for (name, _), gradient in zip(weighting.named_parameters(), expected, strict=True):
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-3 * gradient.abs().max().item())


def test_the_classifier_is_weighed_by_what_has_just_been_improved(meta_rig):
    run = meta_rig(recipe={"batch_size": N, "augment": "none"}, meta_lr=100.0)
    losses = F.cross_entropy(run.method.net.train()(run.batch().plain()), run.labels, reduction="none").detach()
    old = (run.method.weights(losses) * losses).sum().item()
    run.epoch(0)
    new = (run.method.weights(losses) * losses).sum().item()
    assert run.steps[-1].loss == pytest.approx(new, rel=1e-5)
    assert abs(new - old) > 1e-3


def test_an_iteration_has_one_weak_view_of_each_batch(meta_rig, monkeypatch):
    run = meta_rig(recipe={"batch_size": N, "augment": "crop-flip", "pad": 1})
    views = run.engine.views
    drawn, weak = [], views.weak
    monkeypatch.setattr(views, "weak", lambda images: drawn.append(weak(images)) or drawn[-1])
    seen = []

    def gradient(net, images, labels, weights, rate, meta_images, *rest):
        seen.extend([images, meta_images])
        return torch.zeros(len(images))

    monkeypatch.setattr("lnlbench.methods.mwnet.meta_gradient", gradient)
    run.epoch(0)
    assert len(drawn) == 2
    assert seen[0] is drawn[0]
    assert seen[1] is drawn[1]


def test_constant_weights_are_plain_cross_entropy(meta_rig):
    run = meta_rig(recipe={"batch_size": N, "augment": "none"}, meta_lr=1e-12)
    constant(run.method)
    plain = F.cross_entropy(run.method.net(run.batch().plain()), run.labels)
    run.epoch(0)
    assert run.steps[-1].loss == pytest.approx(plain.item(), rel=1e-5)


def test_unnormalised_weights_are_the_papers_mean(meta_rig):
    run = meta_rig(normalise=False)
    losses = torch.rand(8)
    torch.testing.assert_close(run.method.weights(losses).sum(), run.method.weighting(losses).mean())


def test_no_gradient_reaches_the_classifier_through_its_losses(meta_rig):
    run = meta_rig()
    losses = torch.rand(8, requires_grad=True)
    run.method.weights(losses).sum().backward()
    assert losses.grad is None


def test_running_statistics_move_once_an_iteration_by_the_training_batch(meta_rig):
    run = meta_rig(recipe={"batch_size": N, "augment": "none"})
    before = run.method.net.state_dict()
    reference = {name: value.clone() for name, value in before.items()}
    copied = type(run.method.net).__call__
    run.method.net.train()
    copied(run.method.net, run.batch().plain())
    once = {name: b.clone() for name, b in run.method.net.named_buffers()}
    run.method.net.load_state_dict(reference)
    run.epoch(0)
    for name, buffer in run.method.net.named_buffers():
        torch.testing.assert_close(buffer, once[name], rtol=1e-4, atol=1e-6)


def test_mislabelled_samples_raise_the_meta_loss_more(meta_rig):
    """Card: with half of a batch's labels wrong, the mean gradient of their weights is above that of the others."""
    run = meta_rig(n=64, meta=64, recipe={"batch_size": 64, "augment": "none"})
    method = run.method
    patterns = torch.randint(256, (4, 3, 8, 8), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    labels = run.labels.clone()
    images = method.engine.views.plain(patterns[labels])
    images = images + 0.3 * torch.randn(images.shape, generator=torch.Generator().manual_seed(4))
    optimizer = torch.optim.SGD(method.net.parameters(), 0.05)
    for _ in range(20):
        optimizer.zero_grad()
        F.cross_entropy(method.net(images), labels).backward()
        optimizer.step()
    wrong = torch.arange(64) % 2 == 0
    noisy = torch.where(wrong, (labels + 1) % 4, labels)
    weights = torch.full((64,), 1 / 64)
    pull = meta_gradient(method.net, images, noisy, weights, 0.05, images, labels, method.meta_loss)
    assert pull[wrong].mean() > pull[~wrong].mean()


def test_the_clean_score_is_the_weight_of_the_given_labels_loss(meta_rig):
    run = meta_rig()
    run.method.eval()
    expected = run.method.weighting(run.method.losses(run.method.net))
    torch.testing.assert_close(run.method.clean_score(), expected.detach())
    curve = run.method.curves()["weight"]
    assert len(curve.x) == len(curve.y)
    torch.testing.assert_close(run.method.weighting(curve.x), curve.y)


@pytest.mark.parametrize("gradient", ["exact", "finite_difference", "last_layer"])
def test_every_form_of_the_gradient_trains(meta_rig, gradient):
    run = meta_rig(gradient=gradient)
    before = run.method.net.head.weight.clone()
    run.epoch(0)
    assert not torch.equal(run.method.net.head.weight, before)


def test_the_siblings_differ_in_their_meta_loss_and_in_what_they_need():
    specs = {slug: registry.spec(slug) for slug in ("mwnet", "mnwnet", "rmnwnet")}
    assert {slug: spec.needs for slug, spec in specs.items()} == {
        "mwnet": ("clean_meta",),
        "mnwnet": (),
        "rmnwnet": (),
    }
    assert [spec.hyperparameters().meta_loss for spec in specs.values()] == ["ce", "ce", "mae"]
    assert all(spec.meta_set for spec in specs.values())


@pytest.mark.parametrize(("first", "second"), [("mwnet", "mnwnet"), ("mnwnet", "rmnwnet")])
def test_with_the_same_meta_labels_and_loss_siblings_are_one_method(meta_rig, first, second):
    runs = [meta_rig(slug, meta_loss="mae") for slug in (first, second)]
    for run in runs:
        run.epoch(0)
    states = [run.method.state_dict() for run in runs]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_settings_are_the_cards():
    expression = registry.parse("rmnwnet")
    values = resolve_hyperparameters(expression, "cifar10", Noise("uniform", 0.4))
    assert values == {
        "hidden": 100,
        "meta_lr": 1e-3,
        "meta_momentum": 0.9,
        "meta_nesterov": True,
        "meta_weight_decay": 5e-4,
        "meta_batch_size": None,
        "normalise": True,
        "gradient": "exact",
        "meta_loss": "mae",
    }


# Whole runs


@cache
def trained(method):
    """The result of 500 iterations on real digits with 40% uniform noise, and the learned V at losses of 0 to 10."""
    recipe = {
        "backbone": "smallcnn",
        "width": 0.25,
        "epochs": 24,
        "batch_size": 50,
        "augment": "none",
        "image_size": 8,
        "optimizer": {"lr": 0.1},
        "schedule": {"name": "constant"},
        "meta_size": 100,
    }
    job = resolve_job(method, "digits", Noise("uniform", 0.4), 1, scale="smoke", recipe=recipe)
    result = train(job, prepare(job, Path()), place("cpu")).result
    return result, result.extra.get("curves", {}).get("weight", {}).get("y")


def test_a_robust_meta_loss_learns_from_noisy_samples_what_cross_entropy_does_not():
    """Card (rmnwnet.md): on digits V ranks well under the MAE, and does not under cross-entropy."""
    undefended, _ = trained("ce")
    noisy, flat = trained("mnwnet")
    robust, falling = trained("rmnwnet")
    assert robust.last > undefended.last + 6
    assert robust.last_auc > 0.93
    assert noisy.last_auc < robust.last_auc - 0.15
    assert falling == sorted(falling, reverse=True)
    assert max(falling) > 0.3 > 0.05 > min(falling)
    assert max(flat) - min(flat) < 0.3
