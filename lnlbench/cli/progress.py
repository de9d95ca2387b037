"""What a person sees while jobs run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lnlbench.cli.common import console, duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from lnlbench.execution.protocol import Event

PLAIN_EVERY = 30.0
"""Seconds between two lines about a running job where there is no terminal."""
WAIT_SECONDS = 5.0
"""How long workers may wait with none of them at work before that is told."""


@dataclass
class Running:
    """One job at work."""

    label: str
    epochs: int
    epoch: int
    first: int
    started: float
    accuracy: float | None = None
    rate: float = 0.0
    printed: float = 0.0
    samples: tuple[float, int] | None = None

    @property
    def share(self) -> float:
        """The part of its epochs that is done."""
        return self.epoch / self.epochs if self.epochs else 0.0

    @property
    def left(self) -> float | None:
        """Seconds to its end, from the epochs done here; None before the first."""
        done = self.epoch - self.first
        return (time.monotonic() - self.started) / done * (self.epochs - self.epoch) if done else None


class Progress:
    """Follows a run of the engine. total: jobs of this run, done: those that were finished before it."""

    def __init__(self, total: int, done: int, out: Console | None = None) -> None:
        self.total, self.before = total, done
        self.ended = {"done": 0, "diverged": 0, "failed": 0}
        self.running: dict[str, Running] = {}
        self.started = time.monotonic()
        self.console = out or console(stderr=True)
        self._live: Live | None = None
        self._idle: float | None = None
        self._idle_told = False

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self.console, get_renderable=self._render, refresh_per_second=4, transient=True)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, value, trace)
            self._live = None

    def hear(self, event: Event) -> None:
        """Takes in an event of the engine."""
        now, values = time.monotonic(), event.values
        if event.kind == "start":
            first = values["start_epoch"]
            self.running[event.worker] = Running(values["label"], values["epochs"], first, first, now, printed=now)
            self._line(f"start {values['label']}" + (f", going on after epoch {first}" if first else ""))
        elif event.kind == "epoch" and event.worker in self.running:
            job = self.running[event.worker]
            job.epoch, job.accuracy = values["epoch"], values["test_accuracy"]
            if now - job.printed >= PLAIN_EVERY:
                job.printed = now
                left = f", {duration(job.left)} left" if job.left is not None else ""
                self._line(f"      {job.label}: epoch {job.epoch}/{job.epochs}, accuracy {job.accuracy:.2f}%{left}")
        elif event.kind == "progress" and event.worker in self.running:
            self._rate(self.running[event.worker], now, values["samples"])
        elif event.kind == "end":
            self.running.pop(event.worker, None)
            self._end(values)
        elif event.kind == "error":
            self.running.pop(event.worker, None)
            self._line(f"warning: {values['message']}", style="yellow")
        self._waiting(event, now)

    def _waiting(self, event: Event, now: float) -> None:
        """Says once why nothing happens: what is left is another run's, or that of one which is no more."""
        if event.kind != "waiting" or self.running:
            self._idle = None if self.running else self._idle
            return
        self._idle = self._idle or now
        if now - self._idle >= WAIT_SECONDS and not self._idle_told:
            self._idle_told = True
            self._line(
                "waiting: the jobs left are held by another run, or by one that ended without notice; "
                "these come free within two minutes of its end."
            )

    def _rate(self, job: Running, now: float, samples: int) -> None:
        """Images a second over the last report, smoothed; the count starts anew with each epoch."""
        if job.samples is not None and samples > job.samples[1] and now > job.samples[0]:
            current = (samples - job.samples[1]) / (now - job.samples[0])
            job.rate = current if not job.rate else 0.8 * job.rate + 0.2 * current
        job.samples = (now, samples)

    def _end(self, values: dict[str, object]) -> None:
        status, label = values["status"], values["label"]
        if status in ("done", "diverged"):
            self.ended[str(status)] += 1
            numbers = f": best {values['best']:.2f}%, last {values['last']:.2f}%" if "best" in values else ""
            spent = f", {duration(float(str(values['seconds'])))}" if "seconds" in values else ""
            self._line(f"{status:<5} {label}{numbers}{spent}", style="green" if status == "done" else "yellow")
        elif values.get("state") == "failed":
            self.ended["failed"] += 1
            self._line(f"FAILED {label}: {str(values.get('error')).splitlines()[0]}", style="red")
        elif status in ("failed", "lost"):
            word = "again" if values.get("state") == "queued" else "lost "
            self._line(f"{word} {label}: {str(values.get('error')).splitlines()[0]}", style="yellow")

    def _line(self, text: str, style: str | None = None) -> None:
        from rich.text import Text

        self.console.print(Text(text, style=style or ""))

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        finished = sum(self.ended.values())
        work = finished + sum(job.share for job in self.running.values())
        elapsed = time.monotonic() - self.started
        rate = work / elapsed if elapsed > 0 else 0.0
        left = (self.total - self.before - work) / rate if rate > 0 and work > 0.02 else None
        failed = f", {self.ended['failed']} failed" if self.ended["failed"] else ""
        head = Text(
            f"{self.before + finished}/{self.total} jobs{failed}   {3600 * rate:.0f} jobs/h   "
            f"{duration(elapsed)} gone, {duration(left) if left is not None else '?'} left"
        )
        table = Table.grid(padding=(0, 2))
        for job in self.running.values():
            table.add_row(
                Text(job.label),
                f"epoch {job.epoch}/{job.epochs}",
                ProgressBar(total=1.0, completed=job.share, width=20),
                "" if job.accuracy is None else f"{job.accuracy:.1f}%",
                f"{job.rate:,.0f} images/s" if job.rate else "",
                "" if job.left is None else f"{duration(job.left)} left",
            )
        if not self.running:
            starting = not finished and self._idle is None
            table.add_row(Text("workers are starting ..." if starting else "waiting ..." if self._idle else ""))
        top = Table.grid(padding=(0, 2))
        top.add_row(ProgressBar(total=self.total, completed=self.before + work, width=40), head)
        return Group(top, table)
