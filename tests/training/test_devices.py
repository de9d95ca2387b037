"""Where a run computes: names of devices, precision, and what determinism sets."""

import pytest
import torch

from lnlbench.errors import LnlbenchError
from lnlbench.training.devices import cpu_name, make_deterministic, peak_memory_mb, place


def test_the_cpu_computes_in_fp32_unless_told() -> None:
    assert place("cpu").device == torch.device("cpu")
    assert place("cpu").precision == "fp32"
    with place("cpu").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with place("cpu", "bf16").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_auto_is_the_best_device_there_is(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert place().device.type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert (place().device, place().precision) == (torch.device("cuda:0"), "bf16")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert place().precision == "fp32"


@pytest.mark.parametrize(
    ("device", "precision", "told"),
    [
        ("gpu", "auto", "cpu, cuda"),
        ("cuda", "auto", "no CUDA device"),
        ("mps", "auto", "not available"),
        ("cpu", "fp16", "fp32, bf16"),
    ],
)
def test_what_is_not_there_is_told(monkeypatch, device: str, precision: str, told: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(LnlbenchError, match=told):
        place(device, precision)


def test_a_gpu_beyond_the_last_is_told(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(LnlbenchError, match="there are 2"):
        place("cuda:2", "fp32")


def test_determinism_is_switched_on() -> None:
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = True
    make_deterministic()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.deterministic


def test_the_machine_is_named_and_measured() -> None:
    assert place("cpu").name == cpu_name() != ""
    assert peak_memory_mb(torch.device("cpu")) > 1
