"""A made-up suite and made-up results for the tests of tables: nothing is trained."""

from __future__ import annotations

from typing import Any, NamedTuple

from lnlbench.job import Job


class Made(NamedTuple):
    """A result as the store returns it, as far as a table reads it."""

    key: str
    status: str = "done"
    best: float | None = None
    last: float | None = None
    last10: float | None = None
    valid_pick: float | None = None
    best_auc: float | None = None
    last_auc: float | None = None
    data_fingerprint: str | None = "f" * 64
    data_canonical: bool | None = True
    data_note: str | None = None


SUITE = {
    "title": "Accuracy (%) of 3_methods & more",
    "source": "Paper #1, Table 1",
    "published": "sanm-table1",
    "recipe": "sanm-cifar",
    "seeds": 3,
    "noise": {"draw": "released"},
    "columns": [
        {"dataset": "cifar10", "noise": "symmetric", "rates": [0.2, 0.5]},
        {"dataset": "digits", "noise": {"name": "clean", "draw": "ours"}},
    ],
    "rows": [
        {"label": "Cross-Entropy (CE)", "method": "ce"},
        {"label": "Co-teaching", "method": "coteaching"},
        {"label": "DivideMix", "method": "dividemix"},
        {"label": "Not here", "method": "no_such_method"},
    ],
}


def result(job: Job, value: float | None = None, **changes: Any) -> Made:
    """A finished run with `value` as its best accuracy, one less as its last."""
    last = None if value is None else value - 1
    return Made(job.key, **{"best": value, "last": last, **changes})
