"""Devices, precision and determinism: which device a run uses, in which number format, and how repeatable."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch

from lnlbench.errors import LnlbenchError

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Place:
    """Where and how a run computes. channels_last is used wherever it does not cost."""

    device: torch.device
    precision: Precision

    @property
    def memory_format(self) -> torch.memory_format:
        """channels_last: the convolution layout of tensor cores and of oneDNN."""
        return torch.channels_last

    def autocast(self) -> AbstractContextManager[object]:
        """The mixed-precision region of a training or evaluation pass."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        # Its cache of cast weights outlives optimiser steps, and a region spans an epoch of them.
        return torch.autocast(self.device.type, dtype=torch.bfloat16, cache_enabled=False)

    @property
    def name(self) -> str:
        """The device's own name: 'NVIDIA H200', 'AMD EPYC ...'."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return cpu_name()


def place(device: str = "auto", precision: str = "auto") -> Place:
    """The place named on the command line; 'auto' is the first CUDA device, else Apple's, else the CPU.

    precision 'auto' is bf16 on CUDA devices that compute in it, fp32 elsewhere.
    Raises LnlbenchError when the device is not there.
    """
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise LnlbenchError(f"unknown device {device!r}.", "Use cpu, cuda, cuda:0, mps or auto.") from error
    if found.type == "cuda":
        if not torch.cuda.is_available():
            raise LnlbenchError(f"device {device!r}: this torch sees no CUDA device.", "Run: lnlbench doctor")
        if found.index is not None and found.index >= torch.cuda.device_count():
            raise LnlbenchError(
                f"device {device!r}: there are {torch.cuda.device_count()} CUDA devices, counted from 0."
            )
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise LnlbenchError(f"device {device!r} is not available here.", "Use --device cpu.")
    if precision == "auto":
        precision = "bf16" if found.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    if precision not in ("fp32", "bf16"):
        raise LnlbenchError(f"unknown precision {precision!r}.", "Use fp32, bf16 or auto.")
    return Place(found, "bf16" if precision == "bf16" else "fp32")


def make_deterministic() -> None:
    """Same numbers from the same job on the same machine: no timing-based choice of kernels, no atomics."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling fresh memory with NaN finds reads of it, at the price of a pass over every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def cpu_name() -> str:
    """The processor's name from the system, as far as it tells."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory in MiB: allocated on a CUDA device, else the process's resident peak."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return float(getattr(psutil.Process().memory_info(), "peak_wset", 0)) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)
