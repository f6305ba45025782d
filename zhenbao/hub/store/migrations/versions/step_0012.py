"""Quality scores, wishes for an appointment, and indexes for what is counted by the day on which it was done."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_INDEXES = (("second_readings", "asked_ms"), ("second_readings", "done_ms"), ("recognitions", "at_ms"))


def upgrade() -> None:
    op.create_table(
        "quality_scores",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("scored_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_scores")),
    )
    op.create_index(op.f("ix_quality_scores_work_item_id"), "quality_scores", ["work_item_id"], unique=False)
    op.create_index(op.f("ix_quality_scores_scored_ms"), "quality_scores", ["scored_ms"], unique=False)
    op.create_table(
        "slot_requests",
        sa.Column("consult_id", sa.Uuid(), nullable=False),
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("asker", sa.String(length=40), nullable=False),
        sa.Column("expert", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("remind_ms", sa.BigInteger(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=True),
        sa.Column("booked_time", sa.String(length=5), server_default="", nullable=False),
        sa.Column("place", sa.Text(), server_default="", nullable=False),
        sa.Column("number", sa.String(length=40), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("consult_id", name=op.f("pk_slot_requests")),
    )
    op.create_index(op.f("ix_slot_requests_work_item_id"), "slot_requests", ["work_item_id"], unique=False)
    op.create_index(
        op.f("ix_slot_requests_asker_state_remind_ms"), "slot_requests", ["asker", "state", "remind_ms"], unique=False
    )
    for table, column in _INDEXES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)


def downgrade() -> None:
    for table, column in _INDEXES:
        op.drop_index(op.f(f"ix_{table}_{column}"), table)
    op.drop_table("slot_requests")
    op.drop_table("quality_scores")
