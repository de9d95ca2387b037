"""`lnlbench data noise`: writes noisy labels to files that others can use, and checks the files of others."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnlbench.cli import common
from lnlbench.cli.printing import cautions, facts, heading, line, table
from lnlbench.errors import DataError, InvalidSetting

if TYPE_CHECKING:
    from lnlbench.data.dataset import Dataset, Int64
    from lnlbench.data.noise import NoiseInfo, NoiseReport
    from lnlbench.job import Noise

app = typer.Typer(help="Noisy labels as files: write them, check those of others.", no_args_is_help=True)

DatasetOption = Annotated[str, typer.Option("--dataset", "-d", help="The data set the labels belong to.")]


@app.command("export")
def export(
    dataset: DatasetOption,
    noise: Annotated[str, typer.Option("--noise", "-n", help="A name of `lnlbench list noises`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .json, .npy or .csv.")],
    rate: Annotated[float | None, typer.Option("--rate", "-r", help="The noise's rate.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the draw. Default: 1.")] = None,
    draw: Annotated[str, typer.Option("--draw", help="ours, or released: as the published code draws.")] = "ours",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Another noise setting, variant=worst; repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    data: common.DataDirOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Draw the noise that a job would get and write its labels, in the data set's order, with a .meta.json."""
    from lnlbench.data.files import ImageFiles
    from lnlbench.data.load import load_dataset
    from lnlbench.data.noise import canonical_noise, corrupt, export_labels, info, measure

    if out.exists() and not force:
        raise InvalidSetting(f"{out} is there already.", "Give another --out, or --force to replace it.")
    chosen = _noise(info(noise), rate, seed, draw, settings)
    folder = common.data_dir(data)
    loaded = load_dataset(dataset, folder)
    chosen = canonical_noise(chosen, dataset, loaded.num_classes, loaded.coarse)
    true = _true_labels(loaded)
    used = info(noise).released_seed if draw == "released" and info(noise).released_seed is not None else seed
    used = 1 if used is None else used
    with cautions():
        labels = corrupt(
            chosen,
            true,
            loaded.num_classes,
            used,
            dataset=dataset,
            images=None if isinstance(loaded.train_images, ImageFiles) else loaded.train_images,
            coarse=loaded.coarse,
            data_dir=folder,
        )
    try:
        meta = export_labels(
            out,
            labels,
            true,
            loaded.num_classes,
            noise=chosen,
            seed=used,
            dataset=dataset,
            fingerprint=loaded.fingerprint,
        )
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror}.", "Give another --out.") from error
    report = measure(true, labels, loaded.num_classes)
    if as_json:
        common.print_json({"file": str(out), "meta": str(meta), "seed": used, **report.to_dict()})
        return
    line(f"{out}: {report.num_samples:,} labels, {report.wrong:,} wrong ({100 * report.share:.2f}%)")
    facts([("noise", chosen.label()), ("seed", used), ("sha256", report.sha256), ("described in", meta)])


def _true_labels(loaded: Dataset) -> Int64:
    if loaded.true_labels is None:
        raise InvalidSetting(
            f"the true labels of {loaded.name}'s training images are unknown: nothing can be drawn from them or "
            "compared with them.",
            "Jobs on it take its own labels (noise: real) or a file of labels (noise: file).",
        )
    return loaded.true_labels


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="Labels: .json, .npy, .csv (index,label), CIFAR-N's .pt.")],
    dataset: DatasetOption,
    variant: Annotated[str | None, typer.Option("--variant", help="Which labels of a CIFAR-N .pt file.")] = None,
    data: common.DataDirOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Check a file of noisy labels against a data set, measure its noise, and say how to run with it."""
    from lnlbench.data.load import load_dataset
    from lnlbench.data.noise import import_labels

    loaded = load_dataset(dataset, common.data_dir(data))
    with cautions():
        _, report = import_labels(file, _true_labels(loaded), loaded.num_classes, dataset=dataset, variant=variant)
    columns = _columns(file, dataset, variant)
    if as_json:
        common.print_json({"file": str(file), "dataset": dataset, "columns": columns, **report.to_dict()})
        return
    _print_report(file, loaded, report)
    heading("To run with these labels, write into a suite file (lnlbench show suite NAME has examples):")
    line(f"columns:\n  - {columns}")
    if variant is None:
        setting = shlex.quote(f"noise.file={json.dumps(str(file))}")
        line(f"or, without a suite:\n  lnlbench run --method NAME --dataset {dataset} --noise file --set {setting}")


def _noise(entry: NoiseInfo, rate: float | None, seed: int | None, draw: str, settings: list[str] | None) -> Noise:
    from lnlbench.job import Noise

    given = {"rate": rate, "seed": seed, "draw": draw}
    return Noise.from_dict({**given, **common.parse_settings(settings), "name": entry.name})


def _columns(file: Path, dataset: str, variant: str | None) -> str:
    """The line of a suite file that stands for these labels."""
    if variant is not None:
        return f"{{dataset: {dataset}, noise: {{name: human, variant: {variant}}}}}"
    # A JSON text is a YAML text, whatever is in the path.
    path = json.dumps(str(file.expanduser().resolve()), ensure_ascii=False)
    return f"{{dataset: {dataset}, noise: {{name: file, file: {path}}}}}"


def _print_report(file: Path, loaded: Dataset, report: NoiseReport) -> None:
    import numpy as np

    matrix = report.transition_matrix
    diagonal = matrix.diagonal()
    line(f"{file}: {report.num_samples:,} labels fit {loaded.name}")
    facts(
        [
            ("wrong labels", f"{report.wrong:,}, a share of {report.share:.4f}"),
            (
                "right in a class",
                f"{np.nanmin(diagonal):.4f} to {np.nanmax(diagonal):.4f}, mean {np.nanmean(diagonal):.4f}",
            ),
            ("labels a class", f"{report.given_counts.min():,} to {report.given_counts.max():,}"),
            ("sha256", report.sha256),
        ]
    )
    beside = np.nan_to_num(matrix.copy())
    np.fill_diagonal(beside, 0)
    order = np.argsort(-beside, axis=None, kind="stable")[:8]
    pairs = [(i, j) for i, j in zip(*np.unravel_index(order, beside.shape), strict=True) if beside[i, j] > 0]
    if not pairs:
        return
    heading("Most frequent mistakes")
    names = loaded.class_names
    table(
        ["true", "given", "share of the class"],
        [[f"{i} {names[i]}", f"{j} {names[j]}", f"{beside[i, j]:.4f}"] for i, j in pairs],
        right=("share of the class",),
    )
