"""What every network does by its interface, and what each family does by its card."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lnlbench.errors import InvalidSetting, UnknownName
from lnlbench.networks import BACKBONES, build
from lnlbench.networks.preact_resnet import PreActBlock
from lnlbench.networks.resnet32 import SubsampleAndPad
from lnlbench.networks.wide_resnet import WideBlock

SCALABLE = [n for n, info in BACKBONES.items() if info.scalable]
SIZES = (8, 15, 16, 28, 32, 64, 224)


def narrow(name, num_classes=10, seed=0):
    """The network at a width that a test can run, where it has one."""
    torch.manual_seed(seed)
    return build(name, num_classes, width=0.125 if BACKBONES[name].scalable else 1.0)


def small_enough_to_run():
    return [n for n in BACKBONES if not n.startswith("vgg19_bn") or n == "vgg19_bn_small"]


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("size", SIZES)
def test_shapes_at_every_size_the_network_takes(name, size):
    info = BACKBONES[name]
    with torch.device("meta"):
        net = build(name, 14).eval()
        images = torch.empty(2, 3, size, size)
        if size < info.min_image_size:
            with pytest.raises(InvalidSetting, match=f"{info.min_image_size}x{info.min_image_size}"):
                net(images)
            return
        logits, features, fmap = net.outputs(images)
    assert logits.shape == (2, 14)
    assert features.shape == (2, info.feature_dim)
    assert fmap.shape[:2] == (2, info.map_dim)
    assert net.map_shape(size) == tuple(fmap.shape[1:])


@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [
        ("preact_resnet18", 32, (512, 4, 4)),
        ("resnet34_cifar", 32, (512, 4, 4)),
        ("resnet32", 32, (64, 8, 8)),
        ("wrn28_10", 32, (640, 8, 8)),
        ("cnn9", 32, (128, 2, 2)),
        ("vgg19_bn", 64, (512, 2, 2)),
        ("resnet50", 224, (2048, 7, 7)),
        ("smallcnn", 16, (64, 4, 4)),
        ("smallcnn", 32, (64, 8, 8)),
    ],
)
def test_last_maps_are_those_the_papers_use(name, size, shape):
    with torch.device("meta"):
        assert build(name, 10).map_shape(size) == shape


def test_asking_for_the_map_shape_changes_nothing():
    net = narrow("cnn9").train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    random_state = torch.get_rng_state()
    net.map_shape(32)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize("name", small_enough_to_run())
def test_parts_agree_and_logits_are_the_head_of_the_pooled_map(name):
    net = narrow(name).eval()
    images = torch.randn(2, 3, 32, 32)
    logits, features, fmap = net.outputs(images)
    assert torch.equal(net(images), logits)
    assert torch.equal(net.features(images), features)
    assert torch.equal(net.head(net.pool(fmap)), logits)


@pytest.mark.parametrize("name", small_enough_to_run())
def test_average_class_activation_plus_bias_is_the_logit(name):
    net = narrow(name).eval()
    assert net.linear_head
    logits, _, fmap = net.outputs(torch.randn(3, 3, 32, 32))
    cam = torch.einsum("bdhw,cd->bchw", fmap, net.head.weight)
    torch.testing.assert_close(cam.mean((2, 3)) + net.head.bias, logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", ["forward", "features", "outputs"])
def test_forward_hooks_on_the_trunk_fire(method):
    net = narrow("preact_resnet18")
    seen = []
    net.trunk.register_forward_hook(lambda module, inputs, fmap: seen.append(fmap.shape))
    getattr(net, method)(torch.randn(2, 3, 32, 32))
    assert seen == [(2, net.map_dim, 4, 4)]


@pytest.mark.parametrize("name", small_enough_to_run())
def test_same_seed_same_weights_and_another_seed_others(name):
    first, again, other = narrow(name, seed=1), narrow(name, seed=1), narrow(name, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values()))
    assert not torch.equal(first.head.weight, other.head.weight)
    assert not torch.equal(next(first.trunk.parameters()), next(other.trunk.parameters()))


@pytest.mark.parametrize("name", small_enough_to_run())
def test_every_parameter_takes_part_in_the_logits(name):
    net = narrow(name).train()
    F.cross_entropy(net(torch.randn(4, 3, 64, 64)), torch.arange(4)).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_quarter_width_preact_resnet_has_quarter_channels():
    net = build("preact_resnet18", 10, width=0.25)
    stages = [net.trunk.get_submodule(f"stage{k}")(torch.zeros(2, c, 8, 8)) for k, c in ((1, 16), (2, 16), (3, 32))]
    assert [s.shape[1] for s in stages] == [16, 32, 64]
    assert net.feature_dim == net.head.in_features == 128


@pytest.mark.parametrize("name", SCALABLE)
@pytest.mark.parametrize("width", [0.01, 0.3, 1.3])
def test_any_width_works_in_multiples_of_four(name, width):
    with torch.device("meta"):
        net = build(name, 10, width=width).eval()
        assert net(torch.empty(2, 3, 32, 32)).shape == (2, 10)
    channels = {m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d)}
    assert all(c % 4 == 0 for c in channels)


def test_unknown_network_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="preact_resnet18"):
        build("preact_resnet_18", 10)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet50", {"width": 0.5}, "fixed width"),
        ("vgg19_bn", {"width": 2.0}, "fixed width"),
        ("preact_resnet18", {"width": 0.0}, "width must be above 0"),
        ("preact_resnet18", {"pretrained": "imagenet"}, "no pre-trained weights"),
        ("preact_resnet18", {"dropout": 0.1}, "no dropout"),
        ("cnn9", {"dropout": 1.0}, "dropout must be"),
        ("cnn9", {"image_size": 27}, "cnn9 needs images of at least 28x28"),
    ],
)
def test_options_a_network_does_not_take_are_refused(name, options, message):
    with torch.device("meta"), pytest.raises(InvalidSetting, match=message):
        build(name, 10, **options)


def test_no_classes_are_refused():
    with pytest.raises(InvalidSetting, match="at least one class"):
        build("smallcnn", 0)


def test_preact_identity_shortcut_starts_at_the_activated_input():
    block = PreActBlock(8, 8)
    nn.init.zeros_(block.conv1.weight)
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(4, 8, 6, 6)
    assert torch.equal(block(x), F.relu(block.bn1(x)))
    assert block(x).min() >= 0


def test_preact_projection_has_no_batch_norm_and_no_bias():
    block = PreActBlock(8, 16, 2)
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(4, 8, 6, 6)
    expected = F.conv2d(F.relu(block.bn1(x)), block.shortcut.weight, stride=2)
    torch.testing.assert_close(block(x), expected)


def test_preact_features_can_be_negative():
    assert narrow("preact_resnet18").features(torch.randn(8, 3, 32, 32)).min() < 0


def test_wide_identity_shortcut_is_the_raw_input_and_the_map_is_activated():
    block = WideBlock(8, 8)
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(4, 8, 6, 6)
    assert torch.equal(block(x), x)
    assert narrow("wrn28_10").outputs(torch.randn(4, 3, 32, 32)).fmap.min() >= 0


def test_option_a_shortcut_subsamples_and_pads_a_quarter_on_each_side():
    x = torch.randn(2, 16, 7, 8)
    y = SubsampleAndPad(16, 32, 2)(x)
    assert y.shape == (2, 32, 4, 4)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()


def test_cnn9_drops_channels_in_training_only():
    images = torch.randn(2, 3, 32, 32)
    net = narrow("cnn9")
    net.eval()
    assert torch.equal(net(images), net(images))
    for module in net.modules():
        if isinstance(module, nn.Dropout2d):
            module.train()
    assert not torch.equal(net(images), net(images))


def test_cnn9_with_dropout_zero_is_deterministic_in_training():
    net = build("cnn9", 10, width=0.125, dropout=0).train()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(net(images), net(images))


def test_cnn9_activations_leak_by_a_hundredth():
    assert {m.negative_slope for m in build("cnn9", 10, width=0.125).modules() if isinstance(m, nn.LeakyReLU)} == {0.01}


def convolution_std(net, out_channels):
    """Observed standard deviation of a 3x3 convolution's weights, with its fans."""
    conv = next(m for m in net.trunk.modules() if isinstance(m, nn.Conv2d) and m.out_channels == out_channels)
    return conv.weight.std().item(), 9 * conv.in_channels, 9 * conv.out_channels


