"""`lnlbench data`: fetches and checks data sets. Label noise as files is `data_noise.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnlbench.cli import common, data_noise, listing
from lnlbench.cli.printing import counted, facts, line, table

if TYPE_CHECKING:
    from lnlbench.data.download import Progress
    from lnlbench.data.verify import SplitReport, VerifyReport

app = typer.Typer(help="Fetch and check data sets; label noise as files.", no_args_is_help=True)
app.command("list")(listing.list_datasets)
app.add_typer(data_noise.app, name="noise")

NameArgument = Annotated[str, typer.Argument(help="A data set or label file of `lnlbench data list`.")]
FolderOption = Annotated[
    Path | None, typer.Option("--to", "--data-dir", help="Data folder. Default: $LNLBENCH_DATA or a folder of yours.")
]
MirrorOption = Annotated[
    str | None, typer.Option("--mirror", help="Another host with the same file names, https://host/folder.")
]

_EVERY = 0.1
"""Share of a file between two lines of progress where there is no terminal."""


@app.command("download")
def download(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Data sets or label files.")],
    to: FolderOption = None,
    mirror: MirrorOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Download data sets; a cut download goes on where it stopped, and what is there and right is left alone."""
    from lnlbench.data.catalogue import entry

    folder = common.data_dir(to)
    for name in names:
        entry(name, folder)
    found = {name: [str(path) for path in _download(name, folder, mirror)] for name in names}
    if as_json:
        common.print_json({"data_dir": str(folder), "files": found})
        return
    for name, paths in found.items():
        line(f"{name}: {counted(len(paths), 'file')} under {folder}" if paths else f"{name}: nothing to download.")


@app.command("prepare")
def prepare(
    name: NameArgument, to: FolderOption = None, mirror: MirrorOption = None, as_json: common.JsonOption = False
) -> None:
    """Bring a data set into a state that jobs can use: download it if it is missing, unpack it, check it."""
    from lnlbench.data.catalogue import DatasetInfo, entry

    folder = common.data_dir(to)
    info = entry(name, folder)
    if isinstance(info, DatasetInfo) and info.layouts:
        if not info.available(folder):
            raise info.absence(folder)
    elif isinstance(info, DatasetInfo) and not info.files:
        common.console(stderr=True).print(f"{name}: needs {info.needs}.", markup=False)
    elif not (info.unpacked(folder) if isinstance(info, DatasetInfo) else info.available(folder)):
        _download(name, folder, mirror)
    _verify(name, folder, as_json)


@app.command("verify")
def verify(
    name: NameArgument,
    to: FolderOption = None,
    deep: Annotated[bool, typer.Option("--deep", help="Also decode every image file; slow.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="From now on use it without the images that are missing.")
    ] = False,
    as_json: common.JsonOption = False,
) -> None:
    """Read and hash everything of a data set anew and say what is there. Exit code 1 when jobs cannot use it."""
    _verify(name, common.data_dir(to), as_json, deep, allow_missing)


def _download(name: str, folder: Path, mirror: str | None) -> tuple[Path, ...]:
    from lnlbench.data.catalogue import DatasetInfo, entry
    from lnlbench.data.download import download

    info = entry(name, folder)
    if not info.available(folder) and not (isinstance(info, DatasetInfo) and info.layouts):
        common.console(stderr=True).print(f"{info.title}\n  terms: {info.terms}\n  cite: {info.citation}", markup=False)
    with _progress() as progress:
        return download(name, folder, progress=progress, base_url=mirror)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Shows a transfer on standard error: a bar on a terminal, else a line every tenth of it."""
    if not sys.stderr.isatty():
        yield _Lines().tell
        return
    from rich import progress as parts

    columns = (
        parts.TextColumn("{task.description}", markup=False),
        parts.BarColumn(),
        parts.DownloadColumn(),
        parts.TransferSpeedColumn(),
        parts.TimeRemainingColumn(),
    )
    with parts.Progress(*columns, console=common.console(stderr=True)) as shown:
        tasks: dict[str, parts.TaskID] = {}

        def tell(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = shown.add_task(name, total=total)
            shown.update(tasks[name], completed=done, total=total)

        yield tell


class _Lines:
    """A line at the start of a file, at every tenth, and at its end."""

    def __init__(self) -> None:
        self.told: dict[str, int] = {}

    def tell(self, name: str, done: int, total: int | None) -> None:
        """Called with every block."""
        step = int(done / (total * _EVERY)) if total else done // 10_000_000
        if step <= self.told.get(name, -1):
            return
        self.told[name] = step
        share = f" of {total / 1e6:,.1f} MB ({100 * done / total:.0f}%)" if total else " MB"
        typer.echo(f"{name}: {done / 1e6:,.1f}{share}", err=True)


def _verify(name: str, folder: Path, as_json: bool, deep: bool = False, allow_missing: bool = False) -> None:
    from lnlbench.data.verify import verify

    report = verify(name, folder, deep=deep, allow_missing=allow_missing)
    if as_json:
        common.print_json(report.to_dict())
    else:
        _print_report(report)
    if not report.usable:
        raise typer.Exit(1)


_VERDICTS = {
    "canonical": "the canonical release",
    "modified": "usable, but not the canonical release; every report says so",
    "missing": "not there",
    "broken": "broken: jobs cannot use it",
}


def _print_report(report: VerifyReport) -> None:
    line(f"{report.name} under {report.data_dir}: {_VERDICTS[report.verdict]}")
    if report.message:
        line(report.message)
    if report.files:
        line()
        table(
            ["file", "bytes", "md5", "state"],
            [
                [
                    file.path,
                    None if file.bytes is None else f"{file.bytes:,}",
                    file.md5,
                    "canonical" if file.right else "differs" if file.present else "not there",
                ]
                for file in report.files
            ],
            right=("bytes",),
        )
    for split in report.splits:
        line()
        facts(
            [
                (split.name, f"{split.images:,} images of {'x'.join(str(n) for n in split.image_shape)}"),
                ("images a class", _histogram(split)),
                ("labels sha256", split.labels_sha256),
            ]
        )
    if report.fingerprint:
        line(f"\nfingerprint {report.fingerprint}")


def _histogram(split: SplitReport) -> str:
    if len(set(split.histogram)) == 1:
        return f"{split.histogram[0]:,} each of {len(split.histogram)}"
    return ", ".join(f"{c}: {count:,}" for c, count in enumerate(split.histogram))
