"""What is half words in docs/protocol.md: which cells its list of suspects means, and what the claims come to."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from protocol_published import CLASSES, FILE, Rows, cells

TEXTS = pd.read_csv(FILE, dtype=str, keep_default_na=False)

Chosen = dict[str, str | list[str]]

SUSPECTS: dict[tuple[str, str], Chosen] = {
    ("sanm-supp-table5", "SANM(DivideMix), CIFAR-10 0.2"): {"dataset": "cifar10", "rate": "0.2"},
    ("sanm-table1", "GCE, CIFAR-10"): {"method": "gce_contrastive", "dataset": "cifar10"},
    ("sanm-table2", "DivideMix, 0.2 and 0.4"): {"method": "dividemix"},
    ("sanm-table2", "Meta-Learning, 0.4"): {"method": "mlnt", "rate": "0.4"},
    ("sanm-table2", "C2D, 0.2"): {"method": "c2d", "rate": "0.2"},
    ("sanm-supp-table4", "CDR, CIFAR-100 0.5, best and last"): {"method": "cdr", "dataset": "cifar100", "rate": "0.5"},
    ("rfl-table1", "Bootstrap, asymmetric 0.4, best and last"): {
        "method": "bootstrap",
        "noise": "asymmetric",
        "rate": "0.4",
    },
    ("rfl-table1", "IMAE, asymmetric 0.4, best and last"): {"method": "imae", "noise": "asymmetric", "rate": "0.4"},
    ("rfl-table1", "Bootstrap, symmetric 0.2, best and last"): {
        "method": "bootstrap",
        "noise": "symmetric",
        "rate": "0.2",
    },
    ("rfl-table1", "Forward, asymmetric 0.4, last"): {
        "method": "forward",
        "noise": "asymmetric",
        "rate": "0.4",
        "stat": "last",
    },
    ("rfl-table1", "Joint-Optim, symmetric 0.8, best and last"): {
        "method": "joint_optim",
        "noise": "symmetric",
        "rate": "0.8",
    },
    ("rfl-table2", "Forward, symmetric"): {"method": "forward", "noise": "symmetric"},
    ("rfl-table2", "GCE, symmetric"): {"method": "gce", "noise": "symmetric"},
    ("rmw-table1", "BaseModel, CIFAR-10 uniform 0.6"): {
        "method": "ce",
        "dataset": "cifar10",
        "noise": "uniform",
        "rate": "0.6",
    },
    ("rmw-table1", "Fine-tuning, CIFAR-10 uniform 0.4"): {
        "method": "fine_tuning",
        "dataset": "cifar10",
        "noise": "uniform",
        "rate": "0.4",
    },
    ("rmw-table1", "Self-paced, CIFAR-10 flip2 0.4"): {
        "method": "self_paced",
        "dataset": "cifar10",
        "noise": "flip2",
        "rate": "0.4",
    },
    ("rmw-table3", "MNW-Net, CIFAR-10 flip2 0.2; flip 0.15, 0.3"): {
        "method": "mnwnet",
        "dataset": "cifar10",
        "rate": ["0.2", "0.15", "0.3"],
    },
    ("rmw-table3", "MNW-Net, CIFAR-100 flip2 0.2; flip 0.15, 0.3"): {
        "method": "mnwnet",
        "dataset": "cifar100",
        "rate": ["0.2", "0.15", "0.3"],
    },
}
"""The cells that each line of the page's list means."""


def suspect(table: str, where: Chosen) -> pd.DataFrame:
    """The lines of published.csv that a line of the list means."""
    found = TEXTS[TEXTS["table"] == table]
    for column, value in where.items():
        found = found[found[column].isin(value if isinstance(value, list) else [value])]
    return found


def printed(lines: pd.DataFrame) -> str:
    """Their numbers as the paper prints them."""
    means = (mean if not std else f"{mean}±{std}" for mean, std in zip(lines["mean"], lines["std"], strict=True))
    return " ".join(means)


def doubted() -> set[int]:
    """The lines of published.csv whose note doubts the number, but not those that doubt a citation."""
    note = TEXTS["note"]
    doubts = note.str.contains("suspected|unusual") & ~note.str.contains("citation")
    return set(TEXTS.index[doubts])


def claims() -> Rows:
    """What the tables say about each claim, in the page's order."""
    c100, c10 = {"dataset": "cifar100"}, {"dataset": "cifar10"}
    one = {"table": "sanm-table1"}
    flip30 = {"table": "rmw-table2", "noise": "flip", "rate": 0.3, **c10}
    rfl, parts = {"table": "rfl-table4"}, ("none", "rec", "bootstrap", "cluster")
    at_zero = {"table": "rmw-table1", "rate": 0}
    aucs = {"table": "rmw-table3"}
    above = _means(aucs, "rmnwnet") > _means(aucs, "mwnet")
    no_gold = {"table": "rmw-table1", "noise": "flip2", "rate": [0.2, 0.4]}
    rivals = [m for m in cells(**no_gold)["method"].unique() if m not in ("l2rw", "glc", "mwnet", "mnwnet", "rmnwnet")]
    robust = pd.concat([_means(no_gold, m) for m in ("mnwnet", "rmnwnet")], axis=1).max(axis=1)
    wins = sum((robust.to_numpy() > _means(no_gold, m).to_numpy()).all() for m in rivals)
    gains = [
        [_list(_gain({**one, **c100}, "sanm(c2d)", "c2d"), 1)],
        [_list(_gain({**one, "rate": 0.9}, "sanm(dividemix)", "dividemix"), 1)],
        [_holds(_gain(one, "sanm(dividemix)", "augdesc") > 0)],
        [_list(_gain({"table": "sanm-table3"}, "sanm(dividemix)", "dividemix"), 2)],
        [_list(_gain({"table": "sanm-table6", "rate": 0.8, **c100}, "sanm(ce)", "ce"), 1)],
        [_list(_gain(rfl, "rfl", "ce", upper="bootstrap+rec+cluster", lower="none"), 2)],
        [_list((_means({**rfl, "rate": 0.8, "variant": part}).item() for part in parts), 2)],
    ]
    drops = [
        [f"{_list(_drop(m, d), 1)}; relative {_list(_drop(m, d, relative=True), 1)}"]
        for m in ("mnwnet", "mwnet")
        for d in CLASSES
    ]
    rest = [
        [_holds(_gain(at_zero, "rmnwnet", "mwnet") > 0)],
        [" against ".join(f"{v:.2f}" for m in ("mnwnet", "mwnet") for v in _means(flip30, m))],
        [f"{wins} of {len(rivals)} rows"],
        [f"{above.sum()} of {len(above)}"],
    ]
    return gains + drops + rest


def _means(where: dict[str, object], method: str | None = None, **more: object) -> pd.Series:
    found = cells(**where, **more, **({"method": method} if method else {}))
    return found["mean"].reset_index(drop=True)


def _gain(where: dict[str, object], method: str, base: str, upper: str = "", lower: str = "") -> pd.Series:
    return _means(where, method, variant=upper) - _means(where, base, variant=lower)


def _drop(method: str, dataset: str, *, relative: bool = False) -> list[float]:
    """From uniform 0 % to 40 % and to 60 %."""
    clean, *noisy = _means({"table": "rmw-table1", "noise": "uniform", "dataset": dataset}, method)
    return [(clean - value) / (clean / 100 if relative else 1) for value in noisy]


def _list(values: Iterable[float], decimals: int) -> str:
    return " ".join(f"{v:.{decimals}f}" for v in values)


def _holds(yes: pd.Series) -> str:
    return f"{yes.sum()} of {len(yes)}"
