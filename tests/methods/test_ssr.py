"""SSR against the behaviour that its card states (ssr.md): relabelling, selection, the two losses of a step."""

import math

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.learning.neighbours import balanced_votes, knn_votes
from lnlbench.methods import ssr
from lnlbench.networks import build
from lnlbench.resolve import resolve_job

N, C = 24, 4


@pytest.fixture
def made(rig, monkeypatch):
    """A rig of ssr whose clean set, where given, is the samples of `trusted`, under the labels `corrected`."""

    def make(method="ssr", trusted=None, corrected=None, **settings):
        run = rig(method, **{"n": N, "num_classes": C, "k": 5, **settings})
        host = getattr(run.method, "host", run.method)
        if trusted is not None:
            host.trusted = torch.as_tensor(trusted)
            host.corrected = run.labels.clone() if corrected is None else torch.as_tensor(corrected)
            monkeypatch.setattr(host, "divide", lambda: None)
        return run

    return make


def seen_as(run, monkeypatch, features, logits):
    """Makes the evaluation pass give these features and logits."""
    looked = torch.cat([features, logits], 1)
    monkeypatch.setattr(run.method, "scores", lambda fn: looked)
    monkeypatch.setattr(run.method.net, "feature_dim", features.shape[1])


# Relabelling and selection


def test_one_neighbour_selects_every_sample_and_no_confidence_relabels_above_one(made):
    run = made(k=1, theta_r=1.0)
    run.method.divide()
    assert run.method.trusted.all()
    assert torch.equal(run.method.corrected_labels(), run.labels)
    assert run.method.selected().all()


def test_labels_are_replaced_where_the_confidence_is_strictly_above_theta_r(made, monkeypatch):
    run = made(theta_r=0.5, num_classes=2)
    logits = torch.zeros(N, 2)  # confidence 0.5 exactly
    logits[3, 1 - run.labels[3]] = 1.0
    seen_as(run, monkeypatch, torch.randn(N, 64), logits)
    run.method.divide()
    changed = run.method.corrected_labels() != run.labels
    assert changed.nonzero().flatten().tolist() == [3]
    # From the given labels anew, every time.
    seen_as(run, monkeypatch, torch.randn(N, 64), torch.zeros(N, 2))
    run.method.divide()
    assert torch.equal(run.method.corrected_labels(), run.labels)


@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.parametrize("theta_s", [1.0, 0.6, 0.0])
def test_a_label_is_trusted_for_its_share_of_the_winning_vote(made, monkeypatch, balance, theta_s):
    run = made(theta_s=theta_s, balance=balance, labels=(torch.arange(N) % 7) % C)
    features, logits = torch.randn(N, 6), 3 * torch.randn(N, C)
    seen_as(run, monkeypatch, features, logits)
    run.method.divide()
    labels = run.method.corrected_labels()
    votes = knn_votes(features, labels, C, 5)
    votes = balanced_votes(votes, labels) if balance else votes
    shares = votes / votes.max(1, keepdim=True).values
    for i in range(N):
        assert bool(run.method.trusted[i]) == bool(shares[i, labels[i]] >= theta_s)
        assert float(run.method.clean_score()[i]) == float(shares[i, run.labels[i]])
    assert torch.equal(run.method.selected(), run.method.trusted & (labels == run.labels))
    if theta_s == 1:
        assert 0 < run.method.trusted.sum() < N


def test_flipped_labels_of_separated_clusters_are_rejected_and_the_others_kept(made, monkeypatch):
    n = 400
    true = torch.arange(n) % 2
    draw = torch.Generator().manual_seed(0)
    flipped = torch.rand(n, generator=draw) < 0.2
    run = made(n=n, num_classes=2, k=20, theta_r=1.0, labels=torch.where(flipped, 1 - true, true))
    features = 0.3 * torch.randn(n, 16, generator=draw)
    features[:, 0] += torch.where(true == 1, 3.0, -3.0)
    seen_as(run, monkeypatch, features, torch.zeros(n, 2))
    run.method.divide()
    selected = run.method.selected()
    assert selected[~flipped].float().mean() > 0.99
    assert selected[flipped].float().mean() < 0.01
    assert run.method.clean_score()[~flipped].min() > run.method.clean_score()[flipped].max()


def test_samples_are_looked_at_under_the_weak_view_in_eval_mode(made, monkeypatch):
    run = made()
    modes, views = [], []
    outputs, weak = run.method.net.outputs, run.engine.views.weak
    monkeypatch.setattr(run.method.net, "outputs", lambda x: modes.append(run.method.net.training) or outputs(x))
    monkeypatch.setattr(run.engine.views, "weak", lambda x: views.append(len(x)) or weak(x))
    run.engine.begin_epoch(run.method, 0)
    run.method.divide()
    assert modes == [False]
    assert views == [N]
    assert run.method.net.training


# The clean set as it is drawn


