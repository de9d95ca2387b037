"""Masks and labels of SANM against per-sample loops and the numbers of the card (sanm.md)."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench import networks
from lnlbench.learning import masking

SIZE = (32, 32)


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def centred_loop(centre, ratio, aspect, size):
    """SANM Eq. 4, one pixel at a time."""
    height, width = size
    mask = torch.zeros(height, width, dtype=torch.bool)
    half_height = math.sqrt(height * width * ratio * aspect) / 2
    half_width = math.sqrt(height * width * ratio / aspect) / 2
    for m in range(height):
        for n in range(width):
            in_rows = max(centre[0] - half_height, 0) <= m < min(centre[0] + half_height, height)
            in_cols = max(centre[1] - half_width, 0) <= n < min(centre[1] + half_width, width)
            mask[m, n] = in_rows and in_cols
    return mask


def cornered_loop(corner, ratio, aspect, size):
    """The released code's rectangle, with slices."""
    height, width = size
    tall = round(math.sqrt(height * width * ratio * aspect))
    wide = round(math.sqrt(height * width * ratio / aspect))
    top, left = min(int(corner[0]), height - tall), min(int(corner[1]), width - wide)
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[top : top + tall, left : left + wide] = True
    return mask


@pytest.mark.parametrize(
    ("batched", "loop"),
    [(masking.centred_rectangles, centred_loop), (masking.cornered_rectangles, cornered_loop)],
)
@pytest.mark.parametrize("size", [(32, 32), (16, 24)])
def test_a_batch_of_masks_is_the_loop_over_its_samples(batched, loop, size):
    generator = draw()
    where = (torch.rand(100, 2, generator=generator) * torch.tensor(size)).floor()
    ratio = 0.3 * torch.rand(100, generator=generator)
    aspect = 0.8 + 0.45 * torch.rand(100, generator=generator)
    masks = batched(where, ratio, aspect, size)
    assert masks.shape == (100, 1, *size)
    assert masks.dtype == torch.bool
    for i in range(100):
        assert torch.equal(masks[i, 0], loop(where[i].tolist(), ratio[i].item(), aspect[i].item(), size))


@pytest.mark.parametrize("centre", [(16.0, 16.0), (15.5, 15.5), (16.3, 15.1)])
def test_a_fifth_of_a_small_image_is_fourteen_or_fifteen_rows(centre):
    mask = masking.centred_rectangles(torch.tensor([centre]), torch.tensor([0.2]), torch.ones(1), SIZE)
    assert int(mask.any(3).sum()) in (14, 15)
    assert int(mask.any(2).sum()) in (14, 15)


def test_the_mean_masked_share_is_that_of_the_card():
    generator, count = draw(1), 20_000
    aspect = 0.8 + 0.45 * torch.rand(count, generator=generator)
    ratio = torch.full((count,), 0.2)
    central = masking.centred_rectangles(torch.full((count, 2), 16.0), ratio, aspect, SIZE)
    assert central.float().mean().item() == pytest.approx(0.196, abs=0.005)
    anywhere = torch.randint(32, (count, 2), generator=generator).float()
    clipped = masking.centred_rectangles(anywhere, ratio, aspect, SIZE)
    assert clipped.float().mean().item() == pytest.approx(0.155, abs=0.005)
    maps = torch.randn(count, 4, 4, generator=generator)
    at_peaks = masking.centred_rectangles(masking.extrema(maps, SIZE)[0], ratio, aspect, SIZE)
    assert at_peaks.float().mean().item() == pytest.approx(0.126, abs=0.005)


@pytest.mark.parametrize("place", [masking.centred_rectangles, masking.cornered_rectangles])
@pytest.mark.parametrize("where", [(0.0, 0.0), (31.0, 31.0), (3.5, 19.5)])
def test_no_ratio_masks_nothing(place, where):
    assert not place(torch.tensor([where]), torch.zeros(1), torch.ones(1), SIZE).any()


def test_cornered_rectangles_are_moved_inside_and_never_clipped():
    generator = draw(2)
    corner = torch.randint(32, (200, 2), generator=generator).float()
    aspect = 0.8 + 0.45 * torch.rand(200, generator=generator)
    masks = masking.cornered_rectangles(corner, torch.full((200,), 0.05), aspect, SIZE)
    tall, wide = (51.2 * aspect).sqrt().round(), (51.2 / aspect).sqrt().round()
    assert torch.equal(masks.flatten(1).sum(1), (tall * wide).long())


def test_a_whole_image_can_be_masked():
    for place in (masking.centred_rectangles, masking.cornered_rectangles):
        assert place(torch.full((1, 2), 16.0), torch.ones(1), torch.ones(1), SIZE).all()


