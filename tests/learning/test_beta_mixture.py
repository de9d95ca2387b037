"""The beta mixture: it finds known components, its table is as monotone as it is said to be, and degenerate losses
make no NaN (card m_correction.md)."""

import numpy as np
import pytest
import torch
from scipy.stats import beta as beta_distribution
from sklearn.metrics import roc_auc_score

from lnlbench.learning.beta_mixture import BetaMixture, beta_posterior, fit_beta_mixture


@pytest.fixture(scope="module")
def drawn():
    """50,000 values, 60% of Beta(2, 8) and 40% of Beta(8, 2), and which are of the second."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.beta(2, 8, 30_000), rng.beta(8, 2, 20_000)])
    return torch.from_numpy(values), torch.arange(50_000) >= 30_000


def test_ten_iterations_do_not_converge_and_separate_all_the_same(drawn):
    values, second = drawn
    parameters = fit_beta_mixture(values)
    expected = torch.tensor([[2.2, 2.5], [10.1, 0.96], [0.52, 0.48]], dtype=torch.float64)
    torch.testing.assert_close(parameters, expected, rtol=0.03, atol=0.01)
    posterior = beta_posterior(values, parameters)
    assert roc_auc_score(second, posterior) == pytest.approx(0.998, abs=1e-3)
    assert ((posterior > 0.5) == second).double().mean() == pytest.approx(0.954, abs=0.005)


def test_fifty_iterations_find_the_components(drawn):
    parameters = fit_beta_mixture(drawn[0], 50)
    expected = torch.tensor([[2.0, 8.0], [8.0, 2.0], [0.6, 0.4]], dtype=torch.float64)
    torch.testing.assert_close(parameters, expected, rtol=0.03, atol=0.01)


def test_a_fit_is_the_explicit_recursion():
    x = np.random.default_rng(1).beta(1.5, 3, 400)
    a, b, weight = np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([0.5, 0.5])
    for _ in range(10):
        joint = np.maximum(np.stack([weight[k] * beta_distribution.pdf(x, a[k], b[k]) for k in (0, 1)]), 1e-12)
        shares = joint / joint.sum(0)
        for k in (0, 1):
            mean = np.average(x, weights=shares[k])
            variance = np.average((x - mean) ** 2, weights=shares[k])
            a[k] = mean * (mean * (1 - mean) / variance - 1)
            b[k] = a[k] * (1 - mean) / mean
        weight = shares.sum(1) / shares.sum()
    found = fit_beta_mixture(torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), np.stack([a, b, weight]), rtol=1e-6)
    expected = weight[1] * beta_distribution.pdf(x, a[1], b[1])
    expected /= expected + weight[0] * beta_distribution.pdf(x, a[0], b[0])
    np.testing.assert_allclose(beta_posterior(torch.from_numpy(x), found), expected, rtol=1e-6)


def test_the_component_of_the_lower_mean_comes_first_whatever_the_losses():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = torch.from_numpy(rng.beta(*rng.uniform(0.2, 5, 2), 300))
        alpha, beta, _ = fit_beta_mixture(x)
        mean = alpha / (alpha + beta)
        assert mean[0] <= mean[1]


def two_kinds():
    """Losses (4000,): of right labels with a long tail, and, the last 40%, of wrong ones in the middle of it."""
    draw = torch.Generator().manual_seed(0)
    losses = 5 * torch.rand(4000, generator=draw).pow(3)
    losses[2400:] = 2.2 + 0.3 * torch.randn(1600, generator=draw)
    return losses


def test_the_table_stays_at_its_maximum_and_the_posterior_with_it():
    mixture, losses = BetaMixture(), two_kinds()
    posterior = mixture.fit(losses)
    peak = int(mixture.table.argmax())
    assert peak < 90
    assert (mixture.table[peak:] == mixture.table.max()).all()
    assert posterior.max() == mixture.table.max()
    assert posterior[losses.argmax()] == posterior.max()
    assert (posterior - mixture.wrong(losses)).abs().max() < 0.05
    assert roc_auc_score(torch.arange(4000) >= 2400, posterior) > 0.75


def test_five_percent_at_each_end_are_not_fitted_and_look_like_the_ends():
    losses = torch.linspace(0, 10, 1001)
    mixture = BetaMixture()
    mixture.fit(losses)
    torch.testing.assert_close(mixture.span, torch.tensor([0.5 + 1e-5, 9.5]))
    outliers = losses.clone()
    outliers[-50:] *= 1000
    other = BetaMixture()
    other.fit(outliers)
    assert torch.equal(mixture.table, other.table)
    assert mixture.wrong(torch.tensor([-1e9, 0.0])).unique().numel() == 1
    assert mixture.wrong(torch.tensor([9.6, 1e9])).unique().numel() == 1


def test_a_loss_is_looked_up_in_its_cell_and_held_off_zero_and_one():
    mixture = BetaMixture()
    mixture.table.copy_(torch.linspace(0, 1, 100))
    mixture.span.copy_(torch.tensor([1.0, 3.0]))
    found = mixture.wrong(torch.tensor([0.0, 1.01, 2.0, 2.05, 2.999, 5.0]))
    cells = torch.tensor([0, 0, 49, 52, 99, 99])
    torch.testing.assert_close(found, mixture.table[cells].clamp(1e-4, 1 - 1e-4))


@pytest.mark.parametrize(
    "losses",
    [torch.full((50,), 0.7), torch.zeros(1), torch.full((50,), torch.nan), torch.arange(50) * 1e-8],
    ids=["constant", "one", "nan", "nearly constant"],
)
def test_losses_that_tell_nothing_take_no_label_for_wrong(losses):
    mixture = BetaMixture()
    assert torch.equal(mixture.fit(losses), torch.zeros(len(losses)))
    assert (mixture.wrong(torch.tensor([0.0, 0.7, 9.0])) == 1e-4).all()


@pytest.mark.parametrize("kinds", [(0.0, 1.0), (0.0, 0.0, 5.0), tuple(range(7))])
def test_few_different_losses_make_no_nan(kinds):
    losses = torch.tensor(kinds).repeat(20)
    mixture = BetaMixture()
    posterior = mixture.fit(losses)
    assert torch.isfinite(posterior).all()
    assert torch.isfinite(mixture.table).all()
    assert posterior.min() >= 0
    assert posterior.max() <= 1


def test_a_saved_mixture_answers_alike():
    mixture, losses, other = BetaMixture(), two_kinds(), BetaMixture()
    mixture.fit(losses)
    other.load_state_dict(mixture.state_dict())
    assert bool(other.started)
    assert torch.equal(other.wrong(losses), mixture.wrong(losses))
