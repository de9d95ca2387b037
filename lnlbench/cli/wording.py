"""Jobs, recipes, noises and method tables in words, as pairs of a name and a value. Prints nothing, light to import."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lnlbench.cli.printing import setting, settings

if TYPE_CHECKING:
    from lnlbench.job import Noise, Optimizer, Recipe, Schedule
    from lnlbench.methods.spec import Row
    from lnlbench.suite import Layout

Facts = list[tuple[str, Any]]

_TOLD = {
    "backbone",
    "width",
    "pretrained",
    "epochs",
    "batch_size",
    "optimizer",
    "schedule",
    "augment",
    "pad",
    "padding",
}


def recipe(recipe: Recipe) -> Facts:
    """How a job is trained: the main settings always, the others where they are not at their default."""
    width = "" if recipe.width == 1 else f", width {recipe.width:g}"
    weights = f", {recipe.pretrained} weights" if recipe.pretrained else ""
    view = "none" if recipe.augment == "none" else f"{recipe.augment}, pad {recipe.pad}, padding {recipe.padding}"
    told: Facts = [
        ("network", f"{recipe.backbone}{width}{weights}"),
        ("epochs", recipe.epochs),
        ("batch size", recipe.batch_size),
        ("optimiser", optimizer(recipe.optimizer)),
        ("schedule", schedule(recipe.schedule)),
        ("weak view", view),
    ]
    return told + [
        (name.replace("_", " "), setting(value)) for name, value in changed(recipe).items() if name not in _TOLD
    ]


def optimizer(optimizer: Optimizer) -> str:
    """'sgd, lr 0.02, momentum 0.9, weight decay 0.0005'."""
    rates = f"betas {setting(optimizer.betas)}"
    if optimizer.name == "sgd":
        rates = f"momentum {optimizer.momentum:g}" + (", nesterov" if optimizer.nesterov else "")
    return f"{optimizer.name}, lr {optimizer.lr:g}, {rates}, weight decay {optimizer.weight_decay:g}"


def schedule(schedule: Schedule) -> str:
    """'multistep: times 0.1 at 150'."""
    parts = {
        "multistep": f"multistep: times {schedule.gamma:g} at {', '.join(f'{m:g}' for m in schedule.milestones)}",
        "linear": f"linear: falls to 0 from {schedule.start:g} on",
    }
    text = parts.get(schedule.name, schedule.name)
    if schedule.adam_beta1 is not None:
        text += f", Adam's beta1 {schedule.adam_beta1:g} from there"
    if schedule.warmup:
        text += f", warm-up of {schedule.warmup:g} epochs"
    return text if schedule.per == "epoch" else f"{text}, moved every iteration"


def noise(noise: Noise) -> str:
    """'symmetric 50% (draw released)': the noise with every setting that is not at its default."""
    return noise.label() + _rest(noise)


def _rest(noise: Noise) -> str:
    rest = {name: value for name, value in changed(noise).items() if name not in ("name", "rate", "variant")}
    return f" ({settings(rest)})" if rest else ""


def changed(settings: Any) -> dict[str, Any]:
    """The fields of a settings object that are not at their default."""
    return {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if getattr(settings, field.name) != field.default
    }


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values under dotted names: {'host': {'T': 0.5}} is {'host.T': 0.5}."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out.update(flat(value, f"{prefix}{name}."))
        else:
            out[prefix + name] = value
    return out


def columns(layout: Layout) -> list[str]:
    """The columns of a table, a line each data set and noise: 'cifar10: symmetric at 20%, 50%; backbone cnn9'."""
    lines = []
    for group in layout.columns:
        noises = group.noises(layout.noise)
        rates = ", ".join(f"{100 * rate:g}%" for rate in group.rates)
        kind = noises[0].replace(rate=None)
        own = f"; {settings(flat(group.recipe))}" if group.recipe else ""
        lines.append(f"{group.dataset}: {kind.label()}{' at ' if rates else ''}{rates}{_rest(kind)}{own}")
    return lines


def other_recipes(layout: Layout) -> Facts:
    """Which rows are trained by another recipe file than the suite's, and whether methods keep their own."""
    if layout.common_recipe:
        return [("all rows", "by this recipe, also where a method's paper insists on another")]
    files = dict.fromkeys(row.recipe_file for row in layout.rows if row.recipe_file not in ("", layout.recipe))
    return [(f"by {name}", [row.label for row in layout.rows if row.recipe_file == name]) for name in files]


def table_line(row: Row) -> str:
    """A line of a method's own table: 'cifar10, symmetric, 20%: lambda_u 0'."""
    conditions = [_either(row.dataset), _either(row.noise), _rate(row.rate)]
    conditions += [settings(row.given)]
    conditions += [f"over {_either(row.host)}"] if row.host else []
    return f"{', '.join(filter(None, conditions)) or 'always'}: {settings(row.set)}"


def _either(names: str | tuple[str, ...] | None) -> str:
    return " or ".join(names) if isinstance(names, tuple) else names or ""


def _rate(rate: float | tuple[float, float] | None) -> str:
    if rate is None:
        return ""
    low, high = rate if isinstance(rate, tuple) else (rate, rate)
    return f"{100 * low:g}%" if low == high else f"{100 * low:g}% to {100 * high:g}%"
