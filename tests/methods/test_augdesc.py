"""AugDesc: DivideMix with views of two kinds, and the presets of its released code (card augdesc.md)."""

import pytest
import torch

from lnlbench.data.task import Batch
from lnlbench.job import Noise
from lnlbench.methods import dividemix
from lnlbench.resolve import resolve_job

N, C = 12, 4
W = torch.tensor([0.9, 0.1, 0.8, 0.2, 1.0, 0.0, 0.7, 0.3, 0.6, 0.4, 0.55, 0.5])


@pytest.fixture
def fixed(rig, monkeypatch):
    """A rig of real networks whose clean probabilities are given: W for the first to train, 1 - W for the second."""

    def make(method="augdesc", **settings):
        settings = {"warmup_epochs": 0, "recipe": {"batch_size": N, "pad": 1}, **settings}
        run = rig(method, n=N, **settings)
        monkeypatch.setattr(run.method, "divide", lambda: run.method.clean.copy_(torch.stack([1 - W, W])))
        return run

    return make


@pytest.fixture
def views(monkeypatch):
    """(name, images) of every view that a method asks for, in order."""
    asked, view = [], Batch.view

    def recorded(batch, name):
        out = view(batch, name)
        asked.append((name, out))
        return out

    monkeypatch.setattr(Batch, "view", recorded)
    return asked


@pytest.fixture
def mixes(monkeypatch):
    """What goes into each call of mix: (inputs, targets, lam, order)."""
    calls, mix = [], dividemix.mix
    monkeypatch.setattr(dividemix, "mix", lambda *args: calls.append(args) or mix(*args))
    return calls


def test_every_image_has_two_weak_views_to_describe_it_and_two_strong_ones_to_descend_on(fixed, views, mixes):
    run = fixed()
    run.method.clean[:] = W
    run.method.mixmatch(0, 0)
    names = [name for name, _ in views]
    assert names == 2 * ["weak", "weak", "autoaugment", "autoaugment"]
    strong = [images for name, images in views if name == "autoaugment"]
    inputs, *_ = mixes[0]
    assert torch.equal(inputs, torch.cat(strong))
    assert not torch.equal(strong[0], strong[1])


def labelled_and_not(run):
    """The first four samples as labelled ones, the next four as unlabelled ones; the second network in eval mode."""
    run.method.nets[1].eval()
    return [next(run.engine.batches(torch.arange(k, k + 4), 4, False, False)) for k in (0, 4)]


def sharpened(p):
    return p.square() / p.square().sum(1, keepdim=True)


def test_targets_come_from_the_weak_views_alone_and_without_gradient(fixed, views):
    run = fixed()
    first, second = run.method.nets
    x, u = labelled_and_not(run)
    rows, split = run.method.rows_of(first, second, x, u, W)
    (x1, x2), (u1, u2) = ([v for name, v in views if name == "weak"][k : k + 2] for k in (0, 2))
    with torch.no_grad():
        own = (first(x1).softmax(1) + first(x2).softmax(1)) / 2
        both = torch.stack([net(v).softmax(1) for net in (first, second) for v in (u1, u2)]).mean(0)
    w = W[:4, None]
    expected = [sharpened(w * x.one_hot + (1 - w) * own)] * 2 + [sharpened(both)] * 2
    assert split == 2
    for (_, found), target in zip(rows, expected, strict=True):
        assert not found.requires_grad
        torch.testing.assert_close(found, target, atol=1e-6, rtol=1e-5)


def test_with_the_guessed_views_trained_on_it_is_dividemix_to_the_bit(fixed):
    settings = {"recipe": {"batch_size": 4, "augment": "crop-flip", "pad": 1}, "warmup_epochs": 1, "rampup_epochs": 1.0}
    plain = fixed("dividemix", **settings)
    own = fixed(descent_view=None, warmup_factor=2, **settings)
    for epoch in range(3):
        assert [s.loss for s in plain.epoch(epoch)] == [s.loss for s in own.epoch(epoch)]
    one, other = plain.method.state_dict(), own.method.state_dict()
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=0, rtol=0, equal_nan=True)


def test_swapping_the_weak_views_changes_no_target(fixed, monkeypatch):
    run = fixed()
    x, u = labelled_and_not(run)
    weak = torch.randn(4, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def targets(order):
        given, view = iter(weak[order]), Batch.view
        with monkeypatch.context() as patch:
            patch.setattr(Batch, "view", lambda b, name: next(given) if name == "weak" else view(b, name))
            rows, _ = run.method.rows_of(*run.method.nets, x, u, W)
        return torch.stack([target for _, target in rows])

    torch.testing.assert_close(targets([0, 1, 2, 3]), targets([1, 0, 3, 2]), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"descent_view": "weak"}, ["weak"] * 4),
        ({"guess_view": "autoaugment"}, ["autoaugment"] * 4),
        ({"descent_view": None, "guess_view": "autoaugment"}, ["autoaugment"] * 2),
        ({"extra_views": ["plain"]}, ["weak", "weak", "autoaugment", "autoaugment", "plain"]),
    ],
    ids=["WW", "SS", "Runtime-S", "more"],
)
def test_other_forms_are_other_views(fixed, views, settings, names):
    run = fixed(**settings)
    x = next(run.engine.batches(torch.arange(4), 4, False, False))
    run.method.rows_of(*run.method.nets, x, None, W)
    assert [name for name, _ in views] == names


