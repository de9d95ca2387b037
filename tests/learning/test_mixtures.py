"""The clean posterior: it separates what is separable, and degenerate losses fall back to 1."""

import warnings

import pytest
import torch
from sklearn.metrics import roc_auc_score

from lnlbench.learning.mixtures import clean_posterior, normalised


def losses_of(clean, noisy, n=4000, clean_share=0.6, seed=0):
    """Normalised losses (n,) and which are clean, from two Gaussians (mean, std)."""
    generator = torch.Generator().manual_seed(seed)
    is_clean = torch.rand(n, generator=generator) < clean_share
    draws = torch.randn(n, generator=generator)
    return normalised(torch.where(is_clean, clean[0] + clean[1] * draws, noisy[0] + noisy[1] * draws)), is_clean


SEPARATED = ((0.2, 0.05), (0.8, 0.1))
OVERLAPPING = ((0.3, 0.1), (0.6, 0.2))


def test_posterior_separates_two_clusters():
    losses, is_clean = losses_of(*SEPARATED)
    posterior = clean_posterior(losses, seed=0)
    assert posterior.shape == losses.shape
    assert posterior.dtype == losses.dtype
    assert posterior.min() >= 0
    assert posterior.max() <= 1
    assert roc_auc_score(is_clean, posterior) > 0.99
    assert ((posterior > 0.5) == is_clean).float().mean() > 0.99


def test_same_seed_same_posterior():
    losses, _ = losses_of(*OVERLAPPING)
    assert torch.equal(clean_posterior(losses, seed=5), clean_posterior(losses, seed=5))


def test_few_iterations_warn_nobody():
    losses, _ = losses_of(*OVERLAPPING)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clean_posterior(losses, seed=0, max_iter=1, tol=1e-12)


@pytest.mark.parametrize(
    "losses",
    [
        torch.zeros(10),
        torch.full((10,), 3.25),
        torch.tensor([0.1, float("nan"), 0.9]),
        torch.tensor([0.1, float("inf"), 0.9]),
        torch.tensor([0.5]),
        torch.empty(0),
    ],
)
def test_degenerate_losses_are_all_clean(losses):
    assert torch.equal(clean_posterior(losses, seed=0), torch.ones_like(losses))


def test_tied_losses_of_two_values_are_told_apart():
    losses = torch.tensor([0.0] * 7 + [1.0] * 3)
    posterior = clean_posterior(losses, seed=0)
    torch.testing.assert_close(posterior, 1 - losses, atol=1e-6, rtol=0)


def test_a_constant_shift_of_the_losses_changes_nothing():
    losses = losses_of(*SEPARATED)[0].double()
    shifted = clean_posterior(losses + 1000, seed=0)
    torch.testing.assert_close(shifted, clean_posterior(losses, seed=0), atol=1e-5, rtol=0)


def test_the_clean_component_is_the_low_one_even_where_it_is_the_wider():
    losses, is_clean = losses_of((0.2, 0.1), (0.9, 0.02))
    assert roc_auc_score(is_clean, clean_posterior(losses, seed=0)) > 0.99


def test_very_small_losses_may_get_a_low_posterior():
    generator = torch.Generator().manual_seed(0)
    tight = 0.15 + 0.02 * torch.randn(3000, generator=generator)
    wide = 0.5 + 0.25 * torch.randn(2000, generator=generator)
    losses = torch.cat([tight, wide, torch.tensor([0.0, 0.15])])
    posterior = clean_posterior(losses, seed=0)
    assert posterior[-2] < 0.5 < posterior[-1]


def test_normalised_losses_span_zero_to_one():
    assert torch.equal(normalised(torch.tensor([3.0, 1.0, 2.0])), torch.tensor([1.0, 0.0, 0.5]))
    assert torch.equal(normalised(torch.full((4,), 2.0)), torch.zeros(4))


def test_losses_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(N,\)"):
        clean_posterior(torch.rand(5, 1), seed=0)
