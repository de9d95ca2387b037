"""A folder to run real commands in, and the numbers of a run that nothing happened to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_processes import Bench, run_of


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An empty folder to run commands in."""
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The numbers of `run_of("held", seeds=2)` when nothing happens to it."""
    made = Bench(tmp_path_factory.mktemp("undisturbed"))
    ended = made(*run_of("held", seeds=2))
    assert ended.code == 0, ended.err
    numbers = made.numbers()
    assert len(numbers) == 2
    return numbers
