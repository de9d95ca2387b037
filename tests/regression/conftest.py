"""A suite of four cells, and a database in which it has run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import baseline_of, plan_of, record, suite_file

from lnlbench.regression import Baseline, Check, check
from lnlbench.store import open_store
from lnlbench.suite import Plan


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Two methods at two noise rates, five seeds."""
    return plan_of(suite_file(tmp_path_factory.mktemp("suite")))


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, watched: Plan) -> Path:
    """A database in which all of it has run once; not to be written to."""
    path = tmp_path_factory.mktemp("ran") / "lnlbench.sqlite"
    record(path, watched.jobs)
    return path


@pytest.fixture
def db(tmp_path: Path, ran: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(ran, tmp_path / "lnlbench.sqlite"))


@pytest.fixture(scope="session")
def baseline(ran: Path, watched: Plan) -> Baseline:
    """The baseline of these runs."""
    return baseline_of(watched, ran)


@pytest.fixture
def checked(db: Path, watched: Plan, baseline: Baseline) -> Callable[..., Check]:
    """The check of what has run since, against `baseline`."""

    def found(plan: Plan = watched, known: Baseline = baseline, **options: Any) -> Check:
        with open_store(db, create=False) as store:
            return check(plan, known, store, **options)

    return found
