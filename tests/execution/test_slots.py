"""Places for workers: one a GPU or several, or one a core as far as memory goes; threads are shared out."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest
import torch

from lnlbench.errors import LnlbenchError
from lnlbench.execution import provenance
from lnlbench.execution.local import Slot, slots

Machine = pytest.MonkeyPatch


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """8 cores, 64 GiB, no GPU."""
    shape(monkeypatch)
    return monkeypatch


def shape(monkeypatch: pytest.MonkeyPatch, *, cores: int = 8, gib: float = 64, gpus: int = 0) -> None:
    monkeypatch.setattr(provenance, "cores", lambda: cores)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(gib * 2**30)))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)


def test_without_gpus_there_is_a_worker_a_core(machine: Machine) -> None:
    assert slots("auto", None, 1, jobs=100) == [Slot("cpu", 1)] * 8


def test_memory_limits_the_workers_and_they_share_the_cores(machine: Machine) -> None:
    shape(machine, gib=5)
    assert slots("auto", None, 1, jobs=100) == [Slot("cpu", 4)] * 2


def test_there_is_a_worker_even_with_hardly_any_memory(machine: Machine) -> None:
    shape(machine, gib=0.5)
    assert slots("cpu", None, 1, jobs=100) == [Slot("cpu", 8)]


def test_no_more_workers_than_jobs(machine: Machine) -> None:
    assert slots("cpu", None, 1, jobs=3) == [Slot("cpu", 2)] * 3


def test_a_number_of_workers_that_is_asked_for_overrides_cores_and_memory(machine: Machine) -> None:
    shape(machine, cores=2, gib=1)
    assert slots("cpu", 3, 1, jobs=100) == [Slot("cpu", 1)] * 3


def test_every_gpu_gets_a_worker(machine: Machine) -> None:
    shape(machine, gpus=2)
    assert slots("auto", None, 1, jobs=100) == [Slot("cuda:0", 4), Slot("cuda:1", 4)]
    assert slots("cuda", None, 1, jobs=100) == slots("auto", None, 1, jobs=100)


def test_several_jobs_a_gpu_are_spread_over_the_gpus_first(machine: Machine) -> None:
    shape(machine, gpus=2)
    devices = [slot.device for slot in slots("auto", None, 3, jobs=100)]
    assert devices == ["cuda:0", "cuda:1"] * 3
    assert [slot.device for slot in slots("auto", None, 3, jobs=2)] == ["cuda:0", "cuda:1"]


def test_more_workers_than_places_go_around_the_gpus(machine: Machine) -> None:
    shape(machine, gpus=2)
    assert [slot.device for slot in slots("cuda", 3, 1, jobs=100)] == ["cuda:0", "cuda:1", "cuda:0"]


def test_one_named_gpu_is_the_only_one_used(machine: Machine) -> None:
    shape(machine, gpus=2)
    assert slots("cuda:1", None, 2, jobs=100) == [Slot("cuda:1", 4)] * 2


def test_the_cpu_can_be_asked_for_where_there_are_gpus(machine: Machine) -> None:
    shape(machine, gpus=2)
    assert {slot.device for slot in slots("cpu", None, 1, jobs=100)} == {"cpu"}


def test_cuda_without_a_device_is_told(machine: Machine) -> None:
    with pytest.raises(LnlbenchError, match="no CUDA device") as caught:
        slots("cuda", None, 1, jobs=1)
    assert "lnlbench doctor" in str(caught.value.hint)