@pytest.mark.parametrize("name", ["smallcnn", "preact_resnet18"])
def test_the_average_of_a_class_activation_map_is_the_logit(name):
    torch.manual_seed(0)
    net = networks.build(name, 7, width=0.25).eval()
    out = net.outputs(torch.randn(5, 3, 32, 32))
    classes = out.logits.argmax(1)
    maps = masking.class_activation_map(out.fmap, net.head.weight, classes)
    logits = maps.mean((1, 2)) + net.head.bias[classes]
    torch.testing.assert_close(logits, out.logits.gather(1, classes[:, None])[:, 0], atol=1e-4, rtol=0)


def test_activation_maps_are_weighted_and_squared_sums_over_channels():
    fmap, weight = torch.randn(3, 6, 2, 2, generator=draw()), torch.randn(4, 6, generator=draw(1))
    classes = torch.tensor([2, 0, 3])
    cam = masking.class_activation_map(fmap, weight, classes)
    squared = masking.squared_activation_map(fmap)
    for b, row, col in ((0, 0, 1), (1, 1, 0), (2, 1, 1)):
        expected = sum(weight[classes[b], d] * fmap[b, d, row, col] for d in range(6))
        assert cam[b, row, col].item() == pytest.approx(expected.item(), rel=1e-5)
        assert squared[b, row, col].item() == pytest.approx(fmap[b, :, row, col].pow(2).sum().item(), rel=1e-5)


def test_activation_maps_stay_in_single_precision_under_autocast():
    fmap, weight = torch.randn(8, 64, 4, 4, generator=draw()), torch.randn(10, 64, generator=draw(1))
    classes = torch.arange(8)
    expected = masking.class_activation_map(fmap, weight, classes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(masking.class_activation_map(fmap, weight, classes), expected)


@pytest.mark.parametrize("cell", [(0, 0), (1, 2), (3, 1), (3, 3)])
def test_a_planted_value_is_the_peak_or_the_valley(cell):
    pixel = {0: {0}, 1: {11, 12}, 2: {19, 20}, 3: {28, 29, 30, 31}}
    for sign in (1, -1):
        maps = 0.1 * torch.rand(2, 4, 4, generator=draw())
        maps[1, cell[0], cell[1]] = sign * 50.0
        found = masking.extrema(maps, SIZE)[0 if sign > 0 else 1][1]
        assert int(found[0]) in pixel[cell[0]]
        assert int(found[1]) in pixel[cell[1]]
        exact = masking.extrema(maps, SIZE, "cell")[0 if sign > 0 else 1][1]
        assert exact.tolist() == [3.5 + 8 * cell[0], 3.5 + 8 * cell[1]]


def test_equal_extrema_are_taken_at_their_first_place():
    peak, valley = masking.extrema(torch.zeros(1, 4, 4), SIZE)
    assert peak.tolist() == valley.tolist() == [[0, 0]]
    last = torch.zeros(1, 4, 4)
    last[0, 3, 3] = 1
    assert masking.extrema(last, SIZE)[0].tolist() == [[28, 28]]


def test_one_hot_labels_become_smoothed_ones():
    shifted = masking.shifted_labels(F.one_hot(torch.tensor([4]), 10).float(), torch.tensor([0.2]))
    expected = torch.full((1, 10), 0.02)
    expected[0, 4] = 0.82
    torch.testing.assert_close(shifted, expected)


def test_a_uniform_label_is_guarded_at_zero():
    shifted = masking.shifted_labels(torch.full((1, 10), 0.1), torch.tensor([0.2]))
    assert shifted.min().item() == pytest.approx(0, abs=1e-7)
    assert shifted.max().item() == pytest.approx(1 / 9)
    assert shifted.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_shifted_labels_are_equation_7_wherever_that_is_no_less_than_zero(num_classes):
    generator = draw(num_classes)
    targets = (3 * torch.randn(300, num_classes, generator=generator)).softmax(1)
    ratio = torch.rand(300, generator=generator)
    shifted = masking.shifted_labels(targets, ratio)
    torch.testing.assert_close(shifted.sum(1), torch.ones(300))
    assert shifted.min() > -1e-6
    leading = targets.argmax(1)
    plain = targets + (ratio / num_classes)[:, None] - ratio[:, None] * F.one_hot(leading, num_classes)
    inside = plain.min(1).values >= 0
    # Of two classes the leading one has half of the mass or more: it can always give up r.
    assert bool(inside.all()) is (num_classes == 2)
    assert inside.any()
    torch.testing.assert_close(shifted[inside], plain[inside])
    guarded = shifted[~inside].gather(1, leading[~inside, None])
    assert (guarded.abs() < 1e-6).all()


def test_no_ratio_leaves_a_label_exactly_as_it_is():
    targets = torch.randn(20, 5, generator=draw()).softmax(1)
    before = targets.clone()
    assert torch.equal(masking.shifted_labels(targets, torch.zeros(20)), before)
    masking.shifted_labels(targets, torch.full((20,), 0.3))
    assert torch.equal(targets, before)
