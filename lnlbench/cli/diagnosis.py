"""What `lnlbench doctor` looks at, a function a subject; each gives findings and none of them raises.

A finding fails only where no job could run: a GPU, CIFAR and LaTeX are good to have and notes without.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from lnlbench import __version__
from lnlbench.cli.printing import counted
from lnlbench.errors import LnlbenchError

Status = Literal["ok", "note", "fail"]

GIB = 2**30
_LITTLE_MEMORY = 4 * GIB
_LITTLE_DISK = 2 * GIB
_NO_DISK = GIB // 10
_IMPORTED = ("torch", "torchvision", "sklearn")
"""Packages whose compiled parts break on some machines although they are installed."""


@dataclass(frozen=True)
class Finding:
    """status: 'note' is worth knowing, 'fail' keeps jobs from running. advice: what to do about it, else empty."""

    name: str
    status: Status
    value: str
    advice: str = ""


def examine(database: str, data_dir: Path, runs_dir: Path) -> list[Finding]:
    """Everything there is to say of this machine, for this database, data folder and folder of checkpoints."""
    findings = [*_python(), *_packages()]
    if not any(f.status == "fail" and f.name == "torch" for f in findings):
        findings += _devices()
    return [
        *findings,
        *_processor(),
        *_disk(runs_dir),
        *_data(data_dir),
        *_database(database),
        *_writable("runs folder", runs_dir, "Set $LNLBENCH_RUNS to a folder you can write."),
        _latex(),
    ]


def _python() -> Iterator[Finding]:
    text = ".".join(str(part) for part in sys.version_info[:3])
    enough = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if enough else "fail", text, "" if enough else "lnlbench needs Python 3.11 or newer.")
    from lnlbench.execution.provenance import git_state

    commit, changed = git_state()
    checkout = f" at {commit[:12]}{' with changes' if changed else ''}" if commit else ""
    yield Finding("lnlbench", "ok", f"{__version__}{checkout}")


def _packages() -> Iterator[Finding]:
    """Every package that lnlbench requires, against the version it requires."""
    for requirement in requires("lnlbench") or ():
        if ";" in requirement:  # optional ones
            continue
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        least = re.search(r">=\s*([\d.]+)", requirement)
        yield _package(name, least[1] if least else "0")


def _package(name: str, least: str) -> Finding:
    install = f"pip install '{name}>={least}'"
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, "fail", "not installed", install)
    if _numbers(found) < _numbers(least):
        return Finding(name, "fail", f"{found} is too old", install)
    module = {"scikit-learn": "sklearn"}.get(name, name)
    if module in _IMPORTED:
        try:
            importlib.import_module(module)
        except Exception as error:
            return Finding(
                name, "fail", f"{found} cannot be imported: {error}", f"pip install --force-reinstall {name}"
            )
    return Finding(name, "ok", found)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0])[:3])


def _devices() -> Iterator[Finding]:
    import torch

    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        yield _cuda(index)
    if torch.cuda.is_available():
        return
    if torch.backends.mps.is_available():
        yield Finding("device mps", "ok", "Apple GPU, fp32")
    elif shutil.which("nvidia-smi"):
        yield Finding(
            "GPU",
            "note",
            f"torch {torch.__version__} sees none, although nvidia-smi is here; jobs run on the CPU",
            "Compare the driver's CUDA version (nvidia-smi) with torch's, and install the torch that fits it.",
        )
    else:
        yield Finding(
            "GPU", "note", "none; jobs run on the CPU", "The scales smoke and desk are made for it, paper needs a GPU."
        )


def _cuda(index: int) -> Finding:
    """A CUDA device that is asked to compute: one that is there may still have no kernels in this torch."""
    import torch

    name = f"device cuda:{index}"
    try:
        found = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        image = torch.ones(1, 3, 8, 8, device=f"cuda:{index}")
        torch.nn.functional.conv2d(image, image).sum().item()
        bf16 = torch.cuda.is_bf16_supported()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        advice = "Free it, choose another with --device, or install a torch that fits it."
        return Finding(name, "note", f"cannot be used: {reason}", advice)
    memory = f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    busy = free < total / 4
    return Finding(
        name,
        "note" if busy else "ok",
        f"{found.name}, {memory}, {'bf16' if bf16 else 'no bf16: fp32'}",
        "Most of its memory is taken; see nvidia-smi." if busy else "",
    )


def _processor() -> Iterator[Finding]:
    from lnlbench.execution.provenance import cores

    threads = os.environ.get("OMP_NUM_THREADS")
    yield Finding("CPU", "ok", f"{cores()} cores" + (f", OMP_NUM_THREADS={threads}" if threads else ""))
    try:
        import psutil
    except ImportError:  # said above, with the packages
        return
    free = psutil.virtual_memory().available
    limit = _container_memory()
    free = min(free, limit) if limit else free
    little = free < _LITTLE_MEMORY
    yield Finding(
        "memory",
        "note" if little else "ok",
        f"{free / GIB:.1f} GiB free",
        "A job on CIFAR takes 2 to 3 GiB: use one worker (--workers 1)." if little else "",
    )


def _container_memory() -> int | None:
    """What a container has left of its own limit, None without one."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
        return None if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None


