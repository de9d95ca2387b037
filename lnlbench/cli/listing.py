"""`lnlbench list`: what there is of each kind. What a single one is, `lnlbench show` says."""

from __future__ import annotations

from typing import Any

import typer

from lnlbench.cli.common import DataDirOption, JsonOption, PluginOption, data_dir, load_plugins, print_json
from lnlbench.cli.printing import line, table

app = typer.Typer(help="What there is: methods, suites, data sets, noises, backbones.", no_args_is_help=True)


@app.command("methods")
def list_methods(plugin: PluginOption = None, as_json: JsonOption = False) -> None:
    """Every method with its family, needs and paper."""
    from lnlbench.methods import registry

    load_plugins(plugin)
    specs = [registry.spec(name) for name in registry.names()]
    if as_json:
        print_json(
            [
                {
                    "slug": s.slug,
                    "title": s.title,
                    "family": s.family,
                    "summary": s.summary,
                    "needs": s.needs,
                    "paper": s.paper,
                    "code": s.code,
                    "plugin": s.plugin,
                    "hosts": s.hosts,
                }
                for s in specs
            ]
        )
        return
    written = [f"{s.slug}(HOST)" if s.plugin else s.slug for s in specs]
    table(
        ["method", "title", "family", "needs", "paper"],
        [[name, s.title, s.family, s.needs, s.paper] for name, s in zip(written, specs, strict=True)],
    )
    for spec in specs:
        if spec.plugin:
            line(f"\n{spec.slug}(HOST): HOST is one of {', '.join(spec.hosts) or 'the other methods'}.")


@app.command("suites")
def list_suites(as_json: JsonOption = False) -> None:
    """Every suite with how much of it lnlbench can run, and its jobs by scale."""
    from lnlbench.suite import every_suite

    suites, broken = every_suite()
    for error in broken:
        typer.echo(f"caution: {error}", err=True)
    rows: list[dict[str, Any]] = [
        {
            "name": suite.name,
            "title": suite.title,
            "source": suite.layouts[suite.default_scale].source,
            "rows": len(suite.layouts[suite.default_scale].rows),
            "implemented": suite.rows_there(suite.default_scale),
            "jobs": {scale: suite.job_count(scale) for scale in suite.scales},
        }
        for suite in suites
    ]
    if as_json:
        print_json(rows)
        return
    table(
        ["suite", "rows", "paper", "desk", "smoke", "title"],
        [
            [
                r["name"],
                f"{r['implemented']}/{r['rows']}",
                *(r["jobs"].get(s) for s in ("paper", "desk", "smoke")),
                r["title"],
            ]
            for r in rows
        ],
        right=("rows", "paper", "desk", "smoke"),
    )
    line("\nrows: those whose method lnlbench has, of all. paper, desk, smoke: jobs at that scale.")


@app.command("datasets")
def list_datasets(data: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Every data set and label file, and whether it lies under the data folder."""
    from lnlbench.data.catalogue import LABEL_FILES, known_datasets

    folder = data_dir(data)
    datasets, wrong = known_datasets(folder)
    if as_json:
        print_json(
            {
                "data_dir": str(folder),
                "datasets": [
                    {
                        "name": i.key,
                        "title": i.title,
                        "classes": i.classes,
                        "train": i.train,
                        "test": i.test,
                        "image": i.image,
                        "noise": i.noise,
                        "terms": i.terms,
                        "needs": i.needs,
                        "found": i.available(folder),
                    }
                    for i in datasets
                ],
                "wrong": [str(error) for error in wrong],
                "label_files": [
                    {
                        "name": f.key,
                        "title": f.title,
                        "dataset": f.dataset,
                        "file": f.file.path,
                        "terms": f.terms,
                        "found": f.available(folder),
                    }
                    for f in LABEL_FILES.values()
                ],
            }
        )
        return
    table(
        ["data set", "classes", "train", "test", "image", "noise", "found"],
        [[i.key, i.classes, f"{i.train:,}", f"{i.test:,}", i.image, i.noise, i.available(folder)] for i in datasets],
        right=("classes", "train", "test"),
    )
    line()
    table(
        ["label file", "of", "what", "found"],
        [[f.key, f.dataset, f.title, f.available(folder)] for f in LABEL_FILES.values()],
    )
    for error in wrong:
        line(f"\nNot usable: {error}")
    line(f"\nData folder: {folder} (--data-dir or $LNLBENCH_DATA). To fetch one: lnlbench data download NAME")


@app.command("noises")
def list_noises(as_json: JsonOption = False) -> None:
    """Every kind of label noise, what its rate means and how it is drawn."""
    from lnlbench.data.noise.catalogue import CATALOGUE

    if as_json:
        print_json(
            [
                {
                    "name": n.name,
                    "rate_means": n.rate_means,
                    "definition": n.definition,
                    "sampling": n.sampling,
                    "share": n.share,
                    "used_by": n.used_by,
                    "parameters": n.parameters,
                }
                for n in CATALOGUE.values()
            ]
        )
        return
    table(
        ["noise", "drawn", "rate is", "share of wrong labels at rate r"],
        [[n.name, n.sampling, n.rate_means, n.share] for n in CATALOGUE.values()],
    )
    line("\nThe definition, who uses it and its matrix: lnlbench show noise NAME --rate R")


@app.command("backbones")
def list_backbones(as_json: JsonOption = False) -> None:
    """Every network with its size."""
    from dataclasses import asdict

    from lnlbench.networks.catalogue import BACKBONES

    if as_json:
        print_json([asdict(info) for info in BACKBONES.values()])
        return
    table(
        ["backbone", "parameters", "features", "smallest image", "what it is"],
        [
            [i.name, f"{i.parameters_10:,}", i.feature_dim, f"{i.min_image_size}x{i.min_image_size}", i.description]
            for i in BACKBONES.values()
        ],
        right=("parameters", "features", "smallest image"),
    )
    line("\nparameters: trainable ones with 10 classes at width 1.")
