"""On which data results were measured, so that canonical and modified archives are never mixed unseen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from lnlbench.data.catalogue import dataset_info
from lnlbench.suite import Plan

_CANONICAL = "canonical"
# What a data set's note announces of its reports is told by the heading here.
_MARKED = re.compile(r"\s*Results will be marked '[^']*'\.?")


class OfData(Protocol):
    """A result's statement about its data."""

    @property
    def data_fingerprint(self) -> str | None: ...
    @property
    def data_canonical(self) -> bool | None: ...
    @property
    def data_note(self) -> str | None: ...


class Variant(NamedTuple):
    """canonical: None where it is not recorded. note, fingerprint: empty for canonical data, which needs no telling."""

    canonical: bool | None
    note: str = ""
    fingerprint: str = ""


@dataclass(frozen=True)
class DataOf:
    """The variants of each data set, in the order of the cells they first appear in."""

    variants: Mapping[str, tuple[Variant, ...]]

    def title(self, dataset: str) -> str:
        """Heading of a data set, which says so when all results are from modified data."""
        title = dataset_info(dataset).title
        there = self.variants.get(dataset, ())
        return f"{title} ({_word(there[0])})" if len(there) == 1 and not there[0].canonical else title

    def marks(self, dataset: str, results: Iterable[OfData]) -> tuple[str, ...]:
        """Stars of a cell, where the data set's results are from several variants."""
        symbols = self._symbols(dataset)
        return tuple(dict.fromkeys(symbols[v] for v in map(_variant, results) if v in symbols))

    def sentence(self) -> Iterable[str]:
        """For the caption: which data are canonical and which are not; nothing without results."""
        words = {dataset: " and ".join(dict.fromkeys(map(_word, there))) for dataset, there in self.variants.items()}
        if set(words.values()) == {_CANONICAL}:
            yield "Data: canonical."
        elif words:
            yield f"Data: {', '.join(f'{dataset_info(dataset).title} ({word})' for dataset, word in words.items())}."

    def notes(self) -> Iterable[str]:
        """What is to be said of data that is not canonical."""
        for dataset, there in self.variants.items():
            symbols = self._symbols(dataset)
            for variant in there:
                if not variant.canonical:
                    start = f"{symbols[variant]} " if variant in symbols else ""
                    told = _MARKED.sub("", variant.note).strip().rstrip(".")
                    said = f": {told}" if told else ""
                    content = f" (content {variant.fingerprint[:12]})" if variant.fingerprint else ""
                    yield f"{start}{dataset_info(dataset).title}, {_word(variant)} data{content}{said}."
            if len(there) > 1:
                yield f"Results on {dataset_info(dataset).title} are from different data: do not compare across marks."

    def _symbols(self, dataset: str) -> dict[Variant, str]:
        there = self.variants.get(dataset, ())
        if len(there) < 2:
            return {}
        return {variant: "*" * (i + 1) for i, variant in enumerate(v for v in there if not v.canonical)}


def data_of(plan: Plan, found: Mapping[str, OfData]) -> DataOf:
    """The data behind the results of a plan's jobs, by key."""
    variants: dict[str, dict[Variant, None]] = {}
    for cell in plan.cells:
        for job in cell.jobs:
            if job.key in found:
                variants.setdefault(job.dataset, {})[_variant(found[job.key])] = None
    return DataOf({dataset: tuple(there) for dataset, there in variants.items()})


def _variant(result: OfData) -> Variant:
    if result.data_canonical:
        return Variant(True)
    return Variant(result.data_canonical, result.data_note or "", result.data_fingerprint or "")


def _word(variant: Variant) -> str:
    if variant.canonical is None:
        return "unrecorded"
    return _CANONICAL if variant.canonical else "modified"
