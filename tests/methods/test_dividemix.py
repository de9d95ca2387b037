"""DivideMix, step by step against an explicit re-computation (card dividemix.md)."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lnlbench.learning import mixtures
from lnlbench.methods import dividemix
from lnlbench.resolve import resolve_job

N, C, T = 12, 4, 0.5
W = torch.tensor([0.9, 0.1, 0.8, 0.2, 1.0, 0.0, 0.7, 0.3, 0.6, 0.4, 0.55, 0.5])


@pytest.fixture
def fixed(rig, table, monkeypatch):
    """A rig of table networks whose clean probabilities are given: W for the first to train, 1 - W for the second."""

    def make(w=(1 - W, W), first=None, second=None, **settings):
        draw = torch.Generator().manual_seed(5)
        n = len(w[0])
        settings = {"warmup_epochs": 0, **settings}
        run = rig("dividemix", n=n, numbered=True, **settings)
        logits = [torch.randn(n, C, generator=draw) for _ in range(2)]
        run.replace_nets(table(logits[0] if first is None else first), table(logits[1] if second is None else second))
        monkeypatch.setattr(run.method, "divide", lambda: run.method.clean.copy_(torch.stack(w)))
        return run

    return make


@pytest.fixture
def mixes(monkeypatch):
    """What goes into each call of mix: (inputs, targets, lam, order)."""
    calls, mix = [], dividemix.mix
    monkeypatch.setattr(dividemix, "mix", lambda *args: calls.append(args) or mix(*args))
    return calls


def numbers(images):
    return images[:, 0, 0, 0].round().long().tolist()


def sharpened(p):
    return (p**2) / (p**2).sum(1, keepdim=True)


def test_both_fits_are_done_before_either_network_trains(rig, monkeypatch):
    run = rig("dividemix", warmup_epochs=0)
    events = []
    scores, learn = run.engine.scores, run.engine.learn
    monkeypatch.setattr(run.engine, "scores", lambda *a: events.append("fit") or scores(*a))
    monkeypatch.setattr(run.engine, "learn", lambda loss, net, edit: events.append(net) or learn(loss, net, edit))
    run.epoch(0)
    first, second = run.method.nets
    trained = events[2:]
    assert events[:2] == ["fit", "fit"]
    assert "fit" not in trained
    switch = trained.index(second)
    assert set(trained[:switch]) == {first}
    assert set(trained[switch:]) == {second}


def test_each_network_trains_on_the_split_of_the_other(fixed, mixes):
    fixed(recipe={"batch_size": N}).epoch(0)
    for (inputs, *_), w in zip(mixes, (W, 1 - W), strict=True):
        trusted = (w > 0.5).nonzero().flatten().tolist()
        rest = (w <= 0.5).nonzero().flatten().tolist()
        order = numbers(inputs)
        b, bu = len(trusted), len(rest)
        assert sorted(order[:b]) == trusted
        assert sorted(order[2 * b : 2 * b + bu]) == rest
        assert order == 2 * order[:b] + 2 * order[2 * b : 2 * b + bu]


def test_targets_are_refined_by_the_trained_network_and_guessed_by_both(fixed, mixes):
    run = fixed(recipe={"batch_size": N})
    first, second = (net.logits.detach().softmax(1) for net in run.method.nets)
    run.epoch(0)
    inputs, targets, *_ = mixes[0]
    y = F.one_hot(run.labels, C).float()
    refined = sharpened(W[:, None] * y + (1 - W[:, None]) * first)
    guessed = sharpened((first + second) / 2)
    expected = torch.where((W > 0.5)[:, None], refined, guessed)
    torch.testing.assert_close(targets, expected[numbers(inputs)], atol=1e-6, rtol=1e-5)


def test_a_surely_clean_label_stays_and_a_surely_wrong_one_becomes_the_sharpened_prediction(fixed, mixes):
    run = fixed(w=(torch.ones(N), torch.tensor([1.0, 0.0] * (N // 2))), p_threshold=0.0, recipe={"batch_size": N})
    first = run.method.nets[0].logits.detach().softmax(1)
    other = run.method.nets[1].logits.detach().softmax(1)
    run.epoch(0)
    inputs, targets, *_ = mixes[0]
    for number, target in zip(numbers(inputs), targets, strict=True):
        if number % 2 == 0:
            assert torch.equal(target, F.one_hot(run.labels[number], C).float())
        else:
            # w = 0 is not above 0: such a sample is unlabelled, and its guess is both networks'.
            torch.testing.assert_close(target, sharpened((first + other)[[number]] / 2)[0])
    # The same with the sample among the labelled ones.
    x = next(run.engine.batches(torch.tensor([1, 3]), 2, False, False))
    rows, labelled = run.method.rows_of(*run.method.nets, x, None, torch.zeros(N))
    assert labelled == len(rows) == 2
    first = run.method.nets[0].logits.detach().softmax(1)
    torch.testing.assert_close(rows[0][1], sharpened(first[[1, 3]]))


@pytest.mark.parametrize("epoch", [0, 8, 30])
def test_a_step_is_the_three_terms_of_the_paper(fixed, mixes, epoch):
    run = fixed(lambda_u=25.0, recipe={"batch_size": N, "epochs": 40, "optimizer": {"lr": 1e-12}})
    logits = [net.logits.detach().clone() for net in run.method.nets]
    steps = run.epoch(epoch)
    ramp = min(1.0, epoch / 16)
    for step, z, (inputs, targets, lam, order) in zip(steps, logits, mixes, strict=True):
        rows = (lam * inputs + (1 - lam) * inputs[order])[:, 0, 0, 0].round().long()
        mixed = lam * targets + (1 - lam) * targets[order]
        labelled = 2 * int((W > 0.5).sum()) if z is logits[0] else 2 * int((1 - W > 0.5).sum())
        log_p = z[rows].log_softmax(1).double()
        supervised = sum(-(mixed[i] * log_p[i]).sum() for i in range(labelled)) / labelled
        squares = [(log_p[i].exp() - mixed[i]) ** 2 for i in range(labelled, len(rows))]
        unlabelled = torch.stack(squares).sum() / (len(squares) * C)
        prior = sum(math.log((1 / C) / log_p.exp()[:, c].mean()) / C for c in range(C))
        assert step.loss == pytest.approx(float(supervised + 25 * ramp * unlabelled + prior), rel=1e-4)


def test_the_ramp_counts_steps_as_the_released_code_does(fixed, monkeypatch):
    seen, ramp = [], dividemix.linear_rampup
    monkeypatch.setattr(dividemix, "linear_rampup", lambda *a: seen.append((*a, ramp(*a))) or ramp(*a))
    run = fixed(w=(torch.ones(N), W), warmup_epochs=10, recipe={"batch_size": 2, "epochs": 40})
    run.method.train_epoch(18)
    labelled = int((W > 0.5).sum())
    assert labelled == 6
    positions = [s[0] for s in seen]
    assert positions == pytest.approx([18 + step / (labelled // 2 + 1) for step in range(3)])
    assert seen[0][1:] == (10, 16, 0.5)


def test_lambda_is_one_number_a_step_and_at_least_half(fixed, mixes):
    run = fixed(recipe={"batch_size": 2})
    for epoch in range(5):
        run.epoch(epoch)
    drawn = [lam for _, _, lam, _ in mixes]
    assert all(isinstance(lam, float) and 0.5 <= lam <= 1 for lam in drawn)
    assert len(set(drawn)) == len(drawn)
    assert all(sorted(order.tolist()) == list(range(len(inputs))) for inputs, _, _, order in mixes)


def test_guessing_uses_batch_statistics_of_the_trained_network_only(fixed):
    run = fixed(recipe={"batch_size": N})
    first, second = run.method.nets
    run.epoch(0)
    # As the trained one: 2 refining, 2 guessing, 1 mixed forward; as the other: 2 guessing forwards in eval mode.
    assert sorted(first.modes) == sorted(second.modes) == [False] * 2 + [True] * 5
    assert first.modes[:5] == [True] * 5
    assert second.modes[:2] == [False] * 2


def test_an_epoch_is_as_long_as_its_labelled_part_and_keeps_the_last_batch(fixed):
    run = fixed(w=(torch.tensor([1.0] * 7 + [0.0] * 5), torch.tensor([1.0] * 3 + [0.0] * 9)), recipe={"batch_size": 2})
    steps = run.epoch(0)
    first, second = run.method.nets
    assert [s.net for s in steps] == [first] * 2 + [second] * 4


@pytest.mark.parametrize("w", [torch.ones(N), torch.zeros(N), torch.full((N,), 0.5), torch.eye(N)[3]])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_an_empty_or_single_sided_split_trains_all_the_same(fixed, w, threshold):
    run = fixed(w=(w, w), p_threshold=threshold, recipe={"batch_size": 4})
    steps = run.epoch(2)
    assert {s.net for s in steps} == set(run.method.nets)
    assert all(math.isfinite(s.loss) for s in steps)


@pytest.mark.parametrize("num_classes", [2, 4])
def test_batches_of_one_sample_train_real_networks(rig, num_classes):
    run = rig("dividemix", n=9, num_classes=num_classes, warmup_epochs=1, recipe={"batch_size": 4})
    for epoch in range(3):
        assert all(math.isfinite(step.loss) for step in run.epoch(epoch))


def test_warm_up_is_cross_entropy_in_batches_of_twice_the_size_one_network_after_the_other(rig, table):
    run = rig("dividemix", n=20, numbered=True, warmup_epochs=1, recipe={"batch_size": 4, "optimizer": {"lr": 1e-12}})
    run.replace_nets(table(torch.zeros(20, C)), table(torch.zeros(20, C)))
    first, second = run.method.nets
    steps = run.epoch(0)
    assert [s.net for s in steps] == [first] * 3 + [second] * 3
    assert first.seen == second.seen == [8, 8, 4]
    assert all(s.loss == pytest.approx(math.log(C)) for s in steps)
    assert not any(mixture.started for mixture in run.method.mixtures)
    assert run.method.clean_score() is None


def test_the_confidence_penalty_of_uniform_predictions_is_minus_log_c(rig, table):
    run = rig("dividemix", n=8, numbered=True, warmup_epochs=1, conf_penalty=True)
    run.replace_nets(table(torch.zeros(8, C)), table(torch.zeros(8, C)))
    assert run.epoch(0)[0].loss == pytest.approx(math.log(C) - math.log(C), abs=1e-6)


def test_the_warm_up_gradient_is_clipped_when_asked(rig):
    def norms(**settings):
        steps = rig("dividemix", warmup_epochs=1, **settings).epoch(0)
        return [math.sqrt(sum(float(g.square().sum()) for g in s.grads.values())) for s in steps]

    free = norms()
    assert max(free) > 0.1
    assert max(norms(warmup_clip=0.1)) == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(("window", "averaged"), [(1, [1, 1, 1, 1, 1, 1, 1]), (5, [1, 2, 3, 4, 5, 5, 5])])
def test_the_mixture_sees_the_mean_of_the_last_normalised_losses(rig, table, monkeypatch, window, averaged):
    run = rig("dividemix", n=8, numbered=True, loss_window=window)
    given, draw = [], torch.Generator().manual_seed(0)
    monkeypatch.setattr(mixtures, "clean_posterior", lambda x, seed, **_: given.append(x.clone()) or torch.ones(8))
    vectors = []
    for _ in averaged:
        logits = torch.randn(8, C, generator=draw)
        run.replace_nets(table(logits), table(-logits))
        run.method.divide()
        losses = F.cross_entropy(logits, run.labels, reduction="none")
        vectors.append((losses - losses.min()) / (losses.max() - losses.min()))
    for k, count in enumerate(averaged):
        assert given[2 * k].dtype == torch.float32
        torch.testing.assert_close(given[2 * k], torch.stack(vectors[k + 1 - count : k + 1]).mean(0))


def test_each_network_divides_a_draw_of_its_own_on_which_the_other_is_trained(rig, monkeypatch):
    """Clothing1M: 1,000 batches an epoch of new balanced draws, one for each network."""
    run = rig("dividemix", n=61, warmup_epochs=0, recipe={"batch_size": 4, "epoch_batches": 5})
    monkeypatch.setattr(mixtures, "clean_posterior", lambda x, seed, **_: (torch.arange(len(x)) % 2).float())
    asked, trained = [], {0: [], 1: []}
    losses, rows_of = run.method.losses, run.method.rows_of
    monkeypatch.setattr(run.method, "losses", lambda net, some: asked.append(some) or losses(net, some))

    def recorded(net, other, x, u, clean):
        trained[0 if net is run.method.nets[0] else 1] += x.indices.tolist() + u.indices.tolist()
        return rows_of(net, other, x, u, clean)

    monkeypatch.setattr(run.method, "rows_of", recorded)
    run.epoch(0)
    by_first, by_second = (set(drawn.tolist()) for drawn in asked)
    assert len(by_first) == len(by_second) == 20
    assert by_first != by_second
    assert set(trained[0]) == by_second
    assert set(trained[1]) == by_first
    never = torch.tensor(sorted(set(range(61)) - by_first - by_second))
    assert (run.method.clean[:, never] == 1).all()
    assert (run.method.clean == 0).sum() == 20
    run.epoch(1)
    assert set(asked[2].tolist()) != by_first


def test_an_average_over_epochs_is_over_those_in_which_a_sample_was_drawn(monkeypatch):
    mixture, given = mixtures.LossMixture(4, window=2), []
    monkeypatch.setattr(mixtures, "clean_posterior", lambda x, seed, **_: given.append(x.tolist()) or x)
    assert not mixture.started
    mixture.posterior(torch.tensor([0.0, 4.0, 2.0]), 0, torch.tensor([0, 1, 2]))
    assert mixture.started
    mixture.posterior(torch.tensor([1.0, 0.0, 4.0]), 0, torch.tensor([1, 2, 3]))
    assert given == [[0.0, 1.0, 0.5], pytest.approx([(1 + 0.25) / 2, (0.5 + 0.0) / 2, 1.0])]


def test_losses_are_taken_in_eval_mode(rig, table):
    run = rig("dividemix", n=8, numbered=True)
    run.replace_nets(table(torch.randn(8, C)), table(torch.randn(8, C)))
    run.engine.begin_epoch(run.method, 0)
    run.method.divide()
    assert [net.modes for net in run.method.nets] == [[False], [False]]
    assert all(net.training for net in run.method.nets)


def test_separated_losses_are_split_by_their_labels(rig, table):
    run = rig("dividemix", n=200, numbered=True)
    wrong = torch.arange(200) % 3 == 0
    rows = 4.0 * F.one_hot(torch.where(wrong, run.labels + 1, run.labels) % C, C)
    rows = rows + 0.3 * torch.randn(200, C, generator=torch.Generator().manual_seed(2))
    run.replace_nets(table(rows), table(rows))
    run.method.divide()
    assert run.method.clean[:, ~wrong].min() > run.method.clean[:, wrong].max()
    torch.testing.assert_close(run.method.clean_score(), run.method.clean.mean(0))


def test_without_unlabelled_rows_these_are_partners_of_mixup_only(fixed, mixes):
    run = fixed(unlabelled_rows=False, lambda_u=0.0, recipe={"batch_size": N, "optimizer": {"lr": 1e-12}})
    z = run.method.nets[0].logits.detach().clone()
    step = run.epoch(2)[0]
    labelled = 2 * int((W > 0.5).sum())
    inputs, targets, lam, order = mixes[0]
    assert len(inputs) == 2 * N
    assert run.method.nets[0].seen[4] == labelled
    rows = (lam * inputs + (1 - lam) * inputs[order])[:labelled, 0, 0, 0].round().long()
    mixed = (lam * targets + (1 - lam) * targets[order])[:labelled]
    log_p = z[rows].log_softmax(1)
    prior = -(C * log_p.exp().mean(0)).log().mean()
    assert step.loss == pytest.approx((-(mixed * log_p).sum(1).mean() + prior).item(), rel=1e-4)


def test_extra_views_join_the_rows_of_their_image(fixed, mixes):
    fixed(extra_views=["plain", "plain"], recipe={"batch_size": N}).epoch(0)
    inputs, targets, *_ = mixes[0]
    order, b = numbers(inputs), int((W > 0.5).sum())
    assert order == 4 * order[:b] + 4 * order[4 * b : 4 * b + N - b]
    assert torch.equal(targets[:b], targets[3 * b : 4 * b])


def test_the_prediction_is_the_sum_of_both_networks_logits(rig):
    run = rig("dividemix")
    run.method.eval()
    images = run.batch().plain()
    first, second = run.method.nets
    torch.testing.assert_close(run.method.predict(images), first(images) + second(images))


def test_corrected_labels_are_the_targets_last_trained_towards(fixed, mixes):
    run = fixed(recipe={"batch_size": N})
    run.epoch(0)
    inputs, targets, *_ = mixes[1]
    expected = torch.zeros(N, dtype=torch.long)
    expected[numbers(inputs)] = targets.argmax(1)
    assert torch.equal(run.method.corrected_labels(), expected)


def values(dataset, noise, rate):
    from lnlbench.job import Noise

    return resolve_job("dividemix", dataset, Noise(noise, rate), 1).hyperparameters


@pytest.mark.parametrize(
    ("dataset", "noise", "rate", "lambda_u", "threshold", "window", "warmup", "penalty"),
    [
        ("cifar10", "symmetric", 0.2, 0, 0.5, 1, 10, False),
        ("cifar10", "symmetric", 0.5, 25, 0.5, 1, 10, False),
        ("cifar10", "symmetric", 0.8, 25, 0.5, 1, 10, False),
        ("cifar10", "symmetric", 0.9, 50, 0.6, 5, 10, False),
        ("cifar10", "symmetric", 0.92, 25, 0.5, 1, 10, False),
        ("cifar10", "asymmetric", 0.2, 0, 0.5, 1, 10, True),
        ("cifar10", "asymmetric", 0.4, 0, 0.5, 1, 10, True),
        ("cifar10", "flip2", 0.4, 0, 0.5, 1, 10, True),
        ("cifar100", "symmetric", 0.2, 25, 0.5, 1, 30, False),
        ("cifar100", "symmetric", 0.5, 150, 0.5, 1, 30, False),
        ("cifar100", "symmetric", 0.8, 150, 0.5, 1, 30, False),
        ("cifar100", "symmetric", 0.9, 150, 0.6, 5, 30, False),
        ("cifar100", "asymmetric", 0.4, 150, 0.5, 1, 30, True),
        ("clothing1m", "real", None, 0, 0.5, 1, 1, True),
        ("webvision", "real", None, 0, 0.5, 1, 1, False),
    ],
)
def test_constants_of_the_published_tables(dataset, noise, rate, lambda_u, threshold, window, warmup, penalty):
    found = values(dataset, noise, rate)
    assert found["lambda_u"] == lambda_u
    assert found["p_threshold"] == threshold
    assert found["loss_window"] == window
    assert found["warmup_epochs"] == warmup
    assert found["conf_penalty"] is penalty
    streamed = dataset in ("clothing1m", "webvision")
    assert found["alpha"] == (0.5 if streamed else 4.0)
    assert found["unlabelled_rows"] is not streamed
    assert (found["T"], found["rampup_epochs"], found["lambda_r"]) == (0.5, 16, 1)


def test_the_run_has_its_own_stream_for_mixtures(rig, monkeypatch):
    seeds = []
    monkeypatch.setattr(mixtures, "clean_posterior", lambda x, seed, **_: seeds.append(seed) or torch.ones_like(x))
    theirs = np.random.mtrand._rand.get_state()[1].copy()
    rig("dividemix").method.divide()
    rig("dividemix").method.divide()
    assert seeds[:2] == seeds[2:]
    assert seeds[0] != seeds[1]
    assert np.array_equal(theirs, np.random.mtrand._rand.get_state()[1])
