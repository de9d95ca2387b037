"""What goes wrong by the user's hand, said for people: what was given, what is allowed, what to do.

Every error that is not a bug of ours derives from `LnlbenchError`; the command line prints its message
without a traceback and exits with its `exit_code`. Bugs keep their traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LnlbenchError(Exception):
    """A problem the user can do something about. `hint` says what."""

    exit_code = 2

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UnknownName(LnlbenchError):
    """A name that is not in a list of names: a method, a data set, a setting, a suite."""


class InvalidSetting(LnlbenchError):
    """A setting of the wrong type or out of its range."""


class DataError(LnlbenchError):
    """Data that is missing, altered, in the wrong order or unsafe to read."""


class StoreError(LnlbenchError):
    """A database that cannot be reached, read or written."""


class UndeclaredNeed(LnlbenchError):
    """A method reached for something it has not declared in its `needs`."""


def unknown_name(kind: str, name: object, allowed: Iterable[str], command: str | None = None) -> UnknownName:
    """An `UnknownName` that names the nearest match, or all choices when there are few.

    `command` is the command line that lists the choices, for example `lnlbench list methods`.
    """
    names = sorted(set(allowed))
    near = get_close_matches(str(name), names, n=3, cutoff=0.55)
    parts = []
    if near:
        parts.append("Did you mean " + " or ".join(repr(n) for n in near) + "?")
    if len(names) <= 12:
        parts.append("Choose from: " + ", ".join(names) + ".")
    if command:
        parts.append(f"Run: {command}")
    return UnknownName(f"unknown {kind} {str(name)!r}.", " ".join(parts) or None)
