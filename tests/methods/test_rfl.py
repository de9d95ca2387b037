"""RFL: its three losses one by one, what each trains, and the decay of alpha (card rfl.md)."""

import itertools
import math
from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.resolve import resolve_job
from lnlbench.suite.suite import load_suite

C = 4
ONLY_A = {"restoration": False, "cluster": False}


def assigned(run, p, q):
    """The cluster loss of two given assignments (B, K)."""
    head = torch.nn.Identity()
    run.method.net.clusters = head
    return run.method.cluster_loss(p.log(), q.log())


def test_with_alpha_one_part_a_alone_is_cross_entropy(rig):
    run, plain = rig("rfl", **ONLY_A), rig("ce")
    for mine, theirs in zip(run.epoch(0), plain.epoch(0), strict=True):
        assert mine.loss == pytest.approx(theirs.loss, abs=1e-6)
        for name, gradient in mine.grads.items():
            torch.testing.assert_close(gradient, theirs.grads[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize("alpha", [1.0, 0.6, 0.25, 0.0])
def test_the_target_is_alpha_times_the_label_and_the_rest_the_prediction(rig, alpha):
    run = rig("rfl", n=12)
    batch, logits = run.batch(), torch.randn(12, C, generator=torch.Generator().manual_seed(3))
    target = alpha * F.one_hot(batch.labels, C) + (1 - alpha) * F.one_hot(logits.argmax(1), C)
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    assert float(run.method.bootstrap_loss(logits, batch, alpha)) == pytest.approx(float(expected), rel=1e-6)
    trained_towards = batch.labels if alpha >= 0.5 else logits.argmax(1)
    assert torch.equal(run.method.corrected_labels(), trained_towards)


def test_with_alpha_zero_the_labels_do_not_matter(rig):
    first = rig("rfl").epoch(2)
    second = rig("rfl", labels=(torch.arange(16) + 1) % C).epoch(2)
    for a, b in zip(first, second, strict=True):
        assert a.loss == b.loss
        assert all(torch.equal(gradient, b.grads[name]) for name, gradient in a.grads.items())


@pytest.mark.parametrize(
    ("shape", "expected"),
    [("linear", [1, 0.75, 0.5, 0.25, 0]), ("cosine", [1, 0.853553, 0.5, 0.146447, 0]), ("hold", [1, 1, 1, 0.5, 0])],
)
def test_alpha_falls_from_one_to_zero_over_the_job(rig, shape, expected):
    method = rig("rfl", alpha=shape, recipe={"epochs": 5}).method
    assert [method.label_weight(epoch) for epoch in range(5)] == pytest.approx(expected, abs=1e-6)


def test_without_part_a_and_in_a_single_epoch_the_labels_keep_their_weight(rig):
    off = rig("rfl", bootstrap=False).method
    assert [off.label_weight(epoch) for epoch in range(3)] == [1, 1, 1]
    assert off.corrected_labels() is None
    assert rig("rfl", recipe={"epochs": 1}).method.label_weight(0) == 1


def test_even_and_certain_clusters_cost_nothing(rig):
    run, p = rig("rfl"), torch.eye(C).repeat(3, 1).clamp_min(1e-30)
    assert float(assigned(run, p, p)) == pytest.approx(0, abs=1e-6)


def test_one_cluster_for_all_costs_mu_log_k(rig):
    run, p = rig("rfl", lambda_mi=0.5), torch.eye(C)[:1].repeat(12, 1).clamp_min(1e-30)
    assert float(assigned(run, p, p)) == pytest.approx(0.5 * 4 * math.log(C), abs=1e-5)


@pytest.mark.parametrize(
    ("p", "information"),
    [
        (torch.eye(C).repeat(3, 1), math.log(C)),
        (torch.eye(C)[:1].repeat(12, 1), 0.0),
        (torch.eye(C)[:2].repeat(6, 1), math.log(2)),
        (torch.full((12, C), 1 / C), 0.0),
    ],
)
def test_the_information_that_is_watched_tells_stuck_clusters_from_even_ones(rig, p, information):
    run = rig("rfl")
    # Over the whole epoch: its batches may each hold one cluster alone.
    for batch in p.clamp_min(1e-30).split(3):
        assigned(run, batch, batch)
    assert run.method.watched() == {"cluster_information": pytest.approx(information, abs=1e-5)}


def test_what_is_watched_is_the_last_epochs_and_nothing_without_clusters(rig):
    run = rig("rfl")
    run.method.assigned.fill_(1e9)
    run.epoch(0)
    assert float(run.method.assigned[:-1].sum()) == pytest.approx(16)
    assert 0 <= run.method.watched()["cluster_information"] <= math.log(C)
    assert rig("rfl", cluster=False).method.watched() == {}


def test_undecided_samples_cost_their_entropy_and_no_evenness(rig):
    run, p = rig("rfl", lambda_mi=0.5), torch.full((12, C), 1 / C)
    # R is the cross-entropy of two uniform assignments.
    assert float(assigned(run, p, p)) == pytest.approx(math.log(C) + 0.5 * math.log(C), abs=1e-6)


def test_the_mutual_information_is_that_of_the_batch_with_a_gradient(rig):
    """Taken of each sample, as Eq. 10 is printed, both entropies cancel and nothing would be learnt."""
    run = rig("rfl", mu=1.0)
    run.method.net.clusters = torch.nn.Identity()
    rows = torch.randn(12, C, generator=torch.Generator().manual_seed(3)).requires_grad_()
    other = torch.zeros(12, C)
    with_mi = run.method.cluster_loss(rows, other)
    (gradient,) = torch.autograd.grad(with_mi, rows)
    p = rows.detach().softmax(1)
    entropy = -(p * p.log()).sum(1).mean()
    marginal = -(p.mean(0) * p.mean(0).log()).sum()
    assert with_mi.item() == pytest.approx(float(math.log(C) + math.log(C) - marginal + entropy), rel=1e-5)
    # The plain view's assignment is constant in R, so all of this is the mutual information's.
    assert gradient.abs().max() > 1e-3
    per_sample = (math.log(C) + (rows.log_softmax(1).exp() * rows.log_softmax(1)).sum(1)).mean()
    per_sample = per_sample - (rows.log_softmax(1).exp() * rows.log_softmax(1)).sum(1).mean()
    assert torch.autograd.grad(per_sample, rows)[0].abs().max() < 1e-7


@pytest.mark.parametrize("stopgrad", [True, False])
def test_consistency_moves_the_distorted_views_assignment_only(rig, stopgrad):
    run = rig("rfl", stopgrad=stopgrad, lambda_mi=0.0)
    run.method.net.clusters = torch.nn.Identity()
    draw = torch.Generator().manual_seed(3)
    plain, distorted = (torch.randn(12, C, generator=draw).requires_grad_() for _ in range(2))
    run.method.cluster_loss(plain, distorted).backward()
    assert bool(plain.grad.abs().max() > 0) != stopgrad
    expected = (distorted.softmax(1) - plain.softmax(1)) / 12
    torch.testing.assert_close(distorted.grad, expected.detach(), atol=1e-6, rtol=0)


def touched(loss, net):
    names, parameters = zip(*net.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {name.split(".")[0] for name, g in zip(names, gradients, strict=True) if g is not None}


def test_each_loss_trains_its_own_head_and_the_trunk(rig):
    run = rig("rfl")
    net, batch = run.method.net, run.batch()
    x, t = run.method.views_of(batch)
    seen = net.outputs(torch.cat([x, t]))
    n = len(batch)
    assert touched(run.method.bootstrap_loss(seen.logits[:n], batch, 1.0), net) == {"trunk", "head"}
    seen = net.outputs(torch.cat([x, t]))
    assert touched(run.method.restoration_loss(seen.fmap[n:], x), net) == {"trunk", "decoder"}
    seen = net.outputs(torch.cat([x, t]))
    assert touched(run.method.cluster_loss(seen.features[:n], seen.features[n:]), net) == {"trunk", "clusters"}


def test_a_step_is_the_sum_of_the_three_losses_from_one_forward_pass(rig, monkeypatch):
    run = rig("rfl", n=8)
    method, seen = run.method, []
    outputs = method.net.outputs
    monkeypatch.setattr(method.net, "outputs", lambda images: seen.append(outputs(images)) or seen[-1])
    views = []
    views_of = method.views_of
    monkeypatch.setattr(method, "views_of", lambda batch: views.append(views_of(batch)) or views[-1])
    clusters, decoder = (method.net.get_submodule(name) for name in ("clusters", "decoder"))

    def note(args, out, inputs, outs):
        inputs.append(args[0].detach())
        outs.append(out.detach())

    decoded, maps = [], []
    decoder.register_forward_hook(lambda module, args, out: note(args, out, maps, decoded))
    logits, features = [], []
    clusters.register_forward_hook(lambda module, args, out: note(args, out, features, logits))
    monkeypatch.setattr(method, "bootstrap_loss", lambda *a: torch.zeros((), requires_grad=True))
    (step,) = run.epoch(0)
    ((x, t),) = views
    assert len(seen) == 1
    assert len(seen[0].logits) == len(x) + len(t) == 16
    # The image is restored from the distorted view; the plain view's assignment comes first.
    assert torch.equal(maps[0], seen[0].fmap[8:])
    assert torch.equal(torch.cat(features), seen[0].features)
    p, q = (z.softmax(1) for z in logits)
    expected = (decoded[0] - x).square().sum() / x.numel()
    expected += -(p * q.log()).sum(1).mean() - (p * p.log()).sum(1).mean()
    expected += 4 * (p.mean(0) * (C * p.mean(0)).log()).sum()
    assert step.loss == pytest.approx(float(expected), rel=1e-4)


def test_the_distorted_view_is_trained_on_when_asked(rig, monkeypatch):
    def rows(**settings):
        run, found = rig("rfl", n=8, **settings), []
        loss = run.method.bootstrap_loss
        monkeypatch.setattr(run.method, "bootstrap_loss", lambda z, *a: found.append(z.detach()) or loss(z, *a))
        outputs, seen = run.method.net.outputs, []
        monkeypatch.setattr(run.method.net, "outputs", lambda x: seen.append(outputs(x)) or seen[-1])
        run.epoch(0)
        return found[0], seen[0].logits.detach()

    used, both = rows()
    assert torch.equal(used, both[:8])
    used, both = rows(classify_on="t", **ONLY_A)
    assert torch.equal(used, both[8:])
    used, both = rows(**ONLY_A)
    assert torch.equal(used, both)


@pytest.mark.parametrize(("cutout", "side"), [(None, 4), (0, 0), (2, 2)])
def test_the_cutout_is_half_the_image_unless_given(rig, monkeypatch, cutout, side):
    run = rig("rfl", cutout=cutout)
    asked = []
    make = run.engine.views.weak_and_distorted
    monkeypatch.setattr(run.engine.views, "weak_and_distorted", lambda *a: asked.append(a[1:]) or make(*a))
    run.method.views_of(run.batch())
    assert asked == [("randaugment", side)]


def test_large_images_are_restored_at_half_their_size(rig):
    run = rig("rfl")
    run.method.net.decoder = torch.nn.Identity()
    images = torch.randn(2, 3, 8, 8)
    small = images.unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean((3, 5))
    assert float(run.method.restoration_loss(small, images)) == pytest.approx(0, abs=1e-10)
    assert float(run.method.restoration_loss(images + 2, images)) == pytest.approx(4, rel=1e-5)


def test_parts_that_are_off_have_no_head(rig):
    heads = {name.split(".")[0] for name, _ in rig("rfl", **ONLY_A).method.net.named_parameters()}
    assert heads == {"trunk", "head"}
    method = rig("rfl", clusters=7).method
    assert method.net.get_submodule("clusters").out_features == 7
    assert rig("rfl").method.net.get_submodule("clusters").out_features == 4


def test_the_ablation_has_every_subset_of_the_parts_and_the_whole_with_its_loss_as_printed():
    plan = load_suite("rfl-table4").plan("paper", seeds=1)
    parts = Counter(
        (*(job.hyperparameters[name] for name in ("bootstrap", "restoration", "cluster")), job.hyperparameters["mu"])
        for job in plan.jobs
        if job.method == "rfl"
    )
    subsets = [(*p, 4) for p in itertools.product([True, False], repeat=3) if any(p)]
    assert parts == dict.fromkeys([*subsets, (True, True, True, 1)], 2)
    assert len({job.key for job in plan.jobs}) == 2 * 9


def test_the_constants_are_the_same_for_all_rates_and_data_sets():
    def values(dataset, rate):
        return resolve_job("rfl", dataset, Noise("symmetric-exclusive", rate), 1).hyperparameters

    assert values("cifar10", 0.2) == values("cifar10", 0.8) == values("cifar100", 0.6)
    found = values("cifar10", 0.8)
    assert (found["lambda_mi"], found["mu"], found["w_rec"], found["alpha"]) == (1, 4, 1, "linear")
    assert resolve_job("rfl", "clothing1m", Noise("real"), 1).hyperparameters["cutout"] == 64
