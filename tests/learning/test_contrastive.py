"""NT-Xent against the numbers of the card (_contrastive.md, sections 2 and 14) and a loop over its terms."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.learning.contrastive import nt_xent


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_equal_embeddings_give_the_logarithm_of_the_other_views(temperature):
    assert nt_xent(torch.ones(8, 5), temperature).item() == pytest.approx(math.log(7), abs=1e-5)


@pytest.mark.parametrize(("images", "temperature", "expected"), [(4, 0.5, 0.594438), (8, 0.1, 0.000635)])
def test_equal_views_of_orthogonal_images(images, temperature, expected):
    assert nt_xent(torch.eye(images).repeat(2, 1), temperature).item() == pytest.approx(expected, abs=1e-6)


def test_it_is_the_mean_over_both_views_of_every_image():
    z, t = draw(10, 6), 0.3
    similar = [[float(F.cosine_similarity(a, b, dim=0)) / t for b in z] for a in z]
    terms = []
    for i in range(10):
        others = sum(math.exp(similar[i][j]) for j in range(10) if j != i)
        terms.append(-math.log(math.exp(similar[i][(i + 5) % 10]) / others))
    assert nt_xent(z, t).item() == pytest.approx(sum(terms) / 10, rel=1e-5)


def test_the_order_of_images_and_the_length_of_embeddings_do_not_matter():
    z = draw(12, 4)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    moved = 7 * z[torch.cat([order, order + 6])]
    torch.testing.assert_close(nt_xent(moved, 0.5), nt_xent(z, 0.5))


def test_a_single_image_and_zero_embeddings_have_finite_gradients():
    for z in (draw(2, 4), torch.zeros(6, 4)):
        z.requires_grad_(True)
        loss = nt_xent(z, 0.5)
        loss.backward()
        assert math.isfinite(loss.item())
        assert torch.isfinite(z.grad).all()
    assert nt_xent(draw(2, 4), 0.5).item() == 0


def test_similarities_are_in_full_precision_under_autocast():
    z = draw(64, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = nt_xent(z, 0.1)
    assert mixed.dtype == torch.float32
    assert mixed.item() == nt_xent(z, 0.1).item()
