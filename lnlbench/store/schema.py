"""Which schema a database has, and how it gets the present one. The steps are in `migrations/versions/`.

Alembic takes as long to import as all the rest, so it is imported only when there is something to migrate.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.engine import URL

from lnlbench.errors import StoreError
from lnlbench.store.database import Database
from lnlbench.store.errors import explained
from lnlbench.store.location import sqlite_file
from lnlbench.store.models import Base
from lnlbench.store.states import HEAD, REVISIONS

_LOCK_SECONDS = 120
_POSTGRES_LOCK = 0x6C6E6C62  # 'lnlb'; any number that other programs are unlikely to lock


def ensure(database: Database, *, create: bool, migrate: bool) -> None:
    """Brings the database to HEAD as far as `create` and `migrate` allow; StoreError where they do not."""
    with database.read() as connection:
        revision = current(connection, database.name)
    if revision == HEAD:
        return
    if revision is None and not create:
        raise StoreError(f"{database.name} holds no lnlbench tables.", "Is this the right path?")
    if revision is not None and not migrate:
        raise StoreError(f"{database.name} has the older schema {revision}.", "Upgrade it: lnlbench db upgrade")
    _upgrade(database)


def upgrade(url: URL) -> None:
    """Creates or upgrades the database at `url` to HEAD."""
    with Database(url) as database:
        ensure(database, create=True, migrate=True)


def current(connection: Connection, name: str) -> str | None:
    """The database's revision, None where there is nothing yet; StoreError for a newer or a foreign database."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        # An SQLite file belongs to one program; a server's schema may be shared.
        foreign = tables if connection.dialect.name == "sqlite" else tables & set(Base.metadata.tables)
        if foreign:
            raise StoreError(f"{name} is the database of another program.", "Give the path of a new file.")
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if revision is not None and revision not in REVISIONS:
        raise StoreError(
            f"{name} has the schema {revision!r}, which is newer than this lnlbench knows ({HEAD}).",
            "Upgrade lnlbench: pip install --upgrade lnlbench",
        )
    return str(revision) if revision is not None else None


def _upgrade(database: Database) -> None:
    with _file_lock(database.engine.url), explained(database.name):
        _use_wal(database)
        with database.writing.connect() as connection, _foreign_keys_off(connection), connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_POSTGRES_LOCK)))
            # Another process may have done it while this one waited for the lock.
            if current(connection, database.name) != HEAD:
                _run_alembic(connection)
                _check_foreign_keys(connection, database.name)


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # The configuration's parser takes % for an interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _file_lock(url: URL) -> Iterator[None]:
    file = sqlite_file(url)
    if file is None:
        yield
        return
    from filelock import FileLock, Timeout

    try:
        lock = FileLock(f"{file}.lock", timeout=_LOCK_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"{file}: another process has been creating or upgrading it for {_LOCK_SECONDS} seconds.",
            f"If none is, delete {file}.lock",
        ) from error
    except OSError as error:
        raise StoreError(f"{file.parent} cannot be written: {error.strerror}.", "Give another --db.") from error
    try:
        yield
    finally:
        lock.release()


def _use_wal(database: Database) -> None:
    """Readers and the writer do not block each other in this mode; the file remembers it."""
    if database.engine.dialect.name != "sqlite":
        return
    connection = database.engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        raise StoreError(f"{database.name} cannot be prepared: {error}.", "Give another --db.") from error
    finally:
        connection.close()


@contextmanager
def _foreign_keys_off(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew, which must not look like deleting what others refer to."""
    if connection.dialect.name != "sqlite":
        yield
        return
    # Straight to the driver: through SQLAlchemy it would begin a transaction, in which the pragma does nothing.
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _check_foreign_keys(connection: Connection, name: str) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise StoreError(f"{name}: {len(broken)} rows refer to rows that are not there; it was not upgraded.")
