"""Jobs on data sets that come noisy and in files: nothing is measured that nobody knows, and a stream of files trains
exactly as the same images in memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import synthetic_trees as trees
import torch

from lnlbench.data.files import ImageFiles
from lnlbench.data.sources import FileSource, TensorSource
from lnlbench.errors import InvalidSetting
from lnlbench.job import Noise
from lnlbench.resolve import resolve_job
from lnlbench.training.data import prepare
from lnlbench.training.devices import place
from lnlbench.training.trainer import open_run, train

TIMES = ("seconds", "images_per_second", "peak_memory_mb")
RECIPE = {"backbone": "smallcnn", "width": 0.25, "epochs": 2, "batch_size": 8, "image_size": 16, "pad": 1}


@pytest.fixture
def animal10n(tmp_path, monkeypatch):
    trees.shrink(monkeypatch, "animal10n", train=40, test=20)
    trees.animal10n(tmp_path, 40, 20)
    return tmp_path


def job(method="ce", dataset="animal10n", noise="real", settings=None, **recipe):
    overrides = [settings or {}]
    return resolve_job(
        method, dataset, Noise(noise), 1, scale="smoke", recipe={**RECIPE, **recipe}, overrides=overrides
    )


def numbers(a_job, data_dir, **options):
    records = []
    outcome = train(a_job, prepare(a_job, data_dir), place("cpu", "fp32"), on_epoch=records.append, **options)
    rows = [{k: v for k, v in dataclasses.asdict(record).items() if k not in TIMES} for record in records]
    return outcome, rows


def test_what_needs_true_labels_is_a_dash_and_the_test_set_is_measured(animal10n):
    outcome, rows = numbers(job(), animal10n)
    assert outcome.status == "done"
    for row in rows:
        for name in ("clean_auc", "memorisation", "select_precision", "select_recall", "corrected_accuracy"):
            assert row[name] is None
        assert 0 <= row["test_accuracy"] <= 100
    assert outcome.result.best_auc is None


def test_selection_and_correction_are_dashes_too(animal10n):
    outcome, rows = numbers(job("dividemix", settings={"warmup_epochs": 1}), animal10n)
    assert outcome.status == "done"
    assert {rows[-1][name] for name in ("clean_auc", "select_precision", "corrected_accuracy")} == {None}


def test_the_training_set_is_not_evaluated_where_it_could_tell_nothing(animal10n):
    run = open_run(job(), prepare(job(), animal10n), place("cpu", "fp32"))
    seen = []
    predict = run.method.predict
    run.method.predict = lambda images: seen.append(len(images)) or predict(images)
    run.evaluator.evaluate(run.method)
    assert sum(seen) == 20


def test_a_share_that_nobody_measured_is_the_stated_one(animal10n):
    data = prepare(job(), animal10n)
    assert data.train.true is None
    assert data.granted["noise_rate"] == data.granted["noise_share"] == 0.08
    assert data.provenance["noise_realised"] is None
    assert "transition_matrix" not in data.granted


@pytest.mark.parametrize("method", ["ce", "dividemix"])
def test_streamed_jobs_give_the_numbers_of_those_in_memory(animal10n, monkeypatch, method):
    settings = {"warmup_epochs": 1} if method == "dividemix" else {}
    chosen = job(method, settings=settings)
    held = numbers(chosen, animal10n)[1]
    for loaders in ("1", "3"):
        monkeypatch.setenv("LNLBENCH_IMAGES_GIB", "0")
        monkeypatch.setenv("LNLBENCH_LOADERS", loaders)
        assert numbers(chosen, animal10n)[1] == held


def test_a_streamed_job_goes_on_where_it_was_interrupted(animal10n, monkeypatch, tmp_path):
    monkeypatch.setenv("LNLBENCH_IMAGES_GIB", "0")
    chosen, path = job(epochs=3), tmp_path / "checkpoint.pt"
    whole = numbers(chosen, animal10n)[1]

    class Enough(Exception):
        pass

    def stop_after_two(record):
        if record.epoch == 1:
            raise Enough

    with pytest.raises(Enough):
        train(chosen, prepare(chosen, animal10n), place("cpu", "fp32"), checkpoint_path=path, on_epoch=stop_after_two)
    outcome, rows = numbers(chosen, animal10n, checkpoint_path=path)
    assert outcome.start_epoch == 1
    assert rows == whole[1:]


def test_views_of_a_stream_are_those_of_the_tensor(animal10n, monkeypatch):
    runs = []
    for gib in ("4", "0"):
        monkeypatch.setenv("LNLBENCH_IMAGES_GIB", gib)
        runs.append(open_run(job(), prepare(job(), animal10n), place("cpu", "fp32")))
    held, streamed = runs
    assert isinstance(held.engine.source, TensorSource)
    assert isinstance(streamed.engine.source, FileSource)
    mask = torch.arange(40) % 3 == 0
    for a, b in zip(held.method.batches(mask), streamed.method.batches(mask), strict=True):
        assert torch.equal(a.indices, b.indices)
        assert torch.equal(a.plain(), b.plain())
        assert torch.equal(a.weak(), b.weak())
        assert torch.equal(a.labels, b.labels)


def test_a_subset_reads_its_own_files(animal10n):
    data = prepare(job(train_subset=20, test_subset=10), animal10n)
    assert isinstance(data.train.images, ImageFiles)
    assert (len(data.train.images), len(data.test.images)) == (20, 10)
    assert np.bincount(data.train.given).tolist() == [2] * 10


def test_a_cropping_recipe_trains_on_the_crop(animal10n):
    chosen = job(image_size=20, crop=16, pad=0)
    run = open_run(chosen, prepare(chosen, animal10n), place("cpu", "fp32"))
    assert run.method.task.image_shape == (3, 16, 16)
    batch = next(run.method.batches())
    assert batch.images.shape[-1] == 20
    assert batch.weak().shape == batch.strong().shape == batch.view("simclr").shape == (8, 3, 16, 16)
    assert torch.equal(batch.plain(), run.engine.views._normalised(batch.images[..., 2:18, 2:18]))
    assert numbers(chosen, animal10n)[0].status == "done"


def test_a_crop_larger_than_the_images_is_refused(animal10n):
    with pytest.raises(InvalidSetting, match=r"'crop': 24 is larger than the images of animal10n, whose side is 20"):
        prepare(job(image_size=20, crop=24), animal10n)


def test_no_noise_is_drawn_on_unknown_labels(animal10n):
    with pytest.raises(InvalidSetting, match=r"noise 'clean' cannot be had on 'animal10n'.*true labels are unknown"):
        prepare(job(noise="clean"), animal10n)
    with pytest.raises(InvalidSetting, match="balanced over true classes"):
        prepare(job(meta_size=10), animal10n)


def test_clothing1m_s_own_validation_split_picks_the_epoch(tmp_path, monkeypatch):
    trees.shrink(monkeypatch, "clothing1m", train=42, test=14, validation=28)
    trees.clothing1m(tmp_path, 42, 28, 14)
    data = prepare(job(dataset="clothing1m"), tmp_path)
    assert (len(data.validation.given), data.granted["noise_rate"]) == (28, 0.385)
    assert len(prepare(job(dataset="clothing1m", test_subset=14), tmp_path).validation.given) == 14
    outcome, _ = numbers(job(dataset="clothing1m"), tmp_path)
    assert outcome.result.valid_pick is not None


def test_true_labels_of_one_s_own_data_are_measured_against(tmp_path, monkeypatch):
    monkeypatch.setenv("LNLBENCH_DATA", str(tmp_path))
    trees.folder(tmp_path, "pets", trees.pets())
    data = prepare(job(dataset="pets"), tmp_path)
    assert data.provenance["noise_realised"] == pytest.approx(0.25)
    assert (data.train.given != data.train.true).sum() == 6
    rows = numbers(job(dataset="pets"), tmp_path)[1]
    assert rows[-1]["memorisation"] is not None
    clean = prepare(job(dataset="pets", noise="clean"), tmp_path)
    assert (clean.train.given == clean.train.true).all()


def test_a_place_in_a_training_set_of_folders_tells_no_class(tmp_path, monkeypatch):
    """In the order of its folders an index would tell the true label."""
    monkeypatch.setenv("LNLBENCH_DATA", str(tmp_path))
    trees.folder(tmp_path, "pets", sorted(trees.pets(), key=lambda row: row[2]))
    data = prepare(job(dataset="pets"), tmp_path)
    assert not np.array_equal(np.sort(data.train.true), data.train.true)
    assert np.array_equal(prepare(job(dataset="pets"), tmp_path).train.images.paths, data.train.images.paths)
