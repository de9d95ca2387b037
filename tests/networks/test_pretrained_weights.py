"""Weights from a file: what loads equals torchvision's network, what cannot be had says what to do."""

import hashlib

import pytest
import torch
import torchvision
from torch import nn

from lnlbench.errors import DataError
from lnlbench.networks import build
from lnlbench.networks.base import Backbone
from lnlbench.networks.pretrained import load_weights
from lnlbench.networks.vgg import _convolutions


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(3)
    return torchvision.models.resnet18(weights=None).eval()


def test_a_loaded_resnet_computes_torchvisions_features(reference, tmp_path):
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    net = build("resnet18", 14, pretrained=str(tmp_path / "weights.pth")).eval()
    images = torch.randn(2, 3, 64, 64)
    reference_features = nn.Sequential(*list(reference.children())[:-1])(images).flatten(1)
    torch.testing.assert_close(net.features(images), reference_features)
    assert net(images).shape == (2, 14)


def test_weights_of_old_files_without_batch_counters_load(reference, tmp_path):
    state = {k: v for k, v in reference.state_dict().items() if "num_batches_tracked" not in k}
    torch.save(state, tmp_path / "weights.pth")
    build("resnet18", 14, pretrained=str(tmp_path / "weights.pth"))


def test_imagenet_weights_come_from_the_hub_cache_when_their_digest_is_right(reference, hub, monkeypatch):
    torch.save(reference.state_dict(), hub / "any.pth")
    digest = hashlib.sha256((hub / "any.pth").read_bytes()).hexdigest()[:8]
    (hub / "any.pth").rename(hub / f"resnet18-{digest}.pth")
    weights = {"IMAGENET1K_V1": torchvision.models._api.Weights(f"https://x/resnet18-{digest}.pth", None, {})}
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: weights)
    net = build("resnet18", 10, pretrained="imagenet")
    assert torch.equal(net.trunk.conv1.weight, reference.conv1.weight)


def test_missing_imagenet_weights_say_where_to_put_them(hub):
    with pytest.raises(DataError, match="resnet50") as error:
        build("resnet50", 14, pretrained="imagenet")
    assert str(hub / "resnet50-0676ba61.pth") in str(error.value)
    assert "https://download.pytorch.org" in str(error.value)


def test_damaged_imagenet_weights_are_refused(hub):
    (hub / "resnet18-f37072fd.pth").write_bytes(b"half a file")
    with pytest.raises(DataError, match="damaged"):
        build("resnet18", 14, pretrained="imagenet")


def test_weights_of_another_network_are_refused(reference, tmp_path):
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(DataError, match="resnet34"):
        build("resnet34", 10, pretrained=str(tmp_path / "weights.pth"))
    state = {k: v[:1] for k, v in reference.state_dict().items() if v.ndim}
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(DataError, match="resnet18"):
        build("resnet18", 10, pretrained=str(tmp_path / "weights.pth"))


@pytest.mark.parametrize("content", [b"not a state dict", b""])
def test_a_file_that_is_no_state_dict_is_refused(tmp_path, content):
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(DataError, match="state dict"):
        build("resnet18", 10, pretrained=str(tmp_path / "weights.pth"))


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(DataError, match="no weights at"):
        build("resnet18", 10, pretrained=str(tmp_path / "nothing.pth"))


def test_vgg_names_follow_torchvision():
    with torch.device("meta"):
        ours = build("vgg19_bn", 1000).state_dict()
        theirs = torchvision.models.vgg19_bn(weights=None).state_dict()
    renamed = {
        k.replace("features.", "trunk.").replace("classifier.6.", "head.").replace("classifier.", "hidden."): v.shape
        for k, v in theirs.items()
    }
    assert {k: v.shape for k, v in ours.items()} == renamed


def test_vgg_convolutions_compute_what_torchvision_does(tmp_path):
    reference = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"], batch_norm=True).eval()
    torch.save({f"features.{k}": v for k, v in reference.state_dict().items()}, tmp_path / "weights.pth")
    net = Backbone(_convolutions(64), 10, map_dim=512).eval()
    load_weights(net, "vgg19_bn", str(tmp_path / "weights.pth"), {"features.": "trunk."}, "classifier.6.")
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(net.trunk(images), reference(images))
