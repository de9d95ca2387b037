"""From a layout to its jobs: the grid of rows and columns, filtered, every cell with one job a seed.

Pure data; nothing is run, read or stored. Which job a cell is, `resolve.py` decides.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lnlbench.errors import InvalidSetting, LnlbenchError, UnknownName, unknown_name
from lnlbench.job import Job, Noise, Optimizer, Recipe, Scale, Schedule
from lnlbench.methods import registry
from lnlbench.methods.registry import Expression
from lnlbench.resolve import canonical_noise, merge, needs, resolve_job, split_settings, with_required
from lnlbench.suite.layout import Layout, Row, ScaleRecipe, Stat, seed_list

Values = Mapping[str, Any]


@dataclass(frozen=True)
class PlannedRow:
    """A row. needs: what its method needs beyond noisy labels. implemented: whether lnlbench has the method.

    group, series, x: as in `layout.Row`.
    """

    label: str
    method: str
    needs: tuple[str, ...]
    implemented: bool
    published: Values = field(default_factory=dict)
    group: str = ""
    series: tuple[str, ...] = ()
    x: float | None = None


@dataclass(frozen=True)
class PlannedColumn:
    """A column: a data set under a noise."""

    dataset: str
    noise: Noise
    published: Values = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedCell:
    """A cell with its jobs in the order of the seeds; none where the method is not implemented."""

    row: PlannedRow
    column: PlannedColumn
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Plan:
    """Everything a table is made of but the results. grid: rows of cells, in the order of `rows` and `columns`."""

    name: str
    layout: Layout
    scale: Scale
    seeds: tuple[int, ...]
    grid: tuple[tuple[PlannedCell, ...], ...]

    @property
    def title(self) -> str:
        """What the table shows."""
        return self.layout.title

    @property
    def stats(self) -> tuple[Stat, ...]:
        """The statistics, one line of a row each."""
        return self.layout.stats

    @property
    def rows(self) -> tuple[PlannedRow, ...]:
        """The rows from top to bottom."""
        return tuple(cells[0].row for cells in self.grid)

    @property
    def columns(self) -> tuple[PlannedColumn, ...]:
        """The columns from left to right."""
        return tuple(cell.column for cell in self.grid[0])

    @property
    def cells(self) -> tuple[PlannedCell, ...]:
        """All cells, row by row."""
        return tuple(cell for cells in self.grid for cell in cells)

    @property
    def missing_rows(self) -> tuple[PlannedRow, ...]:
        """Rows whose method lnlbench does not have."""
        return tuple(row for row in self.rows if not row.implemented)

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """Every job once: the first seed of all cells, then the second, so that a partial run fills the table."""
        ordered = (cell.jobs[i] for i in range(len(self.seeds)) for cell in self.cells if cell.jobs)
        return tuple({job.key: job for job in ordered}.values())

    @cached_property
    def work(self) -> tuple[Job, ...]:
        """The jobs, each after those whose networks it starts from, which may be in no cell."""
        return tuple(with_required(self.jobs))

    def check(self) -> None:
        """Whether every noise can be drawn on its data set and every network is there, before anything starts.

        Imports numpy. Raises UnknownName for a noise or network there is not, InvalidSetting for noise settings that
        do not fit.
        """
        from lnlbench.data.catalogue import dataset_info
        from lnlbench.data.noise.checks import check_noise
        from lnlbench.networks.catalogue import BACKBONES

        for column in self.columns:
            check_noise(column.noise, column.dataset, dataset_info(column.dataset).classes)
        for name in sorted({job.recipe.backbone for job in self.work} - BACKBONES.keys()):
            raise unknown_name("backbone", name, BACKBONES, "lnlbench list backbones")


@dataclass(frozen=True)
class Selection:
    """Which part of a suite; an empty filter keeps all.

    methods: expressions or slugs; one that the suite lacks but lnlbench has becomes a row of its own.
    also: methods to put below the suite's rows.
    """

    methods: Collection[str] = ()
    also: Collection[str] = ()
    datasets: Collection[str] = ()
    noises: Collection[str] = ()
    rates: Collection[float] = ()


def make_plan(
    name: str,
    layout: Layout,
    recipes: Mapping[str, ScaleRecipe],
    scale: Scale,
    selection: Selection,
    seeds: int | Sequence[int] | None = None,
    settings: Values | None = None,
) -> Plan:
    """Expands a layout.

    recipes: by the rows' `recipe_file`, the suite's own under ''. settings: the command line's, each for the rows
    that know it.
    Raises UnknownName for a filter or a setting that fits nothing, InvalidSetting for a bad value.
    """
    expressions = _Expressions()
    rows = _chosen_rows(layout, selection, expressions)
    columns = _chosen_columns(layout, selection)
    known = [expressions[row.method] for row in rows if row.method in expressions]
    _check_settings(settings or {}, known)
    chosen = seed_list(layout.seeds if seeds is None else seeds if isinstance(seeds, int) else tuple(seeds))
    expansion = _Expansion(name, recipes, layout.common_recipe, scale, chosen, settings or {})
    grid = []
    for row in rows:
        expression = expressions.get(row.method)
        planned = _planned(row, expression)
        jobs = (() if expression is None else expansion.jobs(row, expression, *column) for column in columns)
        grid.append(tuple(PlannedCell(planned, column, own) for (column, _), own in zip(columns, jobs, strict=True)))
    return Plan(name, layout, scale, chosen, tuple(grid))


def count_jobs(layout: Layout) -> int:
    """Number of jobs without resolving any: rows that differ only by spelling out a default count twice."""
    expressions = _Expressions()
    columns = {
        repr((group.dataset, canonical_noise(noise, group.dataset), group.recipe))
        for group in layout.columns
        for noise in group.noises(layout.noise)
    }
    rows = {repr(_what_a_row_sets(row)) for row in layout.rows if row.method in expressions}
    return len(rows) * len(columns) * len(seed_list(layout.seeds))


def count_rows(layout: Layout) -> int:
    """Number of rows whose method lnlbench has."""
    expressions = _Expressions()
    return sum(row.method in expressions for row in layout.rows)


def _what_a_row_sets(row: Row) -> tuple[Any, ...]:
    return normal(row.method), sorted(row.set.items()), row.recipe, row.recipe_file


def normal(method: str) -> str:
    """A method expression as it is compared: lower case, no spaces."""
    return method.replace(" ", "").lower()


def title_of(expression: Expression) -> str:
    """The printed name of an expression, `SANM(DivideMix)`."""
    title = registry.spec(expression.slug).title
    return f"{title}({title_of(expression.host)})" if expression.host else title


class _Expressions:
    """The expressions of a plan by their text; those with a method that lnlbench lacks are absent."""

    def __init__(self) -> None:
        self._names = set(registry.names())
        self._parsed: dict[str, Expression] = {}

    def get(self, method: str) -> Expression | None:
        text = normal(method)
        slugs = re.findall(r"[a-z0-9_]+", text)
        if text not in self._parsed and self._names.issuperset(slugs):
            try:
                self._parsed[text] = registry.parse(text)
            except InvalidSetting:
                # A host that its plug-in has no part to play in yet: a row of dashes.
                if [registry.spec(slug).plugin for slug in slugs] != [True, False]:
                    raise
        return self._parsed.get(text)

    def __contains__(self, method: str) -> bool:
        return self.get(method) is not None

    def __getitem__(self, method: str) -> Expression:
        return self._parsed[normal(method)]

    @property
    def names(self) -> set[str]:
        return self._names


def _chosen_rows(layout: Layout, selection: Selection, expressions: _Expressions) -> list[Row]:
    rows = list(layout.rows)
    if selection.methods:
        wanted = {normal(method) for method in selection.methods}
        rows = [row for row in layout.rows if wanted & _answers_to(row.method)]
        for method in selection.methods:
            if not any(normal(method) in _answers_to(row.method) for row in layout.rows):
                rows.append(_new_row(method, layout, expressions))
    for method in selection.also:
        if not any(normal(method) == normal(row.method) for row in rows):
            rows.append(_new_row(method, layout, expressions))
    return rows


def _answers_to(method: str) -> set[str]:
    return {normal(method), normal(method).partition("(")[0]}


def _new_row(method: str, layout: Layout, expressions: _Expressions) -> Row:
    expression = expressions.get(method)
    if expression is None and expressions.names.issuperset(re.findall(r"[a-z0-9_]+", normal(method))):
        expression = registry.parse(method)  # says which hosts there are
    if expression is None:
        allowed = {normal(row.method) for row in layout.rows} | expressions.names
        raise unknown_name("method", method, allowed, "lnlbench list methods")
    title = title_of(expression)
    taken = any(row.label == title for row in layout.rows)
    return Row(label=f"{title} ({expression})" if taken else title, method=str(expression))


def _chosen_columns(layout: Layout, selection: Selection) -> list[tuple[PlannedColumn, Values]]:
    columns: list[tuple[PlannedColumn, Values]] = [
        (PlannedColumn(group.dataset, noise, group.published), group.recipe)
        for group in layout.columns
        for noise in group.noises(layout.noise)
    ]
    datasets = {column.dataset for column, _ in columns}
    noises = {column.noise.name for column, _ in columns}
    rates = {column.noise.rate for column, _ in columns if column.noise.rate is not None}
    _check_filter("data set of this suite", selection.datasets, datasets)
    _check_filter("noise of this suite", selection.noises, noises)
    for rate in selection.rates:
        if not _near(rate, rates):
            raise UnknownName(
                f"no column has the noise rate {rate:g}.", f"Choose from: {', '.join(f'{r:g}' for r in sorted(rates))}."
            )
    kept = [
        (column, extra)
        for column, extra in columns
        if (not selection.datasets or column.dataset in selection.datasets)
        and (not selection.noises or column.noise.name in selection.noises)
        and (not selection.rates or _near(column.noise.rate, selection.rates))
    ]
    if not kept:
        there = ", ".join(f"{column.dataset} {column.noise.label()}" for column, _ in columns)
        raise UnknownName("no column fits all filters at once.", f"The columns: {there}.")
    return kept


def _check_filter(kind: str, wanted: Collection[str], there: Collection[str]) -> None:
    for name in wanted:
        if name not in there:
            raise unknown_name(kind, name, there)


def _near(rate: float | None, rates: Collection[float]) -> bool:
    return rate is not None and any(math.isclose(rate, other, abs_tol=1e-9) for other in rates)


def _check_settings(settings: Values, expressions: Sequence[Expression]) -> None:
    """A setting must be known to one row at least."""
    for name in settings:
        if expressions and not any(_knows(expression, name) for expression in expressions):
            slugs = {slug for expression in expressions for slug in expression.slugs}
            allowed = {n for slug in slugs for n in registry.spec(slug).hyperparameters.names()} | set(_recipe_names())
            shown = f"lnlbench show method {min(slugs)}" if len(slugs) == 1 else "lnlbench show method NAME"
            raise unknown_name("setting", name, allowed, shown)


def _recipe_names() -> Iterator[str]:
    yield from Recipe.names()
    yield from ("lr", "momentum", "weight_decay")
    yield from (f"optimizer.{name}" for name in Optimizer.names())
    yield from (f"schedule.{name}" for name in Schedule.names())


def _knows(expression: Expression, name: str) -> bool:
    try:
        split_settings(expression, {name: None})
    except UnknownName:
        return False
    return True


def _planned(row: Row, expression: Expression | None) -> PlannedRow:
    there = expression is not None
    return PlannedRow(
        label=row.label,
        method=str(expression) if there else normal(row.method),
        needs=needs(expression) if expression is not None else (),
        implemented=there,
        published=row.published,
        group=row.group,
        series=row.series,
        x=row.x,
    )


@dataclass(frozen=True)
class _Expansion:
    """What all cells of a plan share."""

    name: str
    recipes: Mapping[str, ScaleRecipe]
    common: bool
    scale: Scale
    seeds: tuple[int, ...]
    settings: Values

    def jobs(self, row: Row, expression: Expression, column: PlannedColumn, column_recipe: Values) -> tuple[Job, ...]:
        """The jobs of a cell. Only the seed differs between them, so one is resolved."""
        known = {name: value for name, value in self.settings.items() if _knows(expression, name)}
        hyper, recipe_settings = split_settings(expression, known)
        file = self.recipes["" if self.common else row.recipe_file]
        over = merge(merge(column_recipe, row.recipe), recipe_settings)
        base = merge(file.recipe, file.backbones.get(str(merge(file.recipe, over).get("backbone")), {}))
        try:
            first = resolve_job(
                str(expression),
                column.dataset,
                column.noise,
                self.seeds[0],
                scale=self.scale,
                recipe=base,
                overrides=[_of_methods(file, expression), row.set, hyper],
                recipe_overrides=merge(merge(Recipe().to_dict(), base), over) if self.common else over,
            )
        except LnlbenchError as error:
            raise type(error)(f"{self.name}, row {row.label!r}: {error.message}", error.hint) from None
        return (first, *(dataclasses.replace(first, seed=seed) for seed in self.seeds[1:]))


def _of_methods(recipe: ScaleRecipe, expression: Expression) -> dict[str, Any]:
    """The recipe file's hyperparameters for every method of an expression, a host's under `host.`."""
    found: dict[str, Any] = {}
    for depth, slug in enumerate(expression.slugs):
        prefix = "host." * depth
        found.update({prefix + name: value for name, value in recipe.methods.get(slug, {}).items()})
    return found
