"""Results for notebooks: `lnlbench.results(...)`, a tidy pandas data frame of what the database holds.

One row a finished run, or one an epoch; nothing is averaged, rounded or marked, which is the report's business. It
only reads, and imports neither torch nor, for a database file, SQLAlchemy.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from lnlbench.errors import InvalidSetting, UnknownName, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from lnlbench.job import Scale
    from lnlbench.store import Glance, Store
    from lnlbench.suite import Plan, PlannedCell

    Rows = list[tuple[Any, ...]]


def results(
    suite: str | Path | None = None,
    *,
    scale: str | None = None,
    db: str | Path | None = None,
    method: str | Collection[str] | None = None,
    dataset: str | Collection[str] | None = None,
    noise: str | Collection[str] | None = None,
    rate: float | Collection[float] | None = None,
    seed: int | Collection[int] | None = None,
    epochs: bool = False,
    all_runs: bool = False,
    hyperparameters: bool = False,
) -> pd.DataFrame:
    """The finished runs of a database, one a row; docs/notebooks.md lists the columns.

    suite: name or file; only its jobs, a row for each cell that they stand in, with the labels of the table and the
    published numbers. None: every job. scale: 'paper', 'desk' or 'smoke'; without a suite None is all of them.
    db: file or URL; None is $LNLBENCH_DB or ./lnlbench.sqlite. method, dataset, noise, rate, seed: one value or
    several; a method's slug is it over any host, too. epochs: a row an epoch instead. all_runs: reruns too, not only
    the newest run of each job. hyperparameters: each as a column `hp.NAME`.

    Accuracies are percent, AUCs 0..1, times UTC; what a run did not measure is missing. A run that diverged is a row
    with the status 'diverged'. Where nothing is found the frame is empty, with the same columns and types.
    Raises UnknownName for a suite, or a name to filter by, that is not there, InvalidSetting for a suite with results
    at several scales and no `scale`, StoreError for a database that cannot be read.
    """
    from lnlbench import frame
    from lnlbench.store import tidy

    # Databases take no numbers of NumPy.
    rates, seeds = [float(value) for value in _several(rate)], [int(value) for value in _several(seed)]
    wanted = _Wanted(_several(method), _several(dataset), _several(noise), rates, seeds)
    _check_scale(scale)
    source, name = _opened(db)
    with source:
        if suite is None:
            cells, runs = None, frame.run_frame(_all(source, wanted, scale))
        else:
            plan, rows = _of_suite(source, suite, wanted, scale)
            cells, runs = _cells(plan), frame.run_frame(rows)
        if not all_runs:
            runs = runs.drop_duplicates("key", keep="last")
        history = frame.epoch_frame(tidy.epochs_of_runs(source, runs["id"].tolist()) if epochs else ())
        texts = tidy.canonical_texts(source, runs["key"].tolist() if hyperparameters else ())
    if hyperparameters:
        settings = {key: json.loads(text)["hyperparameters"] for key, text in texts.items()}
        runs = runs.join(frame.settings_frame(settings, "hp."), on="key")
    if cells is not None:
        runs = cells.merge(runs, on="key")
    if epochs:
        of_runs = {*frame.NUMBERS, *frame.PROVENANCE, *frame.PUBLISHED}
        runs = runs.drop(columns=[column for column in runs if column in of_runs]).merge(history, on="id")
    first = [column for column in (*frame.IDENTITY, *frame.CELL) if column in runs]
    rest = [column for column in runs if column not in ("id", *first)]
    found = runs[[*first, *rest]].reset_index(drop=True)
    found.attrs = {"db": name, "suite": None if suite is None else str(suite)}
    return found


class _Wanted(NamedTuple):
    """The filters; an empty one keeps all."""

    methods: list[str]
    datasets: list[str]
    noises: list[str]
    rates: list[float]
    seeds: list[int]


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Collection) and not isinstance(value, str) else [value]


def _check_scale(scale: str | None) -> None:
    from lnlbench.job import SCALES

    if scale is not None and scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)


def _opened(db: str | Path | None) -> tuple[Store | Glance, str]:
    """The database and how to call it, without the password of a URL."""
    from lnlbench.cli import common
    from lnlbench.store import Glance

    url = common.database_url(None if db is None else str(db))
    source = common.look_at(url)
    return source, str(Path(url).expanduser().absolute()) if isinstance(source, Glance) else source.name


def _all(source: Store | Glance, wanted: _Wanted, scale: str | None) -> Rows:
    from lnlbench.store import tidy
    from lnlbench.suite.plan import normal

    methods = [normal(method) for method in wanted.methods]
    rows = tidy.finished_runs(
        source,
        method=methods,
        dataset=wanted.datasets,
        noise=wanted.noises,
        rate=wanted.rates,
        seed=wanted.seeds,
        scale=_several(scale),
    )
    if not rows:
        _check_names(source, wanted._replace(methods=methods))
    return rows


def _check_names(source: Store | Glance, wanted: _Wanted) -> None:
    """A name that neither the database nor lnlbench knows is a slip, not an empty result."""
    from lnlbench.data.catalogue import DATASETS
    from lnlbench.data.noise.catalogue import info
    from lnlbench.methods import registry
    from lnlbench.store import tidy

    slugs = {slug for text in tidy.names_in_use(source, "method") for slug in _slugs(text)} | set(registry.names())
    for slug in (slug for text in wanted.methods for slug in _slugs(text)):
        if slug not in slugs:
            raise unknown_name("method", slug, slugs, "lnlbench list methods")
    datasets = tidy.names_in_use(source, "dataset") | set(DATASETS)
    for dataset in wanted.datasets:
        if dataset not in datasets:
            raise unknown_name("data set", dataset, datasets, "lnlbench list datasets")
    for noise in set(wanted.noises) - tidy.names_in_use(source, "noise"):
        info(noise)


def _slugs(method: str) -> list[str]:
    return method.replace(")", "").split("(")


def _of_suite(source: Store | Glance, suite: str | Path, wanted: _Wanted, scale: str | None) -> tuple[Plan, Rows]:
    """The plan at the scale that has results, or at the given one, and the runs of its jobs."""
    from lnlbench.store import tidy

    there = [(p, tidy.finished_runs(source, [job.key for job in p.jobs])) for p in _plans(suite, wanted, scale)]
    found = [(plan, rows) for plan, rows in there if rows]
    if len(found) > 1:
        scales = [plan.scale for plan, _ in found]
        raise InvalidSetting(
            f"{suite} has results at {' and '.join(scales)} scale, which are never mixed.",
            f"Choose one: scale={scales[-1]!r}.",
        )
    return (found or there)[0]


def _plans(suite: str | Path, wanted: _Wanted, scale: str | None) -> list[Plan]:
    """The suite's plan at each scale to look at; a filter may fit at one scale only."""
    from lnlbench.suite import load_suite

    loaded = load_suite(suite)
    plans, misfits = [], []
    for each in loaded.scales if scale is None else (cast("Scale", scale),):
        try:
            plans.append(
                loaded.plan(
                    each,
                    methods=wanted.methods,
                    datasets=wanted.datasets,
                    noises=wanted.noises,
                    rates=wanted.rates,
                    seeds=wanted.seeds or None,
                )
            )
        except UnknownName as error:
            misfits.append(error)
    if not plans:
        raise misfits[0]
    return plans


