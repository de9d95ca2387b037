"""The random streams of a run: each use has its own, derived from the job's seed, so that one more draw in
one place changes nothing elsewhere. Their states travel with the checkpoint."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose; streams of different purposes or seeds are independent."""
    words = [crc32(p.encode()) if isinstance(p, str) else p for p in purpose]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Streams:
    """The generators of one run: tensors on the device, scalars in numpy, torch's global one for dropout."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self.device = device
        self.tensors = torch.Generator(device).manual_seed(derive(seed, "tensors"))
        self.scalars = np.random.Generator(np.random.PCG64(derive(seed, "scalars")))
        torch.manual_seed(derive(seed, "global"))

    def state(self) -> dict[str, Any]:
        """Everything needed to continue all streams, as tensors and plain values."""
        state: dict[str, Any] = {
            "tensors": self.tensors.get_state(),
            "scalars": _portable(self.scalars.bit_generator.state),
            "global": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from a saved state."""
        self.tensors.set_state(state["tensors"])
        self.scalars.bit_generator.state = _restored(state["scalars"])
        torch.set_rng_state(state["global"])
        if "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.device)


def _portable(state: Any) -> Any:
    """PCG64's 128-bit integers as text: torch's safe loader reads no such integers."""
    if isinstance(state, dict):
        return {name: _portable(value) for name, value in state.items()}
    return f"int:{state}" if isinstance(state, int) else state


def _restored(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _restored(value) for name, value in state.items()}
    return int(state[4:]) if isinstance(state, str) and state.startswith("int:") else state
