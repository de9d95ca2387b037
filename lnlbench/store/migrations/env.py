"""Alembic's entry point: runs the migrations on the connection that `schema.py` hands over.

There is no alembic.ini and no other way in; the caller owns the transaction.
"""

from alembic import context

from lnlbench.store.models import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
