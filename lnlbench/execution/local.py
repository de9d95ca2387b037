"""The local engine: worker processes on this machine, one or more a device, watched until the work is done.

A worker that dies has its job given back at once and is replaced; Ctrl-C lets every worker stop at its next
step. Two dispatchers on one database share the work, for each claim is the store's.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import IO

from lnlbench.errors import LnlbenchError
from lnlbench.execution import provenance
from lnlbench.execution.protocol import Event, WorkerConfig
from lnlbench.execution.worker import log_path
from lnlbench.store import Store

GRACE_SECONDS = 60.0
"""How long workers may take to stop before they are ended."""
LOOK_SECONDS = 0.2
"""How often the dispatcher looks whether its workers live, however much they say."""
ECHO_SECONDS = 1.0
"""Interrupts this soon after the first are taken for the same one."""
BARREN_LIMIT = 3
"""Workers that may die in a row without having had a job."""


@dataclass(frozen=True)
class Slot:
    """A place for one worker: a device, or a share of it, and CPU threads."""

    device: str
    threads: int


@dataclass
class Summary:
    """How a run of the engine ended: jobs by outcome, keys of failed ones, whether it was interrupted."""

    done: int = 0
    diverged: int = 0
    failed: list[str] = field(default_factory=list)
    deaths: int = 0
    interrupted: bool = False
    seconds: float = 0.0


def slots(device: str, workers: int | None, jobs_per_gpu: int, jobs: int) -> list[Slot]:
    """The places for workers: `jobs_per_gpu` on each CUDA device, or CPU workers that share the cores.

    device: auto, cpu, cuda (all of them) or one device. Small networks gain more from one job a core than from
    many cores a job, so the CPU default is a worker a core, as far as memory goes (about 2 GiB each).
    """
    cores = provenance.cores()
    gpus = _gpus(device)
    if gpus:
        places = [gpu for _ in range(jobs_per_gpu) for gpu in gpus]
        count = min(workers or len(places), jobs) or 1
        return [Slot(places[i % len(places)], max(1, cores // count)) for i in range(count)]
    import psutil

    room = max(1, int(psutil.virtual_memory().available / 2**31))
    count = max(1, min(workers or min(cores, room), jobs))
    return [Slot("cpu" if device == "auto" else device, max(1, cores // count)) for _ in range(count)]


def _gpus(device: str) -> list[str]:
    if device.startswith("cuda:"):
        return [device]
    if device not in ("auto", "cuda"):
        return []
    import torch

    count = torch.cuda.device_count()
    if device == "cuda" and count == 0:
        raise LnlbenchError("device 'cuda': this torch sees no CUDA device.", "Run: lnlbench doctor")
    return [f"cuda:{i}" for i in range(count)]


class _Process:
    """A worker process and the thread that reads its events."""

    def __init__(self, config: WorkerConfig, slot: Slot, events: queue.Queue[Event]) -> None:
        self.config, self.slot = config, slot
        self.started_job = False
        self.in_order = False
        path = log_path(Path(config.runs_dir), config.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **_threads(slot.threads), "PYTHONUNBUFFERED": "1"}
        with path.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lnlbench.execution.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env=environment,
            )
        self.send(config.to_line())
        assert self.process.stdout is not None
        self.reader = threading.Thread(target=_read, args=(self.process.stdout, events), daemon=True)
        self.reader.start()

    def send(self, line: str) -> None:
        """A line to the worker; one that is gone is noticed elsewhere."""
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except (OSError, ValueError):
            return


def _threads(count: int) -> dict[str, str]:
    """OpenMP's environment. Waiting threads sleep: where workers share cores, spinning ones cost most of the time."""
    return {"OMP_NUM_THREADS": str(count), "OMP_WAIT_POLICY": "PASSIVE"}


def _read(stream: IO[str], events: queue.Queue[Event]) -> None:
    for line in stream:
        event = Event.from_line(line)
        if event is not None:
            events.put(event)


