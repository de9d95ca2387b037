"""Images in files: one file's pixels, and that a stream of them is the tensor in memory bit for bit."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import synthetic_trees as trees
import torch
from PIL import Image
from torchvision.transforms import v2

from lnlbench.data import files as files_module
from lnlbench.data.files import ImageFiles, decode
from lnlbench.data.sources import FileSource, TensorSource, in_memory_bytes, source_of
from lnlbench.errors import DataError, InvalidSetting

CPU = torch.device("cpu")


@pytest.fixture
def pictures(tmp_path) -> ImageFiles:
    for i in range(37):
        trees.jpeg(tmp_path / f"{i:02}.jpg", i % 5, size=(40 + i, 60 - i), seed=i)
    return ImageFiles.of(tmp_path, [f"{i:02}.jpg" for i in range(37)], 24)


@pytest.mark.parametrize("size", [(64, 64), (80, 50), (31, 90), (24, 24), (10, 12)])
def test_a_file_is_resized_and_cropped_as_torchvision_does(tmp_path, size):
    trees.jpeg(tmp_path / "a.jpg", 3, size=size)
    with Image.open(tmp_path / "a.jpg") as image:
        wanted = v2.Compose([v2.Resize(24), v2.CenterCrop(24), v2.PILToTensor()])(image)
    assert np.array_equal(decode(tmp_path / "a.jpg", 24), wanted.numpy())


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_kind_of_image_becomes_rgb(tmp_path, mode):
    name = "a.tiff" if mode == "CMYK" else "a.png"
    Image.new("RGB", (30, 30), (255, 255, 255)).convert(mode).save(tmp_path / name)
    pixels = decode(tmp_path / name, 24)
    assert pixels.shape == (3, 24, 24)
    assert pixels.dtype == np.uint8
    assert pixels.min() > 250


@pytest.mark.parametrize("loaders", ["1", "3"])
@pytest.mark.parametrize("size", [1, 8, 37, 100])
def test_a_stream_is_the_tensor_bit_for_bit(pictures, monkeypatch, loaders, size):
    monkeypatch.setenv("LNLBENCH_LOADERS", loaders)
    order = torch.randperm(37, generator=torch.Generator().manual_seed(1))[:29]
    held, streamed = TensorSource(torch.from_numpy(pictures.read())), FileSource(pictures, CPU)
    assert held.shape == streamed.shape == (37, 3, 24, 24)
    for ours, wanted in zip(streamed.stream(order, size), held.stream(order, size), strict=True):
        assert torch.equal(ours, wanted)
        assert ours.is_contiguous()


def test_two_streams_at_once_do_not_mix(pictures):
    source = FileSource(pictures, CPU)
    first, second = torch.arange(20), torch.arange(36, 16, -1)
    images = torch.from_numpy(pictures.read())
    for k, (a, b) in enumerate(zip(source.stream(first, 5), source.stream(second, 5), strict=True)):
        assert torch.equal(a, images[first[5 * k : 5 * k + 5]])
        assert torch.equal(b, images[second[5 * k : 5 * k + 5]])


def test_a_subset_decodes_its_own_files_alone(pictures, monkeypatch):
    seen = []
    monkeypatch.setattr(files_module, "decode", lambda path, side: seen.append(path.name) or decode(path, side))
    pictures[np.array([3, 1])].read()
    assert sorted(seen) == ["01.jpg", "03.jpg"]


def test_a_stream_that_is_left_early_stops_decoding(pictures, monkeypatch):
    monkeypatch.setenv("LNLBENCH_LOADERS", "1")
    gate, seen = threading.Event(), []

    def slow(path, side):
        seen.append(path.name)
        if len(seen) > 8:
            gate.wait(5)
        return decode(path, side)

    monkeypatch.setattr(files_module, "decode", slow)
    stream = FileSource(pictures, CPU).stream(torch.arange(37), 8)
    next(stream)
    stream.close()
    gate.set()
    files_module._loaders(1).submit(lambda: None).result(5)
    assert len(seen) <= 16


@pytest.mark.parametrize("content", [b"", b"not an image", None])
@pytest.mark.parametrize("position", [0, 20, 36])
def test_a_broken_file_is_one_message_with_its_path(pictures, content, position):
    path = pictures.path(position)
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(DataError, match=f"{path.name}: cannot be read as an image"):
        list(FileSource(pictures, CPU).stream(torch.arange(37), 4))
    with pytest.raises(DataError, match=f"{path.name}: cannot be read as an image"):
        pictures.read()
    with pytest.raises(DataError, match=f"1 of 37 images cannot be read:\n.*{path.name}"):
        pictures.require_readable()


def test_a_file_that_has_gone_says_so(pictures):
    pictures.path(5).unlink()
    with pytest.raises(DataError, match=r"05.jpg: the image is gone"):
        pictures.read()


def test_what_fits_is_held_and_what_does_not_streams(pictures, monkeypatch):
    assert in_memory_bytes() == 4 * 2**30
    assert isinstance(source_of(pictures, CPU), TensorSource)
    monkeypatch.setenv("LNLBENCH_IMAGES_GIB", str(pictures.nbytes / 2**30))
    assert isinstance(source_of(pictures, CPU), TensorSource)
    assert isinstance(source_of(pictures.resized(25), CPU), FileSource)
    assert isinstance(source_of(pictures.read(), CPU), TensorSource)


@pytest.mark.parametrize(("name", "value"), [("LNLBENCH_IMAGES_GIB", "-1"), ("LNLBENCH_IMAGES_GIB", "much")])
def test_a_limit_that_is_no_size_is_refused(pictures, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting, match=name):
        source_of(pictures, CPU)


@pytest.mark.parametrize("value", ["0", "-2", "many", "1.5"])
def test_a_number_of_loaders_that_is_none_is_refused(pictures, monkeypatch, value):
    monkeypatch.setenv("LNLBENCH_LOADERS", value)
    with pytest.raises(InvalidSetting, match="LNLBENCH_LOADERS"):
        pictures.read()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_stream_arrives_on_the_device(pictures):
    device = torch.device("cuda")
    got = torch.cat(list(FileSource(pictures, device).stream(torch.arange(37, device=device), 8)))
    assert got.device.type == "cuda"
    assert torch.equal(got.cpu(), torch.from_numpy(pictures.read()))
