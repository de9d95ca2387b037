"""Rows of the store as a pandas data frame: the columns of `lnlbench.results`, their types, and settings as columns.

Which rows, `notebook.py` decides. pandas is imported when a frame is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = {"key": "string", "run_uid": "string"}
CELL = {"group": "category", "row": "category", "column": "category"}
PUBLISHED = dict.fromkeys(("published_best", "published_last", "published_final", "published_auc"), "float64")
JOB = {
    "method": "category",
    "dataset": "category",
    "noise": "category",
    "noise_label": "category",
    "rate": "float64",
    "seed": "Int64",
    "scale": "category",
    "status": "category",
}
NUMBERS = {
    "best": "float64",
    "best_epoch": "Int64",
    "last": "float64",
    "last10": "float64",
    "valid": "float64",
    "auc": "float64",
    "last_auc": "float64",
}
PROVENANCE = {
    "epochs": "Int64",
    "seconds": "float64",
    "images_per_second": "float64",
    "device": "category",
    "device_name": "category",
    "precision": "category",
    "commit": "category",
    "dirty": "boolean",
    "version": "category",
    "data_fingerprint": "category",
    "data_canonical": "boolean",
    "noise_share": "float64",
    "started": "datetime64[ns, UTC]",
    "ended": "datetime64[ns, UTC]",
}
EPOCH = {
    "epoch": "Int64",
    "stage": "category",
    "test_accuracy": "float64",
    "clean_auc": "float64",
    "select_precision": "float64",
    "select_recall": "float64",
    "corrected_accuracy": "float64",
    "memorisation": "float64",
    "loss": "float64",
    "images_per_second": "float64",
    "peak_memory_mb": "float64",
    "lr": "float64",
    "seconds": "float64",
    "counts": "boolean",
}
RUN = {"id": "int64", **IDENTITY, **JOB, **NUMBERS, **PROVENANCE}
"""Names and types of `tidy.RUN_COLUMNS`, in their order."""


def run_frame(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """A row a run, from `tidy.finished_runs`; columns `RUN`."""
    return _typed(rows, RUN)


def epoch_frame(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """A row an epoch, from `tidy.epochs_of_runs`: `id` of the run, `EPOCH`, and `extra.NAME` for what a method adds."""
    frame = _typed(rows, {"id": "int64", **EPOCH, "extra": "object"})
    texts = frame.pop("extra").dropna()
    extras = {index: json.loads(text) for index, text in texts.items()}
    return frame.join(settings_frame(extras, "extra."))


def settings_frame(settings: Mapping[Any, Mapping[str, Any]], prefix: str) -> pd.DataFrame:
    """Settings as columns `prefix`NAME under the index of their owners, in the order of names; nested ones dotted.

    A column is boolean, Int64, float64 or category where all its values are such; lists become tuples, so that rows
    can be grouped by them. What an owner does not have is missing.
    """
    import pandas as pd

    flat = [_flat(own) for own in settings.values()]
    names = sorted({name for own in flat for name in own})
    columns = {prefix + name: _column([own.get(name) for own in flat]) for name in names}
    return pd.DataFrame(columns, index=pd.Index(list(settings)))


def _flat(settings: Mapping[str, Any], parent: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{parent}{name}.") if isinstance(value, Mapping) else {parent + name: value}
    return found


def _typed(rows: Sequence[tuple[Any, ...]], types: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(types))
    for name, dtype in types.items():
        if dtype.startswith("datetime"):
            # SQLite keeps times as text; a fraction of zero seconds may be left out in it.
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame.astype(dict(types))


def _column(values: Sequence[Any]) -> Any:
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        dtype = "boolean"
    elif kinds == {int}:
        dtype = "Int64"
    elif kinds and kinds <= {int, float}:
        dtype = "float64"
    elif kinds == {str}:
        dtype = "category"
    else:
        dtype = "object"
    return pd.Series([tuple(v) if isinstance(v, list) else v for v in values], dtype=dtype).array
