"""Errors of restorations by hand; methods restore test images without being told anything of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lnlbench.inspection import NotThere
from lnlbench.inspection.reconstruction import reconstruction
from lnlbench.methods.base import Restoration


def test_errors_are_means_over_the_test_set_in_normalised_pixels(restored, monkeypatch):
    ce = restored("ce")
    told = []

    def restorations(batch):
        told.append((batch.labels, batch.indices))
        x = batch.plain()
        half = torch.nn.functional.adaptive_avg_pool2d(x, 4)
        return [Restoration("a", x, x + 2, x + 1), Restoration("b", half, x, half - 3)]

    monkeypatch.setattr(ce.method, "restorations", restorations)
    found = reconstruction([ce], samples=3)
    (row,) = found.rows
    assert row.numbers == ("a", pytest.approx(1, abs=1e-5), pytest.approx(4, abs=1e-5))
    assert found.others == ((0, ("b", pytest.approx(9, abs=1e-5), pytest.approx(0, abs=1e-6))),)
    assert found.of == 40
    assert row.restored.shape == found.images.shape == (3, 8, 8, 3)
    assert not any(values.any() for pair in told for values in pair)
    mean, std = (np.array(values)[:, None, None] for values in (ce.data.mean, ce.data.std))
    pixels = (ce.data.test.images / 255 - mean) / std
    assert found.variance == pytest.approx(pixels.var((0, 2, 3)).mean(), rel=1e-4)


def test_sanm_paints_over_a_part_of_the_image_and_restores_the_whole(restored):
    found = reconstruction([restored("sanm(ce)")], samples=4)
    (row,) = found.rows
    untouched = np.isclose(row.corrupted, found.images, atol=1e-5).all(-1)
    assert 0.6 < untouched.mean() < 0.95
    assert row.numbers.network == "net"
    assert 0 < row.numbers.restored < 10
    assert row.numbers.corrupted > 0


def test_views_and_networks_have_rows_and_numbers_of_their_own(restored):
    assert len(reconstruction([restored("two views")]).rows) == 2
    pair = reconstruction([restored("sanm(dividemix)")])
    assert [row.numbers.network for row in pair.rows] == ["nets.0"]
    assert [one.network for _, one in pair.others] == ["nets.1"]


def test_what_is_restored_is_the_plain_test_image_for_every_job(restored):
    rfl = restored("rfl")
    found = reconstruction([rfl, restored("sanm(ce)")], samples=40)
    raw = np.sort((rfl.data.test.images / 255).transpose(0, 2, 3, 1).reshape(40, -1), axis=0)
    np.testing.assert_allclose(np.sort(found.images.reshape(40, -1), axis=0), raw, atol=1e-6)
    assert [row.job for row in found.rows] == [0, 1]
    # The squares that are cut out hold the mean colour; nothing was cropped or mirrored around them.
    same = np.isclose(found.rows[1].corrupted, found.images, atol=1e-5).all(-1)
    assert same.mean() > 0.6


def test_the_same_seed_gives_the_same_arrays(restored):
    one, again, other = (reconstruction([restored("rfl")], seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.rows[0].corrupted, again.rows[0].corrupted)
    assert np.array_equal(one.rows[0].restored, again.rows[0].restored)
    assert one.rows[0].numbers == again.rows[0].numbers
    assert one.rows[0].numbers != other.rows[0].numbers


def test_methods_without_a_decoder_are_named(restored):
    with pytest.raises(NotThere, match="ce has no decoder and rfl has no decoder: nothing is restored"):
        reconstruction([restored("ce"), restored("rfl without decoder")])
    found = reconstruction([restored("ce"), restored("rfl")])
    assert found.without == ((0, "ce has no decoder"),)
    assert [row.job for row in found.rows] == [1]
