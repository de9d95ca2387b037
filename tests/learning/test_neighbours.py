"""Votes of nearest neighbours, against a loop over the samples and the behaviour that SSR's card states."""

import pytest
import torch
import torch.nn.functional as F

from lnlbench.learning import neighbours
from lnlbench.learning.neighbours import balanced_votes, knn_votes


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("chunk", [1, 100, 2**26])
def test_votes_are_those_of_a_loop_whatever_the_chunk(monkeypatch, chunk):
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    features, labels = 5 * draw(37, 8), torch.arange(37) % 3
    votes = knn_votes(features, labels, 4, 6)
    for i in range(37):
        similar = [float(F.cosine_similarity(features[i], features[j], dim=0)) for j in range(37)]
        nearest = sorted(range(37), key=lambda j, s=similar: -s[j])[:6]
        expected = [sum(int(labels[j]) == c for j in nearest) / 6 for c in range(4)]
        assert votes[i].tolist() == pytest.approx(expected)


def test_each_sample_is_its_own_first_neighbour():
    labels = torch.arange(50) % 5
    assert torch.equal(knn_votes(draw(50, 64), labels, 5, 1), F.one_hot(labels, 5).float())


def test_more_neighbours_than_samples_are_all_of_them():
    votes = knn_votes(draw(5, 3), torch.tensor([0, 0, 0, 1, 2]), 3, 200)
    torch.testing.assert_close(votes, torch.tensor([[0.6, 0.2, 0.2]]).expand(5, 3))


def test_neighbours_are_found_in_full_precision_under_autocast():
    features, labels = draw(200, 4) + 20, torch.arange(200) % 5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = knn_votes(features.bfloat16(), labels, 5, 7)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, knn_votes(features.bfloat16().float(), labels, 5, 7))


def test_votes_find_the_wrong_labels_of_two_clusters():
    true = torch.arange(400) % 2
    features = 0.3 * draw(400, 16)
    features[:, 0] += torch.where(true == 1, 3.0, -3.0)
    wrong = torch.rand(400, generator=torch.Generator().manual_seed(1)) < 0.2
    labels = torch.where(wrong, 1 - true, true)
    votes = balanced_votes(knn_votes(features, labels, 2, 20), labels)
    kept = votes.argmax(1) == labels
    assert kept[~wrong].float().mean() > 0.99
    assert kept[wrong].float().mean() < 0.01


def test_balanced_votes_divide_by_the_frequency_of_the_label():
    labels = torch.tensor([0, 0, 0, 1])
    votes = balanced_votes(torch.tensor([[0.5, 0.5, 0.0], [0.75, 0.25, 0.0]]), labels)
    torch.testing.assert_close(votes, torch.tensor([[0.25, 0.75, 0.0], [0.5, 0.5, 0.0]]))


def test_a_class_of_ten_times_as_many_samples_wins_no_more_votes_when_they_are_balanced():
    true = torch.arange(300) % 3
    features = draw(300, 6) + 1.0 * F.one_hot(true, 6)
    wrong = torch.rand(300, generator=torch.Generator().manual_seed(1)) < 0.3
    labels = torch.where(wrong, (true + 1) % 3, true)
    many = labels == 0
    grown = torch.cat([features, *[features[many] + 0.3 * draw(int(many.sum()), 6, seed=s) for s in range(9)]])
    told = torch.cat([labels, torch.zeros(9 * int(many.sum()), dtype=torch.long)])

    def won(balance, feats, given):
        votes = knn_votes(feats, given, 3, 30)
        votes = balanced_votes(votes, given) if balance else votes
        kept = votes.argmax(1)[:300] == labels
        return torch.stack([kept[labels == c].float().mean() for c in range(3)])

    before = won(True, features, labels)
    assert (won(False, grown, told)[1:] < 0.1).all()
    assert (won(True, grown, told) - before).abs().max() < 0.3
