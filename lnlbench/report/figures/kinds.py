"""The kinds of figures: what each shows, what it needs, where the function is that draws it. Imports no matplotlib.

A kind's function takes a `Material` and returns drawings, or raises `NotDrawn` with the reason in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from lnlbench.errors import unknown_name

if TYPE_CHECKING:
    from lnlbench.report.figures.material import Drawing, Material

Draw = Callable[["Material"], "list[Drawing]"]


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    title, needs: for people. place: 'module:function' of its drawing function. of_results: whether it shows results,
    not what is known before any.
    """

    name: str
    title: str
    needs: str
    place: str
    of_results: bool = True

    def load(self) -> Draw:
        """The drawing function; its module, and matplotlib with it, is imported now."""
        module, _, function = self.place.partition(":")
        return cast(Draw, getattr(import_module(module), function))


_HERE = "lnlbench.report.figures"

_KINDS = (
    Kind("lines", "a statistic over a setting, a curve a series", "rows with `series` and `x`", f"{_HERE}.lines:lines"),
    Kind("gains", "gain over a baseline row", "a figure of the suite with a baseline", f"{_HERE}.gains:gains"),
    Kind("bars", "the table as grouped bars", "results", f"{_HERE}.bars:bars"),
    Kind("rates", "a statistic over the noise rate", "results at two noise rates", f"{_HERE}.lines:rates"),
    Kind("curves", "test accuracy by epoch", "epochs", f"{_HERE}.curves:curves"),
    Kind("auc-curves", "AUC of noisy-sample detection by epoch", "epochs", f"{_HERE}.curves:auc_curves"),
    Kind("memorisation", "wrong labels learned, by epoch", "epochs", f"{_HERE}.curves:memorisation"),
    Kind("scores", "clean scores of right and of wrong labels", "noisy runs", f"{_HERE}.scores:scores"),
    Kind("roc", "ROC curves of noisy-sample detection", "noisy runs", f"{_HERE}.scores:roc"),
    Kind("weights", "learned weight against loss", "meta-weighting", f"{_HERE}.weights:weights"),
    Kind("noise", "transition matrices of the noises", "no results", f"{_HERE}.noise:noise", of_results=False),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
"""Every kind of figure that is drawn from a suite, by name, in the order of drawing."""


def kind(name: str) -> Kind:
    """The kind of that name. Raises UnknownName."""
    if name not in KINDS:
        raise unknown_name("kind of figure", name, KINDS, "lnlbench plot --list")
    return KINDS[name]
