"""The loop: one job in, epochs and a result out. It walks a method's stages, evaluates after each epoch,
checkpoints, and ends a job whose numbers are no longer finite as `diverged` with its last good numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from lnlbench.data.augment.views import Views
from lnlbench.data.sources import on_device, source_of
from lnlbench.data.task import Task
from lnlbench.job import Job
from lnlbench.methods import registry
from lnlbench.methods.base import Method, Plugin
from lnlbench.methods.registry import Expression
from lnlbench.resolve import hyperparameters, needs, requirements
from lnlbench.training import checkpoint
from lnlbench.training.data import Prepared, Split
from lnlbench.training.devices import Place, make_deterministic, peak_memory_mb
from lnlbench.training.engine import Diverged, Engine, Interrupted
from lnlbench.training.evaluate import Evaluator
from lnlbench.training.seeds import Streams


@dataclass(frozen=True)
class EpochRecord:
    """One epoch's numbers: accuracies in percent, AUC and shares in 0..1, time in seconds, memory in MiB."""

    epoch: int
    stage: str
    counts: bool
    test_accuracy: float
    valid_accuracy: float | None
    clean_auc: float | None
    select_precision: float | None
    select_recall: float | None
    corrected_accuracy: float | None
    memorisation: float | None
    loss: float
    lr: float
    seconds: float
    images_per_second: float
    peak_memory_mb: float
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """A run's result. best is over test accuracy, an oracle; valid_pick is the test accuracy at the epoch
    that a held-out noisy validation split picks; last10 the mean of the last ten epochs that count.
    extra: what figures are drawn from: `clean_score` (Evaluator.score_histogram), `curves` (Method.curves)."""

    best: float
    best_epoch: int
    last: float
    last10: float
    valid_pick: float | None
    best_auc: float | None
    last_auc: float | None
    epochs_done: int
    seconds: float
    images_per_second: float
    extra: dict[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended: `done`, or `diverged` with the numbers up to there (no result if there were none)."""

    status: Literal["done", "diverged"]
    result: Result | None
    records: list[EpochRecord]
    start_epoch: int
    reason: str = ""


def build_method(job: Job, task: Task, engine: Engine) -> Method:
    """The method of a job with its plug-ins and hosts."""

    def make(expression: Expression, values: Mapping[str, Any]) -> Method:
        cls = registry.load(expression.slug)
        hp = hyperparameters(expression, values)
        if expression.host is None:
            return cls(task, hp, engine)
        if not issubclass(cls, Plugin):
            raise TypeError(f"{cls.__name__} is declared a plug-in and does not derive from Plugin")
        return cls(task, hp, engine, make(expression.host, values["host"]))

    method = make(registry.parse(job.method), job.hyperparameters)
    method.to(engine.device)
    engine.register(method)
    return method


def train(
    job: Job,
    data: Prepared,
    place: Place,
    *,
    checkpoint_path: Path | None = None,
    checkpoint_minutes: float = 0.0,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    on_resume: Callable[[list[EpochRecord]], None] = lambda records: None,
    on_ready: Callable[[Engine, int], None] = lambda engine, epochs: None,
    on_built: Callable[[Method], None] = lambda method: None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Runs a job to its end on one device, going on from `checkpoint_path` where that holds this very job.

    checkpoint_minutes: least time between checkpoints; 0 writes one after every epoch. on_ready gets the
    engine, whose `samples` counts the current epoch's, and the number of epochs; on_built the
    method before any step or checkpoint. Raises Interrupted when `stop()` turns true; what was done up to the
    last checkpoint is kept.
    """
    run = open_run(job, data, place, stop)
    on_built(run.method)
    return _Loop(job, data, run, checkpoint_path, checkpoint_minutes, on_epoch).run(on_resume, on_ready)


@dataclass(frozen=True)
class OpenRun:
    """A job's machinery, set up and not yet trained."""

    method: Method
    engine: Engine
    evaluator: Evaluator
    streams: Streams
    place: Place


def open_run(job: Job, data: Prepared, place: Place, stop: Callable[[], bool] = lambda: False) -> OpenRun:
    """Puts a job's data on the device and builds its method. The method is given the noisy labels and what it
    declares; the true labels go to the evaluator, which nothing that the method holds refers to."""
    make_deterministic()
    streams = Streams(job.seed, place.device)
    mean, std = (torch.tensor(values, device=place.device) for values in (data.mean, data.std))
    views = Views(job.recipe, mean, std, streams.tensors, channels_last=True, flip=data.flip)
    # A copy: a method that wrote into its labels must not write into the evaluator's.
    noisy_labels = torch.tensor(data.train.given, device=place.device)
    source = source_of(data.train.images, place.device)
    expression = registry.parse(job.method)
    known = {*needs(expression), *(required.name for required in requirements(expression))}
    meta = _meta_set(data.meta, "clean_meta" in known, place.device)
    engine = Engine(job.recipe, source, noisy_labels, data.num_classes, views, place, streams, stop, meta)
    task = Task(
        num_classes=data.num_classes,
        noisy_labels=noisy_labels,
        image_shape=(3, views.side(source.shape[2]), views.side(source.shape[3])),
        epochs=job.recipe.epochs,
        batch_size=job.recipe.batch_size,
        granted={name: value for name, value in data.granted.items() if name in known},
        noisy_meta_labels=None if data.meta is None else torch.tensor(data.meta.given, device=place.device),
        epoch_batches=job.recipe.epoch_batches,
    )
    if place.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place.device)
    method = build_method(job, task, engine)
    return OpenRun(method, engine, Evaluator(data, views, place, stop), streams, place)


