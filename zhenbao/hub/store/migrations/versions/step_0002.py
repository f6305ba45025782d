"""Attachments of visits; reports that kits gave back after a restore."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("encounter_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("observation_id", sa.Uuid(), nullable=False),
        sa.Column("media_type", sa.String(length=32), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("device_time", sa.String(length=32), nullable=True),
        sa.Column("named", sa.String(length=16), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
    )
    with op.batch_alter_table("attachments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attachments_encounter_id"), ["encounter_id"], unique=False)
    op.create_table(
        "returned_reports",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("encounter_id", sa.Uuid(), nullable=False),
        sa.Column("sender", sa.String(length=80), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_returned_reports")),
    )
    with op.batch_alter_table("returned_reports", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_returned_reports_encounter_id"), ["encounter_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("returned_reports", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_returned_reports_encounter_id"))

    op.drop_table("returned_reports")
    with op.batch_alter_table("attachments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_attachments_encounter_id"))

    op.drop_table("attachments")
