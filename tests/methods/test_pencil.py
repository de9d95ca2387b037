"""PENCIL: the loss of each stage, the step of the labels and where they stand still (card pencil.md)."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.resolve import resolve_job

N, C, MOVING = 12, 4, 70


def drawn(seed=3):
    return torch.randn(N, C, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def opened(rig, table):
    """A rig of 320 epochs with given network logits and label logits (N, C)."""

    def make(logits=None, labels=None, **settings):
        recipe = {"batch_size": N, "epochs": 320, "optimizer": {"lr": 1e-12}}
        run = rig("pencil", n=N, num_classes=C, numbered=True, recipe=recipe, **settings)
        run.replace_nets(table(drawn() if logits is None else logits))
        if labels is not None:
            run.method.label_logits.copy_(labels)
        return run

    return make


def loss_of(z, y, given, alpha, beta, variant="official"):
    """The loss of stage 2, term by term."""
    p, log_p, log_y = z.softmax(1), z.log_softmax(1), y.log_softmax(1)
    kl = (p * (log_p - log_y)).sum(1).mean()
    entropy = -(p * log_p).sum(1).mean()
    compatible = F.nll_loss(log_y if variant == "paper" else y.softmax(1).log_softmax(1), given)
    return kl / C + alpha * compatible + beta / C * entropy


@pytest.mark.parametrize(("c", "expected"), [(10, 0.99959), (100, 0.99553)])
def test_labels_start_near_the_given_ones(rig, c, expected):
    method = rig("pencil", n=20, num_classes=c).method
    started = method.label_logits.softmax(1)[torch.arange(20), method.task.noisy_labels]
    assert started.tolist() == pytest.approx([expected] * 20, abs=1e-5)
    assert torch.equal(method.corrected_labels(), method.task.noisy_labels)


def test_stage_one_is_cross_entropy_and_leaves_the_labels(opened):
    run = opened()
    before = run.method.label_logits.clone()
    for epoch in (0, MOVING - 1):
        (step,) = run.epoch(epoch)
        assert step.loss == pytest.approx(F.cross_entropy(drawn(), run.labels).item(), abs=1e-6)
        assert torch.equal(run.method.label_logits, before)
    run.epoch(MOVING)
    assert not torch.equal(run.method.label_logits, before)


@pytest.mark.parametrize("settings", [{}, {"variant": "paper"}, {"alpha": 0.4, "beta": 0.1}])
def test_a_step_of_stage_two_moves_network_and_labels_by_one_loss(opened, settings):
    labels = drawn(seed=5)
    run = opened(labels=labels, lambda_y=300.0, **settings)
    (step,) = run.epoch(MOVING)
    z, y = drawn().requires_grad_(), labels.clone().requires_grad_()
    values = {"alpha": 0.1, "beta": 0.8, **settings}
    loss = loss_of(z, y, run.labels, **values)
    for_z, for_y = torch.autograd.grad(loss, (z, y))
    assert step.loss == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(step.grads["logits"], for_z, atol=1e-6, rtol=0)
    torch.testing.assert_close(run.method.label_logits, labels - 300 * for_y, atol=1e-4, rtol=1e-5)


def test_without_penalties_labels_step_towards_the_prediction(opened):
    labels = drawn(seed=5)
    run = opened(labels=labels, alpha=0.0, beta=0.0, lambda_y=1.0)
    run.epoch(MOVING)
    moved = labels - run.method.label_logits
    torch.testing.assert_close(moved, (labels.softmax(1) - drawn().softmax(1)) / (N * C), atol=1e-6, rtol=0)


def test_labels_that_the_network_agrees_with_stand(opened):
    run = opened(labels=drawn() + 2.0, alpha=0.0, lambda_y=1e3)
    run.epoch(MOVING)
    torch.testing.assert_close(run.method.label_logits, drawn() + 2.0, atol=1e-4, rtol=0)


def test_the_printed_compatibility_holds_labels_stronger_than_the_codes(opened):
    def pull(variant):
        labels = drawn(seed=5)
        run = opened(logits=labels, labels=labels, variant=variant, alpha=1.0, lambda_y=1.0)
        run.epoch(MOVING)
        return labels - run.method.label_logits, labels, run.labels

    printed, labels, given = pull("paper")
    torch.testing.assert_close(printed, (labels.softmax(1) - F.one_hot(given, C)) / N, atol=1e-6, rtol=0)
    assert pull("official")[0].abs().max() < printed.abs().max() / 2


def test_the_codes_compatibility_cannot_fall_below_its_floor(opened):
    sure = 50.0 * F.one_hot(torch.arange(N) % C, C)
    run = opened(logits=sure, labels=sure, alpha=1.0, beta=0.0)
    assert run.epoch(MOVING)[0].loss == pytest.approx(math.log(math.e + C - 1) - 1, abs=1e-4)


def test_stage_three_trains_on_labels_that_stand(opened):
    labels = drawn(seed=5)
    run = opened(labels=labels, lambda_y=1e4)
    run.engine.begin_epoch(run.method, 0)
    run.method.stages()[1].train(0)
    (step,) = run.steps
    assert torch.equal(run.method.label_logits, labels)
    assert step.loss == pytest.approx(loss_of(drawn(), labels, run.labels, 0.0, 0.0).item(), rel=1e-5)


def test_only_the_rows_of_a_batch_move(rig, table, monkeypatch):
    recipe = {"batch_size": 4, "epochs": 320}
    run = rig("pencil", n=N, num_classes=C, numbered=True, recipe=recipe)
    run.replace_nets(table(drawn()))
    before, batches = run.method.label_logits.clone(), run.engine.batches
    monkeypatch.setattr(run.engine, "batches", lambda *a: [next(batches(torch.tensor([2, 7, 5]), *a[1:]))])
    run.epoch(MOVING)
    moved = (run.method.label_logits != before).any(1)
    assert moved.nonzero().flatten().tolist() == [2, 5, 7]


def test_certain_predictions_keep_loss_and_labels_finite(opened):
    run = opened(logits=1e4 * F.one_hot(torch.arange(N) % C, C).float(), labels=-60.0 * torch.eye(C).repeat(3, 1))
    (step,) = run.epoch(MOVING)
    assert math.isfinite(step.loss)
    assert run.method.label_logits.isfinite().all()


@pytest.mark.parametrize(("epochs", "lengths"), [(320, [200, 120]), (40, [25, 15]), (3, [2, 1]), (1, [1, 0])])
def test_the_stages_share_the_recipes_epochs_and_all_count(rig, epochs, lengths):
    stages = rig("pencil", recipe={"epochs": epochs}).method.stages()
    assert [stage.epochs for stage in stages] == lengths
    assert all(stage.counts for stage in stages)


def test_the_last_stage_has_its_own_falling_rate(rig):
    first, last = rig("pencil", recipe={"epochs": 320, "optimizer": {"weight_decay": 3e-4}}).method.stages()
    assert (first.optimizer, first.schedule.name) == (None, "constant")
    assert (last.optimizer.lr, last.optimizer.weight_decay, last.schedule.gamma) == (0.2, 3e-4, 0.1)
    assert [mark * last.epochs for mark in last.schedule.milestones] == [40, 80]


def test_the_clean_score_is_the_labels_own_opinion_once_they_have_moved(opened):
    assert opened().method.clean_score() is None
    labels = 200 * drawn(seed=5)
    run = opened(labels=labels)
    expected = labels.double().log_softmax(1)[torch.arange(N), run.labels]
    torch.testing.assert_close(run.method.clean_score(), expected)


@pytest.mark.parametrize(
    ("dataset", "noise", "rate", "lr", "lambda_y", "alpha", "beta"),
    [
        ("cifar10", "clean", None, 0.02, 200, 0.1, 0.8),
        ("cifar10", "symmetric", 0.2, 0.0267, 267, 0.1, 0.8),
        ("cifar10", "symmetric", 0.3, 0.03, 300, 0.1, 0.8),
        ("cifar10", "symmetric", 0.5, 0.04, 400, 0.1, 0.8),
        ("cifar10", "symmetric", 0.8, 0.1, 1000, 0.1, 0.8),
        ("cifar10", "symmetric", 0.9, 0.12, 1200, 0.1, 0.8),
        ("cifar10", "asymmetric", 0.4, 0.03, 4000, 0.0, 0.4),
        ("cifar100", "symmetric", 0.5, 0.35, 10000, 0.1, 0.4),
        ("cifar100", "symmetric-exclusive", 0.8, 0.35, 10000, 0.1, 0.4),
        ("clothing1m", "real", None, 1.6e-3, 3000, 0.08, 0.8),
    ],
)
def test_constants_of_the_published_tables(dataset, noise, rate, lr, lambda_y, alpha, beta):
    job = resolve_job("pencil", dataset, Noise(noise, rate), 1, recipe={"epochs": 300, "batch_size": 64})
    found = job.hyperparameters
    assert job.recipe.optimizer.lr == lr
    assert (found["lambda_y"], found["alpha"], found["beta"], found["K"]) == (lambda_y, alpha, beta, 10)
    ends = [found[name] * job.recipe.epochs for name in ("E1", "E2")]
    assert (ends, job.recipe.epochs) == (([5, 15], 25) if dataset == "clothing1m" else ([70, 200], 320))
