"""What a suite file and a recipe file may say, as validated settings. Pure data: no file, no job.

A `Layout` is a suite at one scale: rows, columns, statistics, seeds, and which published table stands beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lnlbench.data.catalogue import dataset_info
from lnlbench.errors import InvalidSetting, unknown_name
from lnlbench.job import Noise, Recipe
from lnlbench.resolve import CLEAN_AT_ZERO, merge
from lnlbench.settings import Settings, setting

NOISES = (*CLEAN_AT_ZERO, "instance", "human", "matrix", "file", "real")
"""Every noise of `data.noise.catalogue`, which is not imported where nothing is drawn."""

Stat = Literal["best", "last", "last10", "valid", "auc", "last_auc"]


@dataclass(frozen=True)
class Row(Settings):
    """One row of the table: a method under the label that the paper prints.

    group: rows of one group stand together, a rule before the next. series, x: where the row stands in a figure of
    kind `lines`; a row may be a point of several series (mu = 0 is one of all). recipe_file: for tables that put
    results of two recipes together.
    """

    kind: ClassVar[str] = "row key"

    label: str = setting(doc="as printed")
    method: str = setting(doc="method expression: gce, sanm(dividemix)")
    set: dict[str, Any] = setting({}, "hyperparameters of this row")
    recipe: dict[str, Any] = setting({}, "recipe settings of this row, nested")
    recipe_file: str = setting("", "recipe file of this row in place of the suite's")
    published: dict[str, str] = setting({}, "where published.csv names the row otherwise: method, variant")
    group: str = setting("", "name of the block of rows it belongs to")
    series: tuple[str, ...] = setting((), "figures: names of the curves that the row is a point of")
    x: float | None = setting(None, "figures: its place on the axis")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_published(self.published, ("method", "variant"))


@dataclass(frozen=True)
class Columns(Settings):
    """Columns of one data set and one noise: one a rate, or a single one without."""

    kind: ClassVar[str] = "column key"

    dataset: str = setting(doc="data set, `lnlbench list datasets`")
    noise: str | dict[str, Any] = setting(doc="name of the noise, or its settings")
    rates: tuple[float, ...] = setting((), "noise rates", low=0, high=1)
    recipe: dict[str, Any] = setting({}, "recipe settings of these columns, nested")
    published: dict[str, Any] = setting({}, "where published.csv names the columns otherwise: dataset, noise, rate")

    def __post_init__(self) -> None:
        super().__post_init__()
        dataset_info(self.dataset)
        _check_published(self.published, ("dataset", "noise", "rate"))

    def noises(self, defaults: Mapping[str, Any]) -> tuple[Noise, ...]:
        """The noise of each column; `defaults` are the suite's. Raises UnknownName for a noise there is not."""
        own = {"name": self.noise} if isinstance(self.noise, str) else self.noise
        given = {**defaults, **own}
        if "name" not in own:
            raise InvalidSetting("column key 'noise' has no 'name'.", "Write noise: symmetric, or noise: {name: ...}.")
        if own["name"] not in NOISES:
            # Imported for the error's sake alone: it comes with numpy, which a table does without.
            from lnlbench.data.noise.catalogue import info

            info(str(own["name"]))
        return tuple(Noise.from_dict({**given, "rate": rate}) for rate in self.rates) or (Noise.from_dict(given),)


@dataclass(frozen=True)
class Figure(Settings):
    """A figure of a suite's own numbers.

    draw: `lines` draws the rows' series over x, a panel a column; `rates` each row over the noise rate, a panel a
    data set and noise; `bars` the rows side by side, a group a column; `gains` what each row adds to the row
    `baseline`, a group a column.
    """

    kind: ClassVar[str] = "figure key"

    draw: Literal["lines", "rates", "bars", "gains"] = setting(doc="lines, rates, bars or gains")
    title: str = setting("", "what it shows; empty: the suite's title")
    x_label: str = setting("", "lines: what stands on the axis")
    baseline: str = setting("", "gains: label of the row that the others are compared with")
    stat: Stat | None = setting(None, "statistic; empty: the suite's first")


@dataclass(frozen=True)
class Layout(Settings):
    """A suite at one scale."""

    kind: ClassVar[str] = "suite key"

    title: str = setting(doc="what the table shows, without a full stop")
    recipe: str = setting(doc="recipe file: a name, or a path from the suite's folder")
    columns: tuple[Columns, ...] = setting(doc="data sets, noises and rates")
    rows: tuple[Row, ...] = setting(doc="methods under their labels")
    paper: str = setting("", "key of the paper")
    source: str = setting("", "paper and table, for the caption")
    published: str | None = setting(None, "table of reference/published.csv")
    stats: tuple[Stat, ...] = setting(("best",), "statistics, one line of a row each")
    seeds: int | tuple[int, ...] = setting(3, "how many (1, 2, ...), or which", low=0)
    noise: dict[str, Any] = setting({}, "noise settings that all columns share")
    common_recipe: bool = setting(False, "one recipe for all rows, stronger than theirs and than what papers insist on")
    bold: Literal["column", "group"] = setting("column", "the best of each column, or of each group in a column")
    notes: tuple[str, ...] = setting((), "whole sentences to print below every report of it")
    figures: tuple[Figure, ...] = setting((), "figures of its numbers, for `lnlbench plot`")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("columns", "rows", "stats"):
            if not getattr(self, name):
                raise InvalidSetting(f"suite key {name!r} is empty.")
        if len(set(self.stats)) < len(self.stats):
            raise InvalidSetting(f"suite key 'stats': {', '.join(self.stats)} has one of them twice.")
        seed_list(self.seeds)
        for columns in self.columns:
            columns.noises(self.noise)
        labels = [row.label for row in self.rows]
        for figure in self.figures:
            if figure.draw == "gains" and figure.baseline not in labels:
                raise unknown_name("row, as the baseline of a figure,", figure.baseline, labels)


@dataclass(frozen=True)
class ScaleRecipe(Settings):
    """A recipe file at one scale."""

    kind: ClassVar[str] = "recipe file key"

    recipe: dict[str, Any] = setting({}, "fields of job.Recipe, nested")
    methods: dict[str, Any] = setting({}, "hyperparameters by method, also where it is a host")
    backbones: dict[str, Any] = setting({}, "by network, the recipe settings that go with it, nested")

    def __post_init__(self) -> None:
        super().__post_init__()
        Recipe.from_dict(merge(Recipe().to_dict(), self.recipe))
        for name, values in self.backbones.items():
            if not isinstance(values, Mapping):
                raise InvalidSetting(f"{name!r} under backbones: expected names with values, got {values!r}.")
            Recipe.from_dict(merge(Recipe().to_dict(), merge(self.recipe, values)))
        for slug, values in self.methods.items():
            if not isinstance(values, Mapping):
                raise InvalidSetting(f"{slug!r} under methods: expected names with values, got {values!r}.")


def seed_list(seeds: int | tuple[int, ...] | list[int]) -> tuple[int, ...]:
    """Seeds from their number (1 to n) or from a list of them. Raises InvalidSetting."""
    found = tuple(range(1, seeds + 1)) if isinstance(seeds, int) else tuple(seeds)
    if not found or len(set(found)) < len(found):
        raise InvalidSetting(f"seeds: {seeds!r} names no seed or one twice.", "Give their number, or distinct seeds.")
    return found


def _check_published(given: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    for name in given:
        if name not in allowed:
            raise InvalidSetting(f"key {name!r} under published.", f"Allowed: {', '.join(allowed)}.")
