"""`lnlbench show`: everything about one method, job, noise, suite, backbone or data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli import show_job, show_method, show_noise
from lnlbench.cli.common import DataDirOption, JsonOption, data_dir, print_json
from lnlbench.cli.printing import counted, facts, heading, line, settings, table
from lnlbench.errors import unknown_name

if TYPE_CHECKING:
    from pathlib import Path

    from lnlbench.data.catalogue import DatasetInfo, LabelFileInfo
    from lnlbench.job import Scale
    from lnlbench.suite import Suite

app = typer.Typer(help="Everything about one method, job, noise, suite, backbone or data set.", no_args_is_help=True)
app.command("method")(show_method.method)
app.command("job")(show_job.job)
app.command("noise")(show_noise.noise)


@app.command("suite")
def suite(
    name: Annotated[str, typer.Argument(help="A name of `lnlbench list suites`, or a YAML file.")],
    scale: Annotated[str | None, typer.Option("--scale", help="Only this scale: paper, desk or smoke.")] = None,
    as_json: JsonOption = False,
) -> None:
    """A table or figure: its rows, columns and seeds, and its recipe at each scale."""
    from lnlbench.suite import load_suite

    found = load_suite(name)
    if scale is not None and scale not in found.scales:
        raise unknown_name(f"scale of {found.name}", scale, found.scales)
    scales = [s for s in found.scales if scale in (None, s)]
    if as_json:
        print_json(_suite_plain(found, scales))
        return
    layout, rows = found.layouts[scales[0]], found.plan(scales[0]).rows
    line(f"{found.name}: {layout.title}")
    facts(
        [
            ("source", layout.source),
            ("published numbers", layout.published),
            ("scales", [f"{s} ({counted(found.job_count(s), 'job')})" for s in found.scales]),
        ]
    )
    for one in scales:
        _print_scale(found, one)
    heading("Rows" if len(scales) == 1 else f"Rows, at {scales[0]} scale")
    table(
        ["label", "method", "needs", "in lnlbench"],
        [[row.label, row.method, row.needs if row.implemented else "?", row.implemented] for row in rows],
    )


def _print_scale(found: Suite, scale: Scale) -> None:
    from lnlbench.cli import wording
    from lnlbench.job import Recipe
    from lnlbench.resolve import merge
    from lnlbench.suite.layout import seed_list

    layout, recipe = found.layouts[scale], found.recipes[scale]
    heading(f"{scale} scale: {layout.title}")
    facts(
        [
            ("columns", "\n".join(wording.columns(layout))),
            ("seeds", seed_list(layout.seeds)),
            ("statistics", layout.stats),
            ("recipe", layout.recipe),
            *wording.recipe(Recipe.from_dict(merge(Recipe().to_dict(), recipe.recipe))),
            *((slug, settings(values)) for slug, values in recipe.methods.items()),
            *((f"with {name}", settings(wording.flat(values))) for name, values in recipe.backbones.items()),
            *wording.other_recipes(layout),
        ]
    )


def _suite_plain(found: Suite, scales: list[Scale]) -> dict[str, Any]:
    return {
        "name": found.name,
        "title": found.title,
        "scales": {
            scale: {
                "jobs": found.job_count(scale),
                "layout": found.layouts[scale].to_dict(),
                "recipe": found.recipes[scale].to_dict(),
                "rows": [
                    {"label": r.label, "method": r.method, "needs": r.needs, "implemented": r.implemented}
                    for r in found.plan(scale).rows
                ],
            }
            for scale in scales
        },
    }


@app.command("backbone")
def backbone(
    name: Annotated[str, typer.Argument(help="A name of `lnlbench list backbones`.")], as_json: JsonOption = False
) -> None:
    """A network: where it comes from and what it takes."""
    from dataclasses import asdict

    from lnlbench.networks.catalogue import BACKBONES

    if name not in BACKBONES:
        raise unknown_name("backbone", name, BACKBONES, "lnlbench list backbones")
    info = BACKBONES[name]
    if as_json:
        print_json(asdict(info))
        return
    line(f"{info.name}: {info.description}")
    facts(
        [
            ("source", info.source),
            ("parameters", f"{info.parameters_10:,} with 10 classes, {info.parameters_100:,} with 100"),
            ("features", f"{info.feature_dim}, from a map of {info.map_dim} channels"),
            ("smallest image", f"{info.min_image_size}x{info.min_image_size}"),
            ("width", "any factor: --set width=0.5" if info.scalable else "fixed"),
            ("dropout", info.dropout),
            ("ImageNet weights", "yes: --set pretrained=imagenet" if info.imagenet else "no"),
        ]
    )


@app.command("dataset")
def dataset(
    name: Annotated[str, typer.Argument(help="A name of `lnlbench list datasets`.")],
    data: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """A data set or label file: sizes, terms, files, and whether it lies under the data folder."""
    from dataclasses import asdict

    from lnlbench.data.catalogue import DatasetInfo, entry

    folder = data_dir(data)
    info = entry(name, folder)
    if as_json:
        print_json({**asdict(info), "data_dir": str(folder), "found": info.available(folder)})
        return
    line(f"{info.key}: {info.title}")
    if isinstance(info, DatasetInfo):
        _print_dataset(info, folder)
    else:
        _print_label_file(info, folder)


def _print_dataset(info: DatasetInfo, folder: Path) -> None:
    facts(
        [
            ("images", f"{info.train:,} for training, {info.test:,} for testing, {info.image}"),
            ("validation", f"{info.validation:,} images with true labels" if info.validation else None),
            ("classes", info.classes),
            ("noise", info.noise),
            ("true training labels", {"true": None, "noisy": "unknown", "both": "known"}[info.labels]),
            ("citation", info.citation),
            ("terms", info.terms),
            ("needs", info.needs),
            ("found", f"{'yes' if info.available(folder) else 'no'}, under {folder}"),
            ("fingerprint", info.fingerprint),
        ]
    )
    if info.files:
        heading("Files")
        table(["file", "md5", "from"], [[file.path, file.md5, file.url] for file in info.files])
    heading("Normalisation, for pixels in 0..1")
    table(["name", "mean", "std"], [[name, mean, std] for name, (mean, std) in info.normalisation.items()])


def _print_label_file(info: LabelFileInfo, folder: Path) -> None:
    facts(
        [
            ("labels of", info.dataset),
            ("file", info.file.path),
            ("md5", info.file.md5),
            ("from", info.file.url),
            ("citation", info.citation),
            ("terms", info.terms),
            ("found", f"{'yes' if info.available(folder) else 'no'}, under {folder}"),
        ]
    )
