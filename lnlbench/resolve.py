"""From what was asked to the job that runs: hyperparameters and recipe in the order of DESIGN, last wins:
method defaults; the method's own table by data set, noise and rate; the suite; the command line.

Pure data, no torch. The resolved values are in the job, so in its key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from lnlbench.errors import InvalidSetting, unknown_name
from lnlbench.job import Job, Noise, Recipe, Scale
from lnlbench.methods import registry
from lnlbench.methods.registry import Expression
from lnlbench.methods.spec import NEEDS, Hyperparameters, Requires

Values = Mapping[str, Any]

META_SIZE: dict[Scale, int] = {"paper": 1000, "desk": 200, "smoke": 100}
"""Images of the meta set of methods that learn from one, where nobody says how many; RMW-Net and MW-Net: 1,000."""

CLEAN_AT_ZERO = (
    "clean",
    "symmetric",
    "uniform",
    "symmetric-exclusive",
    "flip",
    "flip2",
    "asymmetric",
    "pairflip",
    "superclass-next",
    "block-next",
    "hierarchical",
    "tridiagonal",
)
"""Noises that leave every label as it is at rate 0. Not `instance`: its rate is a mean before truncation."""


def needs(expression: Expression) -> tuple[str, ...]:
    """What a method and its hosts need beyond noisy labels, in the order of `NEEDS`."""
    declared = {need for slug in expression.slugs for need in registry.spec(slug).needs}
    return tuple(need for need in NEEDS if need in declared)


def requirements(expression: Expression) -> tuple[Requires, ...]:
    """The trained networks that a method and its hosts may start from, under any hyperparameters."""
    return tuple(required for slug in expression.slugs for required in registry.spec(slug).requires)


def required_jobs(job: Job) -> dict[str, Job]:
    """The jobs that make the networks which a job starts from, by the name under which its method reads them."""
    found: dict[str, Job] = {}
    expression: Expression | None = registry.parse(job.method)
    values: Values = job.hyperparameters
    while expression is not None:
        for required in registry.spec(expression.slug).requires:
            if all(values.get(name) == value for name, value in required.given.items()):
                found[required.name] = _required(job, required, expression, values)
        expression, values = expression.host, values.get("host", {})
    return found


def _required(job: Job, required: Requires, expression: Expression, values: Values) -> Job:
    maker = expression.host if required.method is None else Expression(required.method)
    if maker is None:
        raise InvalidSetting(f"method {expression.slug}: requires its host's networks and has no host.")
    own = {name: values[held] for name, held in required.recipe.items()}
    if required.method is None:
        noise, hyper = job.noise, values["host"]
    else:
        # Labels that come with the data are noisy and its only ones.
        noise = job.noise if job.noise.name == "real" else Noise("clean")
        # Pre-training sees every image, and no label: one encoder for all jobs, however they draw their epochs.
        own["epoch_batches"] = None
        hyper = resolve_hyperparameters(maker, job.dataset, noise)
    insisted = _insisted_recipe(maker, job.dataset, noise, hyper) if job.scale == "paper" else {}
    return dataclasses.replace(
        job,
        method=str(maker),
        hyperparameters=dict(hyper),
        noise=noise,
        recipe=Recipe.from_dict(merge(merge(job.recipe.to_dict(), insisted), own)),
        method_version=method_version(maker),
    )


def with_required(jobs: Iterable[Job]) -> list[Job]:
    """The jobs, each after those that it starts from; every job once."""
    ordered: dict[str, Job] = {}

    def add(job: Job) -> None:
        if job.key not in ordered:
            for required in required_jobs(job).values():
                add(required)
            ordered[job.key] = job

    for job in jobs:
        add(job)
    return list(ordered.values())


def method_version(expression: Expression) -> int:
    """Version of the whole expression: it rises when any of its methods' does."""
    return sum(registry.spec(slug).version for slug in expression.slugs) - len(expression.slugs) + 1


def resolve_hyperparameters(
    expression: Expression, dataset: str, noise: Noise, overrides: Sequence[Values] = ()
) -> dict[str, Any]:
    """Every hyperparameter of a method; a plug-in's host has its own under `host`.

    overrides: from weak to strong; names are the method's own, `host.NAME`, or a host's bare NAME where
    the plug-in has none of that name. Raises UnknownName, InvalidSetting.
    """
    declared = registry.spec(expression.slug)
    cls = declared.hyperparameters
    own: dict[str, Any] = {}
    for_host: list[dict[str, Any]] = []
    for values in overrides:
        mine, theirs = _split(expression, cls, values)
        own.update(mine)
        for_host.append(theirs)
    defaults = _defaults(cls)  # type: ignore[arg-type]
    from_table = _table(expression, dataset, noise, cls.from_dict({**defaults, **own}).to_dict())
    table_host = {name.removeprefix("host."): v for name, v in from_table.items() if name.startswith("host.")}
    table_own = {name: v for name, v in from_table.items() if name in cls.names()}
    resolved = cls.from_dict({**defaults, **table_own, **own}).canonical()
    if expression.host:
        resolved["host"] = resolve_hyperparameters(expression.host, dataset, noise, [table_host, *for_host])
    return resolved


def _table(expression: Expression, dataset: str, noise: Noise, chosen: Values) -> dict[str, Any]:
    """What the method's own table sets: hyperparameters, `host.NAME`, `recipe.NAME`."""
    found: dict[str, Any] = {}
    host = expression.host.slug if expression.host else None
    for row in registry.spec(expression.slug).table:
        if row.matches(dataset, noise.name, noise.rate, chosen, host):
            found.update(row.set)
    return found


