"""Jobs that start from what other jobs have trained: the table `dependency`.

A migration is history: it is never edited after a release, and imports nothing of lnlbench that may change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dependency",
        sa.Column("job_key", sa.String(length=64), nullable=False),
        sa.Column("required_key", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job_key"], ["job.key"], name="fk_dependency_job_key_job"),
        sa.ForeignKeyConstraint(["required_key"], ["job.key"], name="fk_dependency_required_key_job"),
        sa.PrimaryKeyConstraint("job_key", "required_key", name="pk_dependency"),
    )
    op.create_index("ix_dependency_required_key", "dependency", ["required_key"])
