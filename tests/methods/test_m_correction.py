"""M-correction: what is mixed, by what, and towards which targets, in each of its phases (card m_correction.md)."""

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.methods import m_correction
from lnlbench.resolve import resolve_job

N, C = 12, 4
W = torch.linspace(0.05, 0.95, N)


@pytest.fixture
def fixed(rig, table, monkeypatch):
    """A rig of one table network that hardly moves, one batch an epoch; sample i's label is wrong with W[i] (or w)."""

    def make(w=W, **settings):
        recipe = {"batch_size": N, "optimizer": {"lr": 1e-12}, **settings.pop("recipe", {})}
        run = rig("m_correction", n=N, numbered=True, recipe=recipe, **{"warmup_epochs": 2, **settings})
        run.replace_nets(table(torch.randn(N, C, generator=torch.Generator().manual_seed(5))))
        z = run.method.net.logits.detach().clone()
        known = F.cross_entropy(z, run.labels, reduction="none")
        # By their losses, which tell samples apart.
        monkeypatch.setattr(run.method.mixture, "wrong", lambda x: w[(x[:, None] - known).abs().argmin(1)])
        return run, z

    return make


@pytest.fixture
def mixes(monkeypatch):
    """What goes into each call of mixed and what comes out, images and targets by turns: (values, lam, order, out)."""
    calls, mixed = [], m_correction.mixed

    def recorded(*args):
        calls.append((*args, mixed(*args)))
        return calls[-1][-1]

    monkeypatch.setattr(m_correction, "mixed", recorded)
    return calls


def shown(images):
    return images[:, 0, 0, 0].round().long()


def cross_entropy(z, images, targets):
    return float(-(targets * z[shown(images)].log_softmax(1)).sum(1).mean())


def penalty(z, images):
    return float(-(C * z[shown(images)].softmax(1).mean(0)).log().mean())


def test_warm_up_is_plain_mixup(fixed, mixes):
    run, z = fixed()
    (step,) = run.epoch(1)
    (images, lam, order, seen), (targets, same, _, _) = mixes
    labels = run.labels[shown(images)]
    assert lam == same
    assert torch.equal(targets, F.one_hot(labels, C).float())
    own, partners = (F.cross_entropy(z[shown(seen)], y) for y in (labels, labels[order]))
    assert step.loss == pytest.approx(float(lam * own + (1 - lam) * partners), rel=1e-5)


def test_a_coefficient_is_drawn_for_each_step_and_not_folded(fixed, mixes):
    run, _ = fixed(recipe={"batch_size": 2})
    for epoch in range(4):
        run.epoch(epoch)
    drawn = [lam for _, lam, *_ in mixes[::2]]
    assert len(set(drawn)) == len(drawn) == 24
    assert min(drawn) < 0.5 < max(drawn)


@pytest.mark.parametrize("variant", ["M-DYR-H", "M-DYR-S"])
def test_a_corrected_step_is_the_papers_four_terms_and_the_penalty(fixed, mixes, variant):
    run, z = fixed(variant=variant, eta=0.7)
    (step,) = run.epoch(2)
    (images, lam, order, seen), *_ = mixes
    rows = shown(images)
    labels, w = run.labels[rows], W[rows]
    log_h = z[shown(seen)].log_softmax(1)
    own = F.one_hot(z.argmax(1), C).float() if variant == "M-DYR-H" else z.softmax(1)

    def term(y, weight, prediction):
        given = -log_h.gather(1, y[:, None]).squeeze(1)
        return ((1 - weight) * given + weight * -(prediction * log_h).sum(1)).mean()

    expected = lam * term(labels, w, own[rows]) + (1 - lam) * term(labels[order], w[order], own[rows][order])
    assert step.loss == pytest.approx(float(expected) + 0.7 * penalty(z, seen), rel=1e-5)


