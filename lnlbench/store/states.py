"""The words of the store that need no SQLAlchemy: states of jobs and runs, and the schema's revisions."""

from __future__ import annotations

from typing import Literal

JobState = Literal["queued", "running", "done", "diverged", "failed", "stopped"]
RunStatus = Literal["running", "done", "diverged", "failed", "interrupted", "lost"]
JOB_STATES: tuple[JobState, ...] = ("queued", "running", "done", "diverged", "failed", "stopped")
FINISHED: tuple[RunStatus, ...] = ("done", "diverged")

REVISIONS = ("0001", "0002")
HEAD = REVISIONS[-1]