@pytest.mark.parametrize(("factor", "sizes"), [(1, [8, 8, 4]), (2, [16, 4])])
@pytest.mark.parametrize("view", ["weak", "autoaugment"])
def test_the_warm_up_has_views_and_batches_of_its_own(rig, views, factor, sizes, view):
    run = rig("augdesc", n=20, warmup_epochs=1, warmup_view=view, warmup_factor=factor)
    run.epoch(0)
    assert [len(images) for _, images in views] == 2 * sizes
    assert {name for name, _ in views} == {view}


def resolved(dataset, noise, rate, **overrides):
    suite = {"epochs": 300, "batch_size": 64, "schedule": {"milestones": [150]}}
    job = resolve_job("augdesc", dataset, Noise(noise, rate), 1, recipe=suite, overrides=[overrides])
    return job.hyperparameters, job.recipe


@pytest.mark.parametrize(
    ("dataset", "noise", "rate", "lambda_u", "tau", "window", "warmup", "epochs", "drop"),
    [
        ("cifar10", "symmetric", 0.2, 0, 0.5, 1, 10, 300, 150),
        ("cifar10", "symmetric", 0.5, 25, 0.5, 1, 10, 300, 150),
        ("cifar10", "symmetric", 0.8, 25, 0.5, 1, 10, 350, 200),
        ("cifar10", "symmetric", 0.9, 50, 0.6, 5, 10, 350, 250),
        ("cifar10", "asymmetric", 0.4, 0, 0.5, 1, 10, 350, 250),
        ("cifar100", "symmetric", 0.2, 25, 0.5, 1, 30, 400, 300),
        ("cifar100", "symmetric", 0.5, 150, 0.5, 1, 30, 400, 300),
        ("cifar100", "symmetric", 0.8, 150, 0.5, 1, 30, 400, 300),
        ("cifar100", "symmetric", 0.9, 150, 0.6, 5, 30, 400, 300),
    ],
)
def test_presets_with_a_weak_warm_up(dataset, noise, rate, lambda_u, tau, window, warmup, epochs, drop):
    hyper, recipe = resolved(dataset, noise, rate)
    assert (hyper["lambda_u"], hyper["p_threshold"], hyper["loss_window"]) == (lambda_u, tau, window)
    assert (hyper["warmup_epochs"], hyper["warmup_view"], hyper["warmup_factor"]) == (warmup, "weak", 1)
    assert (hyper["T"], hyper["alpha"], hyper["rampup_epochs"]) == (0.5, 4, 16)
    assert (hyper["guess_view"], hyper["descent_view"]) == ("weak", "autoaugment")
    assert hyper["conf_penalty"] is (noise == "asymmetric")
    assert (recipe.epochs, recipe.schedule.milestones, recipe.batch_size) == (epochs, (drop,), 128)


@pytest.mark.parametrize(
    ("dataset", "noise", "rate", "epochs", "drop"),
    [
        ("cifar10", "symmetric", 0.2, 300, 150),
        ("cifar10", "symmetric", 0.5, 300, 200),
        ("cifar10", "symmetric", 0.8, 350, 200),
        ("cifar10", "symmetric", 0.9, 350, 250),
        ("cifar10", "asymmetric", 0.4, 300, 150),
        ("cifar100", "symmetric", 0.5, 400, 300),
    ],
)
def test_presets_with_a_strong_warm_up_differ_in_length(dataset, noise, rate, epochs, drop):
    _, recipe = resolved(dataset, noise, rate, warmup_view="autoaugment")
    assert (recipe.epochs, recipe.schedule.milestones) == (epochs, (drop,))


def test_on_clothing1m_the_row_is_the_strong_warm_up():
    hyper, recipe = resolved("clothing1m", "real", None)
    assert (hyper["warmup_view"], hyper["descent_view"]) == ("autoaugment", "autoaugment-imagenet")
    assert (hyper["warmup_epochs"], hyper["warmup_factor"], hyper["lambda_u"], hyper["alpha"]) == (1, 2, 0, 0.5)
    assert hyper["conf_penalty"]
    assert not hyper["unlabelled_rows"]
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.002, 0.9, 1e-3)
    assert (recipe.epochs, recipe.batch_size, recipe.schedule.milestones) == (80, 32, (40,))
