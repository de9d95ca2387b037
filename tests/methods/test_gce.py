"""GCE: the gradient of the plain form, and snapshot, pruning and held-out labels of the truncated one (card gce.md)."""

import math

import pytest
import torch
import torch.nn.functional as F

N, C, Q = 20, 4, 0.7
CONSTANT = (1 - 0.5**Q) / Q


def logits_with(p):
    """Logits (N, C) with probability p[i] for label i % C, the rest shared evenly."""
    rows = ((1 - p) / (C - 1)).log()[:, None].repeat(1, C)
    rows[torch.arange(len(p)), torch.arange(len(p)) % C] = p.log()
    return rows


def truncated(rig, table, p, **settings):
    run = rig("gce", n=N, num_classes=C, numbered=True, recipe={"batch_size": N}, variant="truncated", **settings)
    net = table(logits_with(p))
    run.method.snapshot = table(logits_with(p)).requires_grad_(False)
    run.replace_nets(net)
    return run


def test_the_plain_gradient_is_cross_entropys_times_p_to_the_q(rig, table):
    p = torch.linspace(0.02, 0.98, N)
    run = rig("gce", n=N, num_classes=C, numbered=True, recipe={"batch_size": N})
    run.replace_nets(table(logits_with(p)))
    (step,) = run.epoch(0)
    probs = logits_with(p).softmax(1)
    expected = p[:, None] ** Q * (probs - F.one_hot(run.labels, C)) / N
    torch.testing.assert_close(step.grads["logits"], expected, atol=1e-6, rtol=0)
    assert step.loss == pytest.approx(((1 - p**Q) / Q).mean().item(), rel=1e-5)


def test_pruned_samples_have_no_gradient_and_the_loss_is_divided_by_the_batch(rig, table):
    p = torch.tensor([0.2, 0.8]).repeat(N // 2)
    run = truncated(rig, table, p, start_prune=1, prune_every=1)
    (step,) = run.epoch(0)
    assert torch.equal(run.method.kept, p > 0.5)
    trained = run.method.trained
    moved = step.grads["logits"].abs().sum(1) > 0
    assert set(moved.nonzero().flatten().tolist()) == {i for i in trained.tolist() if p[i] > 0.5}
    kept = p[trained][p[trained] > 0.5]
    assert step.loss == pytest.approx((((1 - kept**Q) / Q - CONSTANT).sum() / len(trained)).item(), rel=1e-4)


def test_without_truncation_pruning_keeps_all_and_training_is_the_plain_loss(rig, table):
    p = torch.linspace(0.02, 0.98, N)
    run = truncated(rig, table, p, start_prune=1, prune_every=1, k=0.0)
    # So far from its labels that every probability underflows to 0 in single precision.
    run.method.snapshot.logits.data = -1e4 * F.one_hot(run.labels, C).float()
    (step,) = run.epoch(0)
    assert run.method.kept.all()
    expected = p[:, None] ** Q * (logits_with(p).softmax(1) - F.one_hot(run.labels, C)) / len(run.method.trained)
    trained = run.method.trained
    torch.testing.assert_close(step.grads["logits"][trained], expected[trained], atol=1e-6, rtol=0)
    assert step.grads["logits"][run.method.held_out].abs().max() == 0


@pytest.mark.parametrize(("start", "every", "expected"), [(40, 10, [40, 50]), (3, 2, [4, 6]), (80, 10, [80])])
def test_pruning_starts_and_repeats_by_epochs_counted_from_one(rig, table, monkeypatch, start, every, expected):
    run = truncated(rig, table, torch.full((N,), 0.7), start_prune=start, prune_every=every)
    method, pruned, now = run.method, [], 0
    look = method.snapshot_score
    monkeypatch.setattr(method, "snapshot_score", lambda: pruned.append(now) or look())
    for now in range(1, expected[-1] + 2):
        run.epoch(now - 1)
    assert pruned == expected


def test_pruned_samples_can_come_back(rig, table):
    p = torch.full((N,), 0.2)
    run = truncated(rig, table, p, start_prune=1, prune_every=1)
    run.epoch(0)
    assert not run.method.kept.any()
    run.method.snapshot.logits.data = logits_with(1 - p)
    run.epoch(1)
    assert run.method.kept.all()


def test_the_snapshot_is_taken_when_held_out_noisy_accuracy_improves(rig, table):
    run = truncated(rig, table, torch.full((N,), 0.1))
    net, snapshot, held = run.method.net, run.method.snapshot, run.method.held_out
    rounds = ((0, 0.9, True), (0, 0.8, False), (1, 0.7, True), (2, 0.9, True), (1, 0.8, False))
    for correct, confidence, taken in rounds:
        p = torch.full((N,), confidence)
        p[held[correct:]] = 0.01
        net.logits.data = logits_with(p)
        before = snapshot.logits.clone()
        run.epoch(0)
        assert torch.equal(snapshot.logits, net.logits if taken else before)
        assert not torch.equal(net.logits, before)


def test_a_tenth_is_held_out_and_never_trained_on(rig, monkeypatch):
    run = rig("gce", n=50, variant="truncated")
    assert len(run.method.held_out) == 5
    batches, seen = run.engine.batches, []
    monkeypatch.setattr(run.engine, "batches", lambda *a: (seen.append(b.indices) or b for b in batches(*a)))
    run.epoch(0)
    assert sorted(torch.cat(seen).tolist()) == sorted(run.method.trained.tolist())
    assert not set(torch.cat(seen).tolist()) & set(run.method.held_out.tolist())


def test_the_clean_score_is_the_snapshots_log_probability(rig, table):
    p = torch.linspace(0.1, 0.9, N)
    run = truncated(rig, table, p)
    torch.testing.assert_close(run.method.clean_score(), p.log())
    assert rig("gce").method.clean_score() is None


def test_pruning_state_is_in_the_checkpoint(rig):
    state = rig("gce", variant="truncated").method.state_dict()
    assert {"kept", "best", "held_out", "trained"} <= state.keys()
    assert any(name.startswith("snapshot.") for name in state)
    assert math.isclose(state["best"].item(), -1)
