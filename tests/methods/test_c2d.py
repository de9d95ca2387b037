"""C2D: DivideMix with the differences that its card states (c2d.md), from an encoder of another job."""

import math

import pytest
import torch

from lnlbench.job import Noise
from lnlbench.learning import mixtures
from lnlbench.methods.dividemix import DivideMix
from lnlbench.resolve import required_jobs, resolve_job, with_required

N, C = 16, 4


@pytest.fixture
def made(rig):
    """A rig of c2d that starts from an encoder whose statistics tell it from a fresh one; and that encoder's state."""

    def make(method="c2d", **settings):
        source = rig("simclr", n=N, num_classes=C, seed=7)
        source.epoch(0)
        networks = {name: net.state_dict() for name, net in source.method.backbones().items()}
        run = rig(method, n=N, num_classes=C, granted={"pretrained_encoder": networks}, **settings)
        return run, next(iter(networks.values()))

    return make


def test_both_networks_start_from_one_encoder_with_heads_of_their_own(made):
    run, encoder = made()
    first, second = run.method.nets
    for name, value in encoder.items():
        if not name.startswith("head."):
            assert torch.equal(first.state_dict()[name], value)
            assert torch.equal(second.state_dict()[name], value)
    assert not torch.equal(first.head.weight, second.head.weight)
    assert not torch.equal(first.head.weight, encoder["head.weight"])


def test_the_warm_up_is_clipped_and_its_losses_are_in_the_history_of_both(made):
    run, _ = made(warmup_epochs=2, loss_window=5, recipe={"optimizer": {"lr": 1.0}})
    assert run.method.clean_score() is None
    for epoch in (0, 1):
        for step in run.epoch(epoch):
            assert math.sqrt(sum(float(g.square().sum()) for g in step.grads.values())) <= 1.0 + 1e-4
        assert [int((~m.history[:, 0].isnan()).sum()) for m in run.method.mixtures] == [epoch + 1] * 2
    assert run.method.clean_score().shape == (N,)


def test_each_split_is_made_just_before_it_is_used_by_networks_as_they_are_then(made, monkeypatch):
    run, _ = made(warmup_epochs=0)
    first, second = run.method.nets
    events, losses, learn = [], run.method.losses, run.engine.learn
    monkeypatch.setattr(run.method, "losses", lambda net, *some: events.append(("fit", net)) or losses(net, *some))
    monkeypatch.setattr(
        run.engine, "learn", lambda loss, net, edit: events.append(("train", net)) or learn(loss, net, edit)
    )
    run.epoch(0)
    assert [e for i, e in enumerate(events) if i == 0 or e != events[i - 1]] == [
        ("fit", second),
        ("train", first),
        ("fit", first),
        ("train", second),
    ]


def test_the_joint_split_is_dividemixs(made, monkeypatch):
    run, _ = made(warmup_epochs=0, split="joint")
    calls = []
    monkeypatch.setattr(DivideMix, "train_epoch", lambda self, epoch: calls.append(epoch))
    run.method.train_epoch(3)
    assert calls == [3]
    w = torch.tensor([0.0, 0.3, 0.4])
    assert run.method.trusted(w).tolist() == [False, False, True]


@pytest.mark.parametrize("threshold", [0.0, 0.03, 0.5, 1.0])
def test_the_threshold_is_held_inside_the_range_so_that_no_part_is_empty(made, threshold):
    run, _ = made(p_threshold=threshold)
    trusted = run.method.trusted(torch.tensor([0.2, 0.3, 0.4]))
    assert 0 < trusted.sum() < 3
    assert trusted.tolist() == [max(min(threshold, 0.39999), 0.20001) < w for w in (0.2, 0.3, 0.4)]
    assert run.method.trusted(torch.full((5,), 0.5)).all()


@pytest.mark.parametrize(("lambda_u", "rows"), [(25.0, 2 * N), (0.0, N)])
def test_unlabelled_rows_are_forwarded_only_where_their_loss_has_a_weight(made, monkeypatch, lambda_u, rows):
    run, _ = made(warmup_epochs=0, lambda_u=lambda_u, recipe={"batch_size": N})
    monkeypatch.setattr(run.method, "divide_by", lambda k: None)
    run.method.clean.copy_((torch.arange(N) % 2).float().expand(2, N))
    net, forwarded = run.method.nets[0], []
    monkeypatch.setattr(
        type(net), "forward", lambda self, x: forwarded.append((self, len(x))) or type(net).outputs(self, x).logits
    )
    run.epoch(0)
    assert max(count for which, count in forwarded if which is net) == rows


def test_the_mixture_takes_up_to_200_steps(made, monkeypatch):
    run, _ = made()
    taken = []
    monkeypatch.setattr(
        mixtures, "clean_posterior", lambda x, seed, max_iter: taken.append(max_iter) or torch.ones_like(x)
    )
    run.method.divide()
    assert taken == [200, 200]


def test_an_epoch_after_the_warm_up_trains_and_answers_as_dividemix_does(made):
    run, _ = made(warmup_epochs=1)
    for epoch in range(3):
        assert all(math.isfinite(step.loss) for step in run.epoch(epoch))
    images = run.batch().plain()
    run.method.eval()
    first, second = run.method.nets
    torch.testing.assert_close(run.method.predict(images), first(images) + second(images))
    torch.testing.assert_close(run.method.clean_score(), run.method.clean.mean(0))


# Its pre-training


