"""The store: every job, run, epoch and result in one SQL database, SQLite by default.

`open_store` is the door; the rest of the house talks to the `Store` it returns and to the plain rows named
here, never to SQLAlchemy. What a table looks like, and how a job is trained, are not this room's business.
"""

from typing import TYPE_CHECKING

from lnlbench.store.glance import Glance, glance_at
from lnlbench.store.rows import (
    ArtifactView,
    Claim,
    EpochRow,
    FailureView,
    JobView,
    ResultRow,
    ResultView,
    RunProvenance,
    RunView,
)

if TYPE_CHECKING:
    from lnlbench.store.errors import LeaseLost, StoreWarning
    from lnlbench.store.exchange import ExchangeReport
    from lnlbench.store.store import Store, open_store

__all__ = [
    "ArtifactView",
    "Claim",
    "EpochRow",
    "ExchangeReport",
    "FailureView",
    "Glance",
    "JobView",
    "LeaseLost",
    "ResultRow",
    "ResultView",
    "RunProvenance",
    "RunView",
    "Store",
    "StoreWarning",
    "glance_at",
    "open_store",
]

_WITH_SQLALCHEMY = {
    "ExchangeReport": "exchange",
    "LeaseLost": "errors",
    "Store": "store",
    "StoreWarning": "errors",
    "open_store": "store",
}


def __getattr__(name: str) -> object:
    """What needs SQLAlchemy is imported when it is first asked for: a glance does without."""
    if name not in _WITH_SQLALCHEMY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_WITH_SQLALCHEMY[name]}"), name)
