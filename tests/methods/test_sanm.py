"""SANM over its hosts: masks, labels and reconstruction enter where the card (sanm.md) says, and only there."""

import ast
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from lnlbench.job import Noise
from lnlbench.learning import masking, mixtures
from lnlbench.learning.losses import soft_cross_entropy
from lnlbench.methods import dividemix, registry, sanm
from lnlbench.methods.base import Method
from lnlbench.methods.spec import MethodSpec
from lnlbench.resolve import required_jobs, resolve_job

N, C = 16, 4
MEAN, STD = 0.4, 0.3  # of the rig's views


@pytest.fixture
def plugin(rig):
    """A rig of sanm(HOST) that is past its start, with G as given."""

    def make(host="ce", clean=0.7, **settings):
        made = rig(f"sanm({host})", **{"start_epoch": 0, "n": N, "num_classes": C, **settings})
        made.method.active = True
        made.method.clean.copy_(torch.as_tensor(clean))
        made.engine.begin_epoch(made.method, 0)
        return made

    return make


def rows_of(run, **how):
    """What the seam makes of the whole data set as one batch of given labels; and that batch's images."""
    batch = run.batch()
    images = batch.plain()
    how = {"given": True, **how}
    return images, *run.method.rows(run.method.nets[0], images, batch.one_hot, batch.indices, **how)


def refined(run, images, g):
    """t = G e_y + (1 - G) softmax(z), z of the network in train mode."""
    with torch.no_grad():
        return g * F.one_hot(run.labels, C) + (1 - g) * run.method.nets[0](images).softmax(1)


def changed(images, painted):
    """(B, H, W) pixels that were painted."""
    return (images != painted).any(1)


# AMG


def test_peak_and_valley_ratios_sum_to_mu(plugin):
    g = torch.rand(50)
    peak, valley, moved = plugin(mu=0.3).method.ratios(g)
    torch.testing.assert_close(peak + valley, torch.full((50,), 0.3))
    torch.testing.assert_close(peak, 0.3 * (1 - g))
    assert torch.equal(moved, peak)


def test_a_surely_clean_sample_is_not_painted_at_its_peak_and_keeps_its_label(plugin):
    run = plugin(clean=1.0, views="separate")
    images, painted, labels = rows_of(run)
    assert torch.equal(painted[:N], images)
    assert torch.equal(labels[:N], F.one_hot(run.labels, C).float())
    assert changed(images, painted[N:]).any((1, 2)).all()


@pytest.mark.parametrize("g", [0.0, 0.3, 1.0])
def test_both_rectangles_are_in_one_image_or_in_two(plugin, g):
    joint = plugin(clean=g, size=16)
    images, painted, labels = rows_of(joint)
    assert len(painted) == len(labels) == N
    separate = plugin(clean=g, size=16, views="separate")
    _, both, two_labels = rows_of(separate)
    assert len(both) == len(two_labels) == 2 * N
    assert torch.equal(two_labels[:N], two_labels[N:])
    masks = changed(images, both[:N]) | changed(images, both[N:])
    assert torch.equal(changed(images, painted), masks)


def test_the_rectangles_lie_at_the_extrema_of_the_maps_of_the_predicted_class(plugin, monkeypatch):
    run = plugin(clean=0.5, size=16, aspect="fixed", delta=1.0, mu=0.1)
    calls, place = [], masking.centred_rectangles
    monkeypatch.setattr(masking, "centred_rectangles", lambda *a: calls.append(a) or place(*a))
    images, *_ = rows_of(run)
    with torch.no_grad():
        seen = run.method.nets[0].outputs(images)
    maps = torch.einsum("bdhw,bd->bhw", seen.fmap, run.method.nets[0].head.weight[seen.logits.argmax(1)])
    large = F.interpolate(maps[:, None], size=(16, 16), mode="bilinear").flatten(1)
    (peak, ratio, aspect, size), (valley, *_) = calls
    assert size == (16, 16)
    # By value: near the border the enlarged map has plateaus, on which rounding decides.
    for place, extreme in ((peak, large.max(1).values), (valley, large.min(1).values)):
        there = large.gather(1, (16 * place[:, :1] + place[:, 1:]).long())[:, 0]
        torch.testing.assert_close(there, extreme)
    torch.testing.assert_close(ratio, torch.full((N,), 0.05))
    assert torch.equal(aspect, torch.ones(N))


