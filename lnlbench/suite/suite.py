"""Suites and recipes as files: which there are, reading them, and `Suite`, one table at every scale it has.

Ours lie in `lnlbench/suites` and `lnlbench/recipes`; a user's in the folders of $LNLBENCH_SUITES or anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lnlbench.errors import InvalidSetting, LnlbenchError, UnknownName, unknown_name
from lnlbench.job import SCALES, Noise, Scale
from lnlbench.methods import registry
from lnlbench.suite.documents import Located, build, mappings, read
from lnlbench.suite.layout import Columns, Layout, Row, ScaleRecipe, Stat
from lnlbench.suite.plan import Plan, Selection, count_jobs, count_rows, make_plan, title_of

SUITES = Path(__file__).parent.parent / "suites"
RECIPES = Path(__file__).parent.parent / "recipes"
ENVIRONMENT = "LNLBENCH_SUITES"


@dataclass(frozen=True)
class Suite:
    """One table. It has the scales that its recipe file has, the first of which is its default.

    row_recipes: the recipe files that rows name, by name and scale.
    """

    name: str
    layouts: Mapping[Scale, Layout]
    recipes: Mapping[Scale, ScaleRecipe]
    row_recipes: Mapping[str, Mapping[Scale, ScaleRecipe]] = field(default_factory=dict)

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Its scales, from paper to smoke."""
        return tuple(self.layouts)

    @property
    def default_scale(self) -> Scale:
        """The largest scale it has."""
        return self.scales[0]

    @property
    def title(self) -> str:
        """What the table shows, at its default scale."""
        return self.layouts[self.default_scale].title

    def job_count(self, scale: Scale) -> int:
        """Jobs at a scale, counted without resolving them: fast, for lists."""
        return count_jobs(self._layout(scale))

    def rows_there(self, scale: Scale) -> int:
        """Rows at a scale whose method lnlbench has, counted without planning."""
        return count_rows(self._layout(scale))

    def plan(
        self,
        scale: Scale | None = None,
        *,
        methods: Collection[str] = (),
        also: Collection[str] = (),
        datasets: Collection[str] = (),
        noises: Collection[str] = (),
        rates: Collection[float] = (),
        seeds: int | Sequence[int] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Plan:
        """The jobs of the table, or of a part of it.

        scale: None is the default scale. methods: expressions (`sanm(dividemix)`) or slugs; one that the suite
        lacks but lnlbench has becomes a row. also: rows to add below all others. seeds: how many, or which.
        settings: hyperparameters and recipe settings as on the command line, `{"lambda_u": 0, "epochs": 5}`,
        stronger than the suite's, each for the rows that know it.
        Raises UnknownName for a filter, setting or scale that fits nothing, InvalidSetting for a bad value.
        """
        scale = self.default_scale if scale is None else scale
        selection = Selection(methods, also, datasets, noises, rates)
        layout = self._layout(scale)
        recipes = {"": self.recipes[scale], **{name: found[scale] for name, found in self.row_recipes.items()}}
        return make_plan(self.name, layout, recipes, scale, selection, seeds, settings)

    def _layout(self, scale: Scale) -> Layout:
        if scale not in self.layouts:
            raise unknown_name(f"scale of {self.name}", scale, self.layouts)
        return self.layouts[scale]


def suite_names() -> list[str]:
    """Names of all suites: ours, and those in the folders of $LNLBENCH_SUITES."""
    return sorted(_suite_files())


def load_suite(name_or_path: str | Path) -> Suite:
    """A suite by name or by the path of its file.

    Raises UnknownName for a name there is not, InvalidSetting or UnknownName with file and line for a broken file.
    """
    text = str(name_or_path)
    if text.endswith((".yaml", ".yml")) or os.sep in text:
        return _read_suite(Path(text).expanduser())
    files = _suite_files()
    if text not in files:
        raise unknown_name("suite", text, files, "lnlbench list suites")
    return _read_suite(files[text])


def every_suite() -> tuple[list[Suite], list[LnlbenchError]]:
    """All suites that can be read, and why the others cannot: one broken file must not hide the rest."""
    suites: list[Suite] = []
    broken: list[LnlbenchError] = []
    for name in suite_names():
        try:
            suites.append(load_suite(name))
        except LnlbenchError as error:
            broken.append(error)
    return suites, broken


def adhoc_plan(
    method: Sequence[str],
    dataset: Sequence[str],
    noise: str | Mapping[str, Any] | Noise = "symmetric",
    rates: Sequence[float] = (),
    seeds: int | Sequence[int] = 1,
    scale: Scale = "paper",
    recipe: str = "sanm-cifar",
    settings: Mapping[str, Any] | None = None,
    stats: Sequence[Stat] = ("best", "last"),
) -> Plan:
    """A table without a suite: methods down, data sets times rates across.

    Raises UnknownName for a method, data set, recipe or scale there is not, InvalidSetting for a bad value.
    """
    given = noise.canonical() if isinstance(noise, Noise) else noise
    recipes = load_recipe(recipe)
    if scale not in recipes:
        raise unknown_name(f"scale of the recipe {recipe}", scale, recipes)
    expressions = [registry.parse(text) for text in method]
    layout = Layout.from_dict(
        {
            "title": "Results without a suite",
            "recipe": recipe,
            "columns": [Columns.from_dict({"dataset": name, "noise": given, "rates": list(rates)}) for name in dataset],
            "rows": [Row(label=title_of(e), method=str(e)) for e in expressions],
            "stats": list(stats),
        }
    )
    return make_plan("adhoc", layout, {"": recipes[scale]}, scale, Selection(), seeds, settings)


def recipe_names() -> list[str]:
    """Names of the recipe files that come with lnlbench."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name: str, folder: Path | None = None) -> dict[Scale, ScaleRecipe]:
    """A recipe by scale, from paper to smoke: one of ours, or a path, which `folder` is the start of."""
    path = RECIPES / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")):
        path = (folder or Path()) / Path(name).expanduser()
        if not path.is_file():
            raise UnknownName(
                f"there is no recipe file {path}.",
                "A path starts from the suite's folder. Recipes by name: " + ", ".join(recipe_names()) + ".",
            )
    if not path.is_file():
        raise unknown_name("recipe", name, recipe_names())
    return _read_recipe(path.resolve())


def _suite_files() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in _candidates():
        if path.stem in found:
            raise LnlbenchError(
                f"two suites are called {path.stem!r}: {found[path.stem]} and {path}.", "Rename one of the files."
            )
        found[path.stem] = path
    return found


def _candidates() -> Iterator[Path]:
    yield from SUITES.glob("*.yaml")
    for folder in filter(None, os.environ.get(ENVIRONMENT, "").split(os.pathsep)):
        if not Path(folder).expanduser().is_dir():
            raise LnlbenchError(f"${ENVIRONMENT} names {folder}, which is not a folder.", "Correct or unset it.")
        yield from sorted(Path(folder).expanduser().glob("*.y*ml"))


@cache
def _read_recipe(path: Path) -> dict[Scale, ScaleRecipe]:
    raw = read(path)
    return {scale: build(ScaleRecipe, values) for scale, values in _scales(raw, raw).items()}


def _read_suite(path: Path) -> Suite:
    raw = _inherited(read(path), path)
    common = raw.without("scales")
    sections = raw.get("scales")
    if sections is not None and not isinstance(sections, Located):
        raise raw.error(InvalidSetting("'scales': expected scales with keys."), "scales")
    changes = _scales(sections, raw) if sections is not None else {}
    layouts: dict[Scale, Layout] = {}
    recipes: dict[Scale, ScaleRecipe] = {}
    row_recipes: dict[str, dict[Scale, ScaleRecipe]] = {}
    for scale in SCALES:
        merged = changes[scale].over(common) if scale in changes else common
        available = _recipe_of(merged, path)
        if scale in available:
            layouts[scale], recipes[scale] = _layout(merged), available[scale]
            row_recipes |= _recipes_of_rows(merged, path, scale)
        elif scale in changes:
            raise raw.error(InvalidSetting(f"the recipe {merged['recipe']!r} has no scale {scale!r}."), scale)
    return Suite(path.stem, layouts, recipes, row_recipes)


def _inherited(raw: Located, path: Path) -> Located:
    """A suite that is `like` another has the other's keys but for its own; under `scales`, scale by scale."""
    name = raw.get("like")
    if name is None:
        return raw
    there = path.parent / f"{name}.yaml"
    if not there.is_file():
        names = [other.stem for other in path.parent.glob("*.yaml") if other != path]
        raise raw.error(unknown_name("suite in this folder", str(name), names), "like")
    base = read(there)
    if "like" in base:
        raise raw.error(InvalidSetting(f"{name!r} is itself like {base['like']!r}; name that one."), "like")
    _read_suite(there)  # its errors are told with its own lines
    merged = raw.without("like").over(base)
    mine, theirs = raw.get("scales"), base.get("scales")
    if isinstance(mine, Located) and isinstance(theirs, Located):
        both = {scale: _over(own, theirs.get(scale)) for scale, own in mine.items()}
        merged["scales"] = Located(both, path, mine.line, mine.lines).over(theirs)
    return merged


def _over(own: object, other: object) -> object:
    if isinstance(own, Located) and isinstance(other, Located):
        return own.over(other)
    return other if own is None else own


def _recipes_of_rows(raw: Located, path: Path, scale: Scale) -> dict[str, dict[Scale, ScaleRecipe]]:
    """The recipe files that rows name. Raises where there is none of that name, or not at this scale."""
    found = {}
    for item in mappings(raw, "rows"):
        if name := item.get("recipe_file"):
            found[name] = _recipe_of(item, path, "recipe_file")
            if scale not in found[name]:
                raise item.error(InvalidSetting(f"the recipe {name!r} has no scale {scale!r}."), "recipe_file")
    return found


def _scales(sections: Located, parent: Located) -> dict[Scale, Located]:
    """The sections of a mapping by scale, in the order of `SCALES`; an empty one is one without keys."""
    for name, values in sections.items():
        if name not in SCALES:
            raise parent.error(unknown_name("scale", name, SCALES), name)
        if values is not None and not isinstance(values, Located):
            raise parent.error(InvalidSetting(f"scale {name!r}: expected keys with values."), name)
    empty = Located({}, parent.file, parent.line, {})
    return {scale: sections[scale] or empty for scale in SCALES if scale in sections}


def _recipe_of(raw: Located, path: Path, key: str = "recipe") -> dict[Scale, ScaleRecipe]:
    name = raw.get(key)
    if not isinstance(name, str):
        raise raw.error(InvalidSetting(f"{key!r} is missing: the name of a recipe file."), key)
    try:
        return load_recipe(name, path.parent)
    except LnlbenchError as error:
        raise raw.error(error, key) from None


def _layout(raw: Located) -> Layout:
    noise = raw.get("noise") or {}
    if isinstance(noise, Located):
        build(Noise, noise)
    columns = [_columns(item, noise) for item in mappings(raw, "columns")]
    rows = [build(Row, item) for item in mappings(raw, "rows")]
    for row, item in zip(rows, mappings(raw, "rows"), strict=True):
        _check_expression(row, item)
    return build(Layout, Located({**raw, "columns": columns, "rows": rows}, raw.file, raw.line, raw.lines))


def _columns(item: Located, noise: object) -> Columns:
    columns = build(Columns, item)
    try:
        columns.noises(noise if isinstance(noise, Mapping) else {})
    except LnlbenchError as error:
        raise item.error(error) from None
    return columns


def _check_expression(row: Row, item: Located) -> None:
    text = row.method
    if text.count("(") != text.count(")") or not text.replace(" ", "").replace("(", "").replace(")", "").isidentifier():
        raise item.error(InvalidSetting(f"row key 'method': {text!r} is not written as NAME or NAME(HOST)."), "method")
