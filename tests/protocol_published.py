"""The published numbers for the checks of docs/protocol.md: cells by what they are of, and how papers are called."""

from __future__ import annotations

import pandas as pd

from lnlbench.report.reference import FILE

Rows = list[list[str]]
Where = dict[str, object]
PUBLISHED = pd.read_csv(FILE).fillna({"variant": "", "extra": "", "note": ""})
CLASSES = {"cifar10": 10, "cifar100": 100}
TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
PAPERS = {"sanm": "SANM", "sanm-supp": "SANM supp.", "rfl": "RFL", "rmw": "RMW"}


def cells(**where: object) -> pd.DataFrame:
    """The lines of published.csv whose columns have these values, or one of them."""
    found = PUBLISHED
    for column, value in where.items():
        found = found[found[column].isin(value if isinstance(value, list | tuple) else [value])]
    return found


def value(table: str, method: str, dataset: str, rate: float | None = None, **where: object) -> float:
    """The one mean of a cell."""
    found = cells(table=table, method=method, dataset=dataset, **({"rate": rate} if rate is not None else {}), **where)
    assert len(found) == 1, (table, method, dataset, rate, where, len(found))
    return float(found["mean"].iloc[0])
