"""Which networks there are, with the facts a list or a check needs: no torch, so `lnlbench list backbones` is fast.

The networks themselves are in the family files; `registry.build` makes one. Tests hold every number here against
the network as built.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BackboneInfo:
    """Facts of one network at width 1.

    family: module of lnlbench.networks with a function of the network's name.
    parameters_10, parameters_100: trainable parameters for C = 10 and C = 100.
    feature_dim, map_dim: D and M of `Backbone`. min_image_size: pixels.
    scalable: takes a width factor. dropout: its default rate, None where the network has none.
    imagenet: ImageNet weights exist for it.
    """

    name: str
    family: str
    description: str
    source: str
    parameters_10: int
    parameters_100: int
    feature_dim: int
    map_dim: int
    min_image_size: int = 8
    scalable: bool = True
    dropout: float | None = None
    imagenet: bool = False


_INFOS = (
    BackboneInfo(
        "preact_resnet18",
        "preact_resnet",
        "PreAct ResNet-18 of the LNL literature: shortcut from the activated input, no final BN",
        "LiJunnan1992/DivideMix; He et al., ECCV 2016",
        11_171_274,
        11_217_444,
        512,
        512,
    ),
    BackboneInfo(
        "preact_resnet34",
        "preact_resnet",
        "the same with [3, 4, 6, 3] blocks",
        "LiJunnan1992/DivideMix; He et al., ECCV 2016",
        21_279_434,
        21_325_604,
        512,
        512,
    ),
    BackboneInfo(
        "preact_resnet32",
        "preact_resnet",
        "the same block in three stages of 5, 16-32-64 channels (MLNT)",
        "LiJunnan1992/MLNT; He et al., ECCV 2016",
        466_618,
        472_468,
        64,
        64,
    ),
    BackboneInfo(
        "resnet18_cifar",
        "resnet_cifar",
        "ResNet-18 with a 3x3 stem (RFL; what C2D's code builds)",
        "He et al., CVPR 2016",
        11_173_962,
        11_220_132,
        512,
        512,
    ),
    BackboneInfo(
        "resnet34_cifar",
        "resnet_cifar",
        "ResNet-34 with a 3x3 stem (ELR, GCE, CIFAR-N)",
        "shengliu66/ELR; He et al., CVPR 2016",
        21_282_122,
        21_328_292,
        512,
        512,
    ),
    BackboneInfo(
        "resnet50_cifar",
        "resnet_cifar",
        "ResNet-50 with a 3x3 stem (CDR)",
        "He et al., CVPR 2016",
        23_520_842,
        23_705_252,
        2048,
        2048,
    ),
    BackboneInfo(
        "resnet32",
        "resnet32",
        "ResNet-32 with parameter-free shortcuts, option A (MW-Net, RMW-Net)",
        "xjtushujun/meta-weight-net; He et al., CVPR 2016",
        464_154,
        470_004,
        64,
        64,
    ),
    BackboneInfo(
        "resnet32_b",
        "resnet32",
        "ResNet-32 with projection shortcuts, option B",
        "He et al., CVPR 2016",
        466_906,
        472_756,
        64,
        64,
    ),
    BackboneInfo(
        "wrn28_10",
        "wide_resnet",
        "WideResNet-28-10 (MW-Net, RMW-Net)",
        "xjtushujun/meta-weight-net; Zagoruyko & Komodakis, BMVC 2016",
        36_479_194,
        36_536_884,
        640,
        640,
    ),
    BackboneInfo(
        "wrn28_2",
        "wide_resnet",
        "WideResNet-28-2, its cheap stand-in",
        "Zagoruyko & Komodakis, BMVC 2016",
        1_467_610,
        1_479_220,
        128,
        128,
    ),
    BackboneInfo(
        "cnn9",
        "cnn9",
        "the 9-layer CNN of Co-teaching; dropout 0 is what its released code did in effect",
        "bhanML/Co-teaching; Han et al., NeurIPS 2018",
        4_434_570,
        4_446_180,
        128,
        128,
        min_image_size=28,
        dropout=0.25,
    ),
    BackboneInfo(
        "resnet18",
        "torchvision_nets",
        "torchvision ResNet-18, 7x7 stem",
        "torchvision; He et al., CVPR 2016",
        11_181_642,
        11_227_812,
        512,
        512,
        min_image_size=32,
        scalable=False,
        imagenet=True,
    ),
    BackboneInfo(
        "resnet34",
        "torchvision_nets",
        "torchvision ResNet-34, 7x7 stem",
        "torchvision; He et al., CVPR 2016",
        21_289_802,
        21_335_972,
        512,
        512,
        min_image_size=32,
        scalable=False,
        imagenet=True,
    ),
    BackboneInfo(
        "resnet50",
        "torchvision_nets",
        "torchvision ResNet-50, 7x7 stem (Clothing1M)",
        "torchvision; He et al., CVPR 2016",
        23_528_522,
        23_712_932,
        2048,
        2048,
        min_image_size=32,
        scalable=False,
        imagenet=True,
    ),
    BackboneInfo(
        "vgg19_bn",
        "vgg",
        "VGG-19 with BN and three fully connected layers, dropout 0.5 (PLC on Animal-10N)",
        "torchvision; Simonyan & Zisserman, ICLR 2015",
        139_622_218,
        139_990_948,
        4096,
        512,
        min_image_size=32,
        scalable=False,
        dropout=0.5,
        imagenet=True,
    ),
    BackboneInfo(
        "vgg19_bn_ssr",
        "vgg",
        "the same as SSR starts it: dropout 0.2, linear layers N(0, 0.005^2) (Animal-10N)",
        "MrChenFeng/SSR_BMVC2022; Simonyan & Zisserman, ICLR 2015",
        139_622_218,
        139_990_948,
        4096,
        512,
        min_image_size=32,
        scalable=False,
        dropout=0.2,
    ),
    BackboneInfo(
        "vgg19_bn_small",
        "vgg",
        "VGG-19's convolutions with BN, global pooling and one linear layer",
        "lnlbench; Simonyan & Zisserman, ICLR 2015",
        20_040_522,
        20_086_692,
        512,
        512,
        min_image_size=32,
    ),
    BackboneInfo(
        "smallcnn",
        "small",
        "six convolutions, 16-32-64 channels, for desk and smoke runs on a CPU",
        "lnlbench",
        72_954,
        78_804,
        64,
        64,
    ),
)

BACKBONES: dict[str, BackboneInfo] = {info.name: info for info in _INFOS}
"""Every network by name."""
