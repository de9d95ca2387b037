"""A small suite with a row of every kind, and a way to write others."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lnlbench.suite import load_suite

SMALL = {
    "title": "A table",
    "recipe": "sanm-cifar",
    "seeds": 2,
    "columns": [
        {"dataset": "digits", "noise": "symmetric", "rates": [0.2, 0.5]},
        {"dataset": "cifar10", "noise": {"name": "asymmetric", "draw": "ours"}, "rates": [0.2]},
    ],
    "rows": [
        {"label": "CE", "method": "ce"},
        {"label": "DivideMix", "method": "dividemix", "set": {"T": 0.4}},
        {"label": "SANM(DivideMix)", "method": "SANM (DivideMix)", "set": {"host.T": 0.3}, "recipe": {"pad": 2}},
        {"label": "Unknown", "method": "sanm(no_such_host)"},
    ],
}


@pytest.fixture
def write(tmp_path):
    """Writes a suite file: changes to `SMALL`, or whole text."""

    def written(text: str | None = None, name: str = "mine.yaml", **changes: object) -> Path:
        path = tmp_path / name
        kept = {key: value for key, value in {**SMALL, **changes}.items() if value is not None}
        path.write_text(text if text is not None else yaml.safe_dump(kept, sort_keys=False))
        return path

    return written


@pytest.fixture
def small_text():
    """The text of the suite `SMALL`."""
    return yaml.safe_dump(SMALL, sort_keys=False)


@pytest.fixture
def small(write):
    """The suite `SMALL`."""
    return load_suite(write())
