"""One observed training run of the contract: what the method was, answered and left behind. Not for judging it.

Global random states are set before a run and put back after it, so that a method that uses them is found out
by its numbers and does no harm to others.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lnlbench.job import Job
from lnlbench.methods.base import Method
from lnlbench.training.data import Prepared
from lnlbench.training.devices import Place
from lnlbench.training.networks import untrained
from lnlbench.training.trainer import EpochRecord, Outcome, train

State = dict[str, Tensor]
_CLOCKED = ("seconds", "images_per_second", "peak_memory_mb")


class Violation(Exception):
    """A broken rule. check: the check that it belongs to; the message tells the author what to do."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check


@dataclass(frozen=True)
class Trace:
    """A finished run. initial: trainable parameters before it; final: the state after it; both are copies.

    predictions: digest of all that `predict` answered during the run. touched: global states that were not as before.
    """

    outcome: Outcome
    method: Method
    initial: State
    final: State
    answers: dict[str, Tensor | None]
    predictions: str
    touched: list[str]

    @property
    def numbers(self) -> list[dict[str, Any]]:
        """The records without what a clock measured."""
        return [comparable(record) for record in self.outcome.records]


def observe(
    job: Job,
    data: Prepared,
    place: Place,
    *,
    shake: int = 0,
    path: Path | None = None,
    on_epoch: Callable[[Method, EpochRecord], None] = lambda method, record: None,
    on_resume: Callable[[list[EpochRecord]], None] = lambda records: None,
    stop: Callable[[], bool] = lambda: False,
) -> Trace:
    """Trains a job while its answers are checked. The arrays of `data` are copied first.

    shake: start of the global generators of numpy and Python, which must not matter. Raises Violation for answers
    of a wrong form, and whatever the method raises.
    """
    built: list[Method] = []
    initial: State = {}
    predicted = hashlib.sha256()

    def on_built(method: Method) -> None:
        built.append(method)
        initial.update({n: p.detach().clone() for n, p in method.named_parameters() if p.requires_grad})
        check_answers(method, lambda answer: predicted.update(answer.detach().float().cpu().numpy().tobytes()))

    with _global_state(shake) as touched:
        outcome = train(
            job,
            untrained(job, _copy(data), place),
            place,
            checkpoint_path=path,
            on_epoch=lambda record: on_epoch(built[0], record),
            on_resume=on_resume,
            on_built=on_built,
            stop=stop,
        )
    method = built[0]
    if outcome.status == "diverged":
        raise Violation(
            "trains", f"the run diverged: {outcome.reason}. Look for log(0), 0/0 or a step that is too long."
        )
    digest = predicted.hexdigest()
    answers = {name: _cloned(getattr(method, name)()) for name in ("clean_score", "selected", "corrected_labels")}
    return Trace(outcome, method, initial, state_of(method), answers, digest, touched)


def state_of(method: Method) -> State:
    """A copy of a method's state."""
    return {name: value.detach().clone() for name, value in method.state_dict().items() if isinstance(value, Tensor)}


def comparable(record: EpochRecord) -> dict[str, Any]:
    """A record's numbers without what a clock measured; NaN as None, so that equal records compare equal."""
    values = dataclasses.asdict(record)
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in values.items()
        if name not in _CLOCKED
    }


def differences(first: State, second: State) -> list[str]:
    """Names of the tensors that are not bit for bit the same in both states."""
    return [name for name in sorted({*first, *second}) if not same(first.get(name), second.get(name))]


def same(first: Tensor | None, second: Tensor | None) -> bool:
    """Whether two tensors are equal in every entry, NaN equal to NaN."""
    if first is None or second is None:
        return first is second
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return bool(((first == second) | ((first != first) & (second != second))).all())


def check_answers(method: Method, on_prediction: Callable[[Tensor], None]) -> None:
    """Makes a method raise Violation as soon as one of its answers has a wrong form, and tell its predictions."""
    task = method.task
    n, c = task.num_samples, task.num_classes
    rules: dict[str, Callable[[Tensor], str | None]] = {
        "clean_score": lambda v: None if v.shape == (n,) and v.is_floating_point() else f"a float tensor ({n},)",
        "selected": lambda v: None if v.shape == (n,) and v.dtype == torch.bool else f"a bool tensor ({n},)",
        "corrected_labels": lambda v: (
            None
            if v.shape == (n,) and v.dtype == torch.int64 and bool(((v >= 0) & (v < c)).all())
            else f"an int64 tensor ({n},) with labels in 0..{c - 1}"
        ),
    }

    def watch(name: str, rule: Callable[[Tensor], str | None]) -> None:
        answer = getattr(method, name)

        def checked() -> Tensor | None:
            value: Tensor | None = answer()
            expected = None if value is None else rule(value) if isinstance(value, Tensor) else "a tensor"
            if expected:
                raise Violation("answers", f"{name}() gave {_form(value)}, it must give {expected} or None.")
            return value

        setattr(method, name, checked)

    for name, rule in rules.items():
        watch(name, rule)
    predict = method.predict

    def predicted(images: Tensor) -> Tensor:
        value = predict(images)
        fits = isinstance(value, Tensor) and value.dim() in (2, 3) and value.shape[-2:] == (len(images), c)
        if not fits or not value.is_floating_point():
            raise Violation(
                "answers",
                f"predict() of {len(images)} images gave {_form(value)}, it must give floats ({len(images)}, {c}), "
                f"or (K, {len(images)}, {c}) for K predictors that are counted one by one.",
            )
        on_prediction(value)
        return value

    method.predict = predicted  # type: ignore[method-assign]


def _form(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)}".removeprefix("torch.")
    return type(value).__name__


def _cloned(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach().clone()


def _copy(data: Prepared) -> Prepared:
    """On the CPU a run's tensors share memory with their arrays; each run gets its own."""

    def copied(split: Any) -> Any:
        return type(split)(split.images.copy(), split.given.copy(), split.true.copy())

    granted = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in data.granted.items()}
    meta = None if data.meta is None else copied(data.meta)
    return dataclasses.replace(data, train=copied(data.train), test=copied(data.test), granted=granted, meta=meta)


@contextmanager
def _global_state(shake: int) -> Iterator[list[str]]:
    """Sets the global generators; afterwards tells what was changed, and puts everything back as it was."""
    before = np.random.get_state(), random.getstate()  # noqa: NPY002
    np.random.seed(shake)  # noqa: NPY002
    random.seed(shake)
    start = _look()
    touched: list[str] = []
    try:
        yield touched
        touched += [name for name, value in _look().items() if value != start[name]]
    finally:
        np.random.set_state(before[0])  # noqa: NPY002
        random.setstate(before[1])
        torch.set_grad_enabled(start["torch's grad mode"])
        torch.set_default_dtype(start["torch's default dtype"])


def _look() -> dict[str, Any]:
    _, key, position, *_ = np.random.get_state()  # noqa: NPY002
    return {
        "numpy's global random state": (np.asarray(key).tobytes(), position),
        "Python's global random state": random.getstate(),
        "torch's grad mode": torch.is_grad_enabled(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's number of threads": torch.get_num_threads(),
    }