@pytest.mark.parametrize(
    ("settings", "linear", "expected"),
    [({}, True, "cam"), ({}, False, "squared"), ({"activation": "squared"}, True, "squared")],
)
def test_networks_without_a_linear_head_are_masked_by_squared_features(plugin, monkeypatch, settings, linear, expected):
    run, used = plugin(**settings), []
    cam, squared = masking.class_activation_map, masking.squared_activation_map
    monkeypatch.setattr(masking, "class_activation_map", lambda *a: used.append("cam") or cam(*a))
    monkeypatch.setattr(masking, "squared_activation_map", lambda *a: used.append("squared") or squared(*a))
    monkeypatch.setattr(type(run.method.nets[0]), "linear_head", linear)
    rows_of(run)
    assert used == [expected]


def test_aspects_are_uniform_and_drawn_apart_or_fixed(plugin):
    run = plugin(delta=0.5)
    drawn = run.method.aspects(5000)
    assert drawn.min() >= 0.5
    assert drawn.max() <= 2
    assert drawn.mean().item() == pytest.approx(1.25, abs=0.03)
    assert torch.equal(plugin(delta=0.5, aspect="fixed").method.aspects(3), torch.full((3,), 0.5))


@pytest.mark.parametrize(("variant", "shared"), [("paper", False), ("official", True)])
def test_the_released_code_gives_both_rectangles_one_aspect(plugin, monkeypatch, variant, shared):
    run, drawn = plugin(variant=variant), []
    name = "centred_rectangles" if variant == "paper" else "cornered_rectangles"
    place = getattr(masking, name)
    monkeypatch.setattr(masking, name, lambda *a: drawn.append(a[2]) or place(*a))
    rows_of(run)
    assert len(drawn) == 2
    assert torch.equal(*drawn) is shared


def test_painted_pixels_are_noise_per_pixel_before_normalisation(plugin):
    images, painted, _ = rows_of(plugin(clean=0.0, size=16, mu=0.5))
    where = (images != painted).any(1, keepdim=True).expand_as(images)
    noise = painted[where] * STD + MEAN
    assert noise.min() >= -1e-6
    assert noise.max() <= 1 + 1e-6
    assert noise.mean().item() == pytest.approx(0.5, abs=0.02)
    assert noise.std().item() == pytest.approx(1 / math.sqrt(12), abs=0.02)
    assert len(noise.unique()) > 0.9 * len(noise)


def test_the_released_code_paints_one_number_a_channel_in_the_normalised_image(plugin):
    images, painted, _ = rows_of(plugin(variant="official", clean=0.0, size=32))
    assert len(painted) == 2 * N
    for view in (painted[:N], painted[N:]):
        for image, other in zip(images, view, strict=True):
            where = (image != other).any(0)
            assert where.any()
            for channel in other:
                (value,) = channel[where].unique()
                assert 0 <= value <= 1


@pytest.mark.parametrize(("g", "low", "high"), [(1.0, 0.01, 0.035), (0.0, 0.025, 0.05)])
def test_official_rectangles_have_half_the_drawn_area_and_labels_move_by_all_of_it(plugin, g, low, high):
    peak, valley, moved = plugin(variant="official").method.ratios(torch.full((4000,), g))
    assert torch.equal(peak, valley)
    assert peak.min() >= low
    assert peak.max() <= high
    assert peak.mean().item() == pytest.approx((low + high) / 2, abs=1e-3)
    s = 2 * peak
    labels = masking.shifted_labels(F.one_hot(torch.zeros(4000, dtype=torch.long), C).float(), moved)
    torch.testing.assert_close(labels[:, 0], 1 - s)
    torch.testing.assert_close(labels[:, 1], s / (C - 1))


# Strategies: the last three mask the peak only.


