"""Forward correction: the first network's split and snapshot, the matrix, the second network (card forward.md)."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lnlbench.errors import UndeclaredNeed
from lnlbench.job import Noise
from lnlbench.learning.transitions import estimated_by_anchors
from lnlbench.resolve import resolve_job

N, C = 20, 4
MATRIX = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.2, 0.8, 0.0, 0.0], [0.0, 0.3, 0.6, 0.1], [0.1, 0.1, 0.2, 0.6]])


def drawn():
    return torch.randn(N, C, generator=torch.Generator().manual_seed(3))


def estimating(rig, table, logits, **settings):
    run = rig("forward", n=N, num_classes=C, numbered=True, recipe={"batch_size": N}, **settings)
    run.method.snapshot = table(logits).requires_grad_(False)
    run.method.network = lambda: table(torch.zeros(N, C))
    run.replace_nets(table(logits))
    return run


def test_two_stages_of_which_only_the_second_counts(rig):
    first, second = rig("forward").method.stages()
    assert (first.epochs, first.counts, second.epochs, second.counts) == (3, False, 3, True)
    assert rig("forward", stage1_epochs=7).method.stages()[0].epochs == 7


def test_the_first_network_trains_on_its_part_and_is_kept_at_its_lowest_held_out_loss(rig, table):
    run = estimating(rig, table, drawn())
    net, held = run.method.net, run.method.held_out
    assert len(held) == 2
    for right, taken in ((0.0, True), (2.0, True), (1.0, False), (3.0, True)):
        rows = drawn()
        rows[held] = right * F.one_hot(run.labels[held], C)
        net.logits.data = rows.clone()
        before = run.method.snapshot.logits.clone()
        (step,) = run.epoch(0)
        trained = step.grads["logits"].abs().sum(1) > 0
        assert set(trained.nonzero().flatten().tolist()) == set(range(N)) - set(held.tolist())
        assert torch.equal(run.method.snapshot.logits, net.logits if taken else before)


@pytest.mark.parametrize("settings", [{}, {"percentile": None}, {"alpha": 0.25}])
def test_the_matrix_is_read_off_the_snapshot_on_all_samples(rig, table, settings):
    run = estimating(rig, table, drawn(), **settings)
    run.method.net.logits.data.zero_()
    run.method.stages()[1].begin()
    expected = estimated_by_anchors(drawn().softmax(1), settings.get("percentile", 97.0))
    expected = settings.get("alpha", 0) * torch.eye(C) + (1 - settings.get("alpha", 0)) * expected
    torch.testing.assert_close(run.method.matrix, expected)
    assert run.method.snapshot.modes == [False]


def test_the_second_network_starts_anew(rig):
    run = rig("forward")
    start = {name: value.clone() for name, value in run.method.net.state_dict().items()}
    run.epoch(0)
    run.method.stages()[1].begin()
    again = run.method.net.state_dict()
    for name in ("trunk.0.weight", "head.weight"):
        assert not torch.equal(again[name], start[name])
        assert not torch.equal(again[name], run.method.snapshot.state_dict()[name])
    assert float(again["trunk.1.running_mean"].abs().sum()) == 0


def test_the_second_stage_trains_all_samples_through_the_matrix(rig, table):
    run = estimating(rig, table, drawn())
    run.method.matrix.copy_(MATRIX)
    run.engine.begin_epoch(run.method, 0)
    run.steps.clear()
    run.method.stages()[1].train(0)
    (step,) = run.steps
    p = drawn().softmax(1)
    joint = p * MATRIX[:, run.labels].t()
    expected = (p - joint / joint.sum(1, keepdim=True)) / N
    torch.testing.assert_close(step.grads["logits"], expected, atol=1e-6, rtol=0)
    assert step.loss == pytest.approx(-joint.sum(1).log().mean().item(), rel=1e-6)


def test_the_clean_score_is_the_posterior_of_the_given_label(rig, table):
    run = estimating(rig, table, drawn())
    assert run.method.clean_score() is None
    run.method.matrix.copy_(MATRIX)
    p, at = drawn().softmax(1), torch.arange(N)
    joint = p * MATRIX[:, run.labels].t()
    expected = (joint[at, run.labels] / joint.sum(1)).log()
    torch.testing.assert_close(run.method.clean_score(), expected)


def test_predictions_are_of_the_true_class_not_of_the_given_one(rig, table):
    run = estimating(rig, table, drawn())
    run.method.matrix.copy_(MATRIX)
    torch.testing.assert_close(run.method.predict(run.batch().plain()), drawn())


def test_the_true_matrix_is_used_as_it_is_told_and_in_one_stage(rig, table):
    run = rig(
        "forward_true",
        n=N,
        num_classes=C,
        numbered=True,
        recipe={"batch_size": N},
        granted={"transition_matrix": MATRIX.double().numpy()},
    )
    run.replace_nets(table(drawn()))
    (step,) = run.epoch(0)
    expected = -(drawn().softmax(1) @ MATRIX)[torch.arange(N), run.labels].log().mean()
    assert step.loss == pytest.approx(expected.item(), rel=1e-6)
    assert [stage.counts for stage in run.method.stages()] == [True]


def test_without_noise_the_true_matrix_makes_it_cross_entropy(rig, table):
    run = rig("forward_true", n=N, num_classes=C, numbered=True, granted={"transition_matrix": np.eye(C)})
    run.replace_nets(table(torch.zeros(N, C)))
    assert run.epoch(0)[0].loss == pytest.approx(math.log(C))


def test_a_noise_without_a_matrix_is_told(rig):
    with pytest.raises(UndeclaredNeed, match="transition_matrix"):
        rig("forward_true")


def test_outliers_are_not_looked_for_on_cifar_100():
    def percentile(dataset):
        return resolve_job("forward", dataset, Noise("symmetric", 0.2), 1).hyperparameters["percentile"]

    assert (percentile("cifar10"), percentile("cifar100")) == (97.0, None)