def test_initial_weights_are_those_of_the_card():
    torch.manual_seed(0)
    std, fan_in, _ = convolution_std(build("resnet32", 10), 64)
    assert std == pytest.approx(np.sqrt(2 / fan_in), rel=0.05)
    net = build("wrn28_2", 100)
    std, _, fan_out = convolution_std(net, 128)
    assert std == pytest.approx(np.sqrt(2 / fan_out), rel=0.05)
    assert not net.head.bias.any()
    assert net.head.weight.abs().max() <= 1 / np.sqrt(128)
    # PyTorch's default is uniform within 1 / sqrt(fan_in).
    net = build("preact_resnet18", 10, width=0.25)
    assert net.trunk.stage4[1].conv2.weight.abs().max() <= 1 / np.sqrt(9 * 128)
    assert net.trunk.stage4[1].conv2.weight.std().item() == pytest.approx(1 / np.sqrt(3 * 9 * 128), rel=0.05)
    assert net.trunk.stage4[1].bn2.weight.eq(1).all()
    head = build("resnet32", 100).head
    assert head.weight.std().item() == pytest.approx(np.sqrt(2 / 64), rel=0.05)


def test_small_vgg_starts_as_torchvision_does():
    torch.manual_seed(0)
    net = build("vgg19_bn_small", 100, width=0.25)
    std, _, fan_out = convolution_std(net, 128)
    assert std == pytest.approx(np.sqrt(2 / fan_out), rel=0.05)
    assert net.head.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not net.head.bias.any()