def test_a_fixed_ratio_is_the_same_for_all(plugin):
    peak, valley, moved = plugin(strategy="fixed", mu=0.3).method.ratios(torch.rand(9))
    assert torch.equal(peak, torch.full((9,), 0.3))
    assert valley is None
    assert torch.equal(moved, peak)


def test_a_fixed_ratio_of_zero_changes_nothing(plugin):
    run = plugin(strategy="fixed", mu=0.0, clean=1.0)
    images, painted, labels = rows_of(run)
    assert torch.equal(painted, images)
    assert torch.equal(labels, F.one_hot(run.labels, C).float())


def test_random_ratios_are_uniform_between_their_ends(plugin):
    peak, valley, moved = plugin(strategy="random", low=0.2, high=0.4).method.ratios(torch.rand(5000))
    assert valley is None
    assert torch.equal(moved, peak)
    assert peak.min() >= 0.2
    assert peak.max() <= 0.4
    assert peak.mean().item() == pytest.approx(0.3, abs=0.005)


def test_two_level_ratios_follow_the_split(plugin):
    peak, valley, _ = plugin(strategy="two_level").method.ratios(torch.tensor([0.0, 0.49, 0.5, 1.0]))
    assert peak.tolist() == pytest.approx([0.3, 0.3, 0.2, 0.2])
    assert valley is None


def test_masks_of_random_size_leave_the_label_to_the_true_g(plugin):
    run = plugin(ratio_source="random", clean=0.25, nlr=False)
    images, _, labels = rows_of(run)
    torch.testing.assert_close(labels, refined(run, images, 0.25))
    assert len(changed(*rows_of(run)[:2]).sum((1, 2)).unique()) > 2


# Controls: what masking rides on


def test_the_given_label_can_be_painted_over_without_being_refined(plugin):
    for settings in ({}, {"keep": True}):
        run = plugin(label_source="given", clean=0.25, nlr=False)
        images, painted, labels = rows_of(run, **settings)
        assert torch.equal(labels[-N:], F.one_hot(run.labels, C).float())
        assert changed(images, painted[-N:]).any((1, 2)).all()
    moved = rows_of(plugin(label_source="given", clean=0.25))[2]
    given = F.one_hot(run.labels, C).float()
    torch.testing.assert_close(moved, masking.shifted_labels(given, torch.full((N,), 0.2 * 0.75)))


def test_masks_can_lie_at_the_extrema_of_maps_that_no_network_drew(plugin, monkeypatch):
    run, drawn, extrema = plugin(activation="random", size=16), [], masking.extrema
    monkeypatch.setattr(masking, "extrema", lambda maps, *a: drawn.append(maps) or extrema(maps, *a))
    monkeypatch.setattr(masking, "class_activation_map", None)
    monkeypatch.setattr(masking, "squared_activation_map", None)
    for _ in range(60):
        images, painted, _ = rows_of(run)
        assert changed(images, painted).any((1, 2)).all()
    # Of the network's own map size, so that as much of a rectangle falls off the border.
    assert drawn[0].shape == (N, *run.method.nets[0].map_shape(16)[1:])
    peaks = torch.cat(drawn).flatten(1).argmax(1).bincount(minlength=drawn[0][0].numel())
    expected = 60 * N / len(peaks)
    assert (peaks - expected).abs().max() < 5 * math.sqrt(expected)


def test_jobs_from_before_there_was_a_choice_of_label_keep_their_keys():
    job = resolve_job("sanm(ce)", "cifar10", Noise("symmetric", 0.5), 1)
    assert "label_source" not in job.canonical_text


# Parts


def test_without_masks_the_image_stays_and_the_label_still_moves(plugin):
    run = plugin(amg=False, clean=0.5)
    images, painted, labels = rows_of(run)
    assert torch.equal(painted, images)
    target = refined(run, images, 0.5)
    torch.testing.assert_close(labels, masking.shifted_labels(target, torch.full((N,), 0.1)))


def test_without_label_regularisation_the_target_stays_and_the_image_is_painted(plugin):
    run = plugin(nlr=False, clean=0.5)
    images, painted, labels = rows_of(run)
    assert changed(images, painted).any((1, 2)).all()
    torch.testing.assert_close(labels, refined(run, images, 0.5))