def job(method, rate=0.5, noise="symmetric", seed=1, dataset="cifar10", **settings):
    return resolve_job(method, dataset, Noise(noise, rate), seed, overrides=[settings])


def test_one_pre_training_serves_all_noises_and_both_methods():
    jobs = [
        job(method, rate, noise)
        for method in ("c2d", "sanm(c2d)")
        for noise, rate in (("symmetric", 0.2), ("symmetric", 0.9), ("asymmetric", 0.4))
    ]
    made = {required_jobs(j)["pretrained_encoder"].key for j in jobs}
    assert len(made) == 1
    ordered = with_required(jobs)
    assert [j.method for j in ordered] == ["simclr", *["c2d"] * 3, *["sanm(c2d)"] * 3]


def test_the_pre_training_is_clean_of_noise_and_by_supcontrasts_recipe():
    required = required_jobs(job("c2d", pretrain_epochs=300))["pretrained_encoder"]
    assert (required.method, required.noise.name, required.recipe.epochs) == ("simclr", "clean", 300)
    assert (required.recipe.backbone, required.recipe.batch_size) == ("resnet18_cifar", 1024)
    assert (required.recipe.optimizer.lr, required.recipe.schedule.name) == (0.5, "cosine")


def test_the_pre_training_sees_every_image_however_epochs_of_its_users_are_drawn():
    def encoder(**recipe):
        drawing = resolve_job("c2d", "digits", Noise("clean"), 1, scale="desk", recipe_overrides=recipe)
        assert drawing.recipe.epoch_batches == recipe.get("epoch_batches")
        return required_jobs(drawing)["pretrained_encoder"]

    assert encoder(epoch_batches=5) == encoder()


@pytest.mark.parametrize("change", [{"seed": 2}, {"dataset": "cifar100"}, {"pretrain_epochs": 500}])
def test_another_seed_data_set_or_length_is_another_pre_training(change):
    ours, other = (required_jobs(job("c2d", **c))["pretrained_encoder"] for c in ({}, change))
    assert ours.key != other.key


def test_masks_of_a_finished_host_bring_its_pre_training_along():
    jobs = with_required([job("sanm(c2d)", mask_source="pretrained")])
    assert [j.method for j in jobs] == ["simclr", "c2d", "sanm(c2d)"]
    assert jobs[1] == job("c2d")


# SANM over it


def test_sanm_takes_its_g_from_c2d_and_starts_with_its_splits(made):
    run, _ = made("sanm(c2d)", warmup_epochs=1, amg=False)
    assert run.method.start == 1
    assert run.method.host.lends_clean
    for epoch in range(2):
        assert all(math.isfinite(step.loss) for step in run.epoch(epoch))
    assert run.method.active
    torch.testing.assert_close(run.method.clean_score(), run.method.host.clean.mean(0))


def test_sanms_released_script_is_over_c2d():
    found = job("sanm(c2d)", variant="official").hyperparameters["host"]
    assert (found["warmup_epochs"], found["lambda_u"], found["guess_view"]) == (10, 25, "autoaugment")
    assert job("sanm(c2d)", dataset="cifar100", variant="official").hyperparameters["host"]["warmup_epochs"] == 20
    assert job("sanm(c2d)").hyperparameters["host"]["warmup_epochs"] == 5
    assert job("sanm(c2d)").recipe.epochs == 300


# Constants


@pytest.mark.parametrize(
    ("dataset", "noise", "rate", "lambda_u", "threshold", "window", "penalty"),
    [
        ("cifar10", "symmetric", 0.2, 0, 0.03, 1, False),
        ("cifar10", "symmetric", 0.5, 25, 0.03, 1, False),
        ("cifar10", "symmetric", 0.8, 25, 0.03, 1, False),
        ("cifar10", "symmetric", 0.9, 50, 0.03, 5, False),
        ("cifar10", "symmetric", 0.95, 50, 0.03, 5, False),
        ("cifar10", "asymmetric", 0.4, 0, 0.03, 1, True),
        ("cifar100", "symmetric", 0.2, 25, 0.03, 1, False),
        ("cifar100", "symmetric", 0.5, 150, 0.03, 1, False),
        ("cifar100", "symmetric", 0.8, 500, 0.03, 1, False),
        ("cifar100", "asymmetric", 0.4, 150, 0.03, 1, True),
        ("clothing1m", "real", None, 0, 0.7, 1, True),
        ("webvision", "real", None, 0, 0.03, 1, False),
    ],
)
def test_constants_of_the_published_tables(dataset, noise, rate, lambda_u, threshold, window, penalty):
    made = job("c2d", rate, noise, dataset=dataset)
    found, recipe = made.hyperparameters, made.recipe
    assert (found["lambda_u"], found["p_threshold"]) == (lambda_u, threshold)
    assert (found["loss_window"], found["conf_penalty"]) == (window, penalty)
    assert (found["warmup_epochs"], found["T"], found["rampup_epochs"]) == (5, 0.5, 16)
    small = dataset.startswith("cifar")
    assert (found["alpha"], found["split"]) == ((4, "alternating") if small else (0.5, "joint"))
    if small:
        assert (recipe.backbone, recipe.epochs) == ("resnet18_cifar", 360)
        assert recipe.schedule.milestones == (150, 300)
    if dataset == "clothing1m":
        assert (recipe.optimizer.name, recipe.pretrained, recipe.epochs) == ("adamw", None, 120)
        assert recipe.normalisation == required_jobs(made)["pretrained_encoder"].recipe.normalisation == "imagenet"
