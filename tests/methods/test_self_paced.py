"""Self-paced learning: who is admitted under which threshold, and what that does to the step (card self_paced.md)."""

import pytest
import torch

N, C = 20, 4


def logits_with_losses(losses):
    """Logits (N, C) whose cross-entropy for label i % C is losses[i]."""
    p = (-losses).exp()
    rows = ((1 - p) / (C - 1)).clamp_min(1e-30).log()[:, None].repeat(1, C)
    rows[torch.arange(len(p)), torch.arange(len(p)) % C] = p.log()
    return rows


def paced(rig, table, losses, **settings):
    run = rig("self_paced", n=len(losses), num_classes=C, numbered=True, recipe={"batch_size": len(losses)}, **settings)
    run.replace_nets(table(logits_with_losses(losses)))
    return run


def test_a_percentile_of_1_without_memory_admits_all_and_is_cross_entropy(rig, table):
    losses = torch.linspace(0.1, 3, N)
    run = paced(rig, table, losses, p=1.0, d=0.0)
    (step,) = run.epoch(0)
    assert run.method.selected().all()
    assert step.loss == pytest.approx(losses.mean().item(), abs=1e-6)


def test_rejected_samples_have_no_gradient_and_the_loss_is_divided_by_the_batch(rig, table):
    losses = torch.linspace(0.1, 3, N)
    run = paced(rig, table, losses, d=0.0)
    (step,) = run.epoch(0)
    kept = losses <= losses.quantile(0.7)
    assert torch.equal(run.method.selected(), kept)
    assert step.grads["logits"][~kept].abs().max() == 0
    assert (step.grads["logits"][kept].abs().sum(1) > 0).all()
    assert step.loss == pytest.approx((losses[kept].sum() / N).item(), rel=1e-5)


def test_the_threshold_approaches_a_constant_percentile_by_halves(rig):
    run = rig("self_paced", n=100)
    losses = torch.cat([torch.full((60,), 0.1), torch.full((40,), 5.0)])
    for t in range(1, 21):
        run.method.follow(losses)
        assert run.method.threshold.item() == pytest.approx(5 * (1 - 0.5**t), rel=1e-5)
        assert torch.equal(run.method.weights(losses) > 0, losses < 1)


def test_a_threshold_that_comes_from_below_admits_nothing(rig):
    run = rig("self_paced", n=100, p=0.5)
    losses = torch.cat([torch.full((60,), 0.1), torch.full((40,), 5.0)])
    for _ in range(15):
        run.method.follow(losses)
        assert run.method.weights(losses).sum() == 0


def test_linear_weights_fall_to_zero_at_the_threshold(rig):
    run = rig("self_paced", weight="linear")
    run.method.threshold.fill_(2.0)
    torch.testing.assert_close(run.method.weights(torch.tensor([0.0, 1.0, 2.0, 3.0])), torch.tensor([1.0, 0.5, 0, 0]))


def test_burn_in_is_cross_entropy_while_the_threshold_already_follows(rig, table):
    losses = torch.linspace(0.1, 3, N)
    run = paced(rig, table, losses, burn_in=1)
    (step,) = run.epoch(0)
    assert step.loss == pytest.approx(losses.mean().item(), rel=1e-5)
    assert run.method.selected().all()
    torch.testing.assert_close(run.method.threshold, losses.quantile(0.7) / 2)
    (step,) = run.epoch(1)
    assert step.loss < losses.mean()


def test_annealing_admits_half_and_grows_until_it_reaches_its_cap(rig, table):
    losses = torch.linspace(1.0, 3, N)
    run = paced(rig, table, losses, pace="anneal", max_fraction=0.9)
    run.engine.learn = lambda *args: None
    shares = []
    for epoch in range(4):
        run.epoch(epoch)
        shares.append(run.method.selected().float().mean().item())
    assert shares[0] == pytest.approx(0.5)
    assert shares[0] < shares[1] < shares[2] == shares[3] == pytest.approx(0.9)


def test_annealed_steps_leave_the_others_out(rig, table):
    losses = torch.linspace(1.0, 3, N)
    run = paced(rig, table, losses, pace="anneal")
    (step,) = run.epoch(0)
    kept = run.method.selected()
    assert step.grads["logits"][~kept].abs().max() == 0
    assert step.loss == pytest.approx((losses[kept].sum() / N).item(), rel=1e-5)


def test_state_is_in_the_checkpoint_and_the_score_is_the_default(rig):
    run = rig("self_paced")
    assert {"threshold", "admitted"} <= run.method.state_dict().keys()
    assert run.method.clean_score() is None


def test_the_losses_are_those_of_the_training_step(rig, table):
    losses = torch.linspace(0.1, 3, N)
    run = paced(rig, table, losses, d=0.0, p=0.5)
    run.epoch(0)
    torch.testing.assert_close(run.method.threshold, losses.quantile(0.5))
