"""Fixtures for all tests: where real data lies, and a small real job to train."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# No test is about time: a busy machine would fail those whose examples happen to take longer.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """One thread a test process: the numbers of a test must not depend on the machine's cores."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def cifar_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with CIFAR-10 in its standard layout: $LNLBENCH_DATA, or made from ../shared/data; else skip."""
    given = os.environ.get("LNLBENCH_DATA")
    for folder in [*([Path(given)] if given else []), ROOT.parent / "data"]:
        if (folder / "cifar-10-batches-py" / "test_batch").is_file():
            return folder
    maker = ROOT.parent / "shared" / "data" / "make_cifar10.py"
    if not maker.is_file():
        pytest.skip("no CIFAR-10: set LNLBENCH_DATA to a folder that holds cifar-10-batches-py")
    base = tmp_path_factory.getbasetemp()
    # The processes of pytest-xdist share one copy.
    made = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "cifar"
    with FileLock(f"{made}.lock"):
        if not (made / "made").exists():
            subprocess.run([sys.executable, str(maker), str(made)], check=True, capture_output=True)
            (made / "made").touch()
    return made


@pytest.fixture(scope="session")
def human_labels_dir() -> Path:
    """A folder with CIFAR-10_human.pt and CIFAR-100_human.pt, which are never in the repository; else skip."""
    given = os.environ.get("LNLBENCH_DATA")
    for folder in [*([Path(given)] if given else []), ROOT.parent / "data", ROOT.parent / "shared" / "data"]:
        if (folder / "CIFAR-10_human.pt").is_file():
            return folder
    pytest.skip("no CIFAR-N labels: set LNLBENCH_DATA to a folder that holds CIFAR-10_human.pt")