def _cells(plan: Plan) -> pd.DataFrame:
    """A row for each job in each of its cells: key, labels as categories in the table's order, published numbers."""
    import pandas as pd

    from lnlbench import frame

    rows = list(_cell_rows(plan))
    cells = pd.DataFrame(rows, columns=["key", *frame.CELL, *frame.PUBLISHED])
    for column in frame.CELL:
        cells[column] = pd.Categorical(cells[column], categories=list(dict.fromkeys(cells[column])))
    return cells.astype({"key": "string", **frame.PUBLISHED})


def _cell_rows(plan: Plan) -> Iterator[tuple[Any, ...]]:
    from lnlbench.data.catalogue import dataset_info

    for cell in plan.cells:
        column = f"{dataset_info(cell.column.dataset).title}, {cell.column.noise.label()}"
        published = _published(plan, cell)
        yield from ((job.key, cell.row.group, cell.row.label, column, *published) for job in cell.jobs)


def _published(plan: Plan, cell: PlannedCell) -> tuple[float | None, ...]:
    """The means that the paper prints for a cell, in the order of `frame.PUBLISHED`."""
    from lnlbench.report import reference

    table = plan.layout.published
    if table is None:
        return (None,) * 4
    best, last, final = (reference.beside(table, cell, stat) for stat in ("best", "last", "final"))
    accuracies = (there.mean if there and there.metric == "accuracy" else None for there in (best, last, final))
    return (*accuracies, best.mean if best and best.metric == "auc" else None)
