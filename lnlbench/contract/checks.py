"""The checks of the contract, one function each, in the order in which they are run. A check returns nothing
when the method keeps the rule, and raises Violation with what its author should do when it does not.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from lnlbench.contract.bench import Bench
from lnlbench.contract.synthetic import synthetic, thresholds
from lnlbench.contract.trace import Trace, Violation, differences, observe, same, state_of
from lnlbench.errors import UndeclaredNeed
from lnlbench.job import Noise
from lnlbench.training.engine import Interrupted

BUFFERS = (
    "Keep whatever must survive a restart in submodules and buffers (self.register_buffer), made in setup() with "
    "their final shapes, and draw from self.generator and self.rng only."
)


def declares_needs(bench: Bench) -> None:
    """Reads no need that it has not declared."""
    try:
        _ = bench.base
    except UndeclaredNeed as error:
        raise Violation("declares_needs", str(error)) from error
    except Exception:
        return  # another check's business


def trains(bench: Bench) -> None:
    """Trains a few steps with finite losses."""
    losses = [record.loss for record in bench.base.outcome.records]
    if not any(math.isfinite(loss) for loss in losses):
        raise Violation("trains", "no epoch made a step: call self.learn(loss, net) in train_epoch.")


def answers(bench: Bench) -> None:
    """Predictions, clean scores, selected samples and corrected labels have their forms (see trace.check_answers)."""
    score = bench.base.answers["clean_score"]
    if score is not None and bool(score.isnan().any()):
        raise Violation(
            "answers",
            f"clean_score() is NaN for {int(score.isnan().sum())} of {len(score)} samples after training. "
            "Start its buffer with numbers, or return None as long as there is no score.",
        )


def parameters_change(bench: Bench) -> None:
    """Every trainable parameter has moved."""
    final = bench.base.final
    still = [name for name, start in bench.base.initial.items() if same(start, final.get(name))]
    if still:
        raise Violation(
            "parameters_change",
            f"training did not move {_some(still)}. Pass the module that holds them to self.learn(loss, net) with a "
            "loss that depends on them; call requires_grad_(False) on what no gradient trains (an EMA, a snapshot).",
        )


def own_state(bench: Bench) -> None:
    """Changes nothing but its own state."""
    trace = bench.base
    task, engine = trace.method.task, trace.method.engine
    fresh = bench.data
    # Modules that are imported on the way may draw once; a method draws in every run.
    changed = [name for name in trace.touched if name in bench.second.touched]
    if not torch.equal(task.noisy_labels.cpu(), torch.from_numpy(fresh.train.given)):
        changed.append("task.noisy_labels (clone them before you correct them)")
    if not torch.equal(engine.source.images.cpu(), torch.from_numpy(fresh.train.images)):  # type: ignore[attr-defined]
        changed.append("the raw training images")
    changed += [
        f"task.need({name!r})"
        for name, value in task.granted.items()
        if name in fresh.granted and not np.array_equal(value, fresh.granted[name])
    ]
    if changed:
        raise Violation(
            "own_state",
            f"the method changed {_some(changed)}. Change only your own submodules and buffers, and draw from "
            "self.rng and self.generator, never from a global generator.",
        )


def predict_is_pure(bench: Bench) -> None:
    """Asking for predictions changes nothing and gives the same answer twice."""
    method = bench.base.method
    engine = method.engine
    images = engine.views.plain(engine.source.images[:5])  # type: ignore[attr-defined]
    method.eval()
    before = state_of(method)
    drawn = engine.generator.get_state().clone(), str(engine.rng.bit_generator.state), torch.get_rng_state()
    with torch.no_grad(), bench.place.autocast():
        first, second = method.predict(images), method.predict(images)
        method.predict(images[:1])
    changed = differences(before, state_of(method))
    if changed:
        raise Violation(
            "predict_is_pure", f"predict() in eval mode changed {_some(changed)}. Move that to train_epoch."
        )
    after = engine.generator.get_state(), str(engine.rng.bit_generator.state), torch.get_rng_state()
    if not (torch.equal(drawn[0], after[0]) and drawn[1] == after[1] and torch.equal(drawn[2], after[2])):
        raise Violation("predict_is_pure", "predict() draws random numbers; evaluation must not move a random stream.")
    if not same(first, second):
        raise Violation("predict_is_pure", "predict() gave two answers for the same images.")
    for name in ("clean_score", "selected", "corrected_labels"):
        getattr(method, name)()
        changed = differences(before, state_of(method))
        if changed:
            raise Violation("predict_is_pure", f"{name}() changed {_some(changed)}. Move that to train_epoch.")


def same_seed_same_numbers(bench: Bench) -> None:
    """The same numbers twice from one seed, whatever the global generators say."""
    told = _unlike(bench.base, bench.second)
    if told:
        raise Violation(
            "same_seed_same_numbers",
            f"two runs from one seed differ: {told}. Draw scalars from self.rng, tensors with "
            "generator=self.generator, initial weights through self.network() and self.build(); never from np.random, "
            "random, the time or the order of a set.",
        )


def other_seed_other_numbers(bench: Bench) -> None:
    """Different numbers from another seed."""
    other = observe(bench.job.replace(seed=2), bench.data, bench.place)
    # A matrix of two numbers at most, zeros or an identity, is no draw.
    drawn = {name: p for name, p in bench.base.initial.items() if p.dim() > 1 and len(p.unique()) > 2}
    same_start = [name for name, p in drawn.items() if same(p, other.initial.get(name))]
    if same_start:
        raise Violation(
            "other_seed_other_numbers",
            f"two seeds start from the same weights in {_some(same_start)}: make modules with self.network() and "
            "self.build(), and do not seed them yourself.",
        )
    if bench.base.numbers == other.numbers:
        raise Violation("other_seed_other_numbers", "runs from two seeds give the same numbers.")


def resumes(bench: Bench) -> None:
    """A run that is interrupted after each of its epochs ends in the very numbers of one that is not."""
    epochs = len(bench.base.outcome.records)
    final: Trace | None = None
    with tempfile.TemporaryDirectory() as folder:
        for done in range(1, epochs + 1):
            final = _resumed(bench, Path(folder) / "checkpoint.pt", done, epochs)
    assert final is not None
    told = _unlike(bench.base, final)
    if told:
        raise Violation("resumes", f"a resumed run differs from an uninterrupted one: {told}. {BUFFERS}")


def _resumed(bench: Bench, path: Path, until: int, epochs: int) -> Trace | None:
    """Goes on from the checkpoint of the epoch before `until`, which is the last one before it is interrupted."""
    done: list[int] = []
    found = [0]

    def stop() -> bool:
        return until < epochs and bool(done) and done[-1] >= until

    try:
        trace = observe(
            bench.job,
            bench.data,
            bench.place,
            shake=until,
            path=path,
            on_epoch=lambda method, record: done.append(record.epoch + 1),
            on_resume=lambda records: found.__setitem__(0, len(records)),
            stop=stop,
        )
    except Interrupted:
        trace = None
    except RuntimeError as error:
        if "loading state_dict" not in str(error):
            raise
        raise Violation("resumes", f"the saved state does not fit the new method: {error}. {BUFFERS}") from error
    if found[0] != until - 1:
        raise Violation("resumes", f"the checkpoint could not be read back. State must be tensors only. {BUFFERS}")
    return trace


def true_labels_unreachable(bench: Bench) -> None:
    """Nothing that tells true labels is among the objects that the method refers to, at any time."""
    _ = bench.base
    _, found = bench.blind
    if found:
        raise Violation(
            "true_labels_unreachable",
            f"the method can reach what it must not know: {found}. Use self.task and batches only, and declare what "
            "you need beyond them in the spec's `needs`.",
        )


def true_labels_unused(bench: Bench) -> None:
    """Not one bit of the training or of a prediction changes when the evaluator is given other true labels."""
    base, (blind, _) = bench.base, bench.blind
    differing = differences(base.final, blind.final)
    differing += [f"{name}()" for name, value in base.answers.items() if not same(value, blind.answers[name])]
    if [n["loss"] for n in base.numbers] != [n["loss"] for n in blind.numbers]:
        differing.append("the loss")
    if base.predictions != blind.predictions:
        differing.append("predict()")
    if differing:
        raise Violation(
            "true_labels_unused",
            f"the method depends on the true labels: with others {_some(differing)} differs. Use the noisy labels in "
            "self.task and in batches only.",
        )


def two_classes(bench: Bench) -> None:
    """Takes C = 2."""
    bench.on(synthetic(num_classes=2))


def hundred_classes(bench: Bench) -> None:
    """Takes C = 100 with about one sample a class."""
    bench.on(synthetic(num_classes=100, samples=103))


def missing_class(bench: Bench) -> None:
    """Takes given labels in which one class does not occur."""
    bench.on(synthetic(missing=2))


def clean_labels(bench: Bench) -> None:
    """Takes labels that are all right."""
    bench.on(synthetic(rate=0.0), noise=Noise("clean"))


def empty_split(bench: Bench) -> None:
    """Takes a split of the samples in which one part is empty: its thresholds at both ends of their ranges."""
    for ends in ((1.0, 0.999), (0.0, 0.001)):
        chosen = thresholds(bench.expression, ends)
        if chosen:
            bench.on(bench.data, hyperparameters=chosen)


def one_sample_over(bench: Bench) -> None:
    """Takes one sample more than whole batches hold, so that the last batch has a size of its own."""
    bench.on(synthetic(samples=33), recipe={"batch_size": 16})


def fewer_samples_than_batch(bench: Bench) -> None:
    """Takes fewer samples than a batch holds."""
    bench.on(synthetic(samples=23), recipe={"batch_size": 64})


CHECKS: dict[str, Callable[[Bench], None]] = {
    check.__name__: check
    for check in (
        declares_needs,
        trains,
        answers,
        parameters_change,
        own_state,
        predict_is_pure,
        same_seed_same_numbers,
        other_seed_other_numbers,
        resumes,
        true_labels_unreachable,
        true_labels_unused,
        two_classes,
        hundred_classes,
        missing_class,
        clean_labels,
        empty_split,
        one_sample_over,
        fewer_samples_than_batch,
    )
}
"""The checks by name, in order."""


def _unlike(first: Trace, second: Trace) -> str | None:
    """In what two runs differ, in words; None if in nothing."""
    for one, other in zip(first.numbers, second.numbers, strict=False):
        names = [name for name in one if one[name] != other[name]]
        if names:
            return f"epoch {one['epoch']} in {_some(names)}"
    if len(first.numbers) != len(second.numbers):
        return f"{len(first.numbers)} epochs against {len(second.numbers)}"
    changed = differences(first.final, second.final)
    return f"the final state in {_some(changed)}" if changed else None


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
