"""`lnlbench plot --job`: figures of trained models. Restores them, has arrays computed and drawn; trains nothing."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnlbench.cli import common
from lnlbench.cli.printing import setting
from lnlbench.errors import InvalidSetting, LnlbenchError

if TYPE_CHECKING:
    from lnlbench.inspection.restore import Trained
    from lnlbench.job import Job
    from lnlbench.report.figures import Drawing
    from lnlbench.report.figures.of_models import Shown
    from lnlbench.store import JobView, Store

MOST_JOBS = 6
"""Rows of a figure that fits on a page."""

Numbers = dict[str, Any]
Drawn = tuple[list[tuple["Drawing", Numbers]], list[tuple[str, str]]]


def checked_kinds(names: Sequence[str]) -> list[str]:
    """The kinds to draw, all where none is named. Raises UnknownName, InvalidSetting for one of a suite."""
    from lnlbench.report.figures import KINDS
    from lnlbench.report.figures.of_models import MODEL_KINDS, model_kind

    for name in names:
        if name in KINDS:
            raise InvalidSetting(
                f"{name} is drawn from a suite's results, not from one job's model.",
                f"Leave out --job, or choose from: {', '.join(MODEL_KINDS)}.",
            )
    return [model_kind(name).name for name in dict.fromkeys(names)] or list(MODEL_KINDS)


def refuse_without_job(kinds: Sequence[str], samples: int | None, device: str | None) -> None:
    """Raises InvalidSetting for what needs a job and was given none."""
    from lnlbench.report.figures.of_models import MODEL_KINDS

    for name in kinds:
        if name in MODEL_KINDS:
            raise InvalidSetting(
                f"{name} is drawn from the kept model of a job.", "Give --job KEY; keys: lnlbench run ... --dry-run"
            )
    for option, value in (("--samples", samples), ("--device", device)):
        if value is not None:
            raise InvalidSetting(f"{option} is for figures of a trained job.", "Give --job KEY, or leave it out.")


def draw(
    keys: Sequence[str],
    kinds: Sequence[str],
    *,
    db: str | None,
    data_dir: Path | None,
    device: str,
    samples: int | None,
    seed: int,
) -> Drawn:
    """(drawing, numbers) of each figure, and (kind, why) of those that these jobs do not give.

    keys: starts of jobs' keys. samples: pictures of a group, or points of an embedding; None is each kind's own.
    Raises LnlbenchError where a job is not there, was not kept, or the jobs are of different data sets.
    """
    if samples is not None and len(kinds) > 1:
        raise InvalidSetting(
            "--samples is another number for each kind: pictures of a group, or points.", "Give one --kind with it."
        )
    store = common.open_existing(db)
    try:
        views = [store.find_job(key) for key in keys]
        _check(views)
        # What is missing is said before anything is read.
        for view in views:
            _check_kept(view, store, common.same_database(db))
        restored = [_restored(view, store, common.data_dir(data_dir), device, db) for view in views]
    finally:
        store.close()
    shown = _shown(restored, seed)
    from lnlbench.inspection import NotThere
    from lnlbench.report.figures.style import freeze, style

    done: list[tuple[Drawing, Numbers]] = []
    missing: list[tuple[str, str]] = []
    for kind in kinds:
        for make in _MAKERS[kind]:
            try:
                with style():
                    drawing, numbers = make(restored, shown, samples, seed)
                    drawing.figure.set_label(drawing.name)
                    freeze(drawing.figure)
                done.append((drawing, numbers))
            except NotThere as why:
                missing.append((kind, str(why)))
    return done, missing


def _check(views: Sequence[JobView]) -> None:
    keys = [view.key for view in views]
    if len(set(keys)) < len(keys):
        raise InvalidSetting("--job names one job twice.", "Give each once.")
    if len(views) > MOST_JOBS:
        raise InvalidSetting(f"{len(views)} jobs are too many for one figure.", f"At most {MOST_JOBS}, a row each.")
    datasets = list(dict.fromkeys(view.dataset for view in views))
    if len(datasets) > 1:
        raise InvalidSetting(
            f"these jobs are of different data sets: {', '.join(datasets)}.", "Draw each data set by itself."
        )


def _check_kept(view: JobView, store: Store, where: str) -> None:
    """Raises LnlbenchError with the way to a model where there is none."""
    from lnlbench.execution.models import KIND

    kept = store.artifacts(key=view.key, kind=KIND)
    if any(Path(artifact.path).is_file() for artifact in kept):
        return
    if view.state == "diverged":
        raise LnlbenchError(f"{view.job.label()} (job {view.key[:12]}) diverged, which leaves no model to look at.")
    what = f"its model {kept[0].path} is gone" if kept else "its model was not kept"
    if view.state != "done":
        what = f"it is not done ({view.state})"
    raise LnlbenchError(f"{view.job.label()} (job {view.key[:12]}): {what}.", _how_to_keep(view, where))


def _how_to_keep(view: JobView, where: str) -> str:
    job = view.job
    words = ["lnlbench", "run", "--method", job.method, "--dataset", job.dataset, "--noise", job.noise.name]
    words += [] if job.noise.rate is None else ["--rate", f"{job.noise.rate:g}"]
    words += ["--seed", str(job.seed), "--scale", job.scale, "--keep-models"]
    words += ["--rerun"] if view.state == "done" else ["--retry-failed"] if view.state == "failed" else []
    command = shlex.join(words) + (where if where.startswith(" --db") else "")
    return f"Run: {command}, with the --suite, --recipe and --set that it was run with."


def _restored(view: JobView, store: Store, data_dir: Path, device: str, db: str | None) -> Trained:
    from lnlbench.execution.models import KIND, find_model
    from lnlbench.inspection.restore import restore
    from lnlbench.training.devices import place

    at = place(device)
    model = find_model(view.key, store, at.device)
    if model is None:
        path = store.artifacts(key=view.key, kind=KIND)[0].path
        raise LnlbenchError(
            f"{view.job.label()} (job {view.key[:12]}): its model {path} cannot be read, or was altered.",
            _how_to_keep(view, common.same_database(db)),
        )
    # As its run evaluated it, so that the predictions are those of its last epoch.
    precision = next((run.precision for run in reversed(store.runs(view.key)) if run.status == "done"), None)
    return restore(view.job, model, data_dir, place(device, precision or "auto"))


def _shown(restored: Sequence[Trained], seed: int) -> Shown:
    from lnlbench.report.figures.of_models import Shown
    from lnlbench.report.provenance import Variant

    jobs = [trained.job for trained in restored]
    files = restored[0].data.provenance
    variant = Variant(False, str(files["data_note"] or ""), files["data_fingerprint"])
    return Shown(jobs, labels(jobs), Variant(True) if files["data_canonical"] else variant, seed)


def labels(jobs: Sequence[Job]) -> list[str]:
    """A label a job: its method, and what tells it from the others: its noise, and settings of the same method."""
    flat = [_flat(job) for job in jobs]
    noises = {job.noise.label() for job in jobs}
    found = []
    for job, mine in zip(jobs, flat, strict=True):
        alike = [other for other, of in zip(flat, jobs, strict=True) if of.method == job.method]
        differing = [name for name, value in mine.items() if any(other.get(name) != value for other in alike)]
        parts = [job.noise.label()] if len(noises) > 1 else []
        parts += [f"{name} {setting(mine[name])}" for name in differing if not name.startswith("noise.")]
        found.append(f"{job.method}, {', '.join(parts)}" if parts else job.method)
    return found


def _flat(job: Job) -> dict[str, Any]:
    """What may tell two jobs of one method apart, by the names that `--set` takes."""
    values = {**job.hyperparameters, **job.recipe.to_dict(), "noise": job.noise.to_dict()}
    return {"seed": job.seed, "scale": job.scale, **_leaves(values)}


def _leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _activation_of(split: Any) -> Callable[..., tuple[Drawing, Numbers]]:
    def make(restored: Sequence[Trained], shown: Shown, samples: int | None, seed: int) -> tuple[Drawing, Numbers]:
        from lnlbench.inspection.activation import activation
        from lnlbench.report.figures import pictures

        found = activation(restored, split, samples or 4, seed)
        rows = [
            {"job": job.key, "label": label, "groups": [one._asdict() for one in row.numbers]}
            for job, label, row in zip(shown.jobs, shown.labels, found.rows, strict=True)
        ]
        return pictures.activation(found, shown), {"split": split, "samples": found.of, "jobs": rows}

    return make


def _reconstruction(
    restored: Sequence[Trained], shown: Shown, samples: int | None, seed: int
) -> tuple[Drawing, Numbers]:
    from lnlbench.inspection.reconstruction import reconstruction
    from lnlbench.report.figures import pictures

    found = reconstruction(restored, samples or 8, seed)
    errors = [(row.job, row.numbers) for row in found.rows] + list(found.others)
    rows = [
        {"job": shown.jobs[job].key, "label": shown.labels[job], **one._asdict()}
        for job, one in sorted(errors, key=lambda of: of[0])
    ]
    return pictures.reconstruction(found, shown), {"samples": found.of, "variance": found.variance, "jobs": rows}


def _embedding(restored: Sequence[Trained], shown: Shown, samples: int | None, seed: int) -> tuple[Drawing, Numbers]:
    from lnlbench.inspection.embedding import MOST_POINTS, embedding
    from lnlbench.report.figures import embedding as drawn

    found = embedding(restored, samples or MOST_POINTS, seed)
    rows = [
        {"job": job.key, "label": label, "samples": len(row.true), **row.numbers._asdict()}
        for job, label, row in zip(shown.jobs, shown.labels, found.rows, strict=True)
    ]
    return drawn.embedding(found, shown), {"split": found.split, "jobs": rows}


_MAKERS: dict[str, tuple[Callable[..., tuple[Drawing, Numbers]], ...]] = {
    "activation": (_activation_of("train"), _activation_of("test")),
    "reconstruction": (_reconstruction,),
    "embedding": (_embedding,),
}
"""What makes the figures of each kind; one that a job does not give leaves the others."""
