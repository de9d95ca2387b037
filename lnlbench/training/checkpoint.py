"""Checkpoints: one file a job, replaced atomically at an epoch's end, with every random state in it.

Read back without unpickling anything but tensors and plain values.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

from lnlbench.errors import LnlbenchError

FORMAT = 1
STALE_SECONDS = 3600.0
"""A half-written file this old was left by a crash; a younger one may be another process's, which is writing it."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes beside and renames, so that a crash leaves the old checkpoint whole. Raises LnlbenchError
    when the disk is full or the folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, suffix=".tmp", delete=False) as file:
            try:
                torch.save({"format": FORMAT, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(file.name)
                raise
        os.replace(file.name, path)
    except (OSError, RuntimeError) as error:
        raise LnlbenchError(
            f"cannot write the checkpoint {path}: {error}",
            "Free some space, or choose another place with LNLBENCH_RUNS; the last whole checkpoint is kept.",
        ) from error


def _tidy(path: Path) -> None:
    """Two processes may hold one job for a while: when a lease is lost unnoticed, or by way of two databases."""
    for part in path.parent.glob(f"{path.name}*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()


def load(path: Path, inputs: dict[str, Any], device: torch.device) -> dict[str, Any] | None:
    """The checkpoint's state, or None when there is none, it is damaged, or it was made from other inputs.

    inputs: what must be equal for a continuation to make sense (job key, data fingerprint, label hash).
    """
    try:
        # torch reads altered bytes without noticing; the archive's checksums do notice.
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception:  # a damaged file can fail anywhere on its way
        return None
    if not isinstance(state, dict) or state.get("format") != FORMAT or state.get("inputs") != inputs:
        return None
    return state


def remove(path: Path) -> None:
    """Deletes a checkpoint that is no longer needed."""
    with contextlib.suppress(OSError):
        path.unlink()
