"""Fine-tuning: the first stage is cross-entropy's, the second sees the clean set alone (card fine_tuning.md)."""

from pathlib import Path

import pytest
import torch

from lnlbench.job import Noise
from lnlbench.methods import registry
from lnlbench.resolve import resolve_job
from lnlbench.training.data import prepare
from lnlbench.training.devices import place
from lnlbench.training.trainer import train

N, M, C = 16, 12, 4


@pytest.fixture
def gold(rig):
    def make(**settings):
        return rig("fine_tuning", **{"n": N, "meta": M, "num_classes": C, **settings})

    return make


def second_stage(run, epoch=0):
    stage = run.method.stages()[1]
    run.engine.begin_stage(stage.optimizer, stage.schedule, stage.epochs)
    run.steps.clear()
    run.engine.begin_epoch(run.method, epoch)
    stage.train(epoch)
    return list(run.steps)


def test_without_steps_it_is_cross_entropy_to_the_bit(gold, rig):
    runs = [gold(ft_steps=0), rig("ce", n=N, num_classes=C)]
    for run in runs:
        for epoch in range(2):
            run.epoch(epoch)
    states = [run.method.state_dict() for run in runs]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    (only,) = runs[0].method.stages()
    assert only.counts


def test_the_second_stage_alone_counts_and_has_a_constant_rate_of_its_own(gold):
    first, second = gold(ft_steps=7).method.stages()
    assert (first.counts, second.counts, second.epochs) == (False, True, 4)
    assert second.optimizer.lr == 1e-3
    assert second.schedule.name == "constant"


@pytest.mark.parametrize(("epoch", "steps"), [(0, 2), (2, 2), (3, 1)])
def test_it_takes_as_many_steps_as_asked_in_epochs_of_the_first_stages_length(gold, epoch, steps):
    assert len(second_stage(gold(ft_steps=7), epoch)) == steps


def test_no_noisy_sample_is_seen_in_the_second_stage_and_every_clean_one_is(gold, monkeypatch):
    run = gold(ft_steps=2, ft_batch=M)
    monkeypatch.setattr(run.engine, "batches", lambda *a: pytest.fail("a noisy sample in stage 2"))
    seen, weak = [], run.engine.views.weak
    monkeypatch.setattr(run.engine.views, "weak", lambda images: seen.append(images) or weak(images))
    second_stage(run)
    assert {image.numpy().tobytes() for image in seen[0]} == {image.numpy().tobytes() for image in run.engine.meta[0]}


def test_all_layers_move(gold):
    run = gold(ft_steps=1)
    before = {name: p.detach().clone() for name, p in run.method.net.named_parameters()}
    second_stage(run)
    assert not any(torch.equal(p, before[name]) for name, p in run.method.net.named_parameters())


def test_noisy_labels_of_the_clean_set_are_the_captions_reading(gold):
    run = gold(ft_steps=1, ft_batch=M, meta_labels="noisy", noisy_meta={0: 3, 5: 2})
    batch = next(run.method.meta_batches(batch_size=M))
    labels = run.method.labels(batch)
    changed = labels != batch.labels
    assert sorted(batch.indices[changed].tolist()) == [0, 5]
    plain = gold(noisy_meta={0: 3}).method
    batch = next(plain.meta_batches())
    assert torch.equal(plain.labels(batch), batch.labels)


def test_settings_are_the_cards():
    spec = registry.spec("fine_tuning")
    assert spec.needs == ("clean_meta",)
    assert (spec.hyperparameters().ft_steps, spec.hyperparameters().ft_lr) == (5000, 1e-3)


def test_clean_labels_raise_the_accuracy_of_a_network_that_has_memorised():
    """Card: 40% uniform noise learnt by heart; 10 clean samples a class lift the test accuracy by over 5 points."""
    recipe = {
        "backbone": "smallcnn",
        "width": 0.5,
        "epochs": 30,
        "batch_size": 60,
        "augment": "none",
        "train_subset": 700,
        "meta_size": 100,
        "optimizer": {"lr": 0.1},
        "schedule": {"milestones": [0.75]},
    }
    job = resolve_job(
        "fine_tuning", "digits", Noise("uniform", 0.4), 1, scale="smoke", recipe=recipe, overrides=[{"ft_steps": 200}]
    )
    records = train(job, prepare(job, Path()), place("cpu")).records
    memorised = [record for record in records if record.stage == "noisy labels"][-1]
    assert memorised.memorisation > 0.95
    assert records[-1].test_accuracy > memorised.test_accuracy + 5
    assert records[-1].clean_auc > memorised.clean_auc