def test_without_wrong_labels_and_penalty_it_is_mixup(fixed, mixes):
    run, z = fixed(w=torch.zeros(N), eta=0.0)
    (step,) = run.epoch(2)
    (_, _, _, seen), (targets, lam, order, _) = mixes
    given = F.one_hot(run.labels, C).float()
    assert torch.equal(targets[targets.argmax(1).argsort(stable=True)], given[run.labels.argsort(stable=True)])
    assert step.loss == pytest.approx(cross_entropy(z, seen, lam * targets + (1 - lam) * targets[order]), abs=1e-6)


def test_the_penalty_is_nothing_where_the_mean_prediction_is_uniform(fixed):
    run, _ = fixed()
    run.method.net.logits.data.zero_()
    assert run.epoch(2)[0].loss == pytest.approx(torch.tensor(C).log().item(), abs=1e-5)


def test_predictions_are_made_in_train_mode_and_posteriors_in_eval_mode_without_gradient(fixed):
    run, _ = fixed()
    modes, forward = [], run.method.net.forward
    run.method.net.forward = lambda x: modes.append((run.method.net.training, torch.is_grad_enabled())) or forward(x)
    run.epoch(2)
    # The last pass is the fit's, at the end of every epoch.
    assert modes == [(True, False), (False, False), (True, True), (False, False)]
    modes.clear()
    run.epoch(0)
    assert modes == [(True, True), (False, False)]


def test_the_mixture_is_refitted_after_every_epoch_also_of_the_warm_up(rig, monkeypatch):
    run = rig("m_correction", warmup_epochs=2)
    fits, fit = [], run.method.mixture.fit
    assert run.method.clean_score() is None
    monkeypatch.setattr(run.method.mixture, "fit", lambda losses: fits.append(losses.clone()) or fit(losses))
    for epoch in range(3):
        run.epoch(epoch)
        torch.testing.assert_close(fits[epoch], run.method.losses(run.method.net))
    assert len(fits) == 3


@pytest.mark.parametrize(("epoch", "bootstraps"), [(2, False), (3, False), (4, True), (5, True)])
def test_mixup_by_the_posterior(fixed, mixes, epoch, bootstraps):
    run, z = fixed(variant="MD-DYR-SH", mixup_epochs=2, temperature_epochs=3, T_end=0.1)
    (step,) = run.epoch(epoch)
    (images, share, order, seen), (targets, weight, _, _) = mixes
    rows = shown(images)
    w, labels = W[rows], run.labels[rows]
    torch.testing.assert_close(share, (1 - w) / ((1 - w) + (1 - w[order])))
    given = F.one_hot(labels, C).float()
    if bootstraps:
        own = (z[rows] / (1.0 if epoch == 4 else 0.55)).softmax(1)
        assert weight == 0.5
        torch.testing.assert_close(targets, (1 - w)[:, None] * given + w[:, None] * own)
    else:
        assert isinstance(weight, float)
        assert weight != 0.5
        assert torch.equal(targets, given)
    loss = cross_entropy(z, seen, weight * targets + (1 - weight) * targets[order])
    assert step.loss == pytest.approx(loss + bootstraps * penalty(z, seen), rel=1e-5)


def test_only_images_have_a_coefficient_a_pair(fixed, mixes):
    run, _ = fixed(variant="MD-DYR-SH", mixup_epochs=1)
    run.epoch(2)
    (images, share, order, seen), (targets, weight, _, out) = mixes
    by_pair = share[:, None] * images.flatten(1) + (1 - share[:, None]) * images.flatten(1)[order]
    torch.testing.assert_close(seen.flatten(1), by_pair)
    torch.testing.assert_close(out, weight * targets + (1 - weight) * targets[order])


