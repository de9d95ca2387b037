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

    title, needs: for people. place: 'module:function' of its drawing function, in this package.
    of_table: whether it draws the numbers of the suite's table, as `figures:` in a suite file asks for.
    of_results: False for what is known before any result.
    """

    name: str
    title: str
    needs: str
    place: str
    of_table: bool = False
    of_results: bool = True

    def load(self) -> Draw:
        """The drawing function; its module, and matplotlib with it, is imported now."""
        module, _, function = self.place.partition(":")
        return cast(Draw, getattr(import_module(f"{__package__}.{module}"), function))


_KINDS = (
    Kind("lines", "a curve a series over a setting", "rows with `series` and `x`", "lines:lines", of_table=True),
    Kind("gains", "gain over a baseline row", "a figure of the suite with one", "gains:gains", of_table=True),
    Kind("bars", "the table as grouped bars", "results", "bars:bars", of_table=True),
    Kind("rates", "a statistic over the noise rate", "results at two noise rates", "lines:rates", of_table=True),
    Kind("curves", "test accuracy by epoch", "results", "curves:curves"),
    Kind("auc-curves", "AUC of noisy-sample detection by epoch", "results", "curves:auc_curves"),
    Kind("memorisation", "wrong labels learned, by epoch", "results", "curves:memorisation"),
    Kind("scores", "clean scores of right and of wrong labels", "results under label noise", "scores:scores"),
    Kind("roc", "ROC curves of noisy-sample detection", "results under label noise", "scores:roc"),
    Kind("weights", "learned weight against loss", "results of meta-weighting", "weights:weights"),
    Kind("noise", "transition matrices of the noises", "nothing", "noise:noise", of_results=False),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
"""Every kind of figure that is drawn from a suite, by name, in the order of drawing."""


def kind(name: str) -> Kind:
    """The kind of that name. Raises UnknownName."""
    if name not in KINDS:
        raise unknown_name("kind of figure", name, KINDS, "lnlbench plot --list")
    return KINDS[name]
