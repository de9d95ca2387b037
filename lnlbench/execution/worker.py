"""A worker process: claims jobs from the store one by one, runs each, and writes its numbers back.

Long-lived, so that importing torch and reading a data set are paid once. It renews its lease while it works;
it stops between two steps when told to, or when its dispatcher is gone. Started by `local.py`, not by hand.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from lnlbench.errors import LnlbenchError, StoreError
from lnlbench.execution import provenance
from lnlbench.execution.models import Postponed, keep_model, required_networks
from lnlbench.execution.protocol import Event, EventKind, WorkerConfig
from lnlbench.store import Claim, EpochRow, LeaseLost, ResultRow, RunProvenance, Store, open_store

POLL_SECONDS = 1.0
"""How often a worker looks whether jobs that others hold have come free."""


FINISH_PAUSES = (1.0, 5.0, 15.0, 30.0)
"""Seconds between attempts to write down how a run ended, while the database is away."""


class Worker:
    """One worker on one device."""

    def __init__(self, config: WorkerConfig, store: Store, out: IO[str]) -> None:
        from lnlbench.training.devices import place

        self.config = config
        self.store = store
        self.place = place(config.device, config.precision)
        self._out = out
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._lost = threading.Event()

    def stop(self) -> None:
        """Ends the work at the next step."""
        self._stop.set()

    def say(self, kind: EventKind, key: str = "", **values: Any) -> None:
        """Tells the dispatcher, if it is still there."""
        with self._lock:
            try:
                self._out.write(Event(kind, self.config.name, key, values).to_line() + "\n")
                self._out.flush()
            except (OSError, ValueError):
                self._stop.set()

    def work(self) -> None:
        """Claims and runs until nothing is left, or until told to stop."""
        self.say("ready", device=self.place.name)
        while not self._stop.is_set():
            config = self.config
            claim = self.store.claim(config.keys, config.name, config.lease_seconds, retry_limit=config.retry_limit)
            if claim is not None:
                self._run(claim)
            elif self._others_at_work():
                self.say("waiting")
                self._stop.wait(POLL_SECONDS)
            else:
                break
        self.say("finished")

    def _others_at_work(self) -> bool:
        """Whether jobs of ours are held by other workers, whose death would free them."""
        counts = self.store.counts(self.config.keys)
        return bool(counts.get("running", 0) or counts.get("queued", 0))

    def _run(self, claim: Claim) -> None:
        """Runs one job; whatever goes wrong ends in the store, never in this process."""
        self._lost.clear()
        done = threading.Event()
        state: dict[str, Any] = {"engine": None, "epoch": 0, "of": 0}
        heart = threading.Thread(target=self._beat, args=(claim, done, state), daemon=True)
        heart.start()
        try:
            status, values = self._attempt(claim, state)
        except LeaseLost:
            status, values = "lost", {"error": "another worker has taken the job over"}
        finally:
            done.set()
            heart.join()
        state.clear()
        self._free_memory()
        self.say("end", claim.job_key, label=claim.job.label(), status=status, **values)

    def _attempt(self, claim: Claim, state: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        from lnlbench.training import checkpoint
        from lnlbench.training.engine import Interrupted

        try:
            outcome = self._train(claim, state)
        except (Interrupted, KeyboardInterrupt, Postponed):
            if self._lost.is_set():
                raise LeaseLost(claim.run_uid, "lost") from None
            self._finish(claim.run_uid, "interrupted")
            return "interrupted", {"state": "queued"}
        except LeaseLost:
            raise
        except Exception as error:
            # A message for the user will be the same at the next attempt; anything else, a busy database too, may not.
            final = isinstance(error, LnlbenchError) and not isinstance(error, StoreError)
            text = str(error) if final else f"{type(error).__name__}: {error}"
            job_state = self._finish(
                claim.run_uid,
                "failed",
                error=text,
                traceback=None if final else traceback.format_exc(),
                retry=not final,
            )
            return "failed", {"state": job_state, "error": text}
        if outcome.status == "done":
            self._keep_model(claim, state["method"])
        result = outcome.result
        row = None if result is None else ResultRow(**asdict(result))
        job_state = self._finish(claim.run_uid, outcome.status, row, error=outcome.reason or None)
        checkpoint.remove(self._checkpoint_of(claim))
        numbers = {"best": result.best, "last": result.last, "seconds": result.seconds} if result else {}
        return outcome.status, {"state": job_state, "error": outcome.reason, **numbers}

    def _finish(self, *args: Any, **kwargs: Any) -> str:
        """`Store.finish`, patiently: the numbers are only here, and a job of days must not end with a busy moment."""
        for pause in FINISH_PAUSES:
            try:
                return self.store.finish(*args, **kwargs)
            except LeaseLost:
                raise
            except StoreError:
                self._stop.wait(pause)
        return self.store.finish(*args, **kwargs)

    def _train(self, claim: Claim, state: dict[str, Any]) -> Any:
        from lnlbench.training import checkpoint
        from lnlbench.training.data import prepare
        from lnlbench.training.networks import with_networks
        from lnlbench.training.trainer import EpochRecord, train

        commit, dirty = provenance.git_state()
        known = RunProvenance(
            host=provenance.host(),
            pid=os.getpid(),
            device=str(self.place.device),
            device_name=self.place.name,
            precision=self.place.precision,
            threads=self.config.threads,
            versions=provenance.versions(),
            git_commit=commit,
            git_dirty=dirty,
            log_path=str(log_path(Path(self.config.runs_dir), self.config.name)),
        )
        self.store.start_run(claim.run_uid, known)
        networks = required_networks(claim.job, self.store, self.place.device)
        data = with_networks(prepare(claim.job, Path(self.config.data_dir)), networks)
        self.store.start_run(claim.run_uid, RunProvenance(**data.provenance))

        def resumed(records: list[EpochRecord]) -> None:
            self.store.start_run(
                claim.run_uid, RunProvenance(resumed_from=claim.resumed_from, start_epoch=len(records))
            )
            self.store.record_epochs(claim.run_uid, [_epoch_row(record) for record in records])
            state["epoch"] = len(records)

        def ready(engine: Any, epochs: int) -> None:
            state.update(engine=engine, of=epochs)
            self.say("start", claim.job_key, label=claim.job.label(), epochs=epochs, start_epoch=state["epoch"])

        def finished_epoch(record: EpochRecord) -> None:
            self.store.record_epochs(claim.run_uid, [_epoch_row(record)])
            state["epoch"] = record.epoch + 1
            self.say(
                "epoch",
                claim.job_key,
                epoch=record.epoch + 1,
                test_accuracy=record.test_accuracy,
                seconds=record.seconds,
            )

        path = self._checkpoint_of(claim)
        if not self.config.resume:
            checkpoint.remove(path)
        return train(
            claim.job,
            data,
            self.place,
            checkpoint_path=path,
            checkpoint_minutes=self.config.checkpoint_minutes,
            on_epoch=finished_epoch,
            on_resume=resumed,
            on_ready=ready,
            on_built=lambda method: state.update(method=method),
            # Not a method of ours: from it a training method could reach the store.
            stop=_either(self._stop, self._lost),
        )

    def _keep_model(self, claim: Claim, method: Any) -> None:
        """Writes the trained method down where someone may want it: other jobs, or figures."""
        if self.config.keep_models or self.store.is_required(claim.job_key):
            keep_model(claim, method, Path(self.config.runs_dir), self.store)

    def _checkpoint_of(self, claim: Claim) -> Path:
        return Path(self.config.runs_dir) / "checkpoints" / claim.job_key[:2] / f"{claim.job_key}.pt"

    def _free_memory(self) -> None:
        """What the job left: plug-ins and hosts refer to each other, and the collector may come jobs later."""
        import gc

        import torch

        gc.collect()
        if self.place.device.type == "cuda":
            torch.cuda.empty_cache()

    def _beat(self, claim: Claim, done: threading.Event, state: dict[str, Any]) -> None:
        """Renews the lease and reports progress until the job is done."""
        renewed = time.monotonic()
        while not done.wait(0.5):
            engine = state["engine"]
            if engine is not None:
                self.say("progress", claim.job_key, epoch=state["epoch"], of=state["of"], samples=engine.samples)
            if time.monotonic() - renewed < self.config.lease_seconds / 4:
                continue
            try:
                if not self.store.renew(claim.run_uid, self.config.name, self.config.lease_seconds):
                    self._lost.set()
                    return
                renewed = time.monotonic()
            except StoreError:
                # The database may be busy or away for a moment; the lease outlasts three such failures.
                continue


def _either(*events: threading.Event) -> Callable[[], bool]:
    """Whether any of the events is set."""
    return lambda: any(event.is_set() for event in events)


def _epoch_row(record: Any) -> EpochRow:
    values = asdict(record)
    valid = values.pop("valid_accuracy")
    extra = {**values.pop("extra"), **({} if valid is None else {"valid_accuracy": valid})}
    return EpochRow(**values, extra=extra or None)


def log_path(runs_dir: Path, worker: str) -> Path:
    """Where a worker's standard error goes."""
    return runs_dir / "logs" / f"{worker}.log"


def main() -> int:
    """The process's whole life; 0 when it ended in order."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Libraries may print: their text belongs into the log, not between our events.
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = WorkerConfig.from_line(sys.stdin.readline())
    try:
        import torch

        torch.set_num_threads(config.threads)
        if config.plugins:
            from lnlbench.methods.registry import load_plugin

            for plugin in config.plugins:
                load_plugin(plugin)
        store = open_store(config.database)
        worker = Worker(config, store, out)
    except LnlbenchError as error:
        out.write(Event("error", config.name, values={"message": str(error)}).to_line() + "\n")
        out.flush()
        return error.exit_code
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())

    def listen() -> None:
        for line in sys.stdin:
            if line.strip() == "stop":
                break
        worker.stop()

    threading.Thread(target=listen, daemon=True).start()
    try:
        worker.work()
    except StoreError as error:
        worker.say("error", message=str(error))
        return error.exit_code
    finally:
        store.close()
    return 0


if __name__ == "__main__":
    # The listener may sit in a read of standard input, which would block the interpreter's orderly end.
    code = main()
    sys.stderr.flush()
    os._exit(code)
