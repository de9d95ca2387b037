"""`lnlbench show noise`: what a noise means, and its transition matrix in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlbench.cli.common import JsonOption, parse_settings, print_json
from lnlbench.cli.printing import facts, heading, line, table
from lnlbench.errors import InvalidSetting

if TYPE_CHECKING:
    import numpy as np

    from lnlbench.data.noise import NoiseInfo
    from lnlbench.job import Noise

WHOLE = 12
"""Most classes for which the matrix is printed whole."""


_NEEDS_DATASET = {"asymmetric": "cifar10", "superclass-next": "cifar100", "hierarchical": "cifar100"}


def noise(
    name: Annotated[str, typer.Argument(help="A name of `lnlbench list noises`.")],
    rate: Annotated[float | None, typer.Option("--rate", "-r", help="Rate of the matrix to print.")] = None,
    classes: Annotated[int | None, typer.Option("--classes", min=1, help="Default: the data set's, else 10.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Its class map and superclasses.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Another noise setting, variant=worst, targets=3; repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """A noise: definition, what its rate means, how it is drawn, who uses it; with --rate its matrix."""
    from lnlbench.data.noise import info

    entry = info(name)
    chosen = _chosen(entry, rate, settings)
    count = _class_count(classes, dataset)
    matrix, share, why_not = _numbers(entry, chosen, count, dataset)
    if as_json:
        print_json(_plain(entry, chosen, count, dataset, matrix, share))
        return
    line(f"{entry.name}\n{entry.definition}\n")
    facts(
        [
            ("rate", entry.rate_means or "takes none"),
            ("drawn", entry.sampling),
            ("other ways to draw", [s for s in entry.samplings if s != entry.sampling]),
            ("share of wrong labels", entry.share),
            ("true class leads where", entry.bound),
            ("settings", entry.parameters),
            ("released draw", _released(entry)),
            ("used by", entry.used_by),
        ]
    )
    if matrix is not None:
        _print_matrix(chosen, dataset, matrix)
    elif why_not:
        line(f"\n{why_not}")
    if share is not None:
        where = {"human": ", measured in the released file", "instance": ""}.get(entry.name, " on balanced classes")
        line(f"\nExpected share of wrong labels{where}: {share:.4f}")


def _chosen(entry: NoiseInfo, rate: float | None, settings: list[str] | None) -> Noise:
    from lnlbench.job import Noise

    return Noise.from_dict({**parse_settings(settings), "name": entry.name, "rate": rate})


def _class_count(classes: int | None, dataset: str | None) -> int:
    if dataset is None:
        return classes or 10
    from lnlbench.data.catalogue import dataset_info

    there = dataset_info(dataset).classes
    if classes not in (None, there):
        raise InvalidSetting(f"{dataset} has {there} classes, not {classes}.", "Leave out --classes or --dataset.")
    return there


def _numbers(
    entry: NoiseInfo, noise: Noise, classes: int, dataset: str | None
) -> tuple[np.ndarray | None, float | None, str]:
    """(matrix, share, why there is none): what can be said of the noise with what was given."""
    import numpy as np

    from lnlbench.data.noise import share, transition_matrix
    from lnlbench.data.noise.checks import check_noise

    if entry.takes_rate and noise.rate is None:
        return None, None, "For the matrix in numbers add --rate, for example --rate 0.5."
    if noise.rate and not entry.takes_rate:
        raise InvalidSetting(f"noise {entry.name!r} takes no rate (given: {noise.rate:g}).", "Leave out --rate.")
    if entry.name in ("human", "file", "real", "matrix") and not _settled(noise):
        return None, None, ""
    if dataset is None and entry.name in _NEEDS_DATASET and noise.map is None:
        raise InvalidSetting(
            f"which class goes to which under {entry.name} depends on the data set.",
            f"Add for example --dataset {_NEEDS_DATASET[entry.name]}.",
        )
    check_noise(noise, dataset or "your data set", classes)
    if entry.name in ("instance", "human", "file", "real"):
        try:
            transition_matrix(noise, classes, dataset)
        except InvalidSetting as error:
            return None, share(noise, np.ones(classes), dataset), error.message
    return transition_matrix(noise, classes, dataset), share(noise, np.ones(classes), dataset), ""


def _settled(noise: Noise) -> bool:
    """Whether a noise without a rate has the settings that it is drawn with."""
    return any((noise.variant, noise.file, noise.matrix))


def _released(entry: NoiseInfo) -> str:
    if "draw" not in entry.parameters:
        return "none"
    if entry.released_seed is None:
        return "draw: released, from the job's noise seed"
    return f"draw: released, always from seed {entry.released_seed}"


def _print_matrix(noise: Noise, dataset: str | None, matrix: np.ndarray) -> None:
    from lnlbench.data.noise.definitions import true_class_leads

    where = f" on {dataset}" if dataset else ""
    heading(f"{noise.label()}{where}, {len(matrix)} classes: T[i][j] = P(given = j | true = i)")
    if len(matrix) <= WHOLE:
        table(
            ["true", *(str(j) for j in range(len(matrix)))],
            [[str(i), *(f"{value:.4f}" for value in row)] for i, row in enumerate(matrix)],
            right=("true", *(str(j) for j in range(len(matrix)))),
        )
    else:
        _print_summary(matrix)
    if not true_class_leads(matrix):
        line("\nCaution: the true class is not the most likely given one in every class.")


def _print_summary(matrix: np.ndarray) -> None:
    """The diagonal, the distinct values beside it, and the first rows by their largest entries."""
    import numpy as np

    classes = len(matrix)
    beside = matrix[~np.eye(classes, dtype=bool)]
    values, counts = np.unique(beside.round(6), return_counts=True)
    told = [f"{value:.6g} ({count:,} times)" for value, count in zip(values[::-1], counts[::-1], strict=True)]
    facts(
        [
            ("diagonal", " to ".join(f"{v:.6g}" for v in sorted({matrix.diagonal().min(), matrix.diagonal().max()}))),
            ("beside it", told[:6] + (["..."] if len(told) > 6 else [])),
        ]
    )
    line()
    rows = []
    for i in range(8):
        order = np.argsort(-matrix[i], kind="stable")
        rows.append([str(i), ", ".join(f"{j}: {matrix[i, j]:.4f}" for j in order[:5] if matrix[i, j] > 0)])
    table(["true", "most likely given classes"], rows, right=("true",))
    line(f"... and {classes - 8} classes more; all numbers: --json")


def _plain(
    entry: NoiseInfo, noise: Noise, classes: int, dataset: str | None, matrix: np.ndarray | None, share: float | None
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(entry),
        "settings": noise.canonical(),
        "dataset": dataset,
        "classes": classes,
        "expected_share": share,
        "transition_matrix": None if matrix is None else matrix.tolist(),
    }