def test_without_reconstruction_there_is_no_decoder_and_no_penalty(plugin):
    run = plugin(smr=False)
    rows_of(run)
    assert not any("decoder" in name for name in run.method.state_dict())
    assert run.method.penalty(run.method.nets[0]) is None


def test_the_reconstruction_error_reaches_trunk_and_decoder_and_never_the_classifier(plugin):
    run = plugin(beta=0.7)
    images, painted, _ = rows_of(run)
    net = run.method.nets[0]
    penalty = run.method.penalty(net)
    expected = 0.7 * (net.decoder(net.trunk(painted)) - images).square().mean()
    torch.testing.assert_close(penalty, expected)
    penalty.backward()
    assert all(p.grad is None for p in net.head.parameters())
    assert all(p.grad is not None and p.grad.any() for p in net.decoder.parameters())
    assert all(p.grad is not None for p in net.trunk.parameters())
    assert run.method.penalty(net) is None


def test_two_views_have_the_sum_of_their_reconstruction_errors(plugin):
    run = plugin(views="separate", beta=0.02)
    images, both, _ = rows_of(run)
    net = run.method.nets[0]
    restored = net.decoder(net.trunk(both))
    errors = [(part - images).square().mean() for part in (restored[:N], restored[N:])]
    torch.testing.assert_close(run.method.penalty(net), 0.02 * sum(errors))


def test_one_view_counts_once_where_two_are_possible(plugin):
    run = plugin(views="separate", strategy="fixed", beta=1.0)
    images, painted, _ = rows_of(run)
    net = run.method.nets[0]
    torch.testing.assert_close(run.method.penalty(net), (net.decoder(net.trunk(painted)) - images).square().mean())


def test_the_hosts_forward_is_used_again_with_the_same_penalty(plugin):
    values = []
    for forget in (False, True):
        run = plugin()
        _, painted, _ = rows_of(run)
        net, calls = run.method.nets[0], []
        net(painted)
        if forget:
            run.method.seen.clear()
        net.trunk.register_forward_pre_hook(lambda *a, calls=calls: calls.append(a))
        values.append(run.method.penalty(net))
        assert len(calls) == int(forget)
    torch.testing.assert_close(*values)


def test_each_of_two_networks_restores_what_was_painted_by_its_own_map(plugin, monkeypatch):
    run = plugin("coteaching", forget_rate=0.2, recipe={"batch_size": N})
    painted, penalties = {}, {}
    fill, penalty = run.method.fill, run.method.penalty
    order = iter(run.method.nets)
    monkeypatch.setattr(
        run.method, "fill", lambda images, mask: painted.setdefault(next(order), (fill(images, mask), images))[0]
    )

    def watched(net):
        view, images = painted[net]
        expected = (net.decoder(net.trunk(view)) - images).square().mean()
        penalties[net] = (penalty(net), expected)
        return penalties[net][0]

    monkeypatch.setattr(run.method, "penalty", watched)
    run.method.host.train_epoch(5)
    assert set(penalties) == set(run.method.nets)
    for found, expected in penalties.values():
        torch.testing.assert_close(found, expected)


# Targets and rows by host


def test_hosts_on_given_labels_train_on_painted_images_with_refined_labels_alone(plugin):
    run = plugin(clean=0.5)
    images, painted, labels = rows_of(run)
    assert len(painted) == N
    expected = masking.shifted_labels(refined(run, images, 0.5), torch.full((N,), 0.1))
    torch.testing.assert_close(labels, expected)
    assert not labels.requires_grad


def test_the_original_can_be_trained_on_too_with_the_target_before_its_move(plugin):
    run = plugin(clean=0.5, keep_original=True)
    images, both, labels = rows_of(run)
    assert torch.equal(both[:N], images)
    torch.testing.assert_close(labels[:N], refined(run, images, 0.5))
    assert changed(images, both[N:]).any()


def test_rows_a_host_must_keep_come_first_with_their_given_labels(plugin):
    run = plugin(clean=0.5)
    images, both, labels = rows_of(run, keep=True)
    assert torch.equal(both[:N], images)
    assert torch.equal(labels[:N], F.one_hot(run.labels, C).float())
    assert len(both) == 2 * N


