"""What a job would cost on this machine, measured on a few steps of the real method at its real sizes.

Random pixels stand in for the data set, so nothing needs to be downloaded to learn that a suite takes a week.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from lnlbench.data.catalogue import dataset_info, normalisation
from lnlbench.job import Job
from lnlbench.training.data import Prepared, Split
from lnlbench.training.devices import Place
from lnlbench.training.engine import Diverged
from lnlbench.training.networks import untrained
from lnlbench.training.trainer import OpenRun, open_run

STEPS = 3
"""Training steps on labelled samples that are timed, for methods that label half of them."""
SLOW_SECONDS = 3.0
"""A first step that takes this long is measurement enough: what it spends on warming up is little beside it."""


@dataclass(frozen=True)
class Cost:
    """Seconds a job takes here, and what they are made of.

    train_per_image: seconds of training a sample an epoch, once the method is past its warm-up;
    evaluate_per_image: seconds an image in evaluation.
    """

    seconds: float
    train_per_image: float
    evaluate_per_image: float


def like(job: Job) -> tuple[object, ...]:
    """Jobs with equal values of this cost the same: seed, noise, number of classes and constants do not matter."""
    info = dataset_info(job.dataset)
    return job.method, info.image, info.train, info.test, job.recipe, job.noise.name == "clean"


def measure(job: Job, place: Place) -> Cost:
    """Times a few training steps and an evaluation pass of a job's method at its image size and batch.

    The last epoch of the last stage stands for all: warm-up is cheaper in most methods, so this errs upward.
    """
    info = dataset_info(job.dataset)
    train_size = min(info.train, job.recipe.train_subset or info.train)
    test_size = min(info.test, job.recipe.test_subset or info.test)
    samples = min(train_size, 2 * job.recipe.batch_size)
    run = open_run(job, untrained(job, stand_in(job, samples), place), place)
    train = timed(last_epoch(run), place) / samples
    if train * samples < SLOW_SECONDS:
        samples = min(train_size, 2 * STEPS * job.recipe.batch_size)
        run = open_run(job, untrained(job, stand_in(job, samples), place), place)
        epoch = last_epoch(run)
        epoch()
        train = timed(epoch, place) / samples

    def pass_over_all() -> None:
        # Random labels may be too much for a method; what it costs is known all the same.
        with place.autocast(), contextlib.suppress(Diverged):
            run.evaluator.evaluate(run.method)

    pass_over_all()
    # Where nobody knows the true labels, the training set is not evaluated.
    known = info.labels != "noisy"
    evaluate = timed(pass_over_all, place) / (samples * (1 + known))
    epochs = sum(stage.epochs for stage in run.method.stages())
    drawn = min(train_size, (job.recipe.epoch_batches or train_size) * job.recipe.batch_size)
    return Cost(epochs * (drawn * train + (train_size * known + test_size) * evaluate), train, evaluate)


def measure_all(
    jobs: Iterable[Job], place: Place, on_measure: Callable[[Job], None] = lambda job: None
) -> dict[str, Cost]:
    """The cost of each job by its key; jobs that cost the same are measured once."""
    known: dict[tuple[object, ...], Cost] = {}
    costs = {}
    for job in jobs:
        kind = like(job)
        if kind not in known:
            on_measure(job)
            known[kind] = measure(job, place)
        costs[job.key] = known[kind]
    return costs


def last_epoch(run: OpenRun) -> Callable[[], None]:
    """The last epoch of a run's last stage, as something to call: what its method does once past its warm-up."""
    stages = run.method.stages()
    for stage in stages:
        run.engine.begin_stage(stage.optimizer, stage.schedule, stage.epochs)
        if stage.begin is not None:
            stage.begin()
            run.engine.register(run.method)

    def epoch() -> None:
        run.engine.begin_epoch(run.method, stage.epochs - 1)
        with run.place.autocast():
            stage.train(stage.epochs - 1)

    return epoch


def timed(work: Callable[[], object], place: Place) -> float:
    """Seconds that a piece of work takes, the device's queue included."""
    _wait(place)
    started = time.perf_counter()
    work()
    _wait(place)
    return time.perf_counter() - started


def _wait(place: Place) -> None:
    if place.device.type == "cuda":
        import torch

        torch.cuda.synchronize(place.device)


def stand_in(job: Job, samples: int) -> Prepared:
    """Random images of the data set's size with labels of which a third are wrong."""
    info = dataset_info(job.dataset)
    rng = np.random.default_rng(0)
    size = job.recipe.image_size or info.side or _side(info.image)
    images = rng.integers(0, 256, (samples, 3, size, size), dtype=np.uint8)
    true = np.arange(samples) % info.classes
    given = np.where(rng.random(samples) < 1 / 3, rng.integers(0, info.classes, samples), true)
    train = Split(images, given, None if info.labels == "noisy" else true)
    mean, std = normalisation(job.dataset, job.recipe.normalisation)
    # As large as the job's, since a method may walk over it; fewer would do for those that draw batches.
    meta = min(job.recipe.meta_size or 0, samples)
    validation = math.floor(job.recipe.validation * samples)
    return Prepared(
        train=train,
        test=Split(images, true, true),
        validation=Split(images[:validation], given[:validation], true[:validation]) if validation else None,
        num_classes=info.classes,
        mean=mean,
        std=std,
        flip=job.recipe.augment == "crop-flip",
        granted={
            "noise_rate": job.noise.rate or 0.0,
            "noise_share": 0.3,
            "noise_type": job.noise.name,
            "transition_matrix": np.eye(info.classes),
            "clean_meta": true[:meta],
        },
        provenance={"data_fingerprint": "stand-in", "noisy_labels_sha256": "stand-in"},
        meta=Split(images[:meta], given[:meta], true[:meta]) if meta else None,
    )


def _side(image: str) -> int:
    """The side of an image from its text, '32x32 RGB'."""
    return int(image.split("x", 1)[0])