def test_surely_wrong_partners_of_each_other_are_mixed_in_halves(rig):
    run = rig("m_correction", variant="MD-DYR-SH", warmup_epochs=0, mixup_epochs=1)
    # A table of ones is held at 1 - 1e-4, so that no sum of the clean parts is 0.
    run.method.mixture.table.fill_(1.0)
    batch = run.batch()
    _, share, _ = run.method.pairing(0, batch, batch.plain(), torch.arange(16).flip(0))
    torch.testing.assert_close(share, torch.full((16,), 0.5))


def test_the_temperature_falls_in_a_step_an_epoch_and_stays(rig):
    method = rig("m_correction", variant="MD-DYR-SH").method
    assert [method.temperature(e) for e in (110, 154, 198, 299)] == pytest.approx([1, 0.5005, 0.001, 0.001])
    assert [method.bootstraps(e) for e in (104, 105, 109, 110)] == [False, False, False, True]
    hard = rig("m_correction").method
    assert [hard.bootstraps(e) for e in (104, 105)] == [False, True]
    assert hard.temperature(200) == 1


def test_corrected_labels_are_the_given_ones_where_the_posterior_trusts_them(fixed):
    run, z = fixed()
    assert torch.equal(run.method.corrected_labels(), run.labels)
    run.epoch(2)
    assert torch.equal(run.method.corrected_labels(), torch.where(W < 0.5, run.labels, z.argmax(1)))


def test_the_clean_score_falls_with_the_loss_also_where_the_posterior_is_flat(rig, table):
    run = rig("m_correction", n=100, numbered=True, recipe={"optimizer": {"lr": 1e-12}})
    wrong = torch.arange(100) % 3 == 0
    rows = 4.0 * F.one_hot(torch.where(wrong, run.labels + 1, run.labels) % C, C)
    run.replace_nets(table(rows + torch.randn(100, C, generator=torch.Generator().manual_seed(2))))
    run.epoch(0)
    score, losses = run.method.clean_score(), run.method.losses(run.method.net)
    assert (score[losses.argsort()].diff() < 1e-6).all()
    assert len(score.unique()) > 90


@pytest.mark.parametrize(
    ("dataset", "noise", "rate", "variant"),
    [
        ("cifar10", "symmetric", 0.2, "M-DYR-H"),
        ("cifar10", "symmetric", 0.5, "M-DYR-H"),
        ("cifar10", "symmetric", 0.8, "M-DYR-H"),
        ("cifar10", "symmetric", 0.9, "MD-DYR-SH"),
        ("cifar10", "asymmetric", 0.4, "M-DYR-H"),
        ("cifar100", "symmetric", 0.2, "MD-DYR-SH"),
        ("cifar100", "symmetric", 0.5, "MD-DYR-SH"),
        ("cifar100", "symmetric", 0.8, "M-DYR-H"),
        ("cifar100", "symmetric", 0.9, "MD-DYR-SH"),
    ],
)
def test_constants_of_the_published_tables(dataset, noise, rate, variant):
    job = resolve_job("m_correction", dataset, Noise(noise, rate), 1, recipe={"schedule": {"milestones": [150]}})
    expected = {"alpha": 32, "eta": 1, "warmup_epochs": 105, "mixup_epochs": 5, "temperature_epochs": 89}
    assert job.hyperparameters == {"variant": variant, "T_end": 0.001, **expected}
    assert (job.recipe.batch_size, job.recipe.optimizer.lr, job.recipe.optimizer.weight_decay) == (128, 0.1, 1e-4)
    assert job.recipe.schedule.milestones == (99, 249)


def test_on_clothing1m_the_suites_recipe_stands_and_the_warm_up_ends_after_its_drop():
    job = resolve_job("m_correction", "clothing1m", Noise("real"), 1, recipe={"optimizer": {"lr": 0.002}})
    assert job.recipe.optimizer.lr == 0.002
    assert (job.hyperparameters["variant"], job.hyperparameters["warmup_epochs"]) == ("M-DYR-H", 46)
    # After six epochs at the lower rate, as on CIFAR, where it falls before epoch 99; here before epoch 40.
