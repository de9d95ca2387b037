"""The tables of docs/protocol.md about noise, computed from lnlbench's own noises at the rates that papers print."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from protocol_published import CLASSES, PAPERS, Rows, cells

from lnlbench.data.noise import CATALOGUE, redraw_matrix, share, transition_matrix
from lnlbench.data.noise.definitions import true_class_leads
from lnlbench.data.noise.targets import CIFAR100_COARSE
from lnlbench.job import Noise

# (paper, the name it prints, lnlbench's name)
NAMES = (
    ("sanm", "symmetric", "symmetric"),
    ("sanm", "asymmetric", "asymmetric"),
    ("rfl", "symmetric", "symmetric-exclusive"),
    ("rfl", "asymmetric", "pairflip"),
    ("rmw", "uniform", "uniform"),
    ("rmw", "flip", "flip"),
    ("rmw", "flip2", "flip2"),
)
LNLBENCH = {(paper, printed): name for paper, printed, name in NAMES}


def wrong(name: str, rate: float, dataset: str) -> float:
    """Expected share of wrong labels on balanced classes."""
    return float(share(Noise(name=name, rate=rate), np.ones(CLASSES[dataset]), dataset) or 0.0)


def numbers(values: Iterable[float], decimals: int | None = None) -> str:
    return " ".join(f"{v:g}" if decimals is None else f"{v:.{decimals}f}" for v in values)


def noise_names() -> Rows:
    rows = []
    for paper, printed, name in NAMES:
        own = cells(paper=paper, noise=printed, dataset=list(CLASSES), metric="accuracy")
        shares = []
        for dataset in CLASSES:
            rates = sorted(own[own["dataset"] == dataset]["rate"].unique())
            shares.append(numbers(round(wrong(name, rate, dataset), 4) for rate in rates) or "–")
        diagonal = redraw_matrix(Noise(name=name), 10, "cifar10").diagonal()
        included = "yes" if (diagonal > 0).all() else "no" if not diagonal.any() else "five classes stay"
        count = {"exact": "exact", "independent": "random"}[CATALOGUE[name].sampling]
        rows.append(
            [PAPERS[paper], printed, numbers(sorted(own["rate"].unique())), *shares, included, count, f"`{name}`"]
        )
    return rows


def rate_04() -> Rows:
    rows = []
    for name in ("symmetric", "uniform", "symmetric-exclusive", "asymmetric", "pairflip", "flip", "flip2"):
        matrix = transition_matrix(Noise(name=name, rate=0.4), 10, "cifar10")
        other = matrix - np.diag(matrix.diagonal())
        kept = " or ".join(f"{v:g}" for v in sorted(set(matrix.diagonal().round(4))))
        leads = [r for r in np.arange(1, 1000) / 1000 if _leads(name, r)]
        bound = "1" if len(leads) == 999 else f"{max(leads):.2g}"
        rows.append([f"`{name}`", kept, f"{other.max():.3g}", f"{wrong(name, 0.4, 'cifar10'):g}", bound])
    return rows


def _leads(name: str, rate: float) -> bool:
    return true_class_leads(transition_matrix(Noise(name=name, rate=float(rate)), 10, "cifar10"))


def conversion() -> Rows:
    return [
        [f"{r:g}", *(f"{r * c / (c - 1):.3f}" for c in CLASSES.values())]
        for r in sorted(cells(paper="rfl", noise="symmetric")["rate"].unique())
    ]


def superclasses() -> Rows:
    coarse = np.asarray(CIFAR100_COARSE)
    rows = []
    for name in ("superclass-next", "block-next", "hierarchical", "pairflip"):
        redraw = redraw_matrix(Noise(name=name), 100, "cifar100")
        inside = (redraw * (coarse[:, None] == coarse[None, :])).sum()
        rows.append([f"`{name}`", f"{inside:.0f} of 100", f"{wrong(name, 0.4, 'cifar100'):g}"])
    return rows


def spread() -> Rows:
    rows, n, r, c = [], 50_000, 0.5, 10
    for name in ("symmetric", "uniform", "symmetric-exclusive"):
        p = wrong(name, r, "cifar10")
        sd = np.sqrt(r * n * (c - 1)) / c if CATALOGUE[name].sampling == "exact" else np.sqrt(n * p * (1 - p))
        rows.append([f"`{name}`", f"{n * p:,.0f}", f"{sd:.0f}"])
    return rows
