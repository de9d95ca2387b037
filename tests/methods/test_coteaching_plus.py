"""Co-teaching+: who is a candidate, who is exchanged, and when nothing moves (card coteaching_plus.md)."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.resolve import resolve_job

N, C = 8, 4


def made(rig, table, first, second, **settings):
    """A rig past its Co-teaching epochs, one batch an epoch, with two networks of these logits (N, C)."""
    settings = {"init_epoch": 0, "forget_rate": 0.5, "num_gradual": 1, **settings}
    recipe = {"batch_size": len(first), **settings.pop("recipe", {})}
    run = rig("coteaching_plus", n=len(first), numbered=True, recipe=recipe, **settings)
    run.replace_nets(table(first), table(second))
    return run


def rows(*cells):
    """Logits (B, C), each row with a class and how strongly it is predicted."""
    out = torch.zeros(len(cells), C)
    for row, (kind, strength) in enumerate(cells):
        out[row, kind] = strength
    return out


def touched(step):
    return (step.grads["logits"].abs().sum(1) > 0).nonzero().flatten().tolist()


def test_of_the_samples_in_dispute_each_network_learns_the_peers_choice(rig, table):
    # Labels are 0, 1, 2, 3; samples 1 and 3 are in dispute. The first network finds 1 easier, the second one 3.
    first = rows((0, 1.0), (1, 3.0), (2, 1.0), (0, 2.0))
    second = rows((0, 2.0), (0, 2.0), (2, 2.0), (3, 3.0))
    run = made(rig, table, first, second)
    one, two = run.epoch(5)
    assert touched(one) == [3]
    assert touched(two) == [1]
    assert one.loss == pytest.approx(F.cross_entropy(first[[3]], torch.tensor([3])).item(), abs=1e-6)
    assert two.loss == pytest.approx(F.cross_entropy(second[[1]], torch.tensor([1])).item(), abs=1e-6)
    assert run.method.selected().nonzero().flatten().tolist() == [1, 3]


def test_without_forgetting_each_network_learns_all_samples_in_dispute(rig, table):
    draw = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, N, C, generator=draw)
    run = made(rig, table, first, second, forget_rate=0.0)
    apart = first.argmax(1) != second.argmax(1)
    assert 1 < int(apart.sum()) < N
    for step, z in zip(run.epoch(5), (first, second), strict=True):
        expected = (z.softmax(1) - F.one_hot(run.labels, C)) * apart[:, None] / apart.sum()
        torch.testing.assert_close(step.grads["logits"], expected, atol=1e-6, rtol=0)


def test_where_the_rate_leaves_none_all_samples_in_dispute_are_taken(rig, table):
    first = rows((0, 1.0), (1, 3.0), (2, 1.0), (0, 2.0))
    second = rows((0, 2.0), (0, 2.0), (2, 2.0), (3, 3.0))
    steps = made(rig, table, first, second, forget_rate=0.9).epoch(5)
    assert [touched(step) for step in steps] == [[1, 3], [1, 3]]


def test_a_single_sample_in_dispute_is_taken_whatever_the_rate(rig, table):
    first = rows((0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0))
    second = rows((0, 1.0), (1, 1.0), (2, 1.0), (0, 1.0))
    for step in made(rig, table, first, second, forget_rate=0.9).epoch(5):
        assert touched(step) == [3]


def test_identical_networks_do_not_move_once_disagreement_counts(rig):
    run = rig("coteaching_plus", init_epoch=1, forget_rate=0.2, recipe={"optimizer": {"weight_decay": 0.1}})
    first, second = run.method.nets
    second.load_state_dict(first.state_dict())
    before = [p.detach().clone() for p in first.parameters()]
    assert run.epoch(1) == []
    assert all(torch.equal(p, value) for p, value in zip(first.parameters(), before, strict=True))
    assert not run.method.selected().any()


@pytest.mark.parametrize("recipe", [{}, {"optimizer": {"name": "adam", "lr": 1e-3}}])
def test_the_first_epochs_are_co_teachings_bit_for_bit(rig, recipe):
    runs = [
        rig("coteaching", n=40, forget_rate=0.4, num_gradual=2, recipe=recipe),
        rig("coteaching_plus", n=40, forget_rate=0.4, num_gradual=2, init_epoch=3, recipe=recipe),
    ]
    for epoch in range(3):
        losses = [[step.loss for step in run.epoch(epoch)] for run in runs]
        assert losses[0] == losses[1]
    one, two = (run.method.state_dict() for run in runs)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert [step.loss for step in runs[0].epoch(3)] != [step.loss for step in runs[1].epoch(3)]


def test_both_networks_see_one_view_and_the_last_partial_batch_is_dropped(rig, table):
    draw = torch.Generator().manual_seed(1)
    run = made(rig, table, *torch.randn(2, 19, C, generator=draw), recipe={"batch_size": 8})
    seen = []
    for net in run.method.nets:
        forward = net.forward
        net.forward = lambda x, forward=forward: seen.append(x) or forward(x)
    run.epoch(5)
    assert [len(x) for x in seen] == [8] * 4
    assert torch.equal(seen[0], seen[1])


def test_the_released_loss_takes_the_softmax_twice(rig, table):
    draw = torch.Generator().manual_seed(1)
    first, second = 5 * torch.randn(2, N, C, generator=draw)
    run = made(rig, table, first, second, variant="official", forget_rate=0.0)
    apart = first.argmax(1) != second.argmax(1)
    for step, z in zip(run.epoch(5), (first, second), strict=True):
        assert step.loss == pytest.approx(F.cross_entropy(z.softmax(1)[apart], run.labels[apart]).item(), abs=1e-6)
    low, high = math.log(1 + (C - 1) / math.e), math.log(math.e + C - 1)
    sure = run.method.loss(100.0 * torch.eye(C), torch.tensor([0, 1, 0, 0]))
    assert sure.tolist() == pytest.approx([low, low, high, high])


def test_the_released_code_trains_on_batches_without_dispute_while_epoch_times_step_is_small(rig, table):
    logits = torch.randn(N, C, generator=torch.Generator().manual_seed(1))
    run = made(rig, table, logits, logits, variant="official", recipe={"batch_size": 4, "optimizer": {"lr": 1e-12}})
    steps = run.epoch(10)
    assert [touched(step) for step in steps[:2]] == [touched(steps[0])] * 2
    assert sorted(touched(steps[0]) + touched(steps[2])) == list(range(N))
    # From epoch 5000 of its own on only a first step, whose number is 0.
    assert len(run.epoch(4998)) == 4
    assert len(run.epoch(4999)) == 2


def test_both_networks_predict_one_by_one_and_the_clean_score_is_the_mean_log_probability(rig):
    run = rig("coteaching_plus")
    run.method.eval()
    images = run.batch().plain()
    assert run.method.predict(images).shape == (2, len(images), C)
    assert run.method.clean_score() is None


@pytest.mark.parametrize(("dataset", "epochs"), [("cifar10", 20), ("cifar100", 5)])
def test_constants_of_the_published_table(dataset, epochs):
    job = resolve_job("coteaching_plus", dataset, Noise("symmetric", 0.5), 1, recipe={"batch_size": 64})
    assert job.hyperparameters == {
        "forget_rate": None,
        "num_gradual": 10,
        "exponent": 1,
        "init_epoch": epochs,
        "variant": "paper",
    }
    assert job.recipe.batch_size == 128
