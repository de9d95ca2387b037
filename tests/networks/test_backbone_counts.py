"""Parameter, layer and statistics counts of every network against the card `_backbones.md`."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from lnlbench.networks import BACKBONES, build

# name: {C: parameters}, (convolutions, batch norms, linear layers), batch-norm statistics
CARD = {
    "preact_resnet18": ({10: 11_171_274, 100: 11_217_444, 14: 11_173_326, 50: 11_191_794}, (20, 17, 1), 6_912),
    "preact_resnet34": ({10: 21_279_434, 100: 21_325_604}, (36, 33, 1), 14_336),
    "preact_resnet32": ({10: 466_618, 100: 472_468}, None, None),
    "resnet18_cifar": ({10: 11_173_962, 100: 11_220_132, 14: 11_176_014}, (20, 20, 1), 9_600),
    "resnet34_cifar": ({10: 21_282_122, 100: 21_328_292, 14: 21_284_174}, (36, 36, 1), 17_024),
    "resnet50_cifar": ({10: 23_520_842, 100: 23_705_252}, (53, 53, 1), 53_120),
    "resnet32": ({10: 464_154, 100: 470_004}, (31, 31, 1), 2_272),
    "resnet32_b": ({10: 466_906, 100: 472_756}, (33, 33, 1), 2_464),
    "wrn28_10": ({10: 36_479_194, 100: 36_536_884}, (28, 25, 1), 17_952),
    "wrn28_2": ({10: 1_467_610, 100: 1_479_220}, (28, 25, 1), 3_616),
    "cnn9": ({10: 4_434_570, 100: 4_446_180}, (9, 9, 1), None),
    "resnet18": ({10: 11_181_642, 100: 11_227_812, 14: 11_183_694}, (20, 20, 1), 9_600),
    "resnet34": ({10: 21_289_802, 100: 21_335_972, 14: 21_291_854}, (36, 36, 1), 17_024),
    "resnet50": ({14: 23_536_718, 50: 23_610_482, 1000: 25_557_032}, (53, 53, 1), 53_120),
    "vgg19_bn": ({10: 139_622_218}, (16, 16, 3), 11_008),
    "vgg19_bn_ssr": ({10: 139_622_218}, (16, 16, 3), 11_008),
    "vgg19_bn_small": ({10: 20_040_522}, (16, 16, 1), 11_008),
    "smallcnn": ({10: 72_954}, (6, 6, 1), 448),
}


def parameters(net):
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def test_every_network_of_the_catalogue_is_on_the_card_list():
    assert CARD.keys() == BACKBONES.keys()


@pytest.mark.parametrize("name", BACKBONES)
def test_counts_are_those_of_the_card(name):
    counts, layers, statistics = CARD[name]
    with torch.device("meta"):
        for num_classes, count in counts.items():
            assert parameters(build(name, num_classes)) == count
        net = build(name, 10)
    if layers is not None:
        found = tuple(
            sum(isinstance(m, kind) for m in net.modules()) for kind in (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
        )
        assert found == layers
    if statistics is not None:
        assert sum(b.numel() for n, b in net.named_buffers() if "running_" in n) == statistics


@pytest.mark.parametrize("name", BACKBONES)
def test_the_catalogue_says_what_is_built(name):
    info = BACKBONES[name]
    with torch.device("meta"):
        ten, fourteen, hundred = (build(name, c) for c in (10, 14, 100))
    assert parameters(ten) == info.parameters_10
    assert parameters(hundred) == info.parameters_100
    assert parameters(fourteen) - parameters(ten) == 4 * (info.feature_dim + 1)
    assert (ten.feature_dim, ten.map_dim, ten.min_image_size) == (info.feature_dim, info.map_dim, info.min_image_size)
    assert ten.num_classes == ten.head.out_features == 10


@pytest.mark.parametrize("name", [n for n, info in BACKBONES.items() if info.dropout is not None])
def test_the_catalogue_names_the_dropout_in_use(name):
    with torch.device("meta"):
        net = build(name, 10)
    rates = [m.p for m in net.modules() if isinstance(m, nn.Dropout | nn.Dropout2d)]
    assert rates == [BACKBONES[name].dropout] * 2


def test_listing_networks_imports_no_torch():
    code = (
        "import sys; from lnlbench.networks import BACKBONES, build; assert BACKBONES; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
