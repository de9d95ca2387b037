"""Co-teaching: the ramp, how many are kept, and the exchange of selections (card coteaching.md)."""

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.resolve import resolve_job

N, C = 8, 4


def tables(run, table, first, second):
    """Two networks whose losses on their labels rank as the given numbers: larger number, larger loss."""
    nets = []
    for losses in (first, second):
        logits = torch.zeros(N, C)
        logits[torch.arange(N), run.labels] = -torch.tensor(losses, dtype=torch.float)
        nets.append(table(logits))
    run.replace_nets(*nets)
    return nets


def touched(step):
    """Samples with a gradient."""
    return (step.grads["logits"].abs().sum(1) > 0).nonzero().flatten().tolist()


@pytest.mark.parametrize("tau", [0.2, 0.45, 0.5, 0.8, 0.9])
def test_the_dropped_share_rises_from_zero_to_tau_in_ten_epochs(rig, tau):
    method = rig("coteaching", forget_rate=tau).method
    assert method.forgotten(0) == 0
    assert method.forgotten(3) == pytest.approx(tau * 3 / 9)
    assert method.forgotten(9) == pytest.approx(tau)
    assert method.forgotten(100) == tau


def test_the_exponent_shapes_the_ramp_only(rig):
    method = rig("coteaching", forget_rate=0.5, exponent=2.0).method
    assert method.forgotten(9) == pytest.approx(0.25)
    assert method.forgotten(10) == 0.5


def test_a_ramp_of_one_epoch_starts_at_zero(rig):
    method = rig("coteaching", forget_rate=0.5, num_gradual=1).method
    assert [method.forgotten(e) for e in (0, 1)] == [0, 0.5]


@pytest.mark.parametrize(("tau", "kept"), [(0.2, 102), (0.45, 70), (0.5, 64), (0.8, 25), (0.9, 12)])
@pytest.mark.parametrize("epoch", [9, 10, 199])
def test_kept_samples_of_a_batch_of_128(rig, table, tau, kept, epoch):
    run = rig("coteaching", n=128, numbered=True, recipe={"batch_size": 128}, forget_rate=tau)
    draw = torch.Generator().manual_seed(0)
    run.replace_nets(*(table(torch.randn(128, C, generator=draw)) for _ in range(2)))
    for step in run.epoch(epoch):
        assert len(touched(step)) == kept


def test_the_rate_is_the_noise_rate_unless_given(rig):
    assert rig("coteaching", granted={"noise_rate": 0.4}).method.forgotten(50) == 0.4
    assert rig("coteaching", granted={"noise_rate": 0.4}, forget_rate=0.1).method.forgotten(50) == 0.1


def test_each_network_learns_what_the_other_one_proposed(rig, table):
    run = rig("coteaching", n=N, numbered=True, forget_rate=0.875)
    first, second = tables(run, table, [0, 9, 9, 9, 9, 9, 9, 9], [9, 9, 9, 0, 9, 9, 9, 9])
    one, two = run.epoch(20)
    assert one.net is first
    assert touched(one) == [3]
    assert two.net is second
    assert touched(two) == [0]
    assert run.method.selected().nonzero().flatten().tolist() == [0, 3]


def test_a_step_is_the_mean_cross_entropy_of_the_exchanged_samples_from_one_forward(rig, table):
    run = rig("coteaching", n=N, numbered=True, forget_rate=0.5)
    first, second = tables(run, table, [0, 1, 2, 3, 4, 5, 6, 7], [7, 6, 5, 4, 3, 2, 1, 0])
    logits = first.logits.detach().clone(), second.logits.detach().clone()
    one, two = run.epoch(20)
    chosen = torch.arange(4, 8), torch.arange(4)
    for step, rows, at in zip((one, two), logits, chosen, strict=True):
        assert step.loss == pytest.approx(F.cross_entropy(rows[at], run.labels[at]).item(), rel=1e-6)
    # One forward each; the second network's losses were taken before the first one moved.
    assert first.seen == second.seen == [N]


def test_without_forgetting_each_network_is_plain_cross_entropy(rig, table):
    run = rig("coteaching", n=N, numbered=True, forget_rate=0.0)
    logits = torch.randn(N, C, generator=torch.Generator().manual_seed(1))
    run.replace_nets(table(logits), table(logits))
    expected = (logits.softmax(1) - F.one_hot(run.labels, C)) / N
    for step in run.epoch(0):
        torch.testing.assert_close(step.grads["logits"], expected, atol=1e-6, rtol=0)


def test_identical_networks_stay_identical_without_forgetting(rig):
    run = rig("coteaching", forget_rate=0.0)
    first, second = run.method.nets
    second.load_state_dict(first.state_dict())
    run.epoch(0)
    run.epoch(1)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_last_partial_batch_is_dropped(rig, table):
    run = rig("coteaching", n=19, numbered=True, forget_rate=0.2)
    run.replace_nets(table(torch.zeros(19, C)), table(torch.zeros(19, C)))
    assert len(run.epoch(0)) == 2 * 2


def test_at_least_one_sample_is_kept(rig, table):
    run = rig("coteaching", n=2, numbered=True, forget_rate=0.99)
    run.replace_nets(table(torch.zeros(2, C)), table(torch.zeros(2, C)))
    for step in run.epoch(50):
        assert len(touched(step)) == 1


def test_both_networks_predict_one_by_one(rig):
    run = rig("coteaching", forget_rate=0.2)
    images = run.batch().plain()
    run.method.eval()
    out = run.method.predict(images)
    assert out.shape == (2, len(images), C)
    torch.testing.assert_close(out[1], run.method.nets[1](images))
    assert run.method.clean_score() is None


def test_at_paper_scale_cifar_has_its_authors_recipe():
    for dataset, start in (("cifar10", 80), ("cifar100", 100)):
        recipe = resolve_job("coteaching", dataset, Noise("symmetric", 0.5), 1).recipe
        assert (recipe.backbone, recipe.epochs, recipe.batch_size) == ("cnn9", 200, 128)
        assert (recipe.optimizer.name, recipe.optimizer.lr, recipe.optimizer.weight_decay) == ("adam", 1e-3, 0)
        assert (recipe.schedule.name, recipe.schedule.start, recipe.schedule.adam_beta1) == ("linear", start, 0.1)
        assert (recipe.augment, recipe.normalisation) == ("none", "none")


def test_on_animal_10n_it_has_the_recipe_of_selfies_code_where_its_number_comes_from():
    job = resolve_job("coteaching", "animal10n", Noise("real"), 1)
    assert (job.hyperparameters["forget_rate"], job.hyperparameters["num_gradual"]) == (0.08, 15)
    recipe, optimizer, schedule = job.recipe, job.recipe.optimizer, job.recipe.schedule
    assert (recipe.epochs, recipe.batch_size, recipe.augment) == (100, 128, "none")
    assert (optimizer.name, optimizer.lr, optimizer.momentum, optimizer.nesterov) == ("sgd", 0.1, 0.9, True)
    assert optimizer.weight_decay == 5e-4
    assert (schedule.name, schedule.milestones, schedule.gamma) == ("multistep", (0.5, 0.75), 0.2)
    assert schedule.adam_beta1 is None