def _disk(runs_dir: Path) -> Iterator[Finding]:
    place = _existing(runs_dir)
    free = shutil.disk_usage(place).free
    status: Status = "fail" if free < _NO_DISK else "note" if free < _LITTLE_DISK else "ok"
    advice = "" if status == "ok" else "Checkpoints need room: free some, or set $LNLBENCH_RUNS to another disk."
    yield Finding("disk", status, f"{free / GIB:.1f} GiB free at {place}", advice)


def _data(data_dir: Path) -> Iterator[Finding]:
    from lnlbench.data.catalogue import LABEL_FILES, DatasetInfo, LabelFileInfo, known_datasets

    yield Finding("data folder", "ok", str(data_dir))
    datasets, wrong = known_datasets(data_dir)
    for error in wrong:
        yield Finding("data of your own", "note", error.message, error.hint or "")
    known: list[DatasetInfo | LabelFileInfo] = [*datasets, *LABEL_FILES.values()]
    for info in known:
        if isinstance(info, DatasetInfo) and info.layouts and not info.available(data_dir):
            advice = f"lnlbench show dataset {info.key} says how to get it and where to put it."
            yield Finding(f"data {info.key}", "note", "not there; needed for its own jobs only", advice)
            continue
        there = [f for f in info.files if (data_dir / f.path).is_file()] if isinstance(info, DatasetInfo) else []
        fetch = f"lnlbench data download {info.key} --to {data_dir}"
        if info.available(data_dir):
            yield Finding(f"data {info.key}", "ok", "there")
        elif there:
            yield Finding(f"data {info.key}", "note", f"incomplete: only {len(there)} of its files are there", fetch)
        else:
            yield Finding(f"data {info.key}", "note", "not there; needed for its own jobs only", fetch)


def _database(database: str) -> Iterator[Finding]:
    try:
        from lnlbench.store import StoreWarning
        from lnlbench.store.location import database_url, sqlite_file
        from lnlbench.store.overview import overview
    except ImportError as error:
        yield Finding("database", "fail", f"cannot be looked at: {error}", "Install what is missing above.")
        return
    try:
        file = sqlite_file(database_url(database))
        if file is not None and not file.exists():
            yield Finding("database", "ok", f"{file}, made by the first run")
            yield from _writable("database folder", file.parent, "Give another --db.")
            return
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", StoreWarning)
            found = overview(database)
    except LnlbenchError as error:
        yield Finding("database", "fail", error.message, error.hint or "")
        return
    schema = f"{found.name}, schema {found.revision}"
    if found.current:
        yield Finding("database", "ok", f"{schema}, {counted(sum(found.states.values()), 'job')}")
    else:
        yield Finding("database", "note", f"{schema}, an older one", "Upgrade it: lnlbench db upgrade")
    for warning in (w for w in caught if issubclass(w.category, StoreWarning)):
        yield Finding("database", "note", "on a network file system", str(warning.message))
    if file is not None and not os.access(file, os.W_OK):
        yield Finding("database", "fail", f"{file} cannot be written", "Change its rights, or give another --db.")


def _writable(name: str, folder: Path, advice: str) -> Iterator[Finding]:
    """Whether files can be made in a folder, or in the nearest one above it that exists."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            pass
    except OSError as error:
        yield Finding(name, "fail", f"{folder} cannot be written: {error.strerror}", advice)
    else:
        yield Finding(name, "ok", str(folder))


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _latex() -> Finding:
    found = shutil.which("pdflatex")
    if found:
        return Finding("pdflatex", "ok", found)
    return Finding(
        "pdflatex",
        "note",
        "not found; lnlbench prints LaTeX without it",
        "Only needed to compile tables here: TeX Live with booktabs.",
    )