def test_a_hosts_own_targets_predictions_and_probabilities_go_before_ours(plugin):
    run = plugin(clean=0.0, nlr=False)
    soft = torch.rand(N, C).softmax(1)
    run_batch = run.batch()
    images = run_batch.plain()
    net = run.method.nets[0]
    out, labels = run.method.rows(net, images, soft, run_batch.indices, clean=torch.full((N,), 0.5))
    assert torch.equal(out[:N], images)
    assert torch.equal(labels[:N], soft)
    assert torch.equal(labels[N:], soft)
    _, labels = run.method.rows(
        net, images, run_batch.one_hot, run_batch.indices, given=True, clean=torch.full((N,), 0.25), predicted=soft
    )
    torch.testing.assert_close(labels, 0.25 * run_batch.one_hot + 0.75 * soft)


def test_co_teaching_keeps_selection_and_exchange_and_adds_the_painted_batch(plugin):
    run = plugin("coteaching", forget_rate=0.5, smr=False, recipe={"batch_size": N}, clean=0.5)
    first, second = run.method.nets
    batch = next(run.engine.batches(None, N, False, False))
    seen, rows = [], run.method.host.rows

    def spied(net, *args, **how):
        out = rows(net, *args, **how)
        seen.append((net, out))
        return out

    run.method.host.rows = spied
    run.steps.clear()
    before = {net: [p.detach().clone() for p in net.parameters()] for net in (first, second)}
    run.method.host.train_epoch(20)
    assert all(len(x) == 2 * N for _, (x, _) in seen)
    for net, values in before.items():
        for parameter, value in zip(net.parameters(), values, strict=True):
            parameter.data = value
    losses, extras = [], []
    for net, (x, t) in seen:
        losses.append(-(t[:N] * net(x[:N]).log_softmax(1)).sum(1))
        extras.append(-(t[N:] * net(x[N:]).log_softmax(1)).sum(1).mean())
    chosen = [loss.topk(N // 2, largest=False).indices for loss in losses]
    for step, loss, extra, peers in zip(run.steps, losses, extras, reversed(chosen), strict=True):
        assert step.loss == pytest.approx((loss[peers].mean() + extra).item(), rel=1e-4)
    assert len(batch) == N


def test_with_two_networks_each_takes_the_others_g(plugin):
    run = plugin("coteaching", forget_rate=0.2, clean=torch.tensor([[0.0], [1.0]]).expand(2, N), nlr=False)
    batch = run.batch()
    images = batch.plain()
    first, second = run.method.nets
    how = {"given": True, "keep": True}
    _, labels = run.method.rows(first, images, batch.one_hot, batch.indices, **how)
    assert torch.equal(labels[N:], batch.one_hot)
    _, labels = run.method.rows(second, images, batch.one_hot, batch.indices, **how)
    with torch.no_grad():
        torch.testing.assert_close(labels[N:], second(images).softmax(1))


def mixed_by(rig, monkeypatch, expression, **settings):
    """What each step of one epoch mixes, and its losses, with clean probabilities that are fixed."""
    calls, mix = [], dividemix.mix
    with monkeypatch.context() as patch:
        patch.setattr(dividemix, "mix", lambda *args: calls.append(args) or mix(*args))
        run = rig(expression, n=N, warmup_epochs=0, recipe={"batch_size": N, "optimizer": {"lr": 1e-12}}, **settings)
        host = getattr(run.method, "host", run.method)
        w = torch.linspace(0, 1, N)
        host.divide = lambda: host.clean.copy_(torch.stack([1 - w, w]))
        steps = run.epoch(3)
    return calls, steps, run


def test_without_masks_and_weight_it_is_dividemix_with_duplicated_rows(rig, monkeypatch):
    calls, steps, _ = mixed_by(rig, monkeypatch, "sanm(dividemix)", mu=0.0, beta=0.0)
    plain, plain_steps, plain_run = mixed_by(rig, monkeypatch, "dividemix")
    assert len(calls) == len(plain) == len(steps) == len(plain_steps) == 2
    # [x1, x2, u1, u2] has become [x1, x1, x2, u1, u1, u2].
    parts = torch.arange(2 * N).split(N // 2)
    duplicated = torch.cat([parts[0], parts[0], parts[1], parts[2], parts[2], parts[3]])
    inputs, targets, lam, order = calls[0]
    rows, labels, plain_lam, _ = plain[0]
    assert lam == plain_lam
    torch.testing.assert_close(inputs, rows[duplicated])
    torch.testing.assert_close(targets, labels[duplicated])
    net = plain_run.method.nets[0].train()
    with torch.no_grad():
        probs = net(lam * inputs + (1 - lam) * inputs[order]).softmax(1)
    mixed, b = lam * targets + (1 - lam) * targets[order], 3 * N // 2
    supervised = -(mixed[:b] * probs[:b].log()).sum(1).mean()
    unlabelled = 25 * 3 / 16 * (probs[b:] - mixed[b:]).square().mean()
    prior = -(C * probs.mean(0)).log().mean()
    assert steps[0].loss == pytest.approx((supervised + unlabelled + prior).item(), rel=1e-4)


def test_over_dividemix_the_first_guessing_views_are_masked_by_the_other_networks_w(rig, monkeypatch):
    calls, steps, run = mixed_by(rig, monkeypatch, "sanm(dividemix)", mu=0.4, beta=1.0)
    inputs, targets, *_ = calls[0]
    w = torch.linspace(0, 1, N)
    b = int((w > 0.5).sum())
    assert len(inputs) == 3 * N
    for start, count in ((0, b), (3 * b, N - b)):
        original, painted = inputs[start : start + count], inputs[start + count : start + 2 * count]
        which = [(run.batch().plain() == image).flatten(1).all(1).nonzero().item() for image in original]
        shares = changed(original, painted).float().mean((1, 2))
        assert (shares > 0).all()
        expected = masking.shifted_labels(targets[start : start + count], 0.4 * (1 - w[which]))
        torch.testing.assert_close(targets[start + count : start + 2 * count], expected)
    assert not any(p is None for p in (s.grads["decoder.0.weight"] for s in steps))


# The seam


class Stranger(Method):
    """A host that SANM's file has never heard of, with targets of its own."""

    spec = MethodSpec(slug="stranger", title="Stranger", summary="", paper="")

    def train_epoch(self, epoch):
        for batch in self.batches():
            targets = torch.full((len(batch), C), 1 / C)
            images, targets = self.rows(self.net, batch.weak(), targets, batch.indices)
            self.blocks = len(images) // len(batch)
            self.learn(soft_cross_entropy(self.net(images), targets), self.net)


def test_a_method_becomes_a_host_by_passing_its_rows_through_the_seam(rig, monkeypatch):
    monkeypatch.setitem(registry._plugins, "stranger", Stranger)
    run = rig("sanm(stranger)", start_epoch=1)
    run.epoch(0)
    assert run.method.host.blocks == 1
    steps = run.epoch(1)
    assert run.method.host.blocks == 2
    assert all(step.grads["decoder.0.weight"].any() for step in steps)


def test_sanms_algorithm_names_no_host_and_no_host_names_sanm():
    (algorithm,) = [node for node in ast.parse(Path(sanm.__file__).read_text()).body if isinstance(node, ast.ClassDef)][
        1:
    ]
    assert algorithm.name == "SANM"
    names = {node.value for node in ast.walk(algorithm) if isinstance(node, ast.Constant)}
    assert not names & set(registry.names())
    for host in sanm.SPEC.hosts:
        assert "sanm" not in (registry.FOLDER / f"{host}.py").read_text().lower()


# Start, G, state


def test_before_its_start_it_is_the_plain_host(rig):
    nets = []
    for expression, settings in (("ce", {}), ("sanm(ce)", {"start_epoch": 2})):
        run = rig(expression, **settings)
        run.epoch(0)
        steps = run.epoch(1)
        nets.append(run.method.backbones().popitem()[1])
        assert all(g is None for s in steps for name, g in s.grads.items() if "decoder" in name)
    plain, hosted = (net.state_dict() for net in nets)
    assert all(torch.equal(value, hosted[name]) for name, value in plain.items())
    assert set(hosted) - set(plain) == {name for name in hosted if name.startswith("decoder.")}


@pytest.mark.parametrize(
    ("host", "num_classes", "settings", "start"),
    [
        ("ce", 10, {}, 10),
        ("ce", 100, {}, 20),
        ("ce", 10, {"start_epoch": 3}, 3),
        ("dividemix", 100, {"warmup_epochs": 7}, 7),
        ("coteaching", 10, {"forget_rate": 0.2}, 10),
    ],
)
def test_masking_starts_after_the_hosts_warm_up(rig, host, num_classes, settings, start):
    run = rig(f"sanm({host})", num_classes=num_classes, **settings)
    assert run.method.start == start


def test_g_is_fitted_before_each_epoch_on_plain_views_in_eval_mode(rig, monkeypatch):
    run = rig("sanm(ce)", start_epoch=1)
    given = []
    posterior = torch.linspace(0, 1, N)
    monkeypatch.setattr(mixtures, "clean_posterior", lambda x, seed, **_: given.append(x.clone()) or posterior)
    run.epoch(0)
    assert not given
    net = run.method.nets[0].eval()
    with torch.no_grad():
        losses = F.cross_entropy(net(run.batch().plain()), run.labels, reduction="none")
    run.epoch(1)
    assert given[0].dtype == torch.float32
    torch.testing.assert_close(given[0], (losses - losses.min()) / (losses.max() - losses.min()))
    assert torch.equal(run.method.clean_score(), posterior)


def test_the_loss_window_averages_the_last_epochs(rig, monkeypatch):
    run, given = rig("sanm(ce)", start_epoch=0, loss_window=2), []
    monkeypatch.setattr(mixtures, "clean_posterior", lambda x, seed, **_: given.append(x.clone()) or torch.ones(N))
    monkeypatch.setattr(mixtures, "normalised", lambda x: torch.full((N,), float(len(given))))
    for epoch in range(4):
        run.method.begin_epoch(epoch)
    assert [x[0].item() for x in given] == [0, 0.5, 1.5, 2.5]


def test_a_host_with_a_mixture_lends_it(rig):
    run = rig("sanm(dividemix)", warmup_epochs=0)
    run.epoch(0)
    assert (run.method.clean == 1).all()
    assert torch.equal(run.method.clean_score(), run.method.host.clean.mean(0))


@pytest.mark.parametrize(
    ("variant", "size", "kind"),
    [("paper", 32, "paper"), ("official", 32, "paper"), ("paper", 224, "ours"), ("official", 224, "paper")],
)
def test_the_released_decoder_of_large_images_is_the_official_variants_alone(rig, monkeypatch, variant, size, kind):
    made, build = [], sanm.build_decoder
    monkeypatch.setattr(sanm, "build_decoder", lambda *a: made.append(a) or build((8, 4, 4), 32))
    rig("sanm(ce)", n=2, size=size, variant=variant)
    ((shape, image, found),) = made
    assert (image, found) == (size, kind)
    assert shape[1] == size // 4


@pytest.mark.parametrize("host", ["ce", "coteaching", "cdr", "elr_plus", "dividemix"])
@pytest.mark.parametrize("variant", ["paper", "official"])
def test_every_host_trains_with_finite_losses_down_to_one_sample(rig, host, variant):
    own = {"coteaching": {"forget_rate": 0.2}, "cdr": {"tau": 0.2}, "dividemix": {"warmup_epochs": 1}}
    settings = own.get(host, {})
    for num_classes in (2, 4):
        run = rig(f"sanm({host})", n=9, num_classes=num_classes, start_epoch=1, variant=variant, **settings)
        for epoch in range(2):
            steps = run.epoch(epoch)
            assert steps
            assert all(math.isfinite(step.loss) for step in steps)
        assert not run.method.painted
        assert not run.method.seen


# Constants


def test_the_official_variant_brings_the_released_scripts_constants():
    found = resolve_job("sanm(dividemix)", "cifar10", Noise("symmetric", 0.2), 1, overrides=[{"variant": "official"}])
    own = SimpleNamespace(**found.hyperparameters)
    assert (own.activation, own.views, own.beta, own.delta) == ("squared", "separate", 0.02, 0.8)
    assert own.host["lambda_u"] == 25
    assert own.host["guess_view"] == "autoaugment"
    assert own.host["extra_views"] == ["randaugment-fixmatch"] * 2
    assert own.host["warmup_clip"] == 1
    assert own.host["warmup_epochs"] == 10
    cifar100 = resolve_job(
        "sanm(dividemix)", "cifar100", Noise("symmetric", 0.2), 1, overrides=[{"variant": "official"}]
    )
    assert cifar100.hyperparameters["host"]["warmup_epochs"] == 20
    clothing = resolve_job("sanm(dividemix)", "clothing1m", Noise("real"), 1, overrides=[{"variant": "official"}])
    assert clothing.hyperparameters["beta"] == 0.3
    assert clothing.hyperparameters["host"]["lambda_u"] == 0
    assert clothing.hyperparameters["host"]["extra_views"] == []


@pytest.mark.parametrize("host", ["dividemix", "c2d"])
def test_of_the_released_clothing1m_script_only_beta_is_here_whatever_the_host(host):
    found = resolve_job(f"sanm({host})", "clothing1m", Noise("real"), 1, overrides=[{"variant": "official"}])
    own = resolve_job(host, "clothing1m", Noise("real"), 1)
    assert found.hyperparameters["beta"] == 0.3
    assert found.hyperparameters["host"] == own.hyperparameters


def test_the_paper_variant_leaves_the_hosts_own_constants():
    found = resolve_job("sanm(dividemix)", "cifar10", Noise("symmetric", 0.9), 1).hyperparameters
    assert (found["mu"], found["delta"], found["beta"], found["views"]) == (0.2, 0.8, 1, "joint")
    assert found["host"]["lambda_u"] == 50
    assert found["host"]["extra_views"] == []


# Masks of a finished run (Table 4)


def test_masks_of_a_finished_run_lie_where_its_frozen_networks_look(rig, monkeypatch):
    host = rig("dividemix", n=N, num_classes=C, size=16, seed=7)
    finished = {name: net.state_dict() for name, net in host.method.backbones().items()}
    run = rig(
        "sanm(dividemix)",
        n=N,
        num_classes=C,
        size=16,
        granted={"mask_networks": finished},
        mask_source="pretrained",
        start_epoch=0,
    )
    method = run.method
    assert len(method.nets) == len(method.guides) == 2
    assert set(method.backbones()) == {f"host.{name}" for name in finished}, "guides are not trained"
    method.begin_epoch(0)
    assert not method.guides.training
    looked = []
    real = masking.class_activation_map
    monkeypatch.setattr(masking, "class_activation_map", lambda *a: looked.append(a) or real(*a))
    before = {name: value.clone() for name, value in method.guides.state_dict().items()}
    for net, guide, trained in zip(method.nets, method.guides, host.method.backbones().values(), strict=True):
        batch = run.batch()
        method.rows(net, batch.plain(), batch.one_hot, batch.indices, given=False, clean=torch.full((N,), 0.5))
        trained.eval()
        with torch.no_grad():
            seen = trained.outputs(batch.plain())
        fmap, weight, classes = looked.pop()
        torch.testing.assert_close(fmap, seen.fmap)
        assert weight is guide.head.weight
        assert torch.equal(classes, seen.logits.argmax(1))
    assert all(torch.equal(value, before[name]) for name, value in method.guides.state_dict().items())


def test_masks_of_a_finished_run_make_the_hosts_own_job_a_requirement():
    noise = Noise("symmetric", 0.5)
    own, frozen = (
        resolve_job("sanm(dividemix)", "cifar10", noise, 3, overrides=[{"mask_source": source}])
        for source in ("own", "pretrained")
    )
    assert required_jobs(own) == {}
    assert required_jobs(frozen) == {"mask_networks": resolve_job("dividemix", "cifar10", noise, 3)}
    assert "mask_source" not in own.canonical_text, "jobs from before there was a choice keep their keys"
