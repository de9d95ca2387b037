"""Where a database lies: a path or a URL in, an SQLAlchemy URL out, with a warning for unfit file systems.

Opens no connection and knows no table.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from lnlbench.errors import StoreError
from lnlbench.store.errors import StoreWarning

_NETWORK = re.compile(
    r"(fuse\.)?(nfs\d?|cifs|smb\w*|lustre|gpfs|beegfs\w*|sshfs|gluster\w*|ceph\w*|afs|9p|orangefs|panfs|wekafs|s3fs)"
)


def database_url(url_or_path: str | Path) -> URL:
    """The SQLAlchemy URL of a path (SQLite) or of a URL; raises StoreError when it is neither."""
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(Path(url_or_path).expanduser().absolute()))
    try:
        url = make_url(url_or_path)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            "this is not a database URL.", "Give a path, or postgresql://user:password@host/database"
        ) from error
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    return url


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite URL; None for a database in memory, an SQLite `file:` URI, or a server."""
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name in ("", ":memory:") or name.startswith("file:"):
        return None
    return Path(name)


def display_name(url: URL) -> str:
    """How messages call the database: the path, or the URL without its password."""
    file = sqlite_file(url)
    return str(file) if file else url.render_as_string(hide_password=True)


def prepare_place(url: URL, *, create: bool) -> None:
    """Checks that the file of an SQLite URL can be opened, makes its directory; StoreError where that fails."""
    file = sqlite_file(url)
    if file is None:
        return
    if not create and not file.is_file():
        raise StoreError(f"there is no database at {file}.", "Check the path; `lnlbench run` makes one.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{file.parent} cannot be made: {error.strerror}.", "Give another --db.") from error
    _warn_if_network(file)


def network_filesystem(path: Path, mounts: str) -> str | None:
    """The type of the network file system `path` lies on, None if local; `mounts` is the text of /proc/mounts."""
    best, kind = -1, None
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        # The kernel writes blanks in mount points as octal escapes.
        point = Path(re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[1]))
        # A later mount over the same point hides the earlier one.
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind if kind and _NETWORK.fullmatch(kind) else None


def _warn_if_network(file: Path) -> None:
    try:
        mounts = Path("/proc/mounts").read_text(errors="replace")
    except OSError:  # not Linux
        return
    kind = network_filesystem(file.resolve(), mounts)
    if kind:
        warnings.warn(
            f"{file} lies on a network file system ({kind}), where SQLite's locks are not reliable: use it from "
            "one machine only, or use PostgreSQL (--db postgresql://...).",
            StoreWarning,
            stacklevel=4,
        )
