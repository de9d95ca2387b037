"""Plans and results for the tests of tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_up import SUITE, Made, result
from made_up_figures import SUITE as FIGURES_SUITE

from lnlbench.suite import Plan, load_suite


@pytest.fixture
def suite_plan(tmp_path: Path) -> Callable[..., Plan]:
    """Plan of `SUITE` with some keys changed."""

    def made(scale: str = "paper", **changes: Any) -> Plan:
        path = tmp_path / "made_up.yaml"
        path.write_text(yaml.safe_dump({**SUITE, **changes}, sort_keys=False))
        return load_suite(path).plan(scale)

    return made


@pytest.fixture
def plan(suite_plan) -> Plan:
    """Plan of `SUITE` at paper scale."""
    return suite_plan()


@pytest.fixture
def full(plan) -> list[Made]:
    """A result for every job: best 90.2, 90.4, 90.6 in the first cell, a point less from row to row."""
    found = {}
    for i, cells in enumerate(plan.grid):
        for j, cell in enumerate(cells):
            for job in cell.jobs:
                value = 90 - i - 10 * j + job.seed / 5
                found[job.key] = result(job, value, best_auc=value / 100, last_auc=value / 200)
    return list(found.values())


@pytest.fixture
def plan_of(tmp_path: Path) -> Callable[..., Plan]:
    """Plan of the made-up suite of the figures with some keys changed."""

    def made(**changes: Any) -> Plan:
        path = tmp_path / "made-up.yaml"
        path.write_text(yaml.safe_dump({**FIGURES_SUITE, **changes}, sort_keys=False))
        return load_suite(path).plan("paper")

    return made
