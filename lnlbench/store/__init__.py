"""The store: every job, run, epoch and result in one SQL database, SQLite by default.

`open_store` is the door; the rest of the house talks to the `Store` it returns and to the plain rows named
here, never to SQLAlchemy. What a table looks like, and how a job is trained, are not this room's business.
"""

from lnlbench.store.errors import LeaseLost, StoreWarning
from lnlbench.store.exchange import ExchangeReport
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
from lnlbench.store.store import Store, open_store

__all__ = [
    "ArtifactView",
    "Claim",
    "EpochRow",
    "ExchangeReport",
    "FailureView",
    "JobView",
    "LeaseLost",
    "ResultRow",
    "ResultView",
    "RunProvenance",
    "RunView",
    "Store",
    "StoreWarning",
    "open_store",
]
