"""The meta set: held out of training, balanced over the true classes, its clean labels for those who declare them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lnlbench.contract.synthetic import quick_job
from lnlbench.data import noise as label_noise
from lnlbench.data.load import load_dataset
from lnlbench.errors import InvalidSetting
from lnlbench.job import Noise
from lnlbench.methods import registry
from lnlbench.methods.base import Method
from lnlbench.methods.spec import MethodSpec
from lnlbench.resolve import META_SIZE, resolve_job
from lnlbench.training.data import prepare
from lnlbench.training.devices import place
from lnlbench.training.trainer import train

NOISE = Noise("uniform", 0.4)


def digits(method: str = "ce", scale: str = "smoke", **recipe):
    return resolve_job(method, "digits", NOISE, 3, scale=scale, recipe={"backbone": "smallcnn", **recipe})


class Meta(Method):
    """Keeps what it is shown of the meta set."""

    spec = MethodSpec(slug="meta_toy", title="Meta", summary="Looks at a meta set.", paper="None", meta_set=True)

    def train_epoch(self, epoch: int) -> None:
        meta = self.endless_meta(batch_size=7)
        for batch in self.batches():
            held = next(meta)
            self.virtual_rate = self.rate(self.net)
            self.learn(self.net(batch.weak()).logsumexp(1).mean() + self.net(held.weak()).mean(), self.net)
        passed = list(self.meta_batches(shuffle=False))
        self.indices = torch.cat([held.indices for held in passed])
        self.labels = torch.cat([held.labels for held in passed])


class Gold(Meta):
    spec = MethodSpec(
        slug="meta_toy", title="Gold", summary="Looks.", paper="None", meta_set=True, needs=("clean_meta",)
    )


@pytest.fixture
def trained(monkeypatch):
    def of(method: type[Method], **recipe):
        monkeypatch.setitem(registry._plugins, "meta_toy", method)
        job = digits("meta_toy", epochs=1, image_size=8, **recipe)
        data = prepare(job, Path())
        built = []
        outcome = train(job, data, place("cpu"), on_built=built.append)
        return built[0], data, outcome

    return of


def test_the_meta_set_is_balanced_and_no_training_image():
    data = prepare(digits(meta_size=50), Path())
    whole = prepare(digits(), Path())
    assert np.bincount(data.meta.true).tolist() == [5] * 10
    assert len(data.train.given) == len(whole.train.given) - 50
    bags = [{image.tobytes() for image in split.images} for split in (data.train, data.meta)]
    assert len(bags[0] & bags[1]) <= 1  # two digits of the data set may be the same image
    assert whole.meta is None
    other = prepare(digits(meta_size=50).replace(seed=4), Path())
    assert not np.array_equal(other.meta.images, data.meta.images)


def test_a_place_in_the_meta_set_tells_no_class():
    """Class by class, as the split is drawn, an index would tell the true label to who has not declared it."""
    true = prepare(digits(meta_size=500), Path()).meta.true
    assert (np.sort(true) == true).mean() < 0.2
    again = prepare(digits(meta_size=500), Path()).meta.true
    assert np.array_equal(true, again)


def test_the_split_and_the_labels_are_those_of_the_released_code():
    labels = load_dataset("digits", Path()).train_labels
    matrix = label_noise.transition_matrix(NOISE, 10)
    released = label_noise.released_rmw(labels, matrix, "uniform", 3, meta_size=50)
    assert np.array_equal(label_noise.meta_split(labels, 10, 3, 50), released.meta_indices)
    images = load_dataset("digits", Path()).train_images[released.meta_indices]
    held_out = prepare(digits(meta_size=50, image_size=8), Path()).meta.images
    assert sorted(image.tobytes() for image in held_out) == sorted(image.tobytes() for image in images)


def test_a_meta_set_that_cannot_be_is_told():
    with pytest.raises(InvalidSetting, match="5 images has none of some of the 10 classes"):
        prepare(digits(meta_size=5), Path())
    with pytest.raises(InvalidSetting, match=r"meta_size.*class"):
        prepare(digits(meta_size=1400), Path())


@pytest.mark.parametrize(("method", "which"), [(Meta, "given"), (Gold, "true")])
def test_a_method_is_shown_noisy_labels_unless_it_declares_clean_ones(trained, method, which):
    built, data, outcome = trained(method, meta_size=50)
    assert outcome.status == "done"
    assert built.labels.tolist() == getattr(data.meta, which).tolist()
    assert built.indices.tolist() == list(range(50))
    assert built.virtual_rate == pytest.approx(0.02)
    assert ("clean_meta" in built.task.granted) == (which == "true")
    assert built.task.noisy_meta_labels.tolist() == data.meta.given.tolist()
    assert not np.array_equal(data.meta.given, data.meta.true)


def test_who_learns_from_a_meta_set_gets_one_of_a_size_that_is_in_the_key(trained):
    _, data, _ = trained(Meta)
    assert len(data.meta.given) == META_SIZE["smoke"]
    assert digits("meta_toy", "paper").recipe.meta_size == 1000
    assert digits("meta_toy", "desk", meta_size=60).recipe.meta_size == 60
    assert digits("ce", "paper").recipe.meta_size is None


def test_asking_for_a_meta_set_that_is_not_there_says_what_to_do(monkeypatch):
    class Asks(Meta):
        spec = MethodSpec(slug="meta_toy", title="Meta", summary="Looks.", paper="None")

    monkeypatch.setitem(registry._plugins, "meta_toy", Asks)
    job = digits("meta_toy", epochs=1, image_size=8)
    with pytest.raises(InvalidSetting, match=r"learns from a meta set"):
        train(job, prepare(job, Path()), place("cpu"))
    assert quick_job("meta_toy").recipe.meta_size is None
