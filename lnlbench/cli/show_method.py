"""`lnlbench show method`: what a method does and needs, and the hyperparameters it gets on a data set under a noise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli.common import JsonOption, PluginOption, load_plugins, print_json
from lnlbench.cli.printing import facts, heading, line, setting, table
from lnlbench.errors import InvalidSetting

if TYPE_CHECKING:
    from lnlbench.job import Job
    from lnlbench.methods.spec import MethodSpec


def method(
    name: Annotated[str, typer.Argument(help="gce, or a plug-in over its host: 'sanm(dividemix)'.")],
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Show the values for this data set.")] = None,
    noise: Annotated[str | None, typer.Option("--noise", "-n", help="... under this noise. Default: clean.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", "-r", help="... at this noise rate.")] = None,
    plugin: PluginOption = None,
    as_json: JsonOption = False,
) -> None:
    """A method: paper, needs, every hyperparameter, its own table; with --dataset the values it gets there."""
    load_plugins(plugin)
    specs = _specs(name)
    job = _resolved(name, dataset, noise, rate)
    if as_json:
        values = {"hyperparameters": job.hyperparameters, "recipe": _insisted(job)} if job else None
        print_json({"methods": [_plain(spec) for spec in specs], "resolved": values})
        return
    for position, spec in enumerate(specs):
        if position:
            line()
        _print_spec(spec)
    if job:
        _print_resolved(job, specs)


def _specs(name: str) -> list[MethodSpec]:
    """The specs of an expression from the outside in; a plug-in's name alone is its spec alone."""
    from lnlbench.methods import registry

    bare = name.strip().lower()
    if re.fullmatch(r"[a-z0-9_-]+", bare):
        return [registry.spec(bare)]
    return [registry.spec(slug) for slug in registry.parse(name).slugs]


def _resolved(name: str, dataset: str | None, noise: str | None, rate: float | None) -> Job | None:
    """The job at paper scale that the options describe, None without options."""
    if dataset is None:
        if noise is not None or rate is not None:
            raise InvalidSetting("--noise and --rate need a data set.", "Add for example --dataset cifar10.")
        return None
    if noise is None and rate is not None:
        raise InvalidSetting("--rate needs a noise.", "Add for example --noise symmetric.")
    from lnlbench.data.catalogue import dataset_info
    from lnlbench.data.noise.checks import check_noise
    from lnlbench.job import Noise
    from lnlbench.resolve import resolve_job

    chosen = Noise(name=noise or "clean", rate=rate)
    check_noise(chosen, dataset, dataset_info(dataset).classes)
    return resolve_job(name, dataset, chosen, seed=1)


def _print_spec(spec: MethodSpec) -> None:
    from lnlbench.cli import wording
    from lnlbench.methods.spec import NEEDS

    line(f"{spec.title} ({spec.slug})\n{spec.summary}\n")
    github = re.fullmatch(r"[\w.-]+/[\w.-]+", spec.code)
    told: wording.Facts = [
        ("paper", spec.paper),
        ("code", f"https://github.com/{spec.code}" if github else spec.code),
        ("family", spec.family),
        ("needs", "\n".join(f"{need}: {NEEDS[need]}" for need in spec.needs) or "noisy labels only"),
    ]
    if spec.plugin:
        told.append(("hosts", f"{', '.join(spec.hosts) or 'any'}; written {spec.slug}(HOST)"))
    facts([*told, ("version", spec.version)])
    heading("Hyperparameters")
    rows = spec.hyperparameters.describe()
    if rows:
        table(
            ["name", "default", "type", "range", "meaning"],
            [[r["name"], setting(r["default"]), r["type"], r["range"], r["doc"]] for r in rows],
        )
    else:
        line("none")
    if spec.table:
        heading("Its own table: later lines win; a suite and --set win over all")
        for row in spec.table:
            line(wording.table_line(row))
    if spec.recipe:
        heading("The recipe it insists on at paper scale")
        facts((name, setting(value)) for name, value in wording.flat(spec.recipe).items())


def _print_resolved(job: Job, specs: list[MethodSpec]) -> None:
    from lnlbench.cli import wording

    heading(f"On {job.dataset} with {job.noise.label()}, at paper scale without a suite")
    defaults: dict[str, Any] = {}
    for depth, spec in enumerate(specs):
        defaults.update({"host." * depth + r["name"]: r["default"] for r in spec.hyperparameters.describe()})
    rows = [
        (name, setting(value), setting(defaults.get(name))) for name, value in wording.flat(job.hyperparameters).items()
    ]
    table(
        ["name", "value", "default", "from"],
        [[name, value, default, "default" if value == default else "a table above"] for name, value, default in rows],
    )
    insisted = _insisted(job)
    if insisted:
        heading("Recipe settings it insists on there")
        facts((name, setting(value)) for name, value in insisted.items())


def _insisted(job: Job) -> dict[str, Any]:
    """The recipe settings of the job that are not the recipe's defaults: a method's own insistence."""
    from lnlbench.cli import wording
    from lnlbench.job import Recipe

    plain = wording.flat(Recipe().to_dict())
    return {name: value for name, value in wording.flat(job.recipe.to_dict()).items() if value != plain[name]}


def _plain(spec: MethodSpec) -> dict[str, Any]:
    return {
        "slug": spec.slug,
        "title": spec.title,
        "summary": spec.summary,
        "paper": spec.paper,
        "code": spec.code,
        "family": spec.family,
        "needs": spec.needs,
        "plugin": spec.plugin,
        "hosts": spec.hosts,
        "version": spec.version,
        "hyperparameters": spec.hyperparameters.describe(),
        "table": [
            {
                "dataset": row.dataset,
                "noise": row.noise,
                "rate": row.rate,
                "given": dict(row.given),
                "host": row.host,
                "set": dict(row.set),
            }
            for row in spec.table
        ],
        "recipe": spec.recipe,
    }