def test_every_class_is_as_frequent_as_the_largest_and_an_empty_one_is_absent():
    labels = torch.tensor([0] * 5 + [1] * 2 + [2] * 3 + [3] * 2)
    chosen = torch.tensor([1] * 5 + [1] * 2 + [0] * 3 + [1, 0], dtype=torch.bool)
    indices = ssr.balanced_indices(chosen, labels)
    assert sorted(indices.tolist()) == [0, 1, 2, 3, 4, 5, 5, 5, 6, 6, 10, 10, 10, 10, 10]
    assert ssr.balanced_indices(torch.zeros(12, dtype=torch.bool), labels).tolist() == []


def test_an_epoch_is_as_long_as_all_images_and_the_clean_set_starts_over(made):
    trusted = [True] * 9 + [False] * (N - 9)
    run = made(trusted=trusted, recipe={"batch_size": 5})
    taken, supervised = [], run.method.supervised
    run.method.supervised = lambda chosen: taken.append(chosen.indices.tolist()) or supervised(chosen)
    steps = run.epoch(0)
    # 24 images in batches of 5, the last partial one dropped; 9 trusted, balanced to 4 x 3, in batches of 5.
    assert len(steps) == 4
    assert [len(indices) for indices in taken] == [5] * 4
    assert {i for indices in taken for i in indices} <= set(range(9))
    kept = made(trusted=trusted, recipe={"batch_size": 5}, drop_last=False)
    assert len(kept.epoch(0)) == 5


@pytest.mark.parametrize("count", [1, 3])
def test_fewer_trusted_samples_than_a_batch_are_one(made, count):
    run = made(trusted=[True] * count + [False] * (N - count), recipe={"batch_size": 8})
    assert all(math.isfinite(step.loss) for step in run.epoch(0))


@pytest.mark.parametrize(("lambda_fc", "steps"), [(1.0, 3), (0.0, 0)])
def test_without_a_trusted_sample_only_the_consistency_is_trained(made, lambda_fc, steps):
    run = made(trusted=[False] * N, lambda_fc=lambda_fc)
    assert len(run.epoch(0)) == steps


def test_a_last_batch_of_one_image_trains_all_the_same(made):
    run = made(n=17, drop_last=False, trusted=[True] * 17)
    assert [math.isfinite(step.loss) for step in run.epoch(0)] == [True] * 3


@pytest.mark.parametrize("theta_s", [0.0, 1.0])
@pytest.mark.parametrize("theta_r", [0.0, 1.0])
def test_thresholds_at_their_ends_train(made, theta_s, theta_r):
    run = made(theta_s=theta_s, theta_r=theta_r)
    assert all(math.isfinite(step.loss) for epoch in range(2) for step in run.epoch(epoch))


# A step


@pytest.fixture
def mixes(monkeypatch):
    calls, mix = [], ssr.mix
    monkeypatch.setattr(ssr, "mix", lambda *args: calls.append(args) or mix(*args))
    return calls


def test_the_supervised_loss_is_cross_entropy_of_two_mixed_views_with_the_corrected_labels(made, mixes):
    corrected = (torch.arange(N) % C + 1) % C
    run = made(trusted=[True] * N, corrected=corrected, lambda_fc=0, recipe={"batch_size": N})
    run.engine.begin_epoch(run.method, 0)
    chosen = next(run.method.labelled())
    loss = run.method.supervised(chosen)
    ((inputs, targets, lam, order),) = mixes
    assert len(inputs) == 2 * N
    assert not torch.equal(inputs[:N], inputs[N:])
    rows = F.one_hot(corrected[chosen.indices], C).float()
    assert torch.equal(targets, torch.cat([rows, rows]))
    assert 0.5 <= lam <= 1
    logits = run.method.net(lam * inputs + (1 - lam) * inputs[order])
    mixed = lam * targets + (1 - lam) * targets[order]
    assert loss.item() == pytest.approx(-(mixed * logits.log_softmax(1)).sum(1).mean().item(), rel=1e-4)


def test_the_weak_view_is_a_constant_and_the_strong_one_learns(made, monkeypatch):
    run = made()
    run.engine.begin_epoch(run.method, 0)
    images, seen = run.batch(), {}

    def view(name):
        def make(*args):
            seen[name] = torch.randn(N, 3, 8, 8, requires_grad=True)
            return seen[name]

        return make

    monkeypatch.setattr(type(images), "weak", view("weak"))
    monkeypatch.setattr(type(images), "view", view("strong"))
    loss = run.method.consistency(images)
    loss.backward()
    assert seen["weak"].grad is None
    assert seen["strong"].grad.abs().max() > 0
    net = run.method.net
    target = net.projector(net.features(seen["weak"]))
    guess = net.predictor(net.projector(net.features(seen["strong"])))
    assert loss.item() == pytest.approx(-F.cosine_similarity(guess, target).mean().item(), rel=1e-4)


def test_a_step_is_the_sum_of_both_losses_for_all_parts_of_the_network(made, monkeypatch):
    run = made(trusted=[True] * N, lambda_fc=0.5)
    parts = {"consistency": [], "supervised": []}
    for name, losses in parts.items():
        was = getattr(run.method, name)
        monkeypatch.setattr(
            run.method, name, lambda batch, was=was, losses=losses: losses.append(was(batch)) or losses[-1]
        )
    steps = run.epoch(0)
    for step, *both in zip(steps, *parts.values(), strict=True):
        assert step.loss == pytest.approx(sum(loss.item() for loss in both), rel=1e-5)
        assert {name.split(".")[0] for name in step.grads} == {"trunk", "head", "projector", "predictor"}
        assert all(grad is not None for grad in step.grads.values())