@contextmanager
def _deaf_to_echoes() -> Iterator[None]:
    """Ignores interrupts for a second: schedulers and `timeout` send one to the process and one to its group."""
    first, before = time.monotonic(), signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        if time.monotonic() - first > ECHO_SECONDS:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class LocalEngine:
    """Runs the jobs `keys` of a store with one worker a slot. `on_event` hears everything workers say."""

    def __init__(
        self,
        store: Store,
        config: WorkerConfig,
        places: Sequence[Slot],
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.store = store
        self.config = config
        self.places = places
        self.on_event = on_event
        self.summary = Summary()
        self._events: queue.Queue[Event] = queue.Queue()
        self._processes: dict[str, _Process] = {}
        self._barren = 0
        self._looked = 0.0

    def run(self) -> Summary:
        """Returns when all jobs are finished, or after Ctrl-C when all workers have stopped."""
        started = time.monotonic()
        try:
            for slot in self.places:
                self._spawn(slot)
            while self._processes:
                self._step()
        except KeyboardInterrupt:
            self.summary.interrupted = True
            with _deaf_to_echoes():
                self._wind_down()
        finally:
            self._kill()
        self.summary.seconds = time.monotonic() - started
        return self.summary

    def _spawn(self, slot: Slot) -> None:
        name = f"{provenance.host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        config = replace(self.config, name=name, device=slot.device, threads=slot.threads)
        self._processes[name] = _Process(config, slot, self._events)

    def _step(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._hear(self._events.get(timeout=LOOK_SECONDS))
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._bury()
            self._looked = time.monotonic()

    def _hear_all(self) -> None:
        """What has been said so far: a worker that has ended may have finished its job, or in order."""
        while not self._events.empty():
            self._hear(self._events.get())

    def _hear(self, event: Event) -> None:
        process = self._processes.get(event.worker)
        if event.kind == "start" and process is not None:
            process.started_job = True
            self._barren = 0
        elif event.kind == "finished" and process is not None:
            process.in_order = True
        elif event.kind == "error":
            raise LnlbenchError(event.values["message"])
        elif event.kind == "end":
            status = event.values["status"]
            if status == "done":
                self.summary.done += 1
            elif status == "diverged":
                self.summary.diverged += 1
            elif event.values.get("state") == "failed":
                self.summary.failed.append(event.key)
        self.on_event(event)

    def _bury(self) -> None:
        """Removes workers that have ended; replaces those that died, giving their jobs back."""
        for name, process in list(self._processes.items()):
            if process.process.poll() is None:
                continue
            process.reader.join(timeout=5)
            self._hear_all()
            del self._processes[name]
            if process.in_order:
                continue
            self.summary.deaths += 1
            how = _how_it_ended(process)
            given_back = self.store.release(worker=name, why=f"its worker {how}")
            # A job that kills its workers uses up its attempts; only workers without a job could die for ever.
            self._barren = 0 if given_back or process.started_job else self._barren + 1
            log = log_path(Path(self.config.runs_dir), name)
            epitaph = f"worker {name} {how}, its log: {log}"
            for view in self.store.jobs(given_back):
                lost = {"status": "lost", "state": view.state, "label": view.job.label(), "error": epitaph}
                self._hear(Event("end", name, view.key, lost))
            if not given_back:
                self.on_event(Event("error", name, "", {"message": epitaph}))
            if self._barren >= BARREN_LIMIT:
                raise LnlbenchError(
                    f"{BARREN_LIMIT} workers in a row died without having had a job.", f"Last words, if any: {log}."
                )
            self._spawn(process.slot)

    def _wind_down(self) -> None:
        """Asks every worker to stop and waits; a second Ctrl-C ends them at once."""
        for process in self._processes.values():
            process.send("stop")
        deadline = time.monotonic() + GRACE_SECONDS
        try:
            while self._processes and time.monotonic() < deadline:
                try:
                    self._hear(self._events.get(timeout=LOOK_SECONDS))
                except queue.Empty:
                    self._dismiss()
        except KeyboardInterrupt:
            return

    def _dismiss(self) -> None:
        """Removes workers that have ended, whatever way, and gives back what they still held."""
        for name, process in list(self._processes.items()):
            if process.process.poll() is not None:
                process.reader.join(timeout=5)
                self._hear_all()
                self.store.release(worker=name)
                del self._processes[name]

    def _kill(self) -> None:
        for name, process in self._processes.items():
            if process.process.poll() is None:
                process.process.kill()
                process.process.wait()
            self.store.release(worker=name)
        self._processes.clear()


def _how_it_ended(process: _Process) -> str:
    code = process.process.returncode
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
