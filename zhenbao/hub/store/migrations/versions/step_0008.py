"""Forms of reports, second readings, consultations upward, and the discussion of a case."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report_forms",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.String(length=12), nullable=False),
        sa.Column("amends_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("choices", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_report_forms")),
    )
    op.create_index(op.f("ix_report_forms_amends_id"), "report_forms", ["amends_id"], unique=False)
    op.create_table(
        "second_readings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=True),
        sa.Column("sample", sa.String(length=12), nullable=False),
        sa.Column("specialty", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("first_login", sa.String(length=40), nullable=True),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reader", sa.String(length=40), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("amended_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_second_readings")),
    )
    op.create_index(op.f("ix_second_readings_work_item_id"), "second_readings", ["work_item_id"], unique=False)
    op.create_index(
        op.f("ix_second_readings_specialty_state_due_ms"),
        "second_readings",
        ["specialty", "state", "due_ms"],
        unique=False,
    )
    op.create_table(
        "consults",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("asker", sa.String(length=40), nullable=False),
        sa.Column("expert", sa.String(length=40), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("history", sa.Text(), nullable=False),
        sa.Column("observation_ids", sa.Text(), nullable=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_ms", sa.BigInteger(), nullable=True),
        sa.Column("looked_ms", sa.BigInteger(), nullable=True),
        sa.Column("opinion", sa.Text(), nullable=True),
        sa.Column("answered_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consults")),
    )
    op.create_index(op.f("ix_consults_work_item_id"), "consults", ["work_item_id"], unique=False)
    op.create_index(op.f("ix_consults_expert_asked_ms"), "consults", ["expert", "asked_ms"], unique=False)
    op.create_table(
        "thread_posts",
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("observation_id", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.String(length=12), nullable=True),
        sa.Column("retracts", sa.Integer(), nullable=True),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("work_item_id", "number", name=op.f("pk_thread_posts")),
    )
    op.create_table(
        "thread_seen",
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("login", "work_item_id", name=op.f("pk_thread_seen")),
    )
    with op.batch_alter_table("work_items") as batch_op:
        batch_op.create_index(batch_op.f("ix_work_items_status_ranked_ms"), ["status", "ranked_ms"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("work_items") as batch_op:
        batch_op.drop_index(batch_op.f("ix_work_items_status_ranked_ms"))
    for table in ("thread_seen", "thread_posts", "consults", "second_readings", "report_forms"):
        op.drop_table(table)
