"""What can go wrong with a database, said for people.

Faults of the place (disk, rights, network, a foreign file) become `StoreError`; broken constraints and wrong
SQL are bugs of ours and keep their traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from lnlbench.errors import StoreError


class StoreWarning(UserWarning):
    """Something about the database's place that can cost results later."""


class LeaseLost(StoreError):
    """The run is no longer the caller's: its lease ran out and the job was given to someone else."""

    def __init__(self, run_uid: str, status: str) -> None:
        super().__init__(
            f"run {run_uid} is {status!r}: its lease is lost, nothing was written.",
            "The job went back to the queue and another worker has it or will have it. Stop this attempt.",
        )


# (part of the driver's message, what is said, what to do)
_KNOWN = (
    ("disk is full", "the disk is full", "Free some space and run the same command again; finished jobs are kept."),
    ("No space left", "the disk is full", "Free some space and run the same command again; finished jobs are kept."),
    ("not a database", "this file is not a database", "Give the path of a lnlbench database, or of a new file."),
    ("malformed", "the database file is damaged", "Save what is left: sqlite3 FILE .recover | sqlite3 NEW"),
    ("readonly", "the database cannot be written", "Check the rights of the file and of its directory."),
    ("unable to open", "the database cannot be opened", "Check that the path is a file in a directory you can write."),
    ("locked", "the database stayed locked for 30 seconds", "Another program holds it; find it with: fuser -v FILE"),
    ("disk I/O", "the disk reported an error", "Check the file system; on network file systems use PostgreSQL."),
)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns faults of the database's place into `StoreError`s that name it."""
    try:
        yield
    except DBAPIError as error:
        fault = _explain(error, name)
        if fault is None:
            raise
        raise fault from error


def _explain(error: DBAPIError, name: str) -> StoreError | None:
    """None for a bug: a broken constraint, wrong SQL, a value that cannot be stored."""
    # An exact DatabaseError is how sqlite3 reports a damaged or foreign file.
    if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
        return None
    text = str(error.orig)
    for part, message, hint in _KNOWN:
        if part in text:
            return StoreError(f"{name}: {message}.", hint)
    # sqlite3 reports wrong SQL as operational too; a server's operational errors are its place's.
    if type(error.orig).__module__ == "sqlite3":
        return None
    first = next(iter(text.strip().splitlines()), "the database failed")
    return StoreError(f"{name}: {first}", "Is the server up, and the URL right?")
