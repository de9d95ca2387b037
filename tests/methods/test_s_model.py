"""S-Model: the channel's start, orientation and gradient, and its kinship with forward correction (card s_model.md)."""

import pytest
import torch
import torch.nn.functional as F

from lnlbench.learning.transitions import estimated_by_confusion, forward_cross_entropy, log_posterior_correct

N, C = 20, 4
MATRIX = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.2, 0.7, 0.05, 0.05], [0.0, 0.3, 0.6, 0.1], [0.1, 0.1, 0.2, 0.6]])


def drawn():
    return 2 * torch.randn(N, C, generator=torch.Generator().manual_seed(3))


def corrected(rig, table, channel, **settings):
    """A rig with free logits before its second stage; the channel's b is given."""
    run = rig("s_model", n=N, num_classes=C, numbered=True, recipe={"batch_size": N}, init="identity", **settings)
    run.replace_nets(table(drawn()))
    run.method.channel.b.data.copy_(channel)
    return run


def test_a_channel_that_lets_all_through_is_cross_entropy(rig, table):
    run = corrected(rig, table, 50 * torch.eye(C))
    step, _ = run.epoch(0)
    assert step.loss == pytest.approx(F.cross_entropy(drawn(), run.labels).item(), abs=1e-5)
    expected = (drawn().softmax(1) - F.one_hot(run.labels, C)) / N
    torch.testing.assert_close(step.grads["logits"], expected, atol=1e-5, rtol=0)


def test_a_channel_is_the_forward_correction_of_its_matrix(rig, table):
    run = corrected(rig, table, MATRIX.log())
    step, _ = run.epoch(0)
    logits = drawn().requires_grad_()
    loss = forward_cross_entropy(logits, run.labels, MATRIX)
    loss.backward()
    assert step.loss == pytest.approx(loss.item(), abs=1e-6)
    torch.testing.assert_close(step.grads["logits"], logits.grad, atol=1e-6, rtol=0)


def test_the_gradients_are_the_posterior_form_and_the_channels_rows_sum_to_nothing(rig, table):
    b = torch.randn(C, C, generator=torch.Generator().manual_seed(4))
    run = corrected(rig, table, b)
    network, channel = run.epoch(0)
    p, theta, y = drawn().softmax(1), b.softmax(1), run.labels
    joint = p * theta[:, y].T
    posterior = joint / joint.sum(1, keepdim=True)
    torch.testing.assert_close(network.grads["logits"], (p - posterior) / N, atol=1e-6, rtol=0)
    expected = sum(posterior[t][:, None] * (theta - F.one_hot(y[t], C)) for t in range(N)) / N
    torch.testing.assert_close(channel.grads["b"], expected, atol=1e-6, rtol=0)
    assert channel.grads["b"].sum(1).abs().max() < 1e-6
    assert channel.loss == pytest.approx(network.loss)


def test_the_second_stage_starts_at_the_snapshot_and_its_confusion_with_the_labels(rig, table):
    run = rig("s_model", n=N, num_classes=C, numbered=True)
    run.method.snapshot = table(drawn()).requires_grad_(False)
    run.replace_nets(table(torch.zeros(N, C)))
    run.method.stages()[1].begin()
    torch.testing.assert_close(run.method.net.logits.data, drawn())
    predicted = drawn().argmax(1)
    counts = torch.zeros(C, C)
    for i, j in zip(predicted.tolist(), run.labels.tolist(), strict=True):
        counts[i, j] += 1
    expected = counts / counts.sum(1, keepdim=True)
    torch.testing.assert_close(run.method.channel().exp(), expected, atol=1e-6, rtol=0)


def test_the_paper_counts_probabilities(rig, table):
    run = rig("s_model", n=N, num_classes=C, numbered=True, confusion="soft")
    run.method.snapshot = table(drawn()).requires_grad_(False)
    run.replace_nets(table(torch.zeros(N, C)))
    run.method.stages()[1].begin()
    expected = estimated_by_confusion(drawn().softmax(1), run.labels, hard=False)
    torch.testing.assert_close(run.method.channel().exp(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("classes", "diagonal"), [(10, 0.991), (100, 0.910)])
def test_from_scratch_the_channel_starts_near_the_identity(rig, classes, diagonal):
    method = rig("s_model", n=2 * classes, num_classes=classes, init="identity").method
    assert len(method.stages()) == 1
    torch.testing.assert_close(method.channel().exp().diagonal(), torch.full((classes,), diagonal), atol=1e-3, rtol=0)


def test_of_two_stages_the_second_counts_and_the_first_keeps_its_best_on_held_out_labels(rig):
    run = rig("s_model")
    first, second = run.method.stages()
    assert (first.counts, second.counts) == (False, True)
    run.epoch(0)
    assert run.method.lowest.isfinite()


def test_beta_is_the_share_of_cross_entropy_without_the_channel(rig, table):
    whole, half = (corrected(rig, table, MATRIX.log(), beta=beta).epoch(0)[0].loss for beta in (0.0, 0.25))
    plain = F.cross_entropy(drawn(), torch.arange(N) % C).item()
    assert half == pytest.approx(0.75 * whole + 0.25 * plain, rel=1e-5)


def test_the_channel_follows_the_networks_rate_without_weight_decay(rig):
    optimizer = {"lr": 0.05, "weight_decay": 0.1}
    run = rig("s_model", init="identity", recipe={"optimizer": optimizer, "schedule": {"milestones": [1]}})
    for epoch in range(2):
        run.epoch(epoch)
        assert run.engine.rate(run.method.channel) == run.engine.rate(run.method.net)
    made = run.engine._optimizers["channel"].param_groups[0]
    assert made["weight_decay"] == 0


def test_the_clean_score_is_the_posterior_that_the_label_is_the_true_one(rig, table):
    run = corrected(rig, table, MATRIX.log())
    assert run.method.clean_score() is None
    run.epoch(0)
    method = run.method
    logits = method.net.logits.detach()
    torch.testing.assert_close(method.clean_score(), log_posterior_correct(logits, run.labels, method.matrix))


def test_a_cyclic_permutation_of_labels_is_found_again():
    """Card: three blobs, 45% of the labels moved on by one, a linear network: the channel ends near the truth."""
    draw = torch.Generator().manual_seed(1)
    centres = torch.tensor([[0.0, 2.0], [-2.0, -1.0], [2.0, -1.0]])
    true = torch.arange(900) // 300
    inputs = torch.cat([centres[true] + 0.6 * torch.randn(900, 2, generator=draw), torch.ones(900, 1)], 1)
    given = torch.where(torch.arange(900) % 20 < 9, (true + 1) % 3, true)
    weight = torch.zeros(3, 3, requires_grad=True)

    def descend(loss, params, steps):
        for _ in range(steps):
            for p, g in zip(params, torch.autograd.grad(loss(), params), strict=True):
                p.data -= 0.5 * g

    descend(lambda: F.cross_entropy(inputs @ weight, given), [weight], 300)
    assert ((inputs @ weight).argmax(1) == true).float().mean() < 0.75
    start = estimated_by_confusion((inputs @ weight).detach().softmax(1), given)
    b = (start + 1e-8).log().requires_grad_()

    def through():
        return -((inputs @ weight).log_softmax(1) + b.log_softmax(1).T[given]).logsumexp(1).mean()

    descend(through, [weight, b], 1500)
    assert ((inputs @ weight).argmax(1) == true).float().mean() > 0.95
    truth = 0.55 * torch.eye(3) + 0.45 * torch.eye(3).roll(1, 1)
    assert (b.softmax(1) - truth).abs().max() < 0.06
