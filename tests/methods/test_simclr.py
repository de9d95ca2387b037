"""SimCLR pre-training: what it learns from, that no label touches the encoder, and what it hands on."""

import math

import pytest
import torch
from torch import nn

from lnlbench.errors import LnlbenchError
from lnlbench.job import Noise
from lnlbench.learning.contrastive import nt_xent
from lnlbench.methods import simclr
from lnlbench.methods.simclr import load_encoder
from lnlbench.networks import build
from lnlbench.resolve import resolve_job
from lnlbench.training.schedules import factor


def encoder_of(run):
    return {name: value.clone() for name, value in run.method.model["encoder"].state_dict().items()}


def networks_of(run):
    method = run.method
    return {name: net.state_dict() for name, net in method.backbones().items()}


def test_a_step_is_nt_xent_of_two_views_times_the_factor_of_the_released_code(rig, monkeypatch):
    run = rig("simclr", recipe={"batch_size": 16})
    embedded = []
    monkeypatch.setattr(simclr, "nt_xent", lambda z, t: embedded.append((z.detach(), t)) or nt_xent(z, t))
    step, watched = run.epoch(0)
    ((z, temperature),) = embedded
    assert temperature == 0.5
    assert z.shape == (32, 128)
    assert not torch.equal(z[:16], z[16:])
    assert step.loss == pytest.approx(7.142857 * nt_xent(z, 0.5).item(), rel=1e-5)
    assert (step.net, watched.net) == (run.method.model, run.method.probe)
    plain = rig("simclr", base_temperature=0.5, recipe={"batch_size": 16}).epoch(0)[0]
    assert step.loss == pytest.approx(plain.loss * 0.5 / 0.07, rel=1e-4)


def test_both_views_are_simclrs(rig, monkeypatch):
    run = rig("simclr", recipe={"batch_size": 8})
    names, view = [], run.engine.views.view
    monkeypatch.setattr(run.engine.views, "view", lambda images, name: names.append(name) or view(images, name))
    run.epoch(0)
    assert names == ["simclr"] * 4


def test_no_label_touches_the_encoder(rig):
    labels = torch.arange(16) % 4
    first, second = rig("simclr", labels=labels), rig("simclr", labels=labels.flip(0))
    for epoch in range(2):
        first.epoch(epoch), second.epoch(epoch)
    ours, theirs = encoder_of(first), encoder_of(second)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not torch.equal(first.method.probe.weight, second.method.probe.weight)


def test_what_it_hands_on_holds_nothing_of_the_probe(rig):
    run = rig("simclr")
    before = run.method.model["encoder"].head.weight.clone()
    run.epoch(0)
    (state,) = networks_of(run).values()
    assert {name.split(".")[0] for name in state} == {"trunk", "head"}
    assert torch.equal(state["head.weight"], before)


def test_the_probe_reads_the_encoders_features(rig):
    run = rig("simclr")
    for epoch in range(2):
        run.epoch(epoch)
    run.method.eval()
    images = run.batch().plain()
    expected = run.method.probe(run.method.model["encoder"].features(images))
    torch.testing.assert_close(run.method.predict(images), expected)
    assert all(stage.counts for stage in run.method.stages())


@pytest.mark.parametrize("n", [17, 5])
def test_the_last_partial_batch_is_kept(rig, n):
    steps = rig("simclr", n=n, recipe={"batch_size": 8}).epoch(0)
    assert len(steps) == 2 * math.ceil(n / 8)
    assert all(math.isfinite(step.loss) for step in steps)


def test_network_and_head_are_those_of_the_released_code(rig):
    method = rig("simclr", recipe={"backbone": "resnet18_cifar", "width": 1.0}).method
    trained = [p.numel() for p in method.model.parameters() if p.requires_grad]
    assert sum(trained) == 11_497_152
    convolutions = [m for m in method.model["encoder"].modules() if isinstance(m, nn.Conv2d)]
    widening = [m for m in convolutions if m.in_channels != m.out_channels]
    assert len(widening) == 7
    for module in widening:
        fan_out = module.weight.shape[0] * module.weight[0, 0].numel()
        assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.05)


def test_the_recipe_is_supcontrasts():
    recipe = resolve_job("simclr", "cifar10", Noise(), 1).recipe
    optimizer, schedule = recipe.optimizer, recipe.schedule
    assert (recipe.epochs, recipe.batch_size) == (1000, 1024)
    assert (optimizer.name, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.5, 0.9, 1e-4)
    rates = {epoch: 0.5 * factor(schedule, epoch, 1000) for epoch in (0, 9.9999999, 500, 1000)}
    assert list(rates.values()) == pytest.approx([0.01, 0.49988, 0.25025, 0.0005], abs=1e-5)
    # Below 256 images a step there is no warm-up.
    assert resolve_job("simclr", "clothing1m", Noise("real"), 1).recipe.schedule.warmup == 0


# Starting from it


def test_an_encoder_is_loaded_whole_and_the_head_stays(rig):
    run = rig("simclr")
    run.epoch(0)
    net = build("smallcnn", 7, width=0.25)
    head = net.head.weight.clone()
    load_encoder(net, networks_of(run))
    trained = encoder_of(run)
    assert all(torch.equal(value, trained[name]) for name, value in net.state_dict().items() if "head" not in name)
    assert torch.equal(net.head.weight, head)


def test_the_hidden_layers_before_a_vggs_head_belong_to_the_encoder():
    source, net = (build("vgg19_bn_ssr", 10) for _ in range(2))
    with torch.no_grad():
        source.hidden[0].bias.fill_(3.0)
    load_encoder(net, {"encoder": source.state_dict()})
    assert torch.equal(net.hidden[0].bias, source.hidden[0].bias)


def test_a_lacking_weight_or_a_second_network_is_told(rig):
    net = build("smallcnn", 4, width=0.25)
    state = net.state_dict()
    lacking = {name: value for name, value in state.items() if name != next(iter(state))}
    with pytest.raises(LnlbenchError, match="lacks 1 of"):
        load_encoder(net, {"encoder": lacking})
    with pytest.raises(LnlbenchError, match="lacks"):
        load_encoder(net, {"first": state, "second": state})
