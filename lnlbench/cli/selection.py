"""The options that choose jobs, shared by `run`, `plan` and `report`, and the plan they stand for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli.common import load_plugins, parse_settings
from lnlbench.errors import InvalidSetting, unknown_name
from lnlbench.job import SCALES

if TYPE_CHECKING:
    from lnlbench.job import Scale
    from lnlbench.suite import Plan, Suite

SuiteOption = Annotated[
    str | None,
    typer.Option("--suite", "-s", help="A table or figure: a name of `lnlbench list suites`, or a YAML file."),
]
ScaleOption = Annotated[str | None, typer.Option("--scale", help="paper, desk or smoke. Default: the suite's first.")]
MethodOption = Annotated[
    list[str] | None, typer.Option("--method", "-m", help="Only this method, gce or 'sanm(dividemix)'; repeatable.")
]
DatasetOption = Annotated[list[str] | None, typer.Option("--dataset", "-d", help="Only this data set; repeatable.")]
NoiseOption = Annotated[list[str] | None, typer.Option("--noise", "-n", help="Only this noise; repeatable.")]
RateOption = Annotated[list[float] | None, typer.Option("--rate", "-r", help="Only this noise rate; repeatable.")]
SeedOption = Annotated[
    list[str] | None,
    typer.Option("--seed", "--seeds", help="These seeds in place of the suite's: 3, 1-5 or 1,4; repeatable."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="A hyperparameter, recipe or noise setting: lambda_u=0, epochs=5, noise.seed=3; repeatable."
    ),
]
RecipeOption = Annotated[str, typer.Option("--recipe", help="Without a suite: the recipe, by its name.")]
DEFAULT_RECIPE = "sanm-cifar"
_MOST_SEEDS = 1000


@dataclass(frozen=True)
class Chosen:
    """What the options say. settings: `--set`, parsed."""

    suite: str | None
    scale: str | None
    methods: Sequence[str]
    datasets: Sequence[str]
    noises: Sequence[str]
    rates: Sequence[float]
    seeds: Sequence[int] | None
    settings: dict[str, Any]
    plugins: tuple[str, ...]
    recipe: str = DEFAULT_RECIPE

    def plan(self, scale: Scale | None = None, also: Sequence[str] = ()) -> Plan:
        """The plan of the suite, or of methods times data sets without one."""
        from lnlbench.suite import adhoc_plan, load_suite

        scale = scale or self.checked_scale()
        if self.suite is not None:
            return self.plan_of(load_suite(self.suite), scale, also)
        if not self.methods:
            raise InvalidSetting(
                "nothing is chosen.", "Give --suite NAME (lnlbench list suites) or --method and --dataset."
            )
        if len(self.noises) > 1:
            raise InvalidSetting(
                "without a suite there is one noise at a time.", "Give --noise once, or write a suite."
            )
        datasets = self.datasets or ["digits"]
        return adhoc_plan(
            self.methods,
            datasets,
            {**self._noise(), "name": self.noises[0] if self.noises else "symmetric"},
            self.rates or _default_rates(self.noises),
            self.seeds or [1],
            scale or ("smoke" if list(datasets) == ["digits"] else "paper"),
            self.recipe,
            self._settings(),
        )

    def plan_of(self, suite: Suite, scale: Scale | None, also: Sequence[str] = ()) -> Plan:
        """The plan of a suite that has been read, whatever `suite` says."""
        if noise := self._noise():
            raise InvalidSetting(
                f"--set noise.{min(noise)} is for runs without a suite.",
                "A suite's noise is in its YAML file: noise: {...}.",
            )
        return suite.plan(
            scale,
            methods=self.methods,
            also=also,
            datasets=self.datasets,
            noises=self.noises,
            rates=self.rates,
            seeds=self.seeds,
            settings=self._settings(),
        )

    def _settings(self) -> dict[str, Any]:
        return {name: value for name, value in self.settings.items() if not name.startswith("noise.")}

    def _noise(self) -> dict[str, Any]:
        return {name.removeprefix("noise."): v for name, v in self.settings.items() if name.startswith("noise.")}

    def checked_scale(self) -> Scale | None:
        """The scale option, which must be one."""
        for scale in SCALES:
            if scale == self.scale:
                return scale
        if self.scale is not None:
            raise unknown_name("scale", self.scale, SCALES)
        return None


def chosen(
    suite: str | None,
    scale: str | None,
    methods: Sequence[str] | None,
    datasets: Sequence[str] | None,
    noises: Sequence[str] | None,
    rates: Sequence[float] | None,
    seeds: Sequence[str] | None,
    settings: Sequence[str] | None,
    plugins: Sequence[Path] | None,
    recipe: str = DEFAULT_RECIPE,
) -> Chosen:
    """The options of a command, with its plug-in files loaded. Raises InvalidSetting."""
    if suite is not None and recipe != DEFAULT_RECIPE:
        raise InvalidSetting(
            "--recipe is for jobs without a suite.",
            "A suite's recipe is in its YAML file; --set changes single settings.",
        )
    return Chosen(
        suite=suite,
        scale=scale,
        methods=methods or (),
        datasets=datasets or (),
        noises=noises or (),
        rates=rates or (),
        seeds=seed_numbers(seeds) if seeds else None,
        settings=parse_settings(settings),
        plugins=load_plugins(plugins),
        recipe=recipe,
    )


def seed_numbers(texts: Sequence[str]) -> list[int]:
    """The seeds that '3', '1-5' and '1,4' name, in that order. Raises InvalidSetting."""
    found: list[int] = []
    for part in (part.strip() for text in texts for part in text.split(",")):
        match = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 <= last - first < _MOST_SEEDS:
            raise InvalidSetting(
                f"--seed {part!r} names no seeds.", f"Write 3, 1-5 or 1,4; a range has at most {_MOST_SEEDS:,}."
            )
        found.extend(range(first, last + 1))
    return found


def same_choice(seeds: Sequence[str] | None, plugins: Sequence[Path] | None) -> str:
    """`--seeds` and `--plugin` as they were given, for a command to go on with, as its ending."""
    words = [*(("--seeds", text) for text in seeds or ()), *(("--plugin", str(path)) for path in plugins or ())]
    return "".join(f" {option} {shlex.quote(value)}" for option, value in words)


def _default_rates(noises: Sequence[str]) -> list[float]:
    """40% for noises that take a rate, none for the others."""
    from lnlbench.data.noise.catalogue import info

    return [0.4] if not noises or info(noises[0]).takes_rate else []
