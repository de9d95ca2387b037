"""MentorNet: the curriculum, the student's step under it, what the data-driven mentor is shown (card mentornet.md)."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from lnlbench.methods import registry

N, M, C = 20, 8, 4
WHOLE = (0.0, 0.0)


@pytest.fixture
def fixed(rig):
    def make(**settings):
        return rig("mentornet_pd", **{"n": N, "num_classes": C, "granted": {"noise_rate": 0.4}, **settings})

    return make


@pytest.fixture
def driven(rig):
    """The data-driven one; labels 1 and 6 of its meta set are wrong."""

    def make(**settings):
        granted = {"noise_rate": 0.4, "clean_meta": torch.arange(M) % C}
        given = {"n": N, "num_classes": C, "meta": M, "noisy_meta": {1: 3, 6: 0}, "mentor_steps": 2, **settings}
        return rig("mentornet", granted=granted, **given)

    return make


def tabled(run, table, logits):
    run.replace_nets(table(logits))
    return run


# The curriculum


def test_at_first_all_weigh_one_then_those_below_the_percentile_then_softly(fixed):
    weights = partial(fixed().method.weights, torch.rand(4), torch.tensor([-1.0, 0.0, 0.5, 2.0]))
    for percent in (0, 18):
        assert weights(percent).tolist() == [1, 1, 1, 1]
    for percent in (19, 89):
        assert weights(percent).tolist() == [1, 1, 0, 0]
    assert weights(90).tolist() == [1, 1, 0.5, 0]


def test_the_percentile_moves_by_halves(fixed, table):
    run = tabled(fixed(numbered=True, recipe={"batch_size": N}, dropout=WHOLE), table, torch.zeros(N, C))
    run.engine.learn = lambda *args: None
    loss = torch.tensor(float(C)).log().item()
    for t in range(1, 6):
        run.epoch(0)
        assert run.method.threshold.item() == pytest.approx(loss * (1 - 0.5**t), rel=1e-5)


@pytest.mark.parametrize(("rate", "plain", "learned"), [(0.0, 0.75, 1.0), (0.2, 0.75, 0.8), (0.4, 0.75, 0.6)])
def test_the_percentile_is_chosen_by_the_noise_rate(rig, rate, plain, learned):
    granted = {"noise_rate": rate, "clean_meta": torch.arange(M)}
    assert rig("mentornet_pd", granted=granted).method.percentile() == pytest.approx(plain)
    assert rig("mentornet", granted=granted, meta=M).method.percentile() == pytest.approx(learned)
    assert rig("mentornet", granted=granted, meta=M, p=0.7).method.percentile() == 0.7


def test_high_rates_stop_at_one_half(rig):
    granted = {"noise_rate": 0.8, "clean_meta": torch.arange(M)}
    for method in ("mentornet_pd", "mentornet"):
        assert rig(method, granted=granted, meta=M).method.percentile() == 0.5


# The student's step


def test_at_first_without_dropout_it_is_cross_entropy_with_its_weight_decay(fixed, rig):
    recipe = {"batch_size": N, "optimizer": {"lr": 0.05, "weight_decay": 0.1}}
    runs = [fixed(recipe=recipe, dropout=WHOLE), rig("ce", n=N, num_classes=C, recipe=recipe)]
    for run in runs:
        (stage,) = run.method.stages()
        run.engine.begin_stage(stage.optimizer, stage.schedule, stage.epochs)
        run.epoch(0)
    states = [dict(run.method.net.named_parameters()) for run in runs]
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], atol=1e-6, rtol=1e-5)


def test_samples_of_no_weight_have_no_gradient_and_the_loss_is_divided_by_the_batch(fixed, table):
    logits = 2 * torch.randn(N, C, generator=torch.Generator().manual_seed(1))
    run = tabled(fixed(numbered=True, recipe={"batch_size": N}, dropout=WHOLE, d=0.0), table, logits)
    run.engine.begin_epoch(run.method, 1)
    run.method.train_epoch(1)
    (step,) = run.steps
    losses = F.cross_entropy(logits, run.labels, reduction="none")
    kept = losses <= losses.quantile(0.75)
    assert torch.equal(step.grads["logits"].abs().sum(1) > 0, kept)
    assert step.loss == pytest.approx((losses[kept].sum() / N).item(), rel=1e-5)
    assert torch.equal(run.method.selected(), kept)


@pytest.mark.parametrize(("percent", "left"), [(0, 10), (16, 10), (17, 19), (99, 19)])
def test_example_dropout_leaves_half_and_later_all_but_a_twentieth(fixed, percent, left):
    method = fixed().method
    first, second = method.drawn(20, percent), method.drawn(20, percent)
    assert first.sum() == second.sum() == left
    assert not torch.equal(first, second)


def test_weight_decay_is_scaled_by_the_mean_weight_of_the_batch(fixed, table):
    logits = torch.randn(N, C, generator=torch.Generator().manual_seed(1))
    grads = []
    for decay in (0.0, 0.5):
        recipe = {"batch_size": N, "optimizer": {"weight_decay": decay}}
        run = tabled(fixed(numbered=True, recipe=recipe, dropout=(0.5, 0.5)), table, logits)
        (step,) = run.epoch(0)
        grads.append(step.grads["logits"])
        assert run.method.stages()[0].optimizer.weight_decay == 0
    torch.testing.assert_close(grads[1] - grads[0], 0.5 * 0.5 * logits)


# The data-driven mentor


def test_burn_in_notes_the_meta_sets_losses_under_noisy_labels_in_eval_mode(driven, table):
    logits = torch.randn(N + M, C, generator=torch.Generator().manual_seed(1))
    run = driven(numbered=True)
    run.engine.meta[0][:, :, 0, 0] = torch.arange(N, N + M, dtype=torch.uint8)[:, None]
    tabled(run, table, logits)
    run.method.look(3)
    noisy = torch.tensor([0, 3, 2, 3, 0, 1, 0, 3])
    torch.testing.assert_close(run.method.table[2], F.cross_entropy(logits[N:], noisy, reduction="none"))
    assert run.method.table.isnan().all(1).sum() == 17
    assert run.method.net.modes == [False]


def test_the_mentor_is_shown_rows_against_their_moments_percentile_and_who_is_right(driven, monkeypatch):
    run = driven()
    for percent in (2, 5):
        run.method.look(percent)
    shown = []
    monkeypatch.setattr(run.method.mentor, "fit", lambda *rows: shown.append(rows))
    run.method.look(20)
    losses, differences, moments, right, steps, generator = shown[0]
    table = run.method.table[[1, 4]]
    torch.testing.assert_close(losses, table.flatten())
    torch.testing.assert_close(differences, (table - table.quantile(0.6, dim=1, keepdim=True)).flatten())
    assert moments.tolist() == [2] * M + [5] * M
    assert right.tolist() == [1, 0, 1, 1, 1, 1, 0, 1] * 2
    assert (steps, generator) == (2, run.engine.generator)


def test_it_is_fitted_once_and_then_weighs_at_the_frozen_moment(driven):
    method = driven().method
    losses, differences = torch.rand(4), torch.rand(4)
    assert method.weights(losses, differences, 18).tolist() == [1, 1, 1, 1]
    method.look(10)
    method.look(19)
    after = method.mentor.output.weight.clone()
    method.look(20)
    assert torch.equal(method.mentor.output.weight, after)
    expected = method.mentor(losses, differences, 18).sigmoid()
    torch.testing.assert_close(method.weights(losses, differences, 60), expected.detach())


def test_a_training_shorter_than_its_burn_in_fits_the_mentor_all_the_same(driven):
    run = driven(recipe={"batch_size": N, "epochs": 3})
    run.epoch(0)
    assert not run.method.fitted
    run.epoch(1)
    assert run.method.fitted


def test_each_percent_of_training_is_looked_at_once_across_epochs(driven, monkeypatch):
    run = driven(recipe={"batch_size": 2, "epochs": 15})
    looked = []
    monkeypatch.setattr(run.method, "look", looked.append)
    for epoch in range(3):
        run.epoch(epoch)
    assert looked == list(range(1, 20))


def test_the_clean_score_is_the_mentors_logit_of_the_loss_now(driven):
    method = driven().method
    assert method.clean_score() is None
    method.look(10)
    method.look(19)
    method.threshold.fill_(1.0)
    losses = method.losses(method.net)
    torch.testing.assert_close(method.clean_score(), method.mentor(losses, losses - 1.0, 18).detach())


def test_only_the_data_driven_one_needs_clean_samples():
    assert registry.spec("mentornet").needs == ("noise_rate", "clean_meta")
    assert registry.spec("mentornet_pd").needs == ("noise_rate",)
    assert registry.spec("mentornet").hyperparameters().mentor_steps == 30_000