def _meta_set(split: Split | None, clean: bool, device: torch.device) -> tuple[torch.Tensor, torch.Tensor] | None:
    if split is None:
        return None
    labels = split.true if clean else split.given
    return on_device(split.images, device), torch.tensor(labels, device=device)


class _Loop:
    def __init__(
        self,
        job: Job,
        data: Prepared,
        run: OpenRun,
        path: Path | None,
        minutes: float,
        on_epoch: Callable[[EpochRecord], None],
    ) -> None:
        self.place, self.method, self.engine = run.place, run.method, run.engine
        self.evaluator, self.streams = run.evaluator, run.streams
        self.path, self.minutes, self.on_epoch = path, minutes, on_epoch
        self.records: list[EpochRecord] = []
        self.inputs = {
            "job": job.key,
            "data": data.provenance["data_fingerprint"],
            "labels": data.provenance["noisy_labels_sha256"],
            "device": run.place.device.type,
            "precision": run.place.precision,
            "code": registry.source_sha256(registry.parse(job.method)),
        }
        self.saved_at = time.monotonic()
        self.unsaved: dict[str, Any] | None = None

    def run(self, on_resume: Callable[[list[EpochRecord]], None], on_ready: Callable[[Engine, int], None]) -> Outcome:
        stages = self.method.stages()
        position = self._resume()
        start = len(self.records)
        if start:
            on_resume(self.records)
        on_ready(self.engine, sum(stage.epochs for stage in stages))
        try:
            for number, stage in enumerate(stages):
                if number < position[0]:
                    continue
                self.engine.begin_stage(stage.optimizer, stage.schedule, stage.epochs)
                first = position[1] if number == position[0] else 0
                if first:
                    self.engine.restore(self.resumed["engine"])
                elif stage.begin is not None:
                    stage.begin()
                    self.engine.register(self.method)
                for epoch in range(first, stage.epochs):
                    self._epoch(stage.name, stage.counts, stage.train, epoch)
                    last = number == len(stages) - 1 and epoch == stage.epochs - 1
                    self._save((number, epoch + 1) if epoch + 1 < stage.epochs else (number + 1, 0), last)
        except Interrupted:
            if self.path is not None and self.unsaved is not None:
                checkpoint.save(self.path, self.unsaved)
            raise
        except Diverged as error:
            return Outcome("diverged", summarise(self.records), self.records, start, str(error))
        return Outcome("done", self._with_extra(summarise(self.records)), self.records, start)

    def _with_extra(self, result: Result | None) -> Result | None:
        curves = {
            name: {"x": curve.x.tolist(), "y": curve.y.tolist(), "x_label": curve.x_label, "y_label": curve.y_label}
            for name, curve in self.method.curves().items()
        }
        extra = {"clean_score": self.evaluator.score_histogram(), "curves": curves}
        found = {name: value for name, value in extra.items() if value}
        return replace(result, extra=found) if result is not None and found else result

    def _epoch(self, stage: str, counts: bool, train_epoch: Callable[[int], None], epoch: int) -> None:
        engine, device = self.engine, self.place.device
        engine.begin_epoch(self.method, epoch)
        with self.place.autocast():
            train_epoch(epoch)
        loss, seconds = engine.end_epoch()
        samples = engine.samples
        with self.place.autocast():
            scores = self.evaluator.evaluate(self.method)
        record = EpochRecord(
            epoch=len(self.records),
            stage=stage,
            counts=counts,
            loss=loss,
            lr=engine.lr,
            seconds=seconds,
            images_per_second=samples / seconds if seconds else 0.0,
            peak_memory_mb=peak_memory_mb(device),
            **asdict(scores),
        )
        self.records.append(record)
        self.on_epoch(record)

    def _save(self, position: tuple[int, int], last: bool) -> None:
        if self.path is None or last:
            return
        state = {
            "inputs": self.inputs,
            "position": list(position),
            "method": self.method.state_dict(),
            "engine": self.engine.state(),
            "streams": self.streams.state(),
            "records": [asdict(record) for record in self.records],
        }
        if time.monotonic() - self.saved_at < 60 * self.minutes:
            # Epochs this short belong to small networks: a copy in memory, should the run be interrupted.
            self.unsaved = deepcopy(state)
            return
        checkpoint.save(self.path, state)
        self.unsaved = None
        self.saved_at = time.monotonic()

    def _resume(self) -> tuple[int, int]:
        """The (stage, epoch) to go on with; (0, 0) without a checkpoint of this job."""
        state = checkpoint.load(self.path, self.inputs, self.place.device) if self.path else None
        if state is None:
            return 0, 0
        self.resumed = state
        self.method.load_state_dict(state["method"])
        self.engine.restore(state["engine"])
        self.streams.restore({name: _on_cpu(value) for name, value in state["streams"].items()})
        self.records = [EpochRecord(**record) for record in state["records"]]
        stage, epoch = state["position"]
        return stage, epoch


def _on_cpu(value: Any) -> Any:
    """Generator states live on the CPU whatever device they belong to."""
    return value.cpu() if isinstance(value, torch.Tensor) else value


def summarise(records: list[EpochRecord]) -> Result | None:
    """The result over the epochs that count; None when there are none."""
    counted = [record for record in records if record.counts]
    if not counted:
        return None
    best = max(counted, key=lambda record: record.test_accuracy)
    tail = counted[-10:]
    picked = [record for record in counted if record.valid_accuracy is not None]
    pick = max(picked, key=lambda record: record.valid_accuracy or 0.0) if picked else None
    scored = [record.clean_auc for record in counted if record.clean_auc is not None]
    seconds = sum(record.seconds for record in records)
    return Result(
        best=best.test_accuracy,
        best_epoch=best.epoch,
        last=counted[-1].test_accuracy,
        last10=sum(record.test_accuracy for record in tail) / len(tail),
        valid_pick=pick.test_accuracy if pick else None,
        best_auc=max(scored) if scored else None,
        last_auc=scored[-1] if scored else None,
        epochs_done=len(records),
        seconds=seconds,
        images_per_second=sum(r.images_per_second * r.seconds for r in records) / seconds if seconds else 0.0,
    )
