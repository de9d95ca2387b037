"""Under what a run happens: versions, the code's commit, the host and the device. Facts for the store."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lnlbench

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "sqlalchemy")


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages whose numbers enter a result."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def git_state() -> tuple[str | None, bool | None]:
    """(commit, whether there are uncommitted changes) of the checkout lnlbench runs from; None for an installed one."""
    root = Path(lnlbench.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None, None

    def git(*args: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *args], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no", "--", "lnlbench")
    return commit, None if changes is None else bool(changes)


def host() -> str:
    """This machine's name."""
    return socket.gethostname()


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
