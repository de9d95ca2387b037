"""The tables of docs/protocol.md that are computed whole, from published.csv and lnlbench's own noises.

A table is a list of rows of texts, without its header. Nothing here reads the page.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
from protocol_noises import LNLBENCH, conversion, noise_names, rate_04, spread, superclasses, wrong
from protocol_published import CLASSES, PAPERS, PUBLISHED, TITLES, Rows, Where, cells, value

_DM: Where = {"table": "sanm-table1", "method": "dividemix"}
_SANM: Where = {"table": "sanm-table1", "method": "sanm(dividemix)"}


def statistics() -> dict[str, str]:
    """By table what it prints."""
    kinds = {}
    for table, own in PUBLISHED.groupby("table", sort=False):
        stats, inferred = set(own["stat"]), own["extra"].str.contains("stat-inferred").any()
        kinds[str(table)] = (
            "no epoch named" if stats == {"final"} else " and ".join(sorted(stats)) + (", inferred" if inferred else "")
        )
    return kinds


def backbones() -> dict[str, str]:
    """By table the backbones that its paper states."""
    return {str(table): ", ".join(dict.fromkeys(own)) for table, own in PUBLISHED.groupby("table")["backbone"]}


def _best_and_last(table: str) -> pd.DataFrame:
    return cells(table=table).pivot_table(
        index=["method", "variant"], columns=["stat", "dataset", "noise", "rate"], values="mean", sort=False
    )


def _gaps(table: str, columns: list[tuple[str, str, float]], decimals: int) -> dict[tuple[str, str], list[str]]:
    pivot = _best_and_last(table)
    gap = pivot["best"] - pivot["last"]
    return {(m, v): [f"{gap.loc[(m, v), c]:.{decimals}f}" for c in columns] for m, v in pivot.index}


def _swaps(table: str, columns: list[tuple[str, str, float]]) -> list[str]:
    """Pairs of rows that best and last put in opposite order."""
    pivot = _best_and_last(table)
    found = []
    for column in columns:
        best, last = pivot["best"][column].to_numpy(), pivot["last"][column].to_numpy()
        found.append(str(sum((best[i] - best[j]) * (last[i] - last[j]) < 0 for i, j in combinations(range(8), 2))))
    return found


def gap_sanm() -> Rows:
    columns = [(d, "symmetric", r) for d in CLASSES for r in (0.2, 0.5, 0.8, 0.9)]
    four, five = _gaps("sanm-supp-table4", columns, 1), _gaps("sanm-table5", columns, 1)
    labels = {"ce": "CE", "coteaching": "Co-teaching", "cdr": "CDR", "elr_plus": "ELR+"}
    rows = [[label, *four[slug, ""]] for slug, label in labels.items()]
    rows.append(["DivideMix", *five["sanm(dividemix)", "none"]])
    rows += [[f"SANM({label})", *four[f"sanm({slug})", ""]] for slug, label in labels.items()]
    rows.append(["SANM(DivideMix)", *five["sanm(dividemix)", "amg+nlr+smr"]])
    return [*rows, ["pairs in another order, of 28", *_swaps("sanm-supp-table4", columns)]]


def gap_rfl() -> Rows:
    rates = [("clean", 0.0), *(("symmetric", r) for r in (0.2, 0.4, 0.6, 0.8))]
    columns = [("cifar10", n, r) for n, r in [*rates, *(("asymmetric", r) for r in (0.1, 0.2, 0.3, 0.4))]]
    own = _gaps("rfl-table1", columns, 2)
    labels = ("CE", "Forward", "GCE", "Bootstrap", "IMAE", "SL", "Joint-Optim", "RFL")
    rows = [[label, *gaps] for label, gaps in zip(labels, own.values(), strict=True)]
    return [*rows, ["pairs in another order, of 28", *_swaps("rfl-table1", columns)]]


def stds() -> Rows:
    return [[name, *map(str, cells(paper=paper)[["mean", "std"]].count())] for paper, name in PAPERS.items()]


def divisors() -> Rows:
    return [[str(n), f"{np.sqrt(n / (n - 1)):.3f}"] for n in (2, 3, 5, 10)]


def same_algorithm() -> Rows:
    rows = []
    for dataset in CLASSES:
        for noise in ("uniform", "flip2"):
            where = {"table": "rmw-table1", "dataset": dataset, "noise": noise, "rate": 0}
            both = [cells(method=method, **where).iloc[0] for method in ("mwnet", "mnwnet")]
            (one, other), spreads = (cell["mean"] for cell in both), [cell["std"] for cell in both]
            name = f"{TITLES[dataset]}, {both[0]['backbone']}"
            rows.append([name, f"{one:.2f}", f"{other:.2f}", f"{abs(one - other):.2f}", f"{max(spreads):.2f}"])
    return rows


def margins() -> Rows:
    c1m, a20 = ("sanm-table3", "clothing1m"), {"noise": "asymmetric"}
    ours = value("sanm-table3", "sanm(dividemix)", "clothing1m")
    whole, without = (
        cells(table="sanm-table5", variant=v, stat="best")["mean"].to_numpy() for v in ("amg+nlr+smr", "amg+nlr")
    )
    found = (
        ("SANM over AugDesc, Clothing1M", ours - value(c1m[0], "augdesc", c1m[1])),
        ("SANM over DivideMix, Clothing1M", ours - value(c1m[0], "dividemix", c1m[1])),
        (
            "SANM over Sel-CL+, asymmetric 0.2",
            value("sanm-table2", "sanm(dividemix)", "cifar10", 0.2, **a20)
            - value("sanm-table2", "sel_cl_plus", "cifar10", 0.2, **a20),
        ),
        (
            "RFL over PENCIL, Clothing1M",
            value("rfl-table3", "rfl", "clothing1m") - value("rfl-table3", "pencil", "clothing1m"),
        ),
        ("SANM's part SMR, largest of 8 cells", np.abs(whole - without).max()),
    )
    return [[label, f"{margin:.2f}"] for label, margin in found]


_REPEATED: tuple[tuple[str, Where, str, Where], ...] = (
    ("sanm-table5, no part, best", {"table": "sanm-table5", "variant": "none", "stat": "best"}, "DivideMix", _DM),
    (
        "sanm-table5, all parts, best",
        {"table": "sanm-table5", "variant": "amg+nlr+smr", "stat": "best"},
        "SANM(DivideMix)",
        _SANM,
    ),
    (
        "sanm-table4, SANM on DivideMix",
        {"table": "sanm-table4", "variant": "", "method": "sanm(dividemix)"},
        "SANM(DivideMix)",
        _SANM,
    ),
    (
        "sanm-table4, SANM on C2D",
        {"table": "sanm-table4", "variant": "", "method": "sanm(c2d)"},
        "SANM(C2D)",
        {"table": "sanm-table1", "method": "sanm(c2d)"},
    ),
    (
        "sanm-supp-table1 and 2, uniform(0.8)",
        {"table": ["sanm-supp-table1", "sanm-supp-table2"], "variant": "uniform(0.8)"},
        "SANM(DivideMix)",
        _SANM,
    ),
    ("sanm-supp-table5, rounded", {"table": "sanm-supp-table5"}, "SANM(DivideMix)", _SANM),
    (
        "sanm-table6, CE",
        {"table": "sanm-table6", "method": "ce"},
        "CE",
        {"table": "sanm-table1", "method": "ce"},
    ),
    ("sanm-supp-table4, best", {"table": "sanm-supp-table4", "stat": "best"}, "", {"table": "sanm-table6"}),
    (
        "rmw-table2, 0%",
        {"table": "rmw-table2", "rate": 0},
        "uniform 0%",
        {"table": "rmw-table1", "noise": "uniform", "rate": 0},
    ),
    (
        "rfl-table4, no part",
        {"table": "rfl-table4", "variant": "none"},
        "CE, best",
        {"table": "rfl-table1", "method": "ce", "stat": "best"},
    ),
    (
        "rfl-table4, all parts",
        {"table": "rfl-table4", "variant": "bootstrap+rec+cluster"},
        "RFL, best",
        {"table": "rfl-table1", "method": "rfl", "stat": "best"},
    ),
)


def same_cells() -> Rows:
    """Rows that print another's runs, with the number of cells that agree."""
    rows = []
    for name, where, label, original in _REPEATED:
        left, right = cells(**where), cells(**original)
        on = ["dataset", "rate", *(["method"] if left["method"].nunique() > 1 else [])]
        both = left.merge(right, on=on)
        assert len(both) == len(left), name
        # Table 1 prints one decimal of what its supplement prints with two.
        equal = ((both["mean_x"] - both["mean_y"]).abs() < 0.0501).sum()
        table = str(original["table"])
        rows.append([name, f"{table}, {label}" if label else table, f"{equal} of {len(both)}"])
    return rows


