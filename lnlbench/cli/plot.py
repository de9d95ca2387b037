"""`lnlbench plot`: figures from the database, and of noises, as files. It trains nothing; torch is imported for figures
of trained models alone (`--job`, see plot_job.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli import common, plot_job, selection
from lnlbench.cli.common import JsonOption, print_json
from lnlbench.cli.found import plans_with_results
from lnlbench.cli.printing import line, table
from lnlbench.cli.selection import Chosen
from lnlbench.errors import InvalidSetting, LnlbenchError, unknown_name

if TYPE_CHECKING:
    from lnlbench.job import Noise
    from lnlbench.report.figures import Drawing
    from lnlbench.store import Glance, Store
    from lnlbench.store.rows import ResultView
    from lnlbench.suite import Plan

FIGURE_1: dict[str, Any] = {"noises": ("uniform", "flip", "flip2"), "rate": 0.4, "classes": 5}
"""RMW-Net's Figure 1: what `--kind noise` draws where nothing is chosen."""


@dataclass
class _Done:
    """What a command did: files written, and (suite and scale, kind, why) of what was not drawn.

    numbers: of figures of trained models, by the figure's name.
    """

    written: list[Path] = field(default_factory=list)
    missing: list[tuple[str, str, str]] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)


def plot(
    suite: selection.SuiteOption = None,
    scale: selection.ScaleOption = None,
    method: selection.MethodOption = None,
    dataset: selection.DatasetOption = None,
    noise: selection.NoiseOption = None,
    rate: selection.RateOption = None,
    seed: selection.SeedOption = None,
    settings: selection.SetOption = None,
    recipe: selection.RecipeOption = selection.DEFAULT_RECIPE,
    plugin: common.PluginOption = None,
    db: common.DbOption = None,
    data_dir: common.DataDirOption = None,
    also: Annotated[
        list[str] | None, typer.Option("--also", help="A method below the suite's rows; repeatable.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", "-k", help="Only this kind, see --list; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; files of the same names are overwritten.")] = Path(
        "figures"
    ),
    format: Annotated[
        list[str] | None, typer.Option("--format", "-f", help="pdf, svg or png; repeatable. Default: pdf.")
    ] = None,
    dpi: Annotated[int, typer.Option("--dpi", min=20, max=2400, help="Resolution of PNG files.")] = 300,
    compare: Annotated[
        bool, typer.Option("--compare", help="Training curves: the published best accuracy as a dotted line.")
    ] = False,
    classes: Annotated[
        int | None, typer.Option("--classes", min=2, max=1000, help="--kind noise without a suite: how many.")
    ] = None,
    job: Annotated[
        list[str] | None,
        typer.Option("--job", help="Figures of this job's kept model, by its key's start; repeatable: a row each."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, max=10_000, help="--job: pictures of a group, or points.")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="--job: auto (the default), cpu, cuda:0, mps.")] = None,
    list_kinds: Annotated[bool, typer.Option("--list", help="Name the kinds of figures, draw nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw a suite's figures from the results there are, or of trained jobs; each with its caption in a text file."""
    from lnlbench.report import figures

    if list_kinds:
        _list(as_json)
        return
    formats = _checked_formats(format)
    _check_kinds(kind or ())
    if job:
        _refuse_with_jobs(
            {"--suite": suite, "--scale": scale, "--method": method, "--dataset": dataset, "--noise": noise}
            | {"--rate": rate, "--set": settings, "--also": also, "--compare": compare, "--classes": classes}
        )
        common.load_plugins(plugin)
        chosen, own_seed = plot_job.checked_kinds(kind or ()), _one_seed(seed)
        found, missing = plot_job.draw(
            job, chosen, db=db, data_dir=data_dir, device=device or "auto", samples=samples, seed=own_seed
        )
        done = _Done(missing=[("these jobs", *why) for why in missing])
        _write(done, [drawing for drawing, _ in found], out, formats, dpi)
        done.numbers = {drawing.name: numbers for drawing, numbers in found}
        _tell(done, as_json)
        return
    plot_job.refuse_without_job(kind or (), samples, device)
    kinds = [figures.kind(name).name for name in dict.fromkeys(kind or ())]
    picked = selection.chosen(suite, scale, method, dataset, noise, rate, seed, settings, plugin, recipe)
    done = _Done()
    if kinds == ["noise"] and picked.suite is None and not picked.methods:
        drawn = [figures.noise_figure(*_noises(picked, classes), common.data_dir(data_dir))]
        _write(done, drawn, out, formats, dpi)
    else:
        if classes is not None:
            raise InvalidSetting("--classes is for noises without a suite.", "A suite's data sets say how many.")
        store = None if kinds and not any(figures.KINDS[name].of_results for name in kinds) else common.look_at(db)
        try:
            for plan, results in _plans(store, picked, also or (), db):
                uids = [result.run_uid for result in results]
                epochs, extras = (store.epochs_of(uids), store.extras_of(uids)) if store else ({}, {})
                material = figures.material(
                    plan, results, epochs, extras, compare=compare, data_dir=common.data_dir(data_dir)
                )
                drawn, missing = figures.draw(material, kinds or figures.default_kinds(plan))
                _write(done, drawn, out, formats, dpi)
                done.missing += [(f"{plan.name}, {plan.scale} scale", name, why) for name, why in missing]
        finally:
            if store:
                store.close()
    _tell(done, as_json)


def _plans(
    store: Store | Glance | None, picked: Chosen, also: Sequence[str], db: str | None
) -> list[tuple[Plan, list[ResultView]]]:
    """What to draw from: a plan with its results for each scale that has some; without a store a plan alone."""
    if store is None:
        return [(picked.plan(also=also), [])]
    drawable = [(plan, results) for plan, results in plans_with_results(store, picked, also) if results]
    if not drawable:
        what = f" of {picked.suite}" if picked.suite else ""
        chosen = f" --suite {picked.suite}" if picked.suite else " --suite quickstart"
        chosen += f" --scale {picked.scale}" if picked.scale else ""
        raise LnlbenchError(
            f"no results{what} in this database to draw.",
            f"Run: lnlbench run{chosen}{common.same_database(db)}. Results of a run with --set, --method or --seed are "
            "drawn with the same options. Noises need no results: lnlbench plot --kind noise.",
        )
    return drawable


def _noises(picked: Chosen, classes: int | None) -> tuple[list[Noise], int, str | None]:
    """The noises to draw without a suite, each at each rate; how many classes, and the data set if one is given."""
    from lnlbench.data.catalogue import dataset_info
    from lnlbench.data.noise import info
    from lnlbench.job import Noise

    if len(picked.datasets) > 1:
        raise InvalidSetting("without a suite noises are drawn for one data set at a time.", "Give --dataset once.")
    dataset = picked.datasets[0] if picked.datasets else None
    there = None if dataset is None else dataset_info(dataset).classes
    if there is not None and classes not in (None, there):
        raise InvalidSetting(f"{dataset} has {there} classes, not {classes}.", "Leave out --classes or --dataset.")
    own = {name.removeprefix("noise."): value for name, value in picked.settings.items()}
    noises = []
    for name in picked.noises or FIGURE_1["noises"]:
        rates = (picked.rates or [FIGURE_1["rate"]]) if info(name).takes_rate else [None]
        noises += [Noise.from_dict({**own, "name": name, "rate": rate}) for rate in rates]
    return noises, there or classes or FIGURE_1["classes"], dataset


def _refuse_with_jobs(options: Mapping[str, Any]) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise InvalidSetting(f"--job says what is drawn; {', '.join(given)} would choose others.", "Leave one out.")


def _one_seed(seed: Sequence[str] | None) -> int:
    """The seed of a figure's own draws."""
    found = selection.seed_numbers(seed) if seed else [0]
    if len(found) > 1:
        raise InvalidSetting("with --job there is one --seed: of the figure's own draws.", "For example --seed 3.")
    return found[0]


def _check_kinds(given: Sequence[str]) -> None:
    """Every name must be a kind, of results or of trained models, so that the nearest is found among both."""
    from lnlbench.report.figures import KINDS
    from lnlbench.report.figures.of_models import MODEL_KINDS

    for name in given:
        if name not in {*KINDS, *MODEL_KINDS}:
            raise unknown_name("kind of figure", name, {*KINDS, *MODEL_KINDS}, "lnlbench plot --list")


def _checked_formats(given: Sequence[str] | None) -> list[str]:
    formats = ("pdf", "svg", "png")
    for name in given or ():
        if name not in formats:
            raise unknown_name("format", name, formats)
    return list(dict.fromkeys(given or ("pdf",)))


def _write(done: _Done, drawn: Sequence[Drawing], out: Path, formats: Sequence[str], dpi: int) -> None:
    from lnlbench.report.figures.output import save, write

    for drawing in drawn:
        done.written += save(drawing.figure, out, drawing.name, formats, dpi)
        caption = out / f"{drawing.name}.txt"
        write(caption, drawing.caption.encode())
        done.written.append(caption)


def _tell(done: _Done, as_json: bool) -> None:
    if as_json:
        missing = [{"of": of, "kind": kind, "why": why} for of, kind, why in done.missing]
        numbers = {"numbers": done.numbers} if done.numbers else {}
        print_json({"written": list(map(str, done.written)), "not_drawn": missing, **numbers})
    else:
        for path in done.written:
            line(f"wrote {path}")
        several = len({of for of, _, _ in done.missing}) > 1
        for of, kind, why in done.missing:
            line(f"not drawn: {kind}{f' ({of})' if several else ''}: {why}")
    if not done.written:
        raise LnlbenchError("nothing could be drawn.", None if not as_json else "Why: not_drawn.")


def _list(as_json: bool) -> None:
    from lnlbench.report.figures import KINDS
    from lnlbench.report.figures.of_models import MODEL_KINDS

    kinds = [(kind.name, kind.title, kind.needs) for kind in KINDS.values()]
    kinds += [(kind.name, kind.title, kind.needs) for kind in MODEL_KINDS.values()]
    if as_json:
        print_json([{"kind": name, "shows": title, "needs": needs} for name, title, needs in kinds])
    else:
        table(["kind", "shows", "needs"], kinds)
