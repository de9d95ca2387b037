"""Databases and jobs for the tests of the store; every test that takes `url` or `store` runs on each kind of database.

PostgreSQL takes part when $LNLBENCH_TEST_POSTGRES_URL is set; each test gets a schema of its own there.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from lnlbench.job import Job, Noise
from lnlbench.store import EpochRow, ResultRow, Store, open_store

POSTGRES = "LNLBENCH_TEST_POSTGRES_URL"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes URLs of new, empty databases of one kind."""
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{tmp_path / uuid.uuid4().hex}.sqlite"
        return
    if POSTGRES not in os.environ:
        pytest.skip(f"${POSTGRES} is not set")
    server = make_url(os.environ[POSTGRES]).set(drivername="postgresql+psycopg")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def new() -> str:
        name = f"lnlbench_{uuid.uuid4().hex}"
        with engine.connect() as connection:
            connection.execute(text(f"CREATE SCHEMA {name}"))
        made.append(name)
        url = server.update_query_dict({"options": f"-csearch_path={name}"})
        return url.render_as_string(hide_password=False)

    yield new
    with engine.connect() as connection:
        for name in made:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


@pytest.fixture
def other(new_url: Callable[[], str]) -> Iterator[Store]:
    """A second database of the same kind."""
    with open_store(new_url()) as opened:
        yield opened


@pytest.fixture
def jobs() -> Callable[..., list[Job]]:
    def make(number: int, **changes: object) -> list[Job]:
        settings = {"method": "gce", "noise": Noise(name="symmetric", rate=0.5), "scale": "smoke", **changes}
        return [Job(seed=seed, hyperparameters={"q": 0.7}, **settings) for seed in range(1, number + 1)]

    return make


@pytest.fixture
def result() -> ResultRow:
    return ResultRow(best=91.5, best_epoch=1, last=90.25, last10=90.5, epochs_done=3, best_auc=0.9, seconds=1.5)


@pytest.fixture
def do(result: ResultRow) -> Callable[..., str]:
    """Claims the store's next job, runs three epochs, ends it; returns the run's uid."""

    def run(store: Store, status: str = "done", worker: str = "w", keys: list[str] | None = None) -> str:
        claim = store.claim(keys, worker, 60, retry_limit=3)
        assert claim is not None
        store.record_epochs(claim.run_uid, [EpochRow(epoch, test_accuracy=90.0 + epoch) for epoch in range(3)])
        numbers = result if status in ("done", "diverged") else None
        trouble = ("out of memory", "Traceback ...") if status == "failed" else (None, None)
        store.finish(claim.run_uid, status, numbers, *trouble)
        return claim.run_uid

    return run