def clothing() -> Rows:
    pivot = cells(dataset="clothing1m").pivot_table(index="method", columns="paper", values="mean", sort=False).dropna()
    labels = {"ce": "CE", "forward": "Forward", "joint_optim": "Joint-Optim", "pencil": "PENCIL"}
    assert set(pivot.index) == set(labels)
    pivot["difference"] = pivot["sanm"] - pivot["rfl"]
    found = ((label, pivot.loc[slug, ["sanm", "rfl", "difference"]]) for slug, label in labels.items())
    return [[label, *(f"{value:.2f}".replace("-", "−") for value in values)] for label, values in found]


def cross_entropy() -> Rows:
    """CE on CIFAR-10 under noises that spread labels evenly, by the true share of wrong labels."""
    own = cells(method="ce", dataset="cifar10", noise=["symmetric", "uniform"])
    own = own[own["table"].isin(["sanm-supp-table4", "rfl-table1", "rmw-table1"])].copy()
    own["paper"] = own["paper"].replace("sanm-supp", "sanm")
    found = []
    for (paper, noise, rate), cell in own[own["rate"] > 0].groupby(["paper", "noise", "rate"]):
        name = LNLBENCH[str(paper), str(noise)]
        by = cell.set_index("stat")["mean"].to_dict()
        printed = f"{PAPERS[str(paper)]} {noise} {rate:g}"
        stats = [f"{by[stat]:g}" if stat in by else "" for stat in ("best", "last", "final")]
        found.append([f"{wrong(name, rate, 'cifar10'):.2f}", printed, cell["backbone"].iloc[0], *stats])
    return sorted(found, key=lambda row: float(row[0]))


def auc() -> Rows:
    rows = []
    for method, label in (("mwnet", "MW-Net*"), ("mnwnet", "MNW-Net"), ("rmnwnet", "RMNW-Net")):
        means = cells(table="rmw-table3", method=method)["mean"]
        rows.append([label, f"{means.min():.4f}", f"{means.max():.4f}", f"{(means < 0.5).sum()} of {len(means)}"])
    return rows


COMPUTED: dict[str, Callable[[], Rows]] = {
    "noise-names": noise_names,
    "rate-0.4": rate_04,
    "conversion": conversion,
    "superclasses": superclasses,
    "spread": spread,
    "gap-sanm": gap_sanm,
    "gap-rfl": gap_rfl,
    "stds": stds,
    "divisors": divisors,
    "same-algorithm": same_algorithm,
    "margins": margins,
    "same-cells": same_cells,
    "clothing": clothing,
    "cross-entropy": cross_entropy,
    "auc": auc,
}
"""Tables whose every cell is computed, but for columns of words at their end."""
