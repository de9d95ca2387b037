"""Joint Optimization: the loss of step 1, when and by what labels are replaced, and step 2 (card joint_optim.md)."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.resolve import resolve_job

N, C = 12, 4


def drawn(seed=3):
    return torch.randn(N, C, generator=torch.Generator().manual_seed(seed))


def opened(rig, table, logits, epochs=320, **settings):
    run = rig("joint_optim", n=N, num_classes=C, numbered=True, recipe={"batch_size": N, "epochs": epochs}, **settings)
    run.replace_nets(table(logits))
    return run


def test_without_penalties_it_starts_as_cross_entropy(rig, table):
    run = opened(rig, table, drawn(), alpha=0.0, beta=0.0)
    (step,) = run.epoch(0)
    assert step.loss == pytest.approx(F.cross_entropy(drawn(), run.labels).item(), abs=1e-6)
    assert torch.equal(run.method.soft, F.one_hot(run.labels, C).float())


@pytest.mark.parametrize("settings", [{}, {"alpha": 0.8, "beta": 0.4}])
def test_a_step_is_the_three_terms_of_the_paper(rig, table, settings):
    run = opened(rig, table, drawn(), **settings)
    run.method.soft.copy_(drawn(seed=5).softmax(1))
    (step,) = run.epoch(0)
    log_s, alpha, beta = drawn().log_softmax(1), settings.get("alpha", 1.2), settings.get("beta", 0.8)
    s = log_s.exp()
    expected = -(drawn(seed=5).softmax(1) * log_s).sum(1).mean()
    expected += alpha * sum(math.log(1 / C / s[:, c].mean()) / C for c in range(C))
    expected += -beta * (s * log_s).sum(1).mean()
    assert step.loss == pytest.approx(float(expected), rel=1e-5)


def test_even_predictions_cost_their_entropy_and_no_prior(rig, table):
    run = opened(rig, table, torch.zeros(N, C), alpha=5.0, beta=1.0)
    assert run.epoch(0)[0].loss == pytest.approx(2 * math.log(C), abs=1e-5)


def test_the_prior_can_be_that_of_the_given_labels(rig, table):
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 3)
    run = opened(rig, table, torch.zeros(N, C), labels=labels, alpha=1.0, beta=0.0, prior="given")
    prior = torch.tensor([0.5, 0.25, 0.25, 0.0])
    assert torch.equal(run.method.class_prior, prior)
    divergence = 0.5 * math.log(0.5 * C) + 0.5 * math.log(0.25 * C)
    assert run.epoch(0)[0].loss == pytest.approx(math.log(C) + divergence, abs=1e-5)


def test_labels_become_the_mean_of_the_last_ten_predictions_from_epoch_seventy_on(rig, table):
    run = opened(rig, table, drawn())
    given = run.method.soft.clone()
    seen = []
    for epoch in range(57, 72):
        rows = drawn(seed=epoch)
        run.method.net.logits.data = rows.clone()
        seen.append(rows.softmax(1))
        run.epoch(epoch)
        if epoch + 1 < 70:
            assert torch.equal(run.method.soft, given)
        else:
            torch.testing.assert_close(run.method.soft, torch.stack(seen[-10:]).mean(0))
    assert torch.equal(run.method.corrected_labels(), run.method.soft.argmax(1))
    torch.testing.assert_close(run.method.soft.sum(1), torch.ones(N), atol=1e-5, rtol=0)


def test_before_ten_epochs_only_those_that_were_are_averaged(rig, table):
    run = opened(rig, table, drawn(), begin=1 / 320)
    run.epoch(0)
    torch.testing.assert_close(run.method.soft, drawn().softmax(1))
    second = drawn(seed=4)
    run.method.net.logits.data = second.clone()
    run.epoch(1)
    torch.testing.assert_close(run.method.soft, (drawn().softmax(1) + second.softmax(1)) / 2)


def test_predictions_are_recorded_as_they_were_before_the_step(rig, table):
    run = opened(rig, table, drawn())
    run.epoch(4)
    torch.testing.assert_close(run.method.history[4], drawn().softmax(1))
    assert run.method.history[3].isnan().all()


def test_the_second_step_trains_on_the_final_labels_alone(rig, table):
    run = opened(rig, table, drawn())
    final = drawn(seed=5).softmax(1)
    run.method.soft.copy_(final)
    run.engine.begin_epoch(run.method, 0)
    run.method.stages()[1].train(0)
    (step,) = run.steps
    torch.testing.assert_close(step.grads["logits"], (drawn().softmax(1) - final) / N, atol=1e-6, rtol=0)
    assert torch.equal(run.method.soft, final)


@pytest.mark.parametrize(("epochs", "lengths"), [(320, [200, 120]), (40, [25, 15]), (3, [2, 1]), (1, [0, 1])])
def test_the_steps_share_the_recipes_epochs_and_only_the_second_counts(rig, epochs, lengths):
    stages = rig("joint_optim", recipe={"epochs": epochs}).method.stages()
    assert [stage.epochs for stage in stages] == lengths
    assert [stage.counts for stage in stages] == [False, True]


def test_the_second_step_has_its_own_rate_and_a_fresh_network(rig):
    run = rig("joint_optim", recipe={"epochs": 320, "optimizer": {"lr": 0.08, "weight_decay": 3e-4}})
    first, second = run.method.stages()
    assert first.optimizer is None
    assert first.schedule.name == "constant"
    assert (second.optimizer.lr, second.optimizer.weight_decay) == (0.2, 3e-4)
    assert [mark * second.epochs for mark in second.schedule.milestones] == [40, 80]
    before = run.method.net.head.weight.clone()
    second.begin()
    assert not torch.equal(run.method.net.head.weight, before)


def test_the_clean_score_is_the_mean_prediction_of_the_given_label(rig, table):
    run = opened(rig, table, drawn())
    assert run.method.clean_score() is None
    run.epoch(0)
    torch.testing.assert_close(run.method.clean_score(), drawn().softmax(1)[torch.arange(N), run.labels])


@pytest.mark.parametrize(
    ("noise", "rate", "lr", "alpha", "beta"),
    [
        ("clean", None, 0.02, 1.2, 0.8),
        ("symmetric", 0.1, 0.02, 1.2, 0.8),
        ("symmetric-exclusive", 0.2, 0.03, 1.2, 0.8),
        ("symmetric", 0.3, 0.03, 1.2, 0.8),
        ("symmetric", 0.5, 0.04, 1.2, 0.8),
        ("symmetric", 0.7, 0.08, 1.2, 0.8),
        ("symmetric-exclusive", 0.8, 0.08, 1.2, 0.8),
        ("symmetric", 0.9, 0.12, 0.8, 0.4),
        ("asymmetric", 0.4, 0.03, 0.8, 0.4),
        ("pairflip", 0.1, 0.03, 0.8, 0.4),
    ],
)
def test_constants_of_the_published_tables(noise, rate, lr, alpha, beta):
    job = resolve_job("joint_optim", "cifar10", Noise(noise, rate), 1, recipe={"epochs": 300, "batch_size": 64})
    assert job.recipe.optimizer.lr == lr
    assert (job.hyperparameters["alpha"], job.hyperparameters["beta"]) == (alpha, beta)
    assert (job.recipe.epochs, job.recipe.batch_size, job.recipe.optimizer.weight_decay) == (320, 128, 1e-4)


def test_constants_of_clothing():
    job = resolve_job("joint_optim", "clothing1m", Noise("real"), 1)
    assert (job.recipe.epochs, job.recipe.batch_size, job.recipe.optimizer.lr) == (20, 32, 8e-4)
    assert (job.hyperparameters["lr2"], job.hyperparameters["drops2"]) == (5e-4, [0.5])
    assert (job.hyperparameters["step1"] * 20, job.hyperparameters["begin"] * 20) == (10, 1)
