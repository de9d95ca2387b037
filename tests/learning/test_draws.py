"""The balanced draw, held to a plain walk through the samples as DivideMix's Clothing1M loader does it."""

from __future__ import annotations

import pytest
import torch

from lnlbench.learning.draws import balanced_draw

LABELS = torch.cat([torch.full((n,), c) for c, n in enumerate((70, 30, 3, 47))])


def walked(order: list[int], most: int, num_classes: int) -> list[int]:
    """One sample after the other, counted by class."""
    taken, by_class = [], [0] * num_classes
    for index in order:
        label = int(LABELS[index])
        if by_class[label] < most / num_classes and len(taken) < most:
            taken.append(index)
            by_class[label] += 1
    return sorted(taken)


@pytest.mark.parametrize("most", [1, 4, 10, 17, 60, 150, 1000])
def test_it_takes_who_the_walk_takes(most):
    order = torch.randperm(len(LABELS), generator=torch.Generator().manual_seed(3)).tolist()
    drawn = balanced_draw(LABELS, most, 4, torch.Generator().manual_seed(3))
    assert drawn.tolist() == walked(order, most, 4)


def test_classes_have_equal_shares_up_to_what_they_hold():
    drawn = balanced_draw(LABELS, 42, 4, torch.Generator().manual_seed(1))
    assert torch.bincount(LABELS[drawn]).tolist()[2] == 3
    assert torch.bincount(LABELS[drawn]).max() <= 11
    assert 35 <= len(drawn) <= 36


def test_every_draw_is_another_and_a_class_that_is_not_there_does_no_harm():
    generator = torch.Generator().manual_seed(1)
    first, second = (balanced_draw(LABELS, 20, 6, generator) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.bincount(LABELS[first], minlength=6).tolist()[4:] == [0, 0]
    assert len(balanced_draw(LABELS[:0], 20, 4, generator)) == 0
