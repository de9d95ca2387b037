"""What stands behind batches, learn and scores: order, steps, rates, the NaN guard, states by network."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lnlbench.data.augment.views import Views
from lnlbench.data.sources import TensorSource
from lnlbench.errors import LnlbenchError
from lnlbench.job import Optimizer, Recipe, Schedule
from lnlbench.training import engine as engine_module
from lnlbench.training.devices import place
from lnlbench.training.engine import GUARD_EVERY, Diverged, Engine, Interrupted
from lnlbench.training.seeds import Streams

SGD = {"name": "sgd", "lr": 1.0, "momentum": 0.0, "weight_decay": 0.0}
ADAM = {"name": "adam", "lr": 0.1, "weight_decay": 0.0}


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
        for net in (self.a, self.b):
            nn.init.ones_(net.weight)


def opened(
    samples: int = 20, *, stop: Callable[[], bool] = lambda: False, seed: int = 1, **recipe: object
) -> tuple[Engine, Pair]:
    """An engine over `samples` images, whose every pixel is the sample's index, and two tiny networks."""
    values = {"backbone": "smallcnn", "width": 0.25, "batch_size": 8, "epochs": 4, "optimizer": SGD}
    made = Recipe.from_dict({**values, "schedule": {"name": "constant"}, "normalisation": "none", **recipe})
    streams = Streams(seed, torch.device("cpu"))
    images = torch.arange(samples, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
    views = Views(made, torch.zeros(3), torch.ones(3), streams.tensors)
    engine = Engine(made, TensorSource(images), torch.arange(samples) % 3, 3, views, place("cpu"), streams, stop)
    pair = Pair()
    engine.register(pair)
    engine.begin_stage(None, None, made.epochs)
    engine.begin_epoch(pair, 0)
    return engine, pair


def total(net: nn.Linear) -> Tensor:
    """A loss whose gradient is (1, 1)."""
    return net.weight.sum()


def seen(engine: Engine, subset: Tensor | None = None, **options: object) -> list[list[int]]:
    chosen = {"batch_size": None, "shuffle": True, "drop_last": False, **options}
    return [batch.indices.tolist() for batch in engine.batches(subset, **chosen)]


def test_a_pass_may_be_a_new_balanced_draw_of_so_many_batches():
    engine, _ = opened(samples=61, epoch_batches=2)
    first, second = flat(seen(engine)), flat(seen(engine))
    assert len(set(first)) == 16
    assert set(first) != set(second)
    assert sorted(torch.bincount(torch.tensor(first) % 3).tolist()) in ([5, 5, 6], [4, 6, 6])
    assert [len(batch) for batch in seen(engine, batch_size=3)] == [3, 3]
    # What is asked for by name, or in order, is all of it; and what a score is asked of.
    some = torch.arange(0, 60, 2)
    assert sorted(flat(seen(engine, some))) == some.tolist()
    assert flat(seen(engine, shuffle=False)) == list(range(61))
    assert len(set(engine.draw(some, 5).tolist()) & set(some.tolist())) == 10


def test_without_draws_a_pass_is_everything_and_takes_no_random_number():
    engine, _ = opened(samples=20)
    before = engine.generator.get_state()
    assert engine.draw(None, None).tolist() == list(range(20))
    assert torch.equal(engine.generator.get_state(), before)


def test_a_rate_that_moves_by_steps_ends_its_epoch_with_the_draw():
    cosine = {"name": "cosine", "floor": 0.0, "per": "iteration"}
    engine, pair = opened(samples=61, epoch_batches=2, epochs=1, schedule=cosine)
    rates = []
    for _ in seen(engine):
        rates.append(engine.rate(pair.a))
        engine.learn(total(pair.a), pair.a, None)
    assert rates == pytest.approx([1.0, 0.5])
    assert engine.rate(pair.a) == pytest.approx(0.0)


def test_the_rate_of_the_next_step_is_the_one_it_then_has():
    engine, pair = opened(schedule={"name": "cosine", "floor": 0.0, "per": "iteration"}, epochs=1)
    for _ in range(3):
        told, before = engine.rate(pair.a), pair.a.weight.detach().clone()
        engine.learn(total(pair.a), pair.a, None)
        assert (before - pair.a.weight).detach() == pytest.approx(torch.full((1, 2), told))


def test_the_loss_that_is_told_is_the_networks_not_a_weighting_networks_beside_them():
    engine, pair = opened()
    engine.configure(pair.b, Optimizer("sgd", 0.1), None)
    engine.begin_epoch(pair, 0)
    engine.learn(total(pair.a), pair.a, None)
    engine.learn(100 * total(pair.b), pair.b, None)
    assert engine.end_epoch()[0] == pytest.approx(2.0)


def flat(batches: list[list[int]]) -> list[int]:
    return sorted(index for batch in batches for index in batch)


# Batches.


def test_a_pass_sees_every_sample_once_in_new_order_each_time() -> None:
    engine, _ = opened()
    first, second = seen(engine), seen(engine)
    assert [len(batch) for batch in first] == [8, 8, 4]
    assert flat(first) == flat(second) == list(range(20))
    assert first != second
    assert seen(opened()[0]) == first
    assert seen(opened(seed=2)[0]) != first


def test_a_batch_holds_the_images_and_labels_of_its_indices() -> None:
    engine, _ = opened()
    for batch in engine.batches(None, 3, True, False):
        assert torch.equal(batch.images[:, 0, 0, 0].long(), batch.indices)
        assert torch.equal(batch.labels, batch.indices % 3)
        assert torch.equal(batch.one_hot.argmax(1), batch.labels)


@pytest.mark.parametrize(("samples", "sizes"), [(20, [8, 8]), (16, [8, 8]), (5, [5]), (8, [8]), (9, [8])])
def test_drop_last_leaves_out_the_partial_batch_unless_it_is_the_only_one(samples: int, sizes: list) -> None:
    assert [len(batch) for batch in seen(opened(samples)[0], drop_last=True)] == sizes


def test_a_subset_is_given_as_mask_or_as_indices() -> None:
    engine, _ = opened()
    mask = torch.arange(20) % 2 == 0
    for subset in (mask, mask.nonzero().squeeze(1)):
        assert flat(seen(engine, subset)) == list(range(0, 20, 2))
        assert seen(engine, subset, shuffle=False) == [[0, 2, 4, 6, 8, 10, 12, 14], [16, 18]]
    assert seen(engine, torch.tensor([7, 3, 3]), shuffle=False) == [[7, 3, 3]]
    assert seen(engine, torch.zeros(20, dtype=torch.bool)) == []
    assert [len(batch) for batch in seen(engine, batch_size=15)] == [15, 5]


# Learning.


def test_a_step_moves_the_network_it_is_told_and_no_other() -> None:
    engine, pair = opened()
    engine.learn(total(pair.a) + total(pair.b), pair.a, None)
    assert torch.equal(pair.a.weight, torch.zeros(1, 2))
    assert torch.equal(pair.b.weight, torch.ones(1, 2))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_diverges_within_the_guard(bad: float) -> None:
    engine, pair = opened()
    engine.learn(total(pair.a), pair.a, None)

    def steps() -> None:
        for _ in range(GUARD_EVERY):
            engine.learn(total(pair.a) * 0 + bad, pair.a, None)

    with pytest.raises(Diverged):
        steps()


def test_a_loss_that_was_not_finite_diverges_at_the_latest_at_the_epochs_end() -> None:
    engine, pair = opened()
    engine.learn(total(pair.a) * float("nan"), pair.a, None)
    engine.learn(total(pair.b), pair.b, None)
    with pytest.raises(Diverged):
        engine.end_epoch()


def test_gradients_are_clipped_to_the_recipes_norm() -> None:
    engine, pair = opened(clip_norm=0.1)
    engine.learn(100 * total(pair.a), pair.a, None)
    assert (torch.ones(1, 2) - pair.a.weight).norm().item() == pytest.approx(0.1, rel=1e-4)


def test_edit_sees_the_gradients_before_the_step() -> None:
    engine, pair = opened()
    engine.learn(total(pair.a), pair.a, lambda: pair.a.weight.grad.mul_(torch.tensor([[1.0, 0.0]])))
    assert torch.equal(pair.a.weight, torch.tensor([[0.0, 1.0]]))


def rates(engine: Engine, pair: Pair, epochs: int, steps: int) -> list[float]:
    """Learning rates of single steps, read off how far a gradient of 1 moves."""
    out = []
    for epoch in range(epochs):
        engine.begin_epoch(pair, epoch)
        for _ in range(steps):
            before = pair.a.weight[0, 0].item()
            engine.learn(total(pair.a), pair.a, None)
            out.append(before - pair.a.weight[0, 0].item())
    return out


def test_an_epochs_schedule_stands_still_within_the_epoch() -> None:
    engine, pair = opened(schedule={"name": "linear"})
    assert rates(engine, pair, 4, 2) == pytest.approx([1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25])
    assert engine.lr == pytest.approx(0.25)


def test_an_iterations_schedule_moves_at_every_step() -> None:
    engine, pair = opened(16, epochs=2, schedule={"name": "linear", "per": "iteration"})
    assert rates(engine, pair, 2, 2) == pytest.approx([1, 0.75, 0.5, 0.25])


def test_steps_beyond_an_epochs_share_do_not_run_into_the_next_epoch() -> None:
    engine, pair = opened(16, epochs=2, schedule={"name": "linear", "per": "iteration"})
    assert rates(engine, pair, 1, 4) == pytest.approx([1, 0.75, 0.5, 0.5])


def test_a_module_may_have_an_optimiser_of_its_own() -> None:
    engine, pair = opened(schedule={"name": "linear"})
    engine.configure(pair.b, Optimizer.from_dict({**SGD, "lr": 0.5}), None)
    engine.begin_epoch(pair, 2)
    engine.learn(total(pair.a), pair.a, None)
    assert pair.a.weight[0, 0].item() == pytest.approx(0.5)
    engine.learn(total(pair.b), pair.b, None)
    assert pair.b.weight[0, 0].item() == pytest.approx(0.5)
    engine.begin_epoch(pair, 3)
    assert engine.lr == pytest.approx(0.25), "the recipe's rate is the one that is recorded"
    engine.learn(total(pair.b), pair.b, None)
    assert pair.b.weight[0, 0].item() == pytest.approx(0.0), "without a schedule its rate stays"


def test_a_module_that_the_method_does_not_own_is_told() -> None:
    engine, _ = opened()
    stray = nn.Linear(2, 1)
    with pytest.raises(LnlbenchError, match=r"Linear.*\n.*self\.net"):
        engine.learn(stray.weight.sum(), stray, None)


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps_and_starts_anew() -> None:
    engine, pair = opened()
    for _ in range(2):
        engine.learn(total(pair.a), pair.a, None)  # 2, then 0
    assert engine.end_epoch()[0] == pytest.approx(1.0)
    engine.begin_epoch(pair, 1)
    engine.learn(total(pair.b), pair.b, None)
    assert engine.end_epoch()[0] == pytest.approx(2.0)


def test_the_samples_that_an_epoch_trains_on_are_counted_not_those_it_only_scores() -> None:
    engine, pair = opened()
    seen(engine)
    engine.scores(pair, lambda b: b.labels, None)
    assert engine.samples == 20
    engine.begin_epoch(pair, 1)
    assert engine.samples == 0


# States.


def test_an_optimisers_state_is_kept_under_its_networks_name_and_goes_on() -> None:
    engine, pair = opened(optimizer=ADAM)
    engine.learn(total(pair.a).square(), pair.a, None)
    saved, weights = copy.deepcopy(engine.state()), copy.deepcopy(pair.state_dict())
    assert set(saved["optimizers"]) == {"a"}
    engine.learn(total(pair.a).square(), pair.a, None)

    other, again = opened(optimizer=ADAM)
    again.load_state_dict(weights)
    other.restore(saved)
    assert set(other.state()["optimizers"]) == {"a"}, "a state that no step has asked for yet is not lost"
    other.learn(total(again.a).square(), again.a, None)
    assert torch.equal(again.a.weight, pair.a.weight)

    fresh, anew = opened(optimizer=ADAM)
    anew.load_state_dict(weights)
    fresh.learn(total(anew.a).square(), anew.a, None)
    assert not torch.equal(anew.a.weight, pair.a.weight)


def test_a_stage_begins_with_fresh_optimisers_and_its_own_settings() -> None:
    engine, pair = opened(optimizer={**SGD, "momentum": 0.9})
    engine.learn(total(pair.a), pair.a, None)
    engine.begin_stage(Optimizer.from_dict({**SGD, "lr": 0.25}), Schedule("linear"), 2)
    assert engine.state()["optimizers"] == {}
    nn.init.ones_(pair.a.weight)
    assert rates(engine, pair, 2, 1) == pytest.approx([0.25, 0.125])


def test_initial_weights_have_a_stream_of_their_own() -> None:
    engine, _ = opened()
    first, second = engine.network(None), engine.network(None)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    third = engine.network(None)
    assert torch.equal(torch.rand(3), expected), "building a network draws nothing from the global stream"
    weights = [net.head.weight for net in (first, second, third)]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])

    again, _ = opened()
    torch.rand(17, generator=again.generator)
    assert torch.equal(again.network(None).head.weight, weights[0])
    again.restore({"optimizers": {}, "built": 2})
    assert torch.equal(again.network(None).head.weight, weights[2])


