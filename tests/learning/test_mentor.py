"""MentorNet's weighting network: its size, its fit on losses of which the label is known (card mentornet.md)."""

import pytest
import torch

from lnlbench.learning.mentor import Mentor

R = 400


@pytest.fixture(scope="module")
def fitted():
    """A mentor that has seen losses about 0.5 with right and about 4 with wrong labels, and its rows."""
    torch.manual_seed(0)
    mentor, draw = Mentor(), torch.Generator().manual_seed(1)
    right = (torch.arange(R) % 2 == 0).float()
    losses = torch.where(
        right == 1, 0.5 + 0.2 * torch.randn(R, generator=draw), 4 + torch.randn(R, generator=draw)
    ).clamp_min(0)
    mentor.fit(losses, losses - losses.quantile(0.5), torch.full((R,), 18), right, 500, draw)
    return mentor, losses, right


def test_it_ranks_right_above_wrong_labels_and_falls_with_the_loss(fitted):
    mentor, losses, right = fitted
    middle = losses.quantile(0.5)
    scores = mentor(losses, losses - middle, 18).detach()
    good, bad = scores[right == 1], scores[right == 0]
    assert (good[:, None] > bad[None, :]).float().mean() > 0.99
    grid = torch.linspace(0, 6, 13)
    weights = mentor(grid, grid - middle, 18).sigmoid().detach()
    assert weights[0] > 0.9
    assert weights[-1] < 0.1
    assert (weights.diff() < 0.05).all()


def test_the_moments_are_random_and_not_trained(fitted):
    mentor, _, _ = fitted
    assert "moments" not in dict(mentor.named_parameters())
    assert len({tuple(row) for row in mentor.moments.tolist()}) == 100


def test_every_parameter_of_it_takes_part():
    torch.manual_seed(0)
    mentor = Mentor()
    before = {name: p.detach().clone() for name, p in mentor.named_parameters()}
    losses = torch.rand(64)
    mentor.fit(losses, losses - 0.5, torch.full((64,), 3), (losses < 0.5).float(), 1, torch.Generator())
    assert not any(torch.equal(p, before[name]) for name, p in mentor.named_parameters())
    # google/mentornet's 257, less the gates that a zero state leaves without effect (20) and a label nobody has (2).
    assert sum(p.numel() for p in mentor.parameters()) == 257 - 20 - 2


def test_its_fit_is_the_generators():
    def fit(seed):
        torch.manual_seed(0)
        mentor = Mentor()
        losses = torch.linspace(0, 5, 64)
        right = (losses < 2).float()
        mentor.fit(losses, losses - 2, torch.full((64,), 3), right, 5, torch.Generator().manual_seed(seed))
        return mentor.output.weight.detach()

    assert torch.equal(fit(1), fit(1))
    assert not torch.equal(fit(1), fit(2))


def test_one_moment_may_stand_for_all_samples(fitted):
    mentor, losses, _ = fitted
    each = mentor(losses, losses - 1, torch.full((R,), 7))
    torch.testing.assert_close(mentor(losses, losses - 1, 7), each)


def test_it_reads_the_cell_states_of_one_step_of_an_lstm_in_each_direction_label_and_moment():
    torch.manual_seed(0)
    mentor = Mentor()
    lstm = torch.nn.LSTM(2, 1, bidirectional=True)
    for parameter in lstm.parameters():
        parameter.data.zero_()
    bias = torch.randn(4)
    mentor.cell.bias.data.copy_(bias)
    for way, suffix in enumerate(("", "_reverse")):
        for row, gate in ((0, way), (2, 2 + way)):  # input gate and candidate, of PyTorch's i, f, g, o
            getattr(lstm, f"weight_ih_l0{suffix}").data[row] = mentor.cell.weight.data[gate]
            getattr(lstm, f"bias_ih_l0{suffix}").data[row] = bias[gate]
    losses, differences = torch.linspace(0, 3, 7), torch.linspace(-1, 1, 7)
    _, (_, cells) = lstm(torch.stack([losses, differences], 1)[None])
    told = torch.cat([mentor.label, mentor.moments[18]]).expand(7, -1)
    inputs = torch.cat([cells.squeeze(-1).T, told], 1)
    expected = mentor.output(mentor.hidden(inputs).tanh()).squeeze(1)
    torch.testing.assert_close(mentor(losses, differences, 18), expected)


def test_its_fits_rate_falls_by_a_tenth_every_thousand_steps_over_batches_of_32(monkeypatch):
    torch.manual_seed(0)
    mentor, made, adam, sizes = Mentor(), [], torch.optim.Adam, set()
    monkeypatch.setattr(torch.optim, "Adam", lambda *a, **k: made.append(adam(*a, **k)) or made[0])
    mentor.register_forward_pre_hook(lambda module, args: sizes.add(len(args[0])))
    losses, percent = torch.linspace(0, 5, 64), torch.full((64,), 3)
    rates = []
    for steps in (999, 1000):
        mentor.fit(losses, losses - 2, percent, (losses < 2).float(), steps, torch.Generator())
        rates.append(made.pop().param_groups[0]["lr"])
    assert rates == [pytest.approx(0.1), pytest.approx(0.09)]
    assert sizes == {32}
