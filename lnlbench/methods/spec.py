"""What a method says of itself before any tensor exists: its paper, its needs, its hyperparameters.

A method file declares one `SPEC`. The registry reads it without importing torch, so that `lnlbench list`,
`show` and `report` stay instant; for that, a file builds its hyperparameters and SPEC from this module only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from lnlbench.errors import InvalidSetting
from lnlbench.settings import Settings, setting

__all__ = ["NEEDS", "Any", "Hyperparameters", "Literal", "MethodSpec", "Requires", "Row", "dataclass", "setting"]

NEEDS: dict[str, str] = {
    "noise_rate": "the nominal noise rate (or hyperparameters chosen by it)",
    "noise_share": "the expected fraction of wrong labels",
    "noise_type": "the kind of noise (or hyperparameters chosen by it)",
    "transition_matrix": "the true noise transition matrix",
    "clean_meta": "a held-out meta set with clean labels",
    "pretrained_encoder": "an encoder pre-trained on the training images without labels",
}
"""What a method may ask for beyond noisy labels; each is a dagger on its row in every table."""

SYMMETRIC = ("symmetric", "uniform", "symmetric-exclusive")
"""The noises that spread labels evenly, for rows of a method's table."""

ASYMMETRIC = ("asymmetric", "pairflip", "flip", "flip2", "superclass-next", "block-next", "hierarchical")
"""The noises whose wrong labels depend on the class, for rows of a method's table."""


@dataclass(frozen=True)
class Hyperparameters(Settings):
    """Base of a method's hyperparameters; fields are made by `setting(default, meaning, ...)`."""

    kind: ClassVar[str] = "hyperparameter"


@dataclass(frozen=True)
class Row:
    """One line of a method's own table: values to use where every stated condition holds.

    dataset, noise: a name or several; rate: a number, or an inclusive range (low, high).
    given: values that other hyperparameters of the method must have. host: slug of a plug-in's host.
    set: the values; a plug-in reaches its host's as `host.NAME`.
    """

    set: Mapping[str, Any]
    dataset: str | tuple[str, ...] | None = None
    noise: str | tuple[str, ...] | None = None
    rate: float | tuple[float, float] | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    host: str | tuple[str, ...] | None = None

    def matches(
        self, dataset: str, noise: str, rate: float | None, values: Mapping[str, Any], host: str | None = None
    ) -> bool:
        """Whether the line applies to a data set, a noise, a rate and the values chosen so far."""
        if self.rate is not None:
            low, high = self.rate if isinstance(self.rate, tuple) else (self.rate, self.rate)
            if rate is None or not low - 1e-9 <= rate <= high + 1e-9:
                return False
        return (
            _among(dataset, self.dataset)
            and _among(noise, self.noise)
            and _among(host, self.host)
            and all(values.get(name) == value for name, value in self.given.items())
        )


def _among(value: str | None, allowed: str | tuple[str, ...] | None) -> bool:
    return allowed is None or (value in allowed if isinstance(allowed, tuple) else value == allowed)


@dataclass(frozen=True)
class Requires:
    """Trained networks that a method starts from: another job makes them, once for all jobs that need the same.

    name: under which the method reads them, `task.need(name)`: {name of network: state dict}. method: slug of the
    method that makes them, trained without noise because it looks at no label; None is the plug-in's host under the
    job's own noise. given: values that hyperparameters must have for it. recipe: recipe settings of the job that
    makes them, by the hyperparameters that hold them: {"epochs": "pretrain_epochs"}.
    """

    name: str
    method: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MethodSpec:
    """A method as the tables, `lnlbench show method` and the leak guard know it.

    needs: names of `NEEDS`. plugin: whether it wraps a host, `slug(host)`; hosts: slugs it is made for.
    recipe: what its paper insists on, applied over the suite's recipe at paper scale only.
    meta_set: whether it learns from a held-out meta set; its labels are noisy unless `clean_meta` is a need.
    requires: networks that other jobs must have trained before.
    version: raised when the method's numbers change, so that old and new runs have different keys.
    """

    slug: str
    title: str
    summary: str
    paper: str
    code: str = ""
    family: str = ""
    needs: tuple[str, ...] = ()
    hyperparameters: type[Hyperparameters] = Hyperparameters
    table: tuple[Row, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    plugin: bool = False
    hosts: tuple[str, ...] = ()
    meta_set: bool = False
    requires: tuple[Requires, ...] = ()
    version: int = 1

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z][a-z0-9_]*", self.slug):
            raise InvalidSetting(
                f"method {self.slug!r}: a slug is lower-case letters, digits and _, a letter first.",
                "Its title can be anything.",
            )
        for need in self.needs:
            if need not in NEEDS:
                raise InvalidSetting(f"method {self.slug}: unknown need {need!r}.", "Needs: " + ", ".join(NEEDS))
        uses = {
            "noise_rate": any(row.rate is not None for row in self.table),
            "noise_type": any(row.noise is not None for row in self.table),
        }
        for need, used in uses.items():
            if used and need not in self.needs:
                raise InvalidSetting(f"method {self.slug}: its table depends on {need}, which it must declare.")
