"""GLC: what the matrix is read off, what each stage trains on and from where, and the mixed loss (card glc.md)."""

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.learning.transitions import log_posterior_correct
from lnlbench.resolve import resolve_job

N, M, C = 20, 8, 4


@pytest.fixture
def gold(rig):
    """`gold(settings)`: GLC with M trusted samples of classes 0, 1, 2, 3, 0, ..."""

    def make(**settings):
        granted = {"clean_meta": torch.arange(M) % C}
        return rig("glc", **{"n": N, "num_classes": C, "meta": M, "granted": granted, **settings})

    return make


def second_stage(run):
    """The steps of the second stage's first epoch."""
    stage = run.method.stages()[1]
    stage.begin()
    run.engine.begin_stage(stage.optimizer, stage.schedule, stage.epochs)
    run.steps.clear()
    run.engine.begin_epoch(run.method, 0)
    stage.train(0)
    return list(run.steps)


def test_the_first_stage_sees_no_trusted_sample_and_does_not_count(gold, monkeypatch):
    run = gold()
    first, second = run.method.stages()
    assert (first.counts, second.counts) == (False, True)
    monkeypatch.setattr(run.engine, "meta_batches", lambda *a: pytest.fail("a trusted sample in stage 1"))
    assert len(run.epoch(0)) == 3


def test_the_matrix_is_the_mean_prediction_of_each_trusted_class_in_eval_mode(gold):
    run = gold()
    run.epoch(0)
    method = run.method
    method.eval()
    images, labels = run.engine.meta
    probs = method.net(run.engine.views.plain(images)).softmax(1).detach()
    method.train()
    method.estimate()
    expected = torch.stack([probs[labels == k].mean(0) for k in range(C)])
    torch.testing.assert_close(method.matrix, expected)


def test_the_second_network_starts_at_the_firsts_initial_weights(gold):
    run = gold()
    before = {name: value.clone() for name, value in run.method.net.state_dict().items()}
    run.epoch(0)
    assert not all(torch.equal(value, before[name]) for name, value in run.method.net.state_dict().items())
    run.method.stages()[1].begin()
    assert all(torch.equal(value, before[name]) for name, value in run.method.net.state_dict().items())


def test_an_epoch_of_the_second_stage_sees_every_sample_of_both_kinds_once_in_full_batches(gold):
    run = gold(n=19, labels=torch.arange(19) % C)
    seen = [(len(batch), len(labels)) for batch, _, labels in run.method.mixed()]
    assert sum(noisy for noisy, _ in seen) == 19
    assert sum(trusted for _, trusted in seen) == M
    assert all(noisy + trusted <= 8 for noisy, trusted in seen)
    images = torch.cat([images for _, images, _ in run.method.mixed()])
    assert len({image.numpy().tobytes() for image in images}) == M


def test_fewer_trusted_samples_than_batches_leave_some_batches_without(gold):
    run = gold(meta=2, granted={"clean_meta": torch.arange(2)})
    assert sorted(len(labels) for _, _, labels in run.method.mixed()) == [0, 1, 1]
    assert all(torch.isfinite(torch.tensor(step.loss)) for step in second_stage(run))


def test_with_the_identity_the_loss_is_cross_entropy_over_all_samples(gold, monkeypatch):
    run = gold(recipe={"batch_size": N + M})
    monkeypatch.setattr(run.method, "estimate", lambda: run.method.matrix.copy_(torch.eye(C)))
    images = torch.cat([run.images, run.engine.meta[0]])
    labels = torch.cat([run.labels, run.engine.meta[1]])
    plain = F.cross_entropy(run.method.net(run.engine.views.plain(images)), labels)
    (step,) = second_stage(run)
    assert step.loss == pytest.approx(plain.item(), rel=1e-5)


def test_a_smaller_batch_is_divided_by_the_nominal_size(gold, monkeypatch):
    run = gold(recipe={"batch_size": 2 * (N + M)})
    monkeypatch.setattr(run.method, "estimate", lambda: run.method.matrix.copy_(torch.eye(C)))
    images = torch.cat([run.images, run.engine.meta[0]])
    labels = torch.cat([run.labels, run.engine.meta[1]])
    plain = F.cross_entropy(run.method.net(run.engine.views.plain(images)), labels)
    (step,) = second_stage(run)
    assert step.loss == pytest.approx(plain.item() / 2, rel=1e-5)


def test_gradients_are_the_posteriors_for_noisy_and_cross_entropys_for_trusted_samples(gold, table):
    """Trusted images are numbered on from the noisy ones, in a table of free logits."""
    run = gold(numbered=True, recipe={"batch_size": N + M})
    logits = 2 * torch.randn(N + M, C, generator=torch.Generator().manual_seed(1))
    run.engine.meta[0][:, :, 0, 0] = torch.arange(N, N + M, dtype=torch.uint8)[:, None]
    run.method.net, run.method.initial = table(logits), table(logits)
    run.engine.register(run.method)
    (step,) = second_stage(run)
    p, matrix = logits.softmax(1), run.method.matrix
    joint = p[:N] * matrix[:, run.labels].T
    noisy = p[:N] - joint / joint.sum(1, keepdim=True)
    trusted = p[N:] - F.one_hot(run.engine.meta[1], C)
    expected = torch.cat([noisy, trusted]) / (N + M)
    torch.testing.assert_close(step.grads["logits"], expected, atol=1e-6, rtol=0)


def test_a_confident_right_prediction_is_not_pushed_by_a_wrong_label_that_the_matrix_explains(gold, table):
    run = gold(numbered=True, recipe={"batch_size": N + M}, labels=(torch.arange(N) + 1) % C)
    true = torch.arange(N) % C
    logits = torch.cat([12.0 * F.one_hot(true, C), torch.zeros(M, C)])
    run.engine.meta[0][:, :, 0, 0] = torch.arange(N, N + M, dtype=torch.uint8)[:, None]
    run.method.net = table(logits)
    run.engine.register(run.method)
    flip = 0.7 * torch.eye(C) + 0.3 * torch.eye(C).roll(1, 1)
    run.method.matrix.copy_(flip)
    run.engine.begin_epoch(run.method, 0)
    run.method.train_epoch(0)
    assert run.steps[0].grads["logits"][:N].abs().max() < 1e-4


def test_the_clean_score_is_the_posterior_under_the_matrix(gold):
    run = gold()
    assert run.method.clean_score() is None
    second_stage(run)
    method = run.method
    method.eval()
    logits = method.net(run.batch().plain()).detach()
    torch.testing.assert_close(method.clean_score(), log_posterior_correct(logits, run.labels, method.matrix))


def test_the_papers_scale_has_its_own_recipe():
    job = resolve_job("glc", "cifar10", Noise("flip2", 0.4), 1, recipe={"backbone": "resnet32", "meta_size": 1000})
    recipe = job.recipe
    assert (recipe.epochs, recipe.batch_size, recipe.schedule.name, recipe.schedule.per) == (
        75,
        128,
        "cosine",
        "iteration",
    )
    assert (recipe.optimizer.lr, recipe.optimizer.nesterov, recipe.optimizer.weight_decay) == (0.1, True, 5e-4)
