"""The clean posterior: it separates what is separable, both engines agree, and degenerate losses fall back to 1."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture

from lnlbench.errors import UnknownName
from lnlbench.learning.mixtures import clean_posterior, normalised

ENGINES = ["sklearn", "torch"]


def losses_of(clean, noisy, n=4000, clean_share=0.6, seed=0):
    """Normalised losses (n,) and which are clean, from two Gaussians (mean, std)."""
    generator = torch.Generator().manual_seed(seed)
    is_clean = torch.rand(n, generator=generator) < clean_share
    draws = torch.randn(n, generator=generator)
    return normalised(torch.where(is_clean, clean[0] + clean[1] * draws, noisy[0] + noisy[1] * draws)), is_clean


SEPARATED = ((0.2, 0.05), (0.8, 0.1))
OVERLAPPING = ((0.3, 0.1), (0.6, 0.2))


@pytest.mark.parametrize("engine", ENGINES)
def test_posterior_separates_two_clusters(engine):
    losses, is_clean = losses_of(*SEPARATED)
    posterior = clean_posterior(losses, seed=0, engine=engine)
    assert posterior.shape == losses.shape
    assert posterior.dtype == losses.dtype
    assert posterior.min() >= 0
    assert posterior.max() <= 1
    assert roc_auc_score(is_clean, posterior) > 0.99
    assert ((posterior > 0.5) == is_clean).float().mean() > 0.99


def sklearn_from_the_best_split(losses):
    """sklearn's posterior (N,) when it starts from the two-means split with the least squared distance."""
    x = losses.double().numpy()
    split = min(
        np.unique(x)[:-1], key=lambda t: sum(((part - part.mean()) ** 2).sum() for part in (x[x <= t], x[x > t]))
    )
    parts = (x[x <= split], x[x > split])
    mixture = GaussianMixture(
        2,
        max_iter=10,
        tol=1e-2,
        reg_covar=5e-4,
        weights_init=[len(part) / len(x) for part in parts],
        means_init=[[part.mean()] for part in parts],
        precisions_init=[[[1 / (part.var() + 5e-4)]] for part in parts],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(x[:, None])
    return torch.from_numpy(mixture.predict_proba(x[:, None])[:, mixture.means_.argmin()])


@pytest.mark.parametrize("clean_share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("clusters", [SEPARATED, OVERLAPPING])
def test_torch_engine_is_sklearns_fit_from_the_best_split(clusters, clean_share):
    losses = losses_of(*clusters, n=800, clean_share=clean_share)[0].double()
    ours = clean_posterior(losses, seed=0, engine="torch")
    torch.testing.assert_close(ours, sklearn_from_the_best_split(losses), atol=1e-6, rtol=0)


@pytest.mark.parametrize("clean_share", [0.2, 0.5, 0.9])
def test_engines_agree_on_separated_losses(clean_share):
    losses, _ = losses_of(*SEPARATED, clean_share=clean_share)
    ours, theirs = (clean_posterior(losses, seed=0, engine=engine) for engine in ENGINES)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


@pytest.mark.parametrize("clean_share", [0.2, 0.5, 0.9])
def test_engines_agree_on_cross_entropy_like_losses(clean_share):
    generator = torch.Generator().manual_seed(2)
    is_clean = torch.rand(3000, generator=generator) < clean_share
    uniform = torch.rand(3000, generator=generator)
    losses = normalised(torch.where(is_clean, -0.3 * uniform.log(), 3 - uniform.log()))
    ours, theirs = (clean_posterior(losses, seed=0, engine=engine) for engine in ENGINES)
    torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0)


def test_engines_agree_when_both_run_to_convergence():
    losses, _ = losses_of(*OVERLAPPING)
    ours, theirs = (
        clean_posterior(losses.double(), seed=0, max_iter=3000, tol=1e-12, engine=engine) for engine in ENGINES
    )
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_same_seed_same_posterior():
    losses, _ = losses_of(*OVERLAPPING)
    assert torch.equal(clean_posterior(losses, seed=5), clean_posterior(losses, seed=5))


def test_few_iterations_warn_nobody():
    losses, _ = losses_of(*OVERLAPPING)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clean_posterior(losses, seed=0, max_iter=1, tol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
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
def test_degenerate_losses_are_all_clean(losses, engine):
    assert torch.equal(clean_posterior(losses, seed=0, engine=engine), torch.ones_like(losses))


@pytest.mark.parametrize("engine", ENGINES)
def test_tied_losses_of_two_values_are_told_apart(engine):
    losses = torch.tensor([0.0] * 7 + [1.0] * 3)
    posterior = clean_posterior(losses, seed=0, engine=engine)
    torch.testing.assert_close(posterior, 1 - losses, atol=1e-6, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_constant_shift_of_the_losses_changes_nothing(engine):
    losses = losses_of(*SEPARATED)[0].double()
    shifted = clean_posterior(losses + 1000, seed=0, engine=engine)
    torch.testing.assert_close(shifted, clean_posterior(losses, seed=0, engine=engine), atol=1e-5, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_clean_component_is_the_low_one_even_where_it_is_the_wider(engine):
    losses, is_clean = losses_of((0.2, 0.1), (0.9, 0.02))
    assert roc_auc_score(is_clean, clean_posterior(losses, seed=0, engine=engine)) > 0.99


@pytest.mark.parametrize("engine", ENGINES)
def test_very_small_losses_may_get_a_low_posterior(engine):
    generator = torch.Generator().manual_seed(0)
    tight = 0.15 + 0.02 * torch.randn(3000, generator=generator)
    wide = 0.5 + 0.25 * torch.randn(2000, generator=generator)
    losses = torch.cat([tight, wide, torch.tensor([0.0, 0.15])])
    posterior = clean_posterior(losses, seed=0, engine=engine)
    assert posterior[-2] < 0.5 < posterior[-1]


def test_torch_engine_never_asks_the_device_for_a_value():
    losses = torch.empty(100, device="meta")
    assert clean_posterior(normalised(losses), seed=0, engine="torch").shape == (100,)


def test_normalised_losses_span_zero_to_one():
    assert torch.equal(normalised(torch.tensor([3.0, 1.0, 2.0])), torch.tensor([1.0, 0.0, 0.5]))
    assert torch.equal(normalised(torch.full((4,), 2.0)), torch.zeros(4))


def test_wrong_requests_are_refused():
    with pytest.raises(UnknownName, match="sklearn"):
        clean_posterior(torch.rand(5), seed=0, engine="scikit")
    with pytest.raises(ValueError, match=r"\(N,\)"):
        clean_posterior(torch.rand(5, 1), seed=0)
