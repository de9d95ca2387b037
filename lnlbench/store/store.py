"""`Store`, the whole of the database's interface, and `open_store`, the only way to one."""

from __future__ import annotations

from pathlib import Path

from lnlbench.store import schema
from lnlbench.store.exchange import Exchange
from lnlbench.store.location import database_url, prepare_place
from lnlbench.store.query import Queries
from lnlbench.store.queue import Queue
from lnlbench.store.record import Recorder


class Store(Queue, Recorder, Queries, Exchange):
    """An open database: `queue.py` hands out jobs, `record.py` takes numbers, `query.py` answers,
    `exchange.py` carries between databases. Threads may share a store; each process opens its own.
    """


def open_store(url_or_path: str | Path, *, create: bool = True, migrate: bool = True) -> Store:
    """Opens a database and brings it to the present schema.

    url_or_path: a file (SQLite) or any SQLAlchemy URL; `postgresql://` means the driver psycopg.
    create: make the file, its directory and the tables where they are missing.
    migrate: upgrade an older schema. Safe from several processes at once.
    Raises StoreError for a missing file (create=False), a file that is no database or another program's, a
    newer schema, a directory that cannot be written, a missing driver, a server that does not answer.
    Warns (StoreWarning) when an SQLite file lies on a network file system.
    """
    url = database_url(url_or_path)
    prepare_place(url, create=create)
    store = Store(url)
    try:
        schema.ensure(store, create=create, migrate=migrate)
    except BaseException:
        store.close()
        raise
    return store
