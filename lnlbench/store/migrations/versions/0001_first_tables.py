"""The first schema: job, run, artifact, epoch, result.

A migration is history: it is never edited after a release, and imports nothing of lnlbench that may change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=255), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("noise", sa.String(length=255), nullable=False),
        sa.Column("noise_label", sa.String(length=255), nullable=False),
        sa.Column("rate", sa.Double()),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("scale", sa.String(length=16), nullable=False),
        sa.Column("canonical", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempt_limit", sa.Integer()),
        sa.Column("lease_owner", sa.String(length=255)),
        sa.Column("lease_until", TIME),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_job"),
    )

    op.create_index("ix_job_method_dataset_noise_rate_scale", "job", ["method", "dataset", "noise", "rate", "scale"])
    op.create_index("ix_job_state_position", "job", ["state", "position"])
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("job_key", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("worker", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255)),
        sa.Column("pid", sa.Integer()),
        sa.Column("device", sa.String(length=64)),
        sa.Column("device_name", sa.String(length=255)),
        sa.Column("precision", sa.String(length=32)),
        sa.Column("threads", sa.Integer()),
        sa.Column("versions", JSON),
        sa.Column("git_commit", sa.String(length=64)),
        sa.Column("git_dirty", sa.Boolean()),
        sa.Column("lnlbench_version", sa.String(length=64)),
        sa.Column("data_fingerprint", sa.String(length=255)),
        sa.Column("data_canonical", sa.Boolean()),
        sa.Column("data_note", sa.Text()),
        sa.Column("noisy_labels_sha256", sa.String(length=64)),
        sa.Column("noise_realised", sa.Double()),
        sa.Column("resumed_from", sa.String(length=32)),
        sa.Column("start_epoch", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("traceback", sa.Text()),
        sa.Column("seconds", sa.Double()),
        sa.Column("log_path", sa.Text()),
        sa.ForeignKeyConstraint(["job_key"], ["job.key"], name="fk_run_job_key_job"),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.UniqueConstraint("uid", name="uq_run_uid"),
    )

    op.create_index("ix_run_job_key_ended_at", "run", ["job_key", "ended_at"])
    op.create_table(
        "artifact",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer()),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64)),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("key", sa.String(length=64)),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_artifact_run_id_run"),
        sa.PrimaryKeyConstraint("id", name="pk_artifact"),
    )

    op.create_index("ix_artifact_key", "artifact", ["key"])
    op.create_index("ix_artifact_run_id", "artifact", ["run_id"])
    op.create_table(
        "epoch",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stage", sa.String(length=64), nullable=False),
        sa.Column("test_accuracy", sa.Double()),
        sa.Column("clean_auc", sa.Double()),
        sa.Column("select_precision", sa.Double()),
        sa.Column("select_recall", sa.Double()),
        sa.Column("corrected_accuracy", sa.Double()),
        sa.Column("memorisation", sa.Double()),
        sa.Column("loss", sa.Double()),
        sa.Column("images_per_second", sa.Double()),
        sa.Column("peak_memory_mb", sa.Double()),
        sa.Column("lr", sa.Double()),
        sa.Column("seconds", sa.Double()),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("extra", JSON),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_epoch_run_id_run"),
        sa.PrimaryKeyConstraint("run_id", "epoch", name="pk_epoch"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "result",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("best", sa.Double()),
        sa.Column("best_epoch", sa.Integer()),
        sa.Column("last", sa.Double()),
        sa.Column("last10", sa.Double()),
        sa.Column("valid_pick", sa.Double()),
        sa.Column("best_auc", sa.Double()),
        sa.Column("last_auc", sa.Double()),
        sa.Column("epochs_done", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double()),
        sa.Column("images_per_second", sa.Double()),
        sa.Column("extra", JSON),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_result_run_id_run"),
        sa.PrimaryKeyConstraint("run_id", name="pk_result"),
    )
