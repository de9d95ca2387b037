"""Numbers of activation maps by hand, and that the maps shown are of the networks that predict."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lnlbench.inspection import NotThere
from lnlbench.inspection.activation import activation, central_share, entropy, normalised
from lnlbench.inspection.observe import observe
from lnlbench.learning.masking import class_activation_map


def test_the_central_share_is_what_lies_in_the_middle_rows_and_columns():
    corner, centre, half = torch.zeros(3, 8, 8)
    corner[0, 0], centre[3, 4] = 2.0, 5.0
    half[2, 2], half[1, 2] = 1.0, 1.0
    assert central_share(torch.stack([corner, centre, half])).tolist() == [0, 1, 0.5]
    assert central_share(torch.ones(1, 8, 12)).tolist() == [0.25]


def test_the_entropy_is_1_of_an_even_map_and_0_of_a_point():
    even, point, two = torch.ones(4, 4), torch.zeros(4, 4), torch.zeros(4, 4)
    point[1, 2], two[0, 0], two[3, 3] = 7.0, 1.0, 1.0
    assert entropy(torch.stack([even, point, two])).tolist() == pytest.approx([1, 0, 0.25])


def test_maps_run_from_0_to_1_and_a_map_without_contrast_is_even():
    maps = torch.stack([torch.tensor([[-3.0, 1.0], [0.0, 5.0]]), torch.full((2, 2), -2.0)])
    assert normalised(maps).tolist() == [[[0, 0.5], [0.375, 1]], [[1, 1], [1, 1]]]


def test_a_map_is_the_evidence_for_the_predicted_class(restored):
    ce = restored("ce")
    (seen,) = observe(ce, ce.data.test, torch.arange(10))
    (only,) = seen.passes
    head = only.net.head
    cam = class_activation_map(only.fmap, head.weight, seen.predicted)
    logits = ce.method.predict(seen.views)
    torch.testing.assert_close(cam.mean((1, 2)) + head.bias[seen.predicted], logits.max(1).values)
    assert seen.maps().shape == (10, 8, 8)
    torch.testing.assert_close(seen.features(), only.net.features(seen.views))


def test_both_networks_of_a_pair_are_seen_and_their_maps_averaged(restored):
    pair = restored("sanm(dividemix)")
    (seen,) = observe(pair, pair.data.test, torch.arange(4))
    assert [one.net for one in seen.passes] == list(pair.method.host.nets)
    alone = [seen._replace(passes=[one]).maps() for one in seen.passes]
    torch.testing.assert_close(seen.maps(), (alone[0] + alone[1]) / 2)
    assert seen.features().shape[1] == 2 * pair.method.host.nets[0].feature_dim


def test_without_a_linear_head_maps_are_squared_features(restored):
    ce = restored("ce")
    ce.method.net.linear_head = False
    (seen,) = observe(ce, ce.data.test, torch.arange(2))
    (only,) = seen.passes
    small = only.fmap.square().sum(1)[:, None]
    expected = torch.nn.functional.interpolate(small, size=(8, 8), mode="bilinear")[:, 0]
    torch.testing.assert_close(seen.maps(), expected)


def test_a_prediction_without_a_network_shows_nothing(restored, monkeypatch):
    ce = restored("ce")
    monkeypatch.setattr(ce.method, "predict", lambda images: torch.zeros(len(images), 10))
    with pytest.raises(NotThere, match="without a network"):
        activation([ce], "test")


def test_training_samples_are_grouped_by_their_labels_and_alike_in_every_row(restored):
    jobs = [restored("ce"), restored("sanm(dividemix)")]
    found = activation(jobs, "train", samples=3, seed=5)
    assert found.second.tolist() == [False] * 3 + [True] * 3
    assert ((found.given != found.true) == found.second).all()
    assert found.images.shape == (6, 8, 8, 3)
    assert 0 <= found.images.min() < found.images.max() <= 1
    wrong = int((jobs[0].data.train.given != jobs[0].data.train.true).sum())
    for row in found.rows:
        assert row.maps.shape == (6, 8, 8)
        assert [one.samples for one in row.numbers] == [60 - wrong, wrong]
        assert all(0 < one.central_share < 1 and 0 < one.entropy <= 1 for one in row.numbers)
    assert not np.array_equal(found.rows[0].maps, found.rows[1].maps)
    # What is shown of a sample is what it looks like.
    train = jobs[0].data.train
    raw = {tuple((train.images[i].transpose(1, 2, 0) / 255).round(3).ravel()) for i in range(60)}
    assert all(tuple(image.round(3).astype(float).round(3).ravel()) in raw for image in found.images)


def test_test_samples_are_grouped_by_what_the_first_job_predicts(restored):
    ce = restored("ce")
    found = activation([ce, restored("rfl")], "test", samples=2)
    first = found.rows[0]
    assert ((first.predicted != found.true) == found.second).all()
    accuracy = ce.run.evaluator.evaluate(ce.method).test_accuracy
    assert first.numbers[0].samples / 40 == pytest.approx(accuracy / 100)


def test_the_same_seed_gives_the_same_arrays_and_another_other_samples(restored):
    one, again, other = (activation([restored("ce")], "train", seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.images, again.images)
    assert np.array_equal(one.rows[0].maps, again.rows[0].maps)
    assert one.rows[0].numbers == again.rows[0].numbers
    assert not np.array_equal(one.images, other.images)


def test_an_empty_group_has_no_numbers(restored):
    found = activation([restored("clean labels")], "train", samples=2)
    assert len(found.images) == 2
    assert found.rows[0].numbers[1] == ("mislabelled", 0, None, None)


def test_jobs_with_other_labels_share_no_training_samples_but_test_samples(restored):
    jobs = [restored("ce"), restored("other labels")]
    with pytest.raises(NotThere, match="the training images or labels of these jobs differ"):
        activation(jobs, "train")
    assert len(activation(jobs, "test").rows) == 2