def _insisted_recipe(expression: Expression, dataset: str, noise: Noise, resolved: Values) -> dict[str, Any]:
    """What a method's paper insists on of the recipe, by its spec and its table; a plug-in's over its host's.

    resolved: the job's hyperparameters.
    """
    recipe = _insisted_recipe(expression.host, dataset, noise, resolved["host"]) if expression.host else {}
    recipe = merge(recipe, registry.spec(expression.slug).recipe)
    for name, value in _table(expression, dataset, noise, resolved).items():
        if name.startswith("recipe."):
            recipe = merge(recipe, _recipe_setting(expression, name.removeprefix("recipe."), value))
    return recipe


def hyperparameters(expression: Expression, resolved: Values) -> Hyperparameters:
    """The hyperparameter object of the outer method, from a job's resolved values."""
    cls = registry.spec(expression.slug).hyperparameters
    return cls.from_dict({name: value for name, value in resolved.items() if name != "host" or name in cls.names()})


def resolve_job(
    method: str,
    dataset: str,
    noise: Noise,
    seed: int,
    *,
    scale: Scale = "paper",
    recipe: Values | None = None,
    overrides: Sequence[Values] = (),
    recipe_overrides: Values | None = None,
) -> Job:
    """The job for one cell and seed.

    recipe: the suite's recipe (nested plain data); a method's own insistence goes over it at paper scale;
    recipe_overrides: the suite's row and the command line, over both.
    """
    expression = registry.parse(method)
    noise = canonical_noise(noise, dataset)
    resolved = resolve_hyperparameters(expression, dataset, noise, overrides)
    layers: list[Values] = [recipe or {}]
    if scale == "paper":
        layers.append(_insisted_recipe(expression, dataset, noise, resolved))
    layers.append(recipe_overrides or {})
    merged = Recipe().to_dict()
    for layer in layers:
        merged = merge(merged, layer)
    if merged["meta_size"] is None and any(registry.spec(slug).meta_set for slug in expression.slugs):
        merged["meta_size"] = META_SIZE[scale]
    return Job(
        method=str(expression),
        hyperparameters=resolved,
        dataset=dataset,
        noise=noise,
        seed=seed,
        scale=scale,
        recipe=Recipe.from_dict(merged),
        method_version=method_version(expression),
    )


def canonical_noise(noise: Noise, dataset: str) -> Noise:
    """Noises that draw the same labels get one form, hence one key; a file of labels is known by its content.

    At rate 0 that is `clean`, whatever the noise. Only noises with settings beyond these four can be written in
    several other ways; numpy comes with them.
    """
    if not set(noise.canonical()) <= {"name", "rate", "draw", "variant"}:
        from lnlbench.data.catalogue import dataset_info
        from lnlbench.data.noise import checks

        noise = checks.canonical_noise(noise, dataset, dataset_info(dataset).classes)
    return Noise() if noise.rate == 0 and noise.name in CLEAN_AT_ZERO else noise


def split_settings(expression: Expression, values: Values) -> tuple[dict[str, Any], dict[str, Any]]:
    """Command-line settings, split into hyperparameters and recipe (nested).

    A name is a hyperparameter when the method or its host has it, else a recipe setting (`epochs`,
    `optimizer.lr`, `lr`); `recipe.NAME` is always the recipe's. Raises UnknownName when it is neither.
    """
    hyper: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    for name, value in values.items():
        bare = name.removeprefix("recipe.")
        if bare == name and _owner(expression, name) is not None:
            hyper[name] = value
        else:
            recipe = merge(recipe, _recipe_setting(expression, bare, value))
    return hyper, recipe


def _recipe_setting(expression: Expression, name: str, value: Any) -> dict[str, Any]:
    parts = name.split(".")
    if len(parts) == 1 and parts[0] in ("lr", "momentum", "weight_decay"):
        parts = ["optimizer", *parts]
    cls: type = Recipe
    for depth, part in enumerate(parts):
        fields = {f.name: f for f in dataclasses.fields(cls)}
        if part not in fields:
            allowed = [
                *Recipe.names(),
                *(n for slug in expression.slugs for n in registry.spec(slug).hyperparameters.names()),
            ]
            raise unknown_name("setting", name, allowed, f"lnlbench show method {expression.slug}")
        if depth < len(parts) - 1:
            cls = type(fields[part].default)
            if not dataclasses.is_dataclass(cls):
                raise InvalidSetting(f"setting {name!r}: {part!r} has no parts.")
    for part in reversed(parts):
        value = {part: value}
    result: dict[str, Any] = value
    return result


def _owner(expression: Expression, name: str) -> str | None:
    """'own' or 'host', by whom a name is taken; None when nobody has it."""
    if name in registry.spec(expression.slug).hyperparameters.names():
        return "own"
    if expression.host is None:
        return None
    return "host" if _owner(expression.host, name.removeprefix("host.")) else None


def _split(expression: Expression, cls: type[Hyperparameters], values: Values) -> tuple[dict[str, Any], dict[str, Any]]:
    own, theirs = {}, {}
    for name, value in values.items():
        owner = _owner(expression, name)
        if owner == "own":
            own[name] = value
        elif owner == "host":
            theirs[name.removeprefix("host.")] = value
        else:
            allowed = [*cls.names()]
            if expression.host:
                allowed += [f"host.{n}" for n in registry.spec(expression.host.slug).hyperparameters.names()]
            raise unknown_name(
                f"hyperparameter of {expression}", name, allowed, f"lnlbench show method {expression.slug}"
            )
    return own, theirs


@cache
def _defaults(cls: Any) -> Values:
    return {row["name"]: row["default"] for row in cls.describe()}


def merge(base: Values, over: Values) -> dict[str, Any]:
    """Nested plain data with the values of `over` in place of those of `base`."""
    merged = dict(base)
    for name, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = merge(merged[name], value)
        else:
            merged[name] = value
    return merged
