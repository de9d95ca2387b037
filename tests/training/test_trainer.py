"""The loop: stages, results, divergence, validation, and runs that are interrupted anywhere and end in the very
numbers of runs that are not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lnlbench.contract.synthetic import NOISE_RATE, quick_job, synthetic
from lnlbench.contract.trace import Trace, comparable, differences, observe
from lnlbench.errors import UndeclaredNeed
from lnlbench.job import Job, Optimizer, Schedule
from lnlbench.methods import registry
from lnlbench.methods.base import Curve, Method, Stage
from lnlbench.methods.spec import MethodSpec
from lnlbench.training.data import Prepared, prepare
from lnlbench.training.devices import place
from lnlbench.training.engine import Interrupted
from lnlbench.training.trainer import EpochRecord, Outcome, summarise, train

CPU = place("cpu")
DATA = synthetic(validation=20)


class Toy(Method):
    spec = MethodSpec(slug="toy", title="Toy", summary="", paper="", needs=("noise_rate",))

    def step(self, net: nn.Module | None = None, weight: float = 1.0) -> None:
        net = net or self.net
        for batch in self.batches():
            self.learn(weight * F.cross_entropy(net(batch.weak()), batch.labels), net)

    def train_epoch(self, epoch: int) -> None:
        self.step()


class DivergesAt(Toy):
    at = 2

    def train_epoch(self, epoch: int) -> None:
        self.step(weight=float("nan") if epoch == self.at else 1.0)


class DivergesAtOnce(DivergesAt):
    at = 0


class Stages(Toy):
    """A stage that does not count, then two that each begin with a network between a new and the last one."""

    def setup(self) -> None:
        super().setup()
        self.register_buffer("begun", torch.zeros((), dtype=torch.int64))
        self.register_buffer("noise", torch.zeros(()))

    def stages(self) -> list[Stage]:
        adam = Optimizer("adam", 1e-3, weight_decay=0.0)
        return [
            Stage("pretrain", 2, self.train_epoch, counts=False, optimizer=adam),
            Stage("finetune", 2, self.noisy_epoch, begin=self.renew, schedule=Schedule("linear")),
            Stage("round", 1, self.noisy_epoch, begin=self.renew),
        ]

    def renew(self) -> None:
        self.begun += 1
        fresh = self.network()
        with torch.no_grad():
            for new, old in zip(fresh.parameters(), self.net.parameters(), strict=True):
                new.add_(old).div_(2)
        self.net = fresh

    def noisy_epoch(self, epoch: int) -> None:
        self.noise.fill_(self.rng.normal())
        self.step(weight=float(1 + 0.1 * self.noise + 0.1 * torch.rand(())))


class Configured(Toy):
    """A stage that begins by giving its network an optimiser and a schedule of its own."""

    def stages(self) -> list[Stage]:
        return [Stage("plain", 1, self.train_epoch), Stage("own", 3, self.train_epoch, begin=self.give)]

    def give(self) -> None:
        self.optimise(self.net, Optimizer("sgd", 0.3, momentum=0.5), Schedule("cosine"))


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """The job of a toy method, which is then known as `toy`, or of a method by name."""

    def of(method: type[Method] | str, **options) -> Job:
        if isinstance(method, str):
            return quick_job(method, **options)
        monkeypatch.setitem(registry._plugins, "toy", method)
        return quick_job("toy", **options)

    return of


def numbers(outcome: Outcome) -> list[dict]:
    return [comparable(record) for record in outcome.records]


# Results.


def test_a_run_has_a_record_for_each_epoch_and_learns(job) -> None:
    told = []
    outcome = train(job(Toy, recipe={"epochs": 8, "optimizer": {"lr": 0.1}}), DATA, CPU, on_epoch=told.append)
    assert (outcome.status, outcome.start_epoch, outcome.reason) == ("done", 0, "")
    assert told == outcome.records
    assert [record.epoch for record in told] == list(range(8))
    assert dataclasses.replace(outcome.result, extra=None) == summarise(told)
    assert outcome.result.last > 60
    assert told[-1].loss < told[0].loss
    assert {(r.lr, r.stage, r.counts) for r in told} == {(0.1, "train", True)}
    assert all(r.images_per_second > 0 and r.seconds > 0 and r.peak_memory_mb > 0 for r in told)


class Weighted(Toy):
    """Has learned a function."""

    def curves(self) -> dict[str, Curve]:
        return {"weight": Curve(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.5]), "loss", "weight")}


def test_a_result_holds_what_figures_are_drawn_from(job) -> None:
    plain = train(job(Toy), DATA, CPU).result.extra
    assert set(plain) == {"clean_score"}
    noisy = int((DATA.train.given != DATA.train.true).sum())
    assert sum(plain["clean_score"]["wrong"]) == noisy
    assert sum(plain["clean_score"]["correct"]) == len(DATA.train.given) - noisy
    assert train(job(Weighted), DATA, CPU).result.extra["curves"] == {
        "weight": {"x": [0.0, 1.0], "y": [1.0, 0.5], "x_label": "loss", "y_label": "weight"}
    }


def record(epoch: int, test: float, **values) -> EpochRecord:
    empty = dict.fromkeys(f.name for f in dataclasses.fields(EpochRecord) if f.name != "extra")
    made = {"stage": "train", "counts": True, "seconds": 2.0, "images_per_second": 10.0, "loss": 1.0, **values}
    return EpochRecord(**{**empty, **made, "epoch": epoch, "test_accuracy": test})


def test_a_result_is_over_the_epochs_that_count() -> None:
    accuracies = [99, 50, 70, 90, 90, 60, 61, 62, 63, 64, 65, 66, 67]
    records = [
        record(e, a, counts=e > 0, valid_accuracy=[0, 30, 40][e] if e < 3 else 20.0, clean_auc=0.5 + 0.01 * (e % 7))
        for e, a in enumerate(accuracies)
    ]
    result = summarise(records)
    assert (result.best, result.best_epoch, result.last) == (90, 3, 67)
    assert result.last10 == pytest.approx(sum(accuracies[-10:]) / 10)
    assert result.valid_pick == 70
    assert (result.best_auc, result.last_auc) == (pytest.approx(0.56), pytest.approx(0.55))
    assert (result.epochs_done, result.seconds, result.images_per_second) == (13, 26, 10)


def test_a_result_without_validation_or_scores_has_none() -> None:
    result = summarise([record(0, 50.0)])
    assert (result.valid_pick, result.best_auc, result.last_auc) == (None, None, None)
    assert summarise([]) is None
    assert summarise([record(0, 50.0, counts=False)]) is None


def test_a_diverged_job_keeps_its_last_good_numbers(job) -> None:
    whole = train(job(Toy, recipe={"epochs": 4}), DATA, CPU)
    outcome = train(job(DivergesAt, recipe={"epochs": 4}), DATA, CPU)
    assert outcome.status == "diverged"
    assert "NaN" in outcome.reason
    assert numbers(outcome) == numbers(whole)[:2]
    assert outcome.result.last == whole.records[1].test_accuracy


def test_a_job_that_diverges_at_once_has_no_result(job) -> None:
    outcome = train(job(DivergesAtOnce), DATA, CPU)
    assert (outcome.status, outcome.result, outcome.records) == ("diverged", None, [])


# Data and knowledge.


def test_a_method_is_granted_what_it_declares_and_nothing_else(job) -> None:
    seen = []
    train(job(Toy), DATA, CPU, on_built=seen.append)
    assert dict(seen[0].task.granted) == {"noise_rate": NOISE_RATE}
    with pytest.raises(UndeclaredNeed, match="transition_matrix"):
        seen[0].task.need("transition_matrix")


def test_a_validation_split_is_held_out_of_training_and_picks_the_epoch(job) -> None:
    made = job("ce", recipe={"validation": 0.2, "train_subset": 300, "test_subset": 100})
    made = made.replace(dataset="digits", recipe=made.recipe.replace(image_size=None))
    data = prepare(made, Path("unused"))
    whole = prepare(made.replace(recipe=made.recipe.replace(validation=0.0)), Path("unused"))
    assert (len(data.train.given), len(data.validation.given), whole.validation) == (240, 60, None)
    assert _bag(data.train, data.validation) == _bag(whole.train)
    assert (data.validation.given != data.validation.true).any(), "the honest split is as noisy as the rest"
    other = prepare(made.replace(seed=2), Path("unused"))
    assert _bag(other.validation) != _bag(data.validation)
    outcome = train(made, data, CPU)
    best = max(outcome.records, key=lambda r: r.valid_accuracy)
    assert outcome.result.valid_pick == best.test_accuracy


def _bag(*splits) -> list[tuple]:
    return sorted((i.tobytes(), int(t)) for split in splits for i, t in zip(split.images, split.true))


# Stages.


def test_stages_are_walked_in_order_and_only_counting_ones_make_the_result(job) -> None:
    seen = []
    outcome = train(job(Stages), DATA, CPU, on_built=seen.append)
    records = outcome.records
    assert [r.stage for r in records] == ["pretrain", "pretrain", "finetune", "finetune", "round"]
    assert [r.epoch for r in records] == [0, 1, 2, 3, 4]
    assert dataclasses.replace(outcome.result, extra=None) == summarise(records)
    assert outcome.result.best_epoch >= 2
    assert int(seen[0].begun) == 2
    assert [r.lr for r in records] == pytest.approx([1e-3, 1e-3, 0.02, 0.01, 0.02])


def test_every_stage_has_fresh_optimisers(job) -> None:
    kinds = []

    class Looks(Stages):
        def step(self, net=None, weight=1.0) -> None:
            super().step(net, weight)
            kinds.append({type(optimizer).__name__ for optimizer in self.engine._optimizers.values()})

    train(job(Looks), DATA, CPU)
    assert kinds == [{"Adam"}] * 2 + [{"SGD"}] * 3


# Interruption.

RESUMED = [
    ("ce", {}, {}),
    ("ce", {}, {"optimizer": {"name": "adam", "lr": 1e-3}, "schedule": {"name": "cosine", "per": "iteration"}}),
    ("coteaching", {}, {"optimizer": {"name": "adam"}, "schedule": {"name": "linear", "start": 1, "adam_beta1": 0.1}}),
    ("gce", {"variant": "truncated", "k": 0.2}, {}),
    ("dividemix", {"loss_window": 2}, {}),
    ("sanm(ce)", {}, {}),
    ("sanm(dividemix)", {}, {}),
    (Stages, {}, {}),
    (Configured, {}, {}),
]


@pytest.mark.parametrize(("method", "hyperparameters", "recipe"), RESUMED)
def test_a_run_interrupted_anywhere_ends_in_the_same_numbers(job, tmp_path, method, hyperparameters, recipe) -> None:
    made = job(method, hyperparameters=hyperparameters, recipe=recipe)
    whole = observe(made, DATA, CPU)
    path, starts = tmp_path / "job.pt", []
    for patience in (5, 12, 17, 12, 23):
        try:
            observe(made, DATA, CPU, path=path, stop=Impatient(patience), on_resume=lambda r: starts.append(len(r)))
        except Interrupted:
            continue
        break
    final = observe(made, DATA, CPU, path=path, on_resume=lambda r: starts.append(len(r)))
    assert starts, "nothing was resumed"
    same_run(whole, final)


class Impatient:
    """A wish to stop that comes true at the n-th time of asking."""

    def __init__(self, patience: int) -> None:
        self.left = patience

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def same_run(whole: Trace, resumed: Trace) -> None:
    assert resumed.outcome.start_epoch > 0
    assert resumed.numbers == whole.numbers
    assert differences(resumed.final, whole.final) == []
    assert [name for name, value in whole.answers.items() if (value is None) != (resumed.answers[name] is None)] == []


@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_a_stage_boundary_is_crossed_exactly_once(job, tmp_path, done: int) -> None:
    made = job(Stages)
    whole = observe(made, DATA, CPU)
    path, finished = tmp_path / "job.pt", []
    with pytest.raises(Interrupted):
        observe(
            made,
            DATA,
            CPU,
            path=path,
            on_epoch=lambda method, r: finished.append(r),
            stop=lambda: len(finished) >= done,
        )
    final = observe(made, DATA, CPU, path=path)
    assert final.outcome.start_epoch == done
    assert int(final.method.begun) == 2
    same_run(whole, final)


def test_what_was_done_is_told_again_on_resumption(job, tmp_path) -> None:
    path, told, ready = tmp_path / "job.pt", [], []
    with pytest.raises(Interrupted):
        train(job(Toy), DATA, CPU, checkpoint_path=path, on_epoch=told.append, stop=lambda: len(told) == 2)
    again, new = [], []
    outcome = train(
        job(Toy),
        DATA,
        CPU,
        checkpoint_path=path,
        on_resume=again.extend,
        on_epoch=new.append,
        on_ready=lambda engine, epochs: ready.append(epochs),
    )
    assert again == told
    assert [r.epoch for r in new] == [2]
    assert outcome.records == [*again, *new]
    assert (outcome.start_epoch, ready) == (2, [3])


@pytest.mark.parametrize("change", ["seed", "lr", "data", "labels"])
def test_a_checkpoint_of_anything_else_is_not_continued(job, tmp_path, change: str) -> None:
    path, told = tmp_path / "job.pt", []
    with pytest.raises(Interrupted):
        train(job(Toy), DATA, CPU, checkpoint_path=path, on_epoch=told.append, stop=lambda: bool(told))
    assert path.is_file()
    made, data = job(Toy), DATA
    if change == "seed":
        made = made.replace(seed=5)
    elif change == "lr":
        made = job(Toy, recipe={"optimizer": {"lr": 0.03}})
    else:
        name = {"data": "data_fingerprint", "labels": "noisy_labels_sha256"}[change]
        data = dataclasses.replace(DATA, provenance={**DATA.provenance, name: "other"})
    assert train(made, data, CPU, checkpoint_path=path).start_epoch == 0


def test_a_damaged_checkpoint_starts_the_job_over(job, tmp_path) -> None:
    path, told = tmp_path / "job.pt", []
    with pytest.raises(Interrupted):
        train(job(Toy), DATA, CPU, checkpoint_path=path, on_epoch=told.append, stop=lambda: bool(told))
    path.write_bytes(path.read_bytes()[:-100])
    assert numbers(train(job(Toy), DATA, CPU, checkpoint_path=path)) == numbers(train(job(Toy), DATA, CPU))


def test_checkpoints_are_as_far_apart_as_asked_and_none_follows_the_last_epoch(job, tmp_path) -> None:
    path = tmp_path / "job.pt"
    train(job(Toy), DATA, CPU, checkpoint_path=path, checkpoint_minutes=10)
    assert not path.exists()
    train(job(Toy, recipe={"epochs": 1}), DATA, CPU, checkpoint_path=path)
    assert not path.exists()
    train(job(Toy), DATA, CPU, checkpoint_path=path)
    assert torch.load(path, weights_only=True)["position"] == [0, 2]


def test_an_interrupted_run_loses_no_finished_epoch_however_rare_its_checkpoints(job, tmp_path) -> None:
    path, told = tmp_path / "job.pt", []
    with pytest.raises(Interrupted):
        train(
            job(Toy),
            DATA,
            CPU,
            checkpoint_path=path,
            checkpoint_minutes=10,
            on_epoch=told.append,
            stop=lambda: len(told) == 2,
        )
    again = train(job(Toy), DATA, CPU, checkpoint_path=path)
    assert again.start_epoch == 2
    assert numbers(again) == numbers(train(job(Toy), DATA, CPU))


def test_prepared_data_is_left_as_it_was(job) -> None:
    images, given = DATA.train.images.copy(), DATA.train.given.copy()
    train(job("dividemix"), DATA, CPU)
    assert np.array_equal(DATA.train.images, images)
    assert np.array_equal(DATA.train.given, given)
    assert isinstance(DATA, Prepared)
