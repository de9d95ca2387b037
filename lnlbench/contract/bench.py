"""One method on the bench: the runs that the checks look at, each made once. Not for judging them (see checks.py)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from lnlbench.contract.reach import Truth, find_truth
from lnlbench.contract.synthetic import NOISE_RATE, quick_job, synthetic, with_other_truth
from lnlbench.contract.trace import Trace, observe
from lnlbench.job import Noise
from lnlbench.methods import registry
from lnlbench.methods.base import Method
from lnlbench.resolve import needs
from lnlbench.training.data import Prepared
from lnlbench.training.devices import Place
from lnlbench.training.trainer import EpochRecord


class Bench:
    """One method on the bench: its job, its problem, and the run that most checks look at, made once."""

    def __init__(
        self, expression: str, place: Place, hyperparameters: Mapping[str, Any], recipe: Mapping[str, Any]
    ) -> None:
        self.expression = registry.parse(expression)
        self.place = place
        self.hyperparameters = dict(hyperparameters)
        self.recipe = dict(recipe)
        self.data = synthetic()
        self.job = quick_job(expression, hyperparameters=hyperparameters, recipe=recipe)
        self.failure: Exception | None = None
        self._base: Trace | None = None

    @property
    def base(self) -> Trace:
        """The run of seed 1. If it failed, it fails the same way again without being repeated."""
        if self.failure is not None:
            raise self.failure
        if self._base is None:
            try:
                self._base = observe(self.job, self.data, self.place)
            except Exception as error:
                self.failure = error
                raise
        return self._base

    @cached_property
    def second(self) -> Trace:
        """The same job once more, from other states of the global generators."""
        return observe(self.job, self.data, self.place, shake=1)

    @cached_property
    def blind(self) -> tuple[Trace, str | None]:
        """The same job under other true labels, and where they can be reached from the method, if anywhere."""
        declared = needs(self.expression)
        meta = "clean_meta" not in declared
        data = with_other_truth(self.data, meta=meta)
        rates = {"noise_rate", "noise_share", "transition_matrix"}
        hidden = () if rates & {*declared} else (NOISE_RATE,)
        truth = Truth(data, hidden, meta=meta)
        found: list[str] = []

        def look(method: Method, record: EpochRecord) -> None:
            told = None if found else find_truth(method, truth)
            found.extend([told] if told else [])

        trace = observe(self.job, data, self.place, on_epoch=look)
        return trace, found[0] if found else None

    def on(
        self,
        data: Prepared,
        *,
        noise: Noise | None = None,
        recipe: Mapping[str, Any] | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
    ) -> Trace:
        """Another problem, for an epoch of warm-up and one after it."""
        job = quick_job(
            str(self.expression),
            hyperparameters={**self.hyperparameters, **(hyperparameters or {})},
            recipe={**self.recipe, "epochs": 2, **(recipe or {})},
            noise=noise,
        )
        return observe(job, data, self.place)