def test_ssr_without_consistency_has_no_heads_and_shows_all_images_to_batch_norm_all_the_same(made):
    run = made(lambda_fc=0.0, trusted=[True] * N)
    assert {name.split(".")[0] for name, _ in run.method.net.named_parameters()} == {"trunk", "head"}
    steps = run.epoch(0)
    counted = next(v for name, v in run.method.net.named_buffers() if name.endswith("num_batches_tracked"))
    assert int(counted) == 3 * len(steps)


def test_the_heads_are_those_of_the_released_code():
    def count(*sizes):
        return sum(p.numel() for p in ssr.two_layers(*sizes).parameters())

    assert count(build("preact_resnet18", 10).feature_dim, 256, 128) == 164_736
    assert count(128, 256, 128) == 66_432
    assert count(4096, 256, 128) == 1_082_240


def test_small_initial_weights_are_drawn_for_heads_and_classifier_only(made):
    net = made(init_std=0.001, seed=3).method.net
    for part in (net.head, net.projector[0], net.projector[3], net.predictor[0], net.predictor[3]):
        assert 0.0005 < part.weight.std() < 0.002
    assert made(seed=3).method.net.head.weight.std() > 0.01


# SANM over it


def test_sanm_adds_the_painted_first_view_with_a_softened_corrected_label(made, mixes):
    corrected = (torch.arange(N) % C + 1) % C
    run = made("sanm(ssr)", trusted=[True] * N, corrected=corrected, start_epoch=0, recipe={"batch_size": N})
    run.method.active = True
    run.method.clean.fill_(0.5)
    run.engine.begin_epoch(run.method, 0)
    run.method.host.supervised(next(run.method.host.labelled()))
    ((inputs, targets, *_),) = mixes
    assert len(inputs) == len(targets) == 3 * N
    # r = 0.2 (1 - G): 0.1 of the corrected label's mass is spread (Eq. 7).
    rows = targets[:N]
    assert torch.equal(rows, targets[2 * N :])
    torch.testing.assert_close(targets[N : 2 * N], 0.9 * rows + 0.1 / C)
    assert not torch.equal(inputs[:N], inputs[N : 2 * N])


# Constants


@pytest.mark.parametrize(
    ("dataset", "noise", "rate", "theta_r", "alpha", "balance"),
    [
        ("cifar10", "symmetric", 0.2, 0.9, 4, True),
        ("cifar10", "symmetric", 0.5, 0.9, 4, True),
        ("cifar10", "symmetric", 0.8, 0.8, 4, True),
        ("cifar10", "asymmetric", 0.4, 0.9, 4, True),
        ("cifar100", "symmetric", 0.2, 0.9, 4, True),
        ("cifar100", "symmetric", 0.9, 0.8, 4, True),
        ("animal10n", "real", None, 0.95, 0.5, True),
        ("clothing1m", "real", None, 0.99, 0.5, False),
        ("webvision", "real", None, 0.95, 0.5, True),
    ],
)
def test_constants_of_the_published_tables(dataset, noise, rate, theta_r, alpha, balance):
    found = resolve_job("ssr", dataset, Noise(noise, rate), 1).hyperparameters
    assert (found["theta_r"], found["alpha"], found["balance"]) == (theta_r, alpha, balance)
    assert (found["theta_s"], found["k"], found["lambda_fc"]) == (1, 200, 1)


def test_recipes_of_the_published_tables():
    cifar = resolve_job("ssr", "cifar10", Noise("symmetric", 0.5), 1).recipe
    assert (cifar.epochs, cifar.batch_size, cifar.schedule.name, cifar.schedule.floor) == (300, 128, "cosine", 0.02)
    animal = resolve_job("ssr", "animal10n", Noise("real"), 1).recipe
    assert (animal.epochs, animal.batch_size, animal.schedule.milestones) == (150, 128, (50, 100))
    assert [recipe.strong for recipe in (cifar, animal)] == ["autoaugment", "randaugment-uda"]
    clothing = resolve_job("ssr", "clothing1m", Noise("real"), 1).recipe
    assert (clothing.optimizer.lr, clothing.optimizer.weight_decay, clothing.batch_size) == (0.002, 1e-3, 32)
    assert clothing.strong == "autoaugment-imagenet"
    # SANM over it is trained on its host's views.
    assert resolve_job("sanm(ssr)", "animal10n", Noise("real"), 1).recipe.strong == "randaugment-uda"


def test_masks_of_a_finished_ssr_leave_its_heads_out(made):
    state = made().method.net.state_dict()
    assert any(name.startswith("projector.") for name in state)
    run = made("sanm(ssr)", mask_source="pretrained", granted={"mask_networks": {"net": state}})
    (guide,) = run.method.guides
    assert torch.equal(guide.head.weight, state["head.weight"])
