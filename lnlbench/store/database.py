"""The connection to a database: engine, transactions, clock, locks. Knows no query.

SQLite transactions are begun by us, not by the driver: the driver opens none before a read, so that reading
the queue and then claiming from it would race.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import NoSuchModuleError

from lnlbench.errors import StoreError
from lnlbench.store.errors import explained
from lnlbench.store.location import display_name

BUSY_SECONDS = 30
_PACKAGES = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "pymysql": "PyMySQL",
}


class Database:
    """An engine with the three kinds of transaction the store needs. Threads may share one, processes may not."""

    def __init__(self, url: URL) -> None:
        self.name = display_name(url)
        self.engine = connect(url)
        # SQLite's readers always see one moment; servers have to be asked.
        one_moment = {} if self.engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self.reading = self.engine.execution_options(**one_moment)
        self.writing = self.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")

    @property
    def url(self) -> str:
        """The URL with its password, for handing to `open_store` in another process; not for printing."""
        return self.engine.url.render_as_string(hide_password=False)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; all it reads is of one moment."""
        with explained(self.name), self.reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; on SQLite it holds the write lock from its first moment."""
        with explained(self.name), self.writing.begin() as connection:
            yield connection

    @contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """A write transaction that no other `exclusive` of any process or machine overlaps."""
        with self.write() as connection:
            if self.engine.dialect.name != "sqlite":
                # The one row every lnlbench database has; locked, it queues the claimants of all machines.
                connection.execute(text("SELECT version_num FROM alembic_version FOR UPDATE"))
            yield connection

    def now(self, connection: Connection) -> datetime:
        """The time by which leases are judged: the server's, so that the clocks of machines need not agree."""
        if self.engine.dialect.name != "postgresql":
            return datetime.now(UTC)
        at: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return at.astimezone(UTC)

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(url: URL) -> Engine:
    """An engine for `url`, with SQLite's settings; StoreError when its driver is not installed."""
    sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}} if sqlite else {"pool_pre_ping": True}
    try:
        engine = create_engine(url, json_serializer=to_json, **options)
    except NoSuchModuleError as error:
        raise StoreError(
            f"no database driver is called {url.drivername!r}.", "Use a path (SQLite) or postgresql://..."
        ) from error
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        raise StoreError(f"{url.drivername} needs the package {package}.", f"pip install '{package}'") from error
    if sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def to_json(value: Any) -> str:
    """JSON that every database takes: numbers that are not finite become null."""
    return json.dumps(finite(value), allow_nan=False)


def finite(value: Any) -> Any:
    """`value` with every number that is not finite replaced by None, through lists and mappings."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return value