@pytest.mark.parametrize(("name", "std"), [("vgg19_bn", 0.01), ("vgg19_bn_ssr", 0.005)])
def test_full_vgg_starts_every_linear_layer_alike(name, std, monkeypatch):
    drawn = []
    monkeypatch.setattr(nn.init, "normal_", lambda tensor, mean, std: drawn.append((tuple(tensor.shape), mean, std)))
    with torch.device("meta"):
        net = build(name, 10)
    assert sorted(drawn) == sorted((shape, 0.0, std) for shape in ((10, 4096), (4096, 25088), (4096, 4096)))
    assert not net.linear_head


def test_global_pooling_equals_the_papers_four_by_four_average():
    net = narrow("preact_resnet18").eval()
    fmap = net.outputs(torch.randn(2, 3, 32, 32)).fmap
    torch.testing.assert_close(net.pool(fmap), F.avg_pool2d(fmap, 4).flatten(1))


def test_running_statistics_are_in_the_state():
    state = narrow("preact_resnet18").state_dict()
    assert {"trunk.bn.running_mean", "trunk.bn.running_var", "trunk.bn.num_batches_tracked"} <= state.keys()


def test_second_order_gradients_reach_every_weight():
    net = narrow("resnet32", 3).train()
    weights = {k: v.detach().requires_grad_() for k, v in net.named_parameters()}
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    loss = F.cross_entropy(torch.func.functional_call(net, weights, (images,)), labels)
    steps = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    moved = {k: w - 0.1 * g for (k, w), g in zip(weights.items(), steps)}
    again = F.cross_entropy(torch.func.functional_call(net, moved, (images,)), labels)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(again, list(weights.values())))
