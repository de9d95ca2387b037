"""Purity, silhouette and nearest neighbours on features whose answer is known, and embeddings of trained jobs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lnlbench.inspection import NotThere
from lnlbench.inspection.embedding import embedding, knn, purity, silhouette, t_sne


@pytest.fixture
def groups():
    """Three far groups of 10 points each, (30, 2), and the group of each point."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(3), 10)
    return (10 * np.eye(3)[group][:, :2] + rng.normal(0, 0.1, (30, 2))).astype(np.float32), group


def test_groups_that_are_the_classes_are_pure(groups):
    features, group = groups
    assert purity(features, group, 3) == 1
    assert knn(features, group, 5) == 1
    assert silhouette(features, group) > 0.95


def test_purity_counts_the_leading_class_of_each_cluster(groups):
    features, group = groups
    true = group.copy()
    true[:4] = 1
    assert purity(features, true, 3) == pytest.approx(26 / 30)
    assert purity(features, group % 2, 3) == 1


def test_a_point_is_none_of_its_own_neighbours():
    features = np.array([[0.0], [1.0], [10.0], [11.0]], dtype=np.float32)
    assert knn(features, np.array([0, 1, 2, 3]), 1) == 0
    assert knn(features, np.array([0, 0, 1, 1]), 1) == 1
    # More neighbours than there are points: all the others.
    assert knn(features, np.array([0, 0, 0, 1]), 20) == pytest.approx(3 / 4)


def test_one_class_has_no_silhouette(groups):
    features, _ = groups
    assert silhouette(features, np.zeros(30, dtype=np.int64)) is None


def test_features_that_are_all_the_same_are_not_embedded():
    with pytest.raises(NotThere, match="collapsed"):
        t_sne(np.ones((30, 4), dtype=np.float32), 0)


def test_a_job_is_embedded_with_given_and_true_labels(restored):
    rfl = restored("rfl")
    found = embedding([rfl, restored("clean labels")], samples=50, seed=2)
    row, clean = found.rows
    assert row.points.shape == (50, 2)
    assert 0 < (row.given != row.true).mean() < 1
    assert clean.given is None
    assert all(0 <= value <= 1 for value in (row.numbers.purity, row.numbers.knn_accuracy))
    again = embedding([restored("rfl")], samples=50, seed=2).rows[0]
    assert np.array_equal(row.points, again.points)
    assert row.numbers == again.numbers


def test_where_the_training_truth_is_unknown_test_samples_are_embedded(restored):
    ce = restored("ce")
    unknown = dataclasses.replace(ce.data, train=dataclasses.replace(ce.data.train, true=None))
    found = embedding([dataclasses.replace(ce, data=unknown)])
    assert found.split == "test"
    assert found.rows[0].given is None
    assert len(found.rows[0].points) == 40


def test_too_few_samples_are_not_embedded(restored):
    with pytest.raises(NotThere, match="4 samples are too few"):
        embedding([restored("ce")], samples=4)
