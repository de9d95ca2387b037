"""Whether anything that tells true labels can be reached from a method, by walking the objects it refers to.

Modules, classes, code and frames are not entered: every program reaches everything through them. What a method
does with those is seen by the check that hands the evaluator other true labels.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch

from lnlbench.training.data import Prepared

_CLOSED = (ModuleType, type, CodeType, FrameType, BuiltinFunctionType, str, bytes)


class Truth:
    """What tells true labels of one problem, in the forms in which a method might hold it.

    rates: numbers that tell the noise, besides the share of wrong labels itself. meta: whether the true labels of the
    meta set are among them, as they are for a method that has not declared to need them.
    """

    def __init__(self, data: Prepared, rates: tuple[float, ...] = (), *, meta: bool = False) -> None:
        train = data.train
        wrong = train.given != train.true
        self.rates = {float(wrong.mean()): "the share of wrong labels"} | dict.fromkeys(rates, "the noise rate")
        self.rows = {
            "the true training labels": train.true,
            "the mask of wrong labels": wrong,
            "the mask of right labels": ~wrong,
            "the true test labels": data.test.true,
        }
        if meta and data.meta is not None:
            self.rows["the true labels of the meta set"] = data.meta.true
        self.sets = {
            "the indices of wrong labels": wrong.nonzero()[0],
            "the indices of right labels": (~wrong).nonzero()[0],
        }
        self.one_hot = np.eye(data.num_classes)[train.true]

    def told_by(self, found: object) -> str | None:
        """What an object tells, in words; None if it tells nothing."""
        if isinstance(found, (float, np.floating)):
            return self.rates.get(float(found))
        values = _array(found)
        if values is None or values.dtype.kind not in "biuf":
            return None
        if values.ndim == 0:
            return self.told_by(float(values))
        if values.shape == self.one_hot.shape and np.array_equal(values, self.one_hot):
            return "the true training labels"
        for name, row in self.rows.items():
            if values.shape[-1] == len(row) and (values.reshape(-1, len(row)) == row).all(1).any():
                return name
        if values.ndim == 1 and values.dtype.kind in "iu":
            ordered = np.sort(values)
            for name, members in self.sets.items():
                if np.array_equal(ordered, members):
                    return name
        return None


def _array(found: object) -> Any:
    if isinstance(found, torch.Tensor):
        if found.is_meta or found.is_sparse:
            return None
        values = found.detach()
        return (values.float() if values.dtype == torch.bfloat16 else values).cpu().numpy()
    if isinstance(found, np.ndarray):
        return found
    if isinstance(found, (list, tuple)) and found and all(isinstance(v, (bool, int, float)) for v in found):
        return np.asarray(found)
    if isinstance(found, (set, frozenset)) and found and all(isinstance(v, int) for v in found):
        return np.asarray(sorted(found))
    return None


def find_truth(root: object, truth: Truth) -> str | None:
    """Where an object leads to true labels: 'self.engine.data is the true training labels'; None if nowhere."""
    for path, found in reachable(root):
        told = truth.told_by(found)
        if told:
            return f"{path} is {told}"
    return None


def reachable(root: object, name: str = "self") -> Iterator[tuple[str, object]]:
    """(path, object) for everything that an object refers to, itself first, each object once, nearest first."""
    seen = {id(root)}
    # Objects made on the way (bound methods, dictionaries) must live on, or their ids would be given again.
    alive: list[object] = [root]
    waiting: deque[tuple[str, object]] = deque([(name, root)])
    while waiting:
        path, found = waiting.popleft()
        yield path, found
        for label, child in _children(found):
            if id(child) not in seen and not isinstance(child, _CLOSED):
                seen.add(id(child))
                alive.append(child)
                waiting.append((path + label, child))


def _children(found: object) -> Iterator[tuple[str, object]]:
    if isinstance(found, FunctionType):
        # A function's globals are its module, which is not entered.
        for name, cell in zip(found.__code__.co_freevars, found.__closure__ or (), strict=True):
            for content in gc.get_referents(cell):
                yield f" closure of {name}", content
        yield " defaults", found.__defaults__
        yield " defaults", found.__kwdefaults__
        yield " attributes", found.__dict__
        return
    if isinstance(found, dict):
        yield from ((f"[{key!r}]" if isinstance(key, str) else "[...]", value) for key, value in list(found.items()))
        yield from ((" key", key) for key in list(found))
        return
    if isinstance(found, (list, tuple)):
        yield from ((f"[{index}]", value) for index, value in enumerate(found))
    attributes = getattr(found, "__dict__", None)
    if isinstance(attributes, dict):
        yield from ((f".{name}", value) for name, value in list(attributes.items()))
    yield from ((f" -> {type(child).__name__}", child) for child in gc.get_referents(found))
