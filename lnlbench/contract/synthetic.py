"""Tiny problems that any method trains on in a fraction of a second: coloured patterns with noise, as the
`Prepared` data of a job, and the job itself with every warm-up cut short. Not for measuring accuracy.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from lnlbench.data.dataset import Int64
from lnlbench.errors import InvalidSetting
from lnlbench.job import Job, Noise
from lnlbench.methods import registry
from lnlbench.methods.registry import Expression
from lnlbench.resolve import resolve_job
from lnlbench.training.data import Prepared, Split

SAMPLES = 101
"""A prime: no share of so many samples is a number that a method has for another reason."""
NOISE_RATE = 0.3137
SIDE = 8
RECIPE: dict[str, Any] = {
    "backbone": "smallcnn",
    "width": 0.25,
    "epochs": 3,
    "batch_size": 16,
    "optimizer": {"name": "sgd", "lr": 0.02},
    "schedule": {"name": "constant"},
    "pad": 1,
}
_LENGTHS = {"epoch", "epochs", "warmup", "start", "gradual", "rampup", "every", "rounds", "interval", "period", "steps"}
"""By these words in their names hyperparameters are known to count epochs or steps, see `_named`."""
_THRESHOLDS = {"threshold", "tau"}


def synthetic(
    *,
    num_classes: int = 4,
    samples: int = SAMPLES,
    rate: float = NOISE_RATE,
    missing: int | None = None,
    validation: int = 0,
    seed: int = 0,
) -> Prepared:
    """A pattern for each class, 8x8 pixels, under pixel noise; `rate` of the samples have a wrong label.

    missing: a class that no given label names. validation: samples held out of the training set.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 215, (num_classes, 3, 4, 4))
    patterns = coarse.repeat(SIDE // 4, axis=2).repeat(SIDE // 4, axis=3)

    def draw(count: int) -> Split:
        true = rng.permutation(np.arange(count) % num_classes)
        pixels = patterns[true] + rng.normal(0, 20, (count, 3, SIDE, SIDE))
        return Split(pixels.clip(0, 255).astype(np.uint8), true, true.copy())

    def corrupt(split: Split) -> Split:
        wrong = rng.permutation(len(split.given))[: round(rate * len(split.given))]
        given = split.given.copy()
        given[wrong] = (given[wrong] + rng.integers(1, num_classes, len(wrong))) % num_classes
        if missing is not None:
            given[given == missing] = (missing + 1) % num_classes
        return dataclasses.replace(split, given=given)

    train = corrupt(draw(samples))
    test = draw(max(48, num_classes))
    held_out = corrupt(draw(validation)) if validation else None
    meta = corrupt(draw(2 * num_classes))
    share = float((train.given != train.true).mean())
    matrix = np.full((num_classes, num_classes), rate / (num_classes - 1))
    np.fill_diagonal(matrix, 1 - rate)
    return Prepared(
        train=train,
        test=test,
        validation=held_out,
        num_classes=num_classes,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        flip=True,
        granted={
            "noise_rate": rate,
            "noise_share": rate,
            "noise_type": "symmetric",
            "transition_matrix": matrix,
            "clean_meta": meta.true,
        },
        provenance={
            "data_fingerprint": "synthetic",
            "noisy_labels_sha256": hashlib.sha256(train.given.tobytes()).hexdigest(),
            "noise_realised": share,
        },
        meta=meta,
    )


def with_other_truth(data: Prepared, seed: int = 1, *, meta: bool = False) -> Prepared:
    """The same images and given labels, under true labels drawn at random: no method can learn those.

    meta: those of the meta set too, which a method that declares them does learn from.
    """
    rng = np.random.default_rng(seed)

    def drawn(split: Split) -> Int64:
        return rng.integers(0, data.num_classes, len(split.given))

    train = dataclasses.replace(data.train, true=drawn(data.train))
    # What a test set is evaluated by are its given labels, which are the true ones.
    labels = drawn(data.test)
    test = dataclasses.replace(data.test, given=labels, true=labels)
    held_out = data.meta
    if meta and data.meta is not None:
        held_out = dataclasses.replace(data.meta, true=drawn(data.meta))
    return dataclasses.replace(data, train=train, test=test, meta=held_out)


def quick_job(
    method: str,
    *,
    seed: int = 1,
    hyperparameters: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    noise: Noise | None = None,
) -> Job:
    """The job of a method on such a problem: three epochs, of which the first is the warm-up.

    hyperparameters and recipe (nested) go over what is chosen here. Raises UnknownName, InvalidSetting.
    """
    return resolve_job(
        method,
        "synthetic",
        noise or Noise("symmetric", NOISE_RATE),
        seed,
        scale="smoke",
        recipe=RECIPE,
        overrides=[shortened(registry.parse(method)), hyperparameters or {}],
        recipe_overrides=recipe,
    )


def shortened(expression: Expression) -> dict[str, Any]:
    """Hyperparameters that count epochs, rounds or steps, by their names, at the smallest value above 0 they take.

    What follows a warm-up is then reached within the three epochs of a check. A host's are `host.NAME`.
    """
    return _chosen(expression, _LENGTHS, (1, 2), only_above=1)


def thresholds(expression: Expression, values: tuple[float, ...]) -> dict[str, Any]:
    """Hyperparameters that are thresholds, by their names, each at the first of `values` that it takes."""
    return _chosen(expression, _THRESHOLDS, values)


def _chosen(
    expression: Expression, words: set[str], values: tuple[float, ...], only_above: float | None = None
) -> dict[str, Any]:
    cls = registry.spec(expression.slug).hyperparameters
    chosen: dict[str, Any] = {}
    for row in cls.describe():
        default = row["default"]
        numeric = "number" in row["type"] and "list" not in row["type"]
        long = only_above is None or default is None or (numeric and default > only_above)
        if numeric and long and _named(row["name"], words):
            for value in values:
                try:
                    cls(**{row["name"]: value})
                except InvalidSetting:
                    continue
                chosen[row["name"]] = value
                break
    if expression.host is not None:
        chosen |= {f"host.{n}": v for n, v in _chosen(expression.host, words, values, only_above).items()}
    return chosen


def _named(name: str, words: set[str]) -> bool:
    """By its last word: `warmup_clip` is no length. `start_prune` is one."""
    first, last = name.split("_")[0], name.split("_")[-1]
    return last in words or (first == "start" and first in words)
