"""Frozen, documented, validated settings: the one base of jobs, recipes, noises, suites and hyperparameters.

A settings class is a frozen dataclass whose fields are made by `setting(default, doc, ...)`. Values are
checked against the annotation and the stated range whenever an instance is made, so an instance that
exists is valid. Pure standard library: `lnlbench --help` and `report` import this.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

from lnlbench.errors import InvalidSetting, unknown_name

_ALWAYS = object()  # no value is left out of the canonical form


def setting(
    default: Any = dataclasses.MISSING,
    doc: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    omit: Any = _ALWAYS,
) -> Any:
    """One field of a settings class.

    low, high: closed bounds; above, below: open bounds (each entry of a tuple is held to them).
    omit: the value at which the field is left out of the canonical form. A field that is added after
    jobs have been stored must have one, the value that stands for 'as before', so that old keys stay.
    """
    metadata = {"doc": doc, "low": low, "high": high, "above": above, "below": below, "omit": omit}
    if isinstance(default, (list, dict)):
        frozen = default
        return dataclasses.field(default_factory=lambda: frozen, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Base of all settings classes: checks every field when made; converts to and from plain data."""

    kind: ClassVar[str] = "setting"

    def __post_init__(self) -> None:
        hints = _hints(type(self))  # type: ignore[arg-type]
        for field in _fields(type(self)):  # type: ignore[arg-type]
            where = self._where(field.name)
            value = _conform(getattr(self, field.name), hints[field.name], where)
            _check_range(value, field.metadata, where)
            object.__setattr__(self, field.name, value)

    @classmethod
    def _where(cls, name: str) -> str:
        return f"{cls.kind} {name!r}"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(field.name for field in _fields(cls))  # type: ignore[arg-type]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """An instance from plain data (YAML, JSON, the command line).

        Raises UnknownName for a name that is no field, InvalidSetting for a bad or missing value.
        """
        if not isinstance(values, Mapping):
            raise InvalidSetting(f"{cls.kind}: expected names with values, got {values!r}.")
        known = cls.names()
        for name in values:
            if name not in known:
                raise unknown_name(cls.kind, name, known)
        for field in _fields(cls):  # type: ignore[arg-type]
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if required and field.name not in values:
                raise InvalidSetting(f"{cls._where(field.name)} is missing: {field.metadata.get('doc', '')}")
        return cls(**values)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked like `from_dict`."""
        return type(self).from_dict({**{n: getattr(self, n) for n in self.names()}, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Plain data (dicts, lists, numbers, strings) that `from_dict` reads back to an equal instance."""
        return {name: _plain(getattr(self, name)) for name in self.names()}

    def canonical(self) -> dict[str, Any]:
        """Plain data for hashing and storing: `to_dict` without the fields that stand at their `omit` value."""
        out = {}
        for field in _fields(type(self)):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.metadata.get("omit", _ALWAYS) is not _ALWAYS and value == field.metadata["omit"]:
                continue
            out[field.name] = value.canonical() if isinstance(value, Settings) else _plain(value)
        return out

    @classmethod
    def describe(cls) -> list[dict[str, Any]]:
        """Name, type, default and meaning of each field, for `lnlbench show`."""
        rows = []
        for field in dataclasses.fields(cls):
            default: Any = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            rows.append(
                {
                    "name": field.name,
                    "type": type_name(_hints(cls)[field.name]),  # type: ignore[arg-type]
                    "default": None if default is dataclasses.MISSING else _plain(default),
                    "range": _range_text(field.metadata),
                    "doc": field.metadata.get("doc", ""),
                }
            )
        return rows


# A plan of all suites makes ten thousands of settings, and asking Python for a class's fields or the parts of a type
# took half of its time.
@cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


@cache
def _fields(cls: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


@cache
def _shape(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return get_origin(hint), get_args(hint)


def type_name(hint: Any) -> str:
    """A short name of a type hint, for messages: 'number', 'one of a, b', 'list of whole numbers'."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is float:
        return "number"
    if hint is int:
        return "whole number"
    if hint is bool:
        return "true or false"
    if hint is str:
        return "text"
    if hint is type(None):
        return "null"
    if origin is Literal:
        return "one of " + ", ".join(str(a) for a in args)
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(a) for a in args)
    if origin is tuple:
        return f"list of {type_name(args[0])}"
    if origin is dict:
        return "mapping"
    return getattr(hint, "__name__", str(hint))


def _conform(value: Any, hint: Any, where: str) -> Any:
    """`value` as the annotation asks: ints become floats, lists tuples, dicts settings; else InvalidSetting."""
    ok, result = _try(value, hint, where)
    if not ok:
        raise InvalidSetting(f"{where}: expected {type_name(hint)}, got {value!r}.")
    return result


def _try(value: Any, hint: Any, where: str) -> tuple[bool, Any]:
    if hint is Any:
        return True, value
    if hint is float:
        return _number(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    origin, args = _shape(hint)
    if origin in (Union, types.UnionType):
        for arg in sorted(args, key=lambda a: 0 if type(value) is a else 1):
            ok, result = _try(value, arg, where)
            if ok:
                return True, result
        return False, None
    if origin is Literal:
        return any(value == a and type(value) is type(a) for a in args), value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            return False, None
        items = args[:1] * len(value) if len(args) == 2 and args[1] is Ellipsis else args
        if len(items) != len(value):
            return False, None
        return True, tuple(
            _conform(v, a, f"{where}, entry {i}") for i, (v, a) in enumerate(zip(value, items, strict=True))
        )
    if origin is dict:
        if not isinstance(value, Mapping):
            return False, None
        return True, {_conform(k, args[0], where): _conform(v, args[1], where) for k, v in value.items()}
    if isinstance(hint, type) and issubclass(hint, Settings):
        if isinstance(value, hint):
            return True, value
        return (True, hint.from_dict(value)) if isinstance(value, Mapping) else (False, None)
    return isinstance(value, hint), value


def _number(value: Any) -> tuple[bool, float | None]:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False, None
    try:
        # -0.0 + 0.0 is 0.0: equal settings must be written alike, for their keys are made of what is written.
        number = float(value) + 0.0
    except OverflowError:
        return False, None
    return math.isfinite(number), number


def _check_range(value: Any, limits: Mapping[str, Any], where: str) -> None:
    if isinstance(value, tuple):
        for entry in value:
            _check_range(entry, limits, where)
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    low, high, above, below = (limits.get(n) for n in ("low", "high", "above", "below"))
    inside = (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    )
    if not inside:
        raise InvalidSetting(f"{where}: {value} is out of range, allowed: {_range_text(limits)}.")


def _range_text(limits: Mapping[str, Any]) -> str:
    signs = (("low", ">="), ("above", ">"), ("high", "<="), ("below", "<"))
    return " and ".join(f"{sign} {limits[name]:g}" for name, sign in signs if limits.get(name) is not None)


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return value
