"""What a database is, before and without opening it for work: schema, rows by table, size. Upgrades nothing.

For `lnlbench db info` and `lnlbench doctor`, which must be able to look at an old database.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select, text

from lnlbench.errors import StoreError
from lnlbench.store import schema
from lnlbench.store.database import Database
from lnlbench.store.location import database_url, prepare_place, sqlite_file
from lnlbench.store.models import Base, JobRecord
from lnlbench.store.states import HEAD, JobState


class Overview(NamedTuple):
    """A database at a glance.

    name: path, or URL without password. revision: its schema, head: this lnlbench's. rows: by table, states:
    number of jobs by state; both empty where the schema is not the present one. bytes: None where unknown.
    """

    name: str
    backend: str
    revision: str
    head: str
    bytes: int | None
    rows: dict[str, int]
    states: dict[JobState, int]

    @property
    def current(self) -> bool:
        """Whether it has the present schema."""
        return self.revision == self.head


def overview(url_or_path: str | Path) -> Overview:
    """Looks at a database that exists. Raises StoreError as `open_store(create=False)`, but not for an old schema."""
    url = database_url(url_or_path)
    prepare_place(url, create=False)
    with Database(url) as database, database.read() as connection:
        revision = schema.current(connection, database.name)
        if revision is None:
            raise StoreError(f"{database.name} holds no lnlbench tables.", "Is this the right path?")
        rows: dict[str, int] = {}
        states: dict[JobState, int] = {}
        if revision == HEAD:
            for name, table in Base.metadata.tables.items():
                rows[name] = connection.execute(select(func.count()).select_from(table)).scalar_one()
            by_state = select(JobRecord.state, func.count()).group_by(JobRecord.state).order_by(JobRecord.state)
            for state, number in connection.execute(by_state):
                states[state] = number
        size = _file_bytes(sqlite_file(url))
        if url.get_backend_name() == "postgresql":
            size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        return Overview(database.name, url.get_backend_name(), revision, HEAD, size, rows, states)


def _file_bytes(file: Path | None) -> int | None:
    """Bytes of an SQLite file and of what is not yet folded into it."""
    if file is None:
        return None
    parts = (file, Path(f"{file}-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())
