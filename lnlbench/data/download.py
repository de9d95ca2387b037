"""Downloads data sets and label files: resumed after a cut, checked by md5, put in place in one step.

Only on the user's command. A partial file is kept as `.part` with the server's mark of the version beside
it; several processes wait for one another at a lock. Shows progress through a callback and prints nothing.
"""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from lnlbench import __version__
from lnlbench.data.catalogue import DataFile, DatasetInfo, default_data_dir, entry
from lnlbench.data.checksums import Checksums, md5_of, require_md5, wrong_md5
from lnlbench.errors import DataError, InvalidSetting

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, its bytes so far, and its bytes in all (None where the server does not say)."""

_CHUNK = 1 << 18
_LATER = (408, 425, 429, 500, 502, 503, 504)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Patience:
    """tries: connections in all; pause: seconds before the second, doubled each time up to 30; timeout: of a read."""

    tries: int = 6
    pause: float = 1.0
    timeout: float = 30.0


def download(
    name: str,
    data_dir: str | Path | None = None,
    *,
    progress: Progress | None = None,
    base_url: str | None = None,
    patience: Patience | None = None,
) -> tuple[Path, ...]:
    """Bring a data set (unpacked) or a label file under `data_dir`; returns the paths of its files.

    What is there and right is left alone. base_url: another host with the same file names, else
    $LNLBENCH_MIRROR, else where the release is published. Raises UnknownName; DataError when the server
    fails, the md5 is wrong, there is no room or permission, or other files are in the way.
    """
    folder = default_data_dir() if data_dir is None else Path(data_dir)
    info = entry(name, folder)
    file = info.archive if isinstance(info, DatasetInfo) else info.file
    if file is None or file.url is None:
        if isinstance(info, DatasetInfo) and (info.members or info.layouts) and not info.available(folder):
            raise DataError(f"{name}: cannot be downloaded: {info.terms}.", f"Needed under {folder}: {info.needs}.")
        return ()
    url = _url(file, file.url, base_url)
    with _locked(folder, name):
        checksums = Checksums(folder)
        if isinstance(info, DatasetInfo):
            if not _in_place(info, folder, checksums):
                _fetch(file, url, folder, info.unpacked_bytes, progress, patience or Patience())
                require_md5(folder / file.path, file, checksums)
                _unpack(info, file, folder)
            paths = tuple(folder / member.path for member in info.members)
        else:
            _fetch(file, url, folder, 0, progress, patience or Patience())
            paths = (folder / file.path,)
        checksums.save()
    return paths


def _url(file: DataFile, published: str, base_url: str | None) -> str:
    base = base_url or os.environ.get("LNLBENCH_MIRROR")
    url = f"{base.rstrip('/')}/{file.name}" if base else published
    if urlsplit(url).scheme not in ("http", "https"):
        raise InvalidSetting(f"mirror: {base!r} is not an http or https address.", "For example https://host/folder")
    return url


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f".{name}.lock")
        lock.acquire()
    except OSError as error:
        raise _cannot_write(name, folder, error) from error
    try:
        yield
    finally:
        lock.release()


def _in_place(info: DatasetInfo, folder: Path, checksums: Checksums) -> bool:
    """Whether the unpacked files are there and right; DataError where other files would be overwritten."""
    top = folder / Path(info.members[0].path).parent
    if not top.exists():
        return False
    if info.unpacked(folder):
        wrong = [m.name for m in info.members if m.md5 and checksums.md5(folder / m.path) != m.md5]
    else:
        wrong = [m.name for m in info.members if not (folder / m.path).is_file()]
    if wrong:
        raise DataError(
            f"{info.key}: {top} is in the way: {', '.join(wrong)} missing or not the canonical one.",
            "Move the folder away or choose another with --to, then download again.",
        )
    return True


def _fetch(
    file: DataFile, url: str, folder: Path, unpacked: int, progress: Progress | None, patience: Patience
) -> None:
    target = folder / file.path
    if target.exists():
        require_md5(target, file, Checksums(folder, reuse=False))
        return
    transfer = _Transfer(file, url, target, progress or _silent, patience)
    _check_room(file, folder, transfer.have(), unpacked)
    resumed = transfer.run()
    if file.md5 is not None and (got := md5_of(transfer.part)) != file.md5:
        if resumed:
            # Pieces of two versions of the file, perhaps: one whole transfer decides.
            transfer.discard()
            transfer.run()
            got = md5_of(transfer.part)
        if got != file.md5:
            size = transfer.have()
            transfer.discard()
            raise DataError(
                wrong_md5(file.name, file, got, size),
                f"What {url} serves is incomplete or altered; nothing was kept. "
                "Try later, or another host by LNLBENCH_MIRROR.",
            )
    os.replace(transfer.part, target)
    transfer.mark.unlink(missing_ok=True)


def _silent(name: str, done: int, total: int | None) -> None:
    pass


def _check_room(file: DataFile, folder: Path, have: int, unpacked: int) -> None:
    needed = max(0, (file.bytes or 0) - have) + unpacked
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _no_room(file.name, folder, needed, free)


def _no_room(name: str, folder: Path, needed: int | None, free: int) -> DataError:
    need = f"{needed:,} bytes needed, " if needed else ""
    return DataError(
        f"{name}: not enough room in {folder}: {need}{free:,} free.",
        "Free some, or choose another folder with --to. What has arrived is kept as .part and resumed.",
    )


def _cannot_write(name: str, folder: Path, error: OSError) -> DataError:
    return DataError(
        f"{name}: cannot write to {folder}: {error.strerror or error}.",
        "Choose another folder with --to or LNLBENCH_DATA. What has arrived, if anything, is kept as .part.",
    )


class _Cut(Exception):
    """The connection failed in a way that another try may mend."""


class _Transfer:
    """One file on its way from a server to `<target>.part`."""

    def __init__(self, file: DataFile, url: str, target: Path, progress: Progress, patience: Patience) -> None:
        self.file, self.url, self.progress, self.patience = file, url, progress, patience
        self.part = target.with_name(target.name + ".part")
        self.mark = target.with_name(target.name + ".part.version")

    def have(self) -> int:
        """Bytes that have arrived."""
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self) -> None:
        """Forget what has arrived."""
        self.part.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)

    def run(self) -> bool:
        """Transfer the rest of the file, over several connections if need be.

        Returns whether the pieces came from more than one. Raises DataError when patience is at an end.
        """
        resumed = False
        pause = self.patience.pause
        for left in reversed(range(self.patience.tries)):
            try:
                return self._connect() or resumed
            except _Cut as cut:
                resumed = resumed or self.have() > 0
                if left == 0:
                    raise self._gave_up(str(cut)) from cut
            time.sleep(pause)
            pause = min(2 * pause, 30.0)
        return resumed

    def _gave_up(self, why: str) -> DataError:
        return DataError(
            f"{self.file.name}: {self.url} failed {self.patience.tries} times, the last time with: {why}.",
            f"{self.have():,} bytes are kept as {self.part.name}; run the same command again to go on.",
        )

    def _connect(self) -> bool:
        """One connection, to the end of the file. Returns whether it went on from what was there."""
        have = self.have()
        try:
            with urlopen(self._request(have), timeout=self.patience.timeout) as response:
                return self._receive(response, have)
        except HTTPError as error:
            if error.code == 416 and have and _range(error.headers.get("Content-Range"))[1] == have:
                return True  # everything had arrived
            if error.code == 416 and have:
                self.discard()
                raise _Cut("the file on the server has changed") from error
            raise self._refused(error) from error
        except (HTTPException, OSError) as error:
            raise _Cut(str(error) or type(error).__name__) from error

    def _request(self, have: int) -> Request:
        headers = {"User-Agent": f"lnlbench/{__version__}"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.mark.exists() and (version := self.mark.read_text(encoding="latin-1")):
                headers["If-Range"] = version
        return Request(self.url, headers=headers)

    def _refused(self, error: HTTPError) -> Exception:
        if error.code in _LATER:
            return _Cut(f"{error.code} {error.reason}")
        return DataError(
            f"{self.file.name}: {self.url} answered {error.code} {error.reason}.",
            "The file has moved or is not public. Try another host by LNLBENCH_MIRROR, or bring the file by hand.",
        )

    def _receive(self, response: HTTPResponse, have: int) -> bool:
        start, total = 0, _whole(response.headers.get("Content-Length"))
        if response.status == 206:
            start, total = _range(response.headers.get("Content-Range"))
            if start != have:
                self.discard()
                raise _Cut("the server sent another part of the file than was asked for")
        done = start
        try:
            with self.part.open("ab" if start else "wb") as out:
                self._write_mark(response)
                self.progress(self.file.name, done, total)
                while block := _block(response):
                    out.write(block)
                    done += len(block)
                    self.progress(self.file.name, done, total)
        except OSError as error:
            raise self._unwritten(error, done, total) from error
        if total is not None and done < total:
            raise _Cut(f"the connection was cut at {done:,} of {total:,} bytes")
        return start > 0

    def _write_mark(self, response: HTTPResponse) -> None:
        etag = response.headers.get("ETag") or ""
        # A weak ETag may not be used in If-Range (RFC 9110, 13.1.5).
        version = response.headers.get("Last-Modified") or "" if etag.startswith("W/") or not etag else etag
        self.mark.write_text(version, encoding="latin-1")

    def _unwritten(self, error: OSError, done: int, total: int | None) -> DataError:
        if error.errno in _FULL:
            free = shutil.disk_usage(self.part.parent).free
            return _no_room(self.file.name, self.part.parent, total - done if total else None, free)
        return _cannot_write(self.file.name, self.part.parent, error)


def _block(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (HTTPException, OSError) as error:
        raise _Cut(str(error) or type(error).__name__) from error


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdigit() else None


def _range(text: str | None) -> tuple[int, int | None]:
    """First byte and total of 'bytes 100-199/200' or 'bytes */200'; -1 and None where they are not said."""
    span, _, total = (text or "").removeprefix("bytes").strip().partition("/")
    first = _whole(span.partition("-")[0])
    return -1 if first is None else first, _whole(total)


def _unpack(info: DatasetInfo, archive: DataFile, folder: Path) -> None:
    """Extract the members the catalogue names, and nothing else, and move them into place together."""
    workplace = folder / f".{info.key}.unpacking"
    wanted = {member.path: member for member in info.members}
    try:
        shutil.rmtree(workplace, ignore_errors=True)
        workplace.mkdir()
        with tarfile.open(folder / archive.path, "r|gz") as tar:
            for item in tar:
                if item.name in wanted and item.isreg():
                    tar.extract(item, workplace, filter="data")
        _check_members(info, archive, workplace)
        top = Path(info.members[0].path).parent
        os.replace(workplace / top, folder / top)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.name}: cannot be unpacked: {error}.", "Delete it and download again.") from error
    except OSError as error:
        if error.errno in _FULL:
            free = shutil.disk_usage(folder).free
            raise _no_room(archive.name, folder, info.unpacked_bytes, free) from error
        raise _cannot_write(archive.name, folder, error) from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _check_members(info: DatasetInfo, archive: DataFile, workplace: Path) -> None:
    for member in info.members:
        path = workplace / member.path
        if not path.is_file():
            raise DataError(f"{archive.name}: lacks {member.path}.", "Delete it and download again.")
        if member.md5 is not None and (got := md5_of(path)) != member.md5:
            raise DataError(wrong_md5(member.path, member, got, path.stat().st_size), "Delete the archive.")