# Scores.


def test_scores_are_in_order_over_large_batches_or_a_subset(monkeypatch) -> None:
    monkeypatch.setattr(engine_module, "EVAL_BATCH", 7)
    engine, pair = opened()
    everything = engine.scores(pair, lambda b: b.plain()[:, 0, 0, 0] * 255, None)
    assert everything.dtype == torch.float32
    assert everything.tolist() == pytest.approx(list(range(20)))
    assert engine.scores(pair, lambda b: b.indices, torch.tensor([5, 2])).tolist() == [5, 2]
    assert engine.scores(pair, lambda b: b.one_hot, torch.arange(20) < 9).shape == (9, 3)


def test_scores_are_made_in_eval_mode_without_gradient_and_restore_each_modules_mode() -> None:
    engine, pair = opened()
    pair.train()
    pair.b.eval()
    modes = []

    def look(batch):
        modes.append((pair.training, pair.a.training, pair.b.training, torch.is_grad_enabled()))
        return pair.a(torch.ones(len(batch), 2))

    assert not engine.scores(pair, look, None).requires_grad
    assert set(modes) == {(False, False, False, False)}
    assert (pair.training, pair.a.training, pair.b.training) == (True, True, False)
    with pytest.raises(ZeroDivisionError):
        engine.scores(pair, lambda b: 1 / 0, None)
    assert (pair.training, pair.a.training, pair.b.training) == (True, True, False)


def test_a_wish_to_stop_is_heard_in_steps_and_in_scores() -> None:
    wish = []
    engine, pair = opened(stop=lambda: bool(wish))
    engine.learn(total(pair.a), pair.a, None)
    engine.scores(pair, lambda b: b.labels, None)
    wish.append(1)
    before = pair.a.weight.clone()
    with pytest.raises(Interrupted):
        engine.learn(total(pair.a), pair.a, None)
    with pytest.raises(Interrupted):
        engine.scores(pair, lambda b: b.labels, None)
    assert torch.equal(pair.a.weight, before)
