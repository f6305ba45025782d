"""The worklist: who holds a case, what a case is found by, shifts handed over, and devices that are told."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_DUE = "(CASE WHEN acknowledged_ms IS NULL THEN ack_due_ms ELSE report_due_ms END)"
_KEY = sa.String(120).with_variant(sa.String(120, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "claims",
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("session", sa.LargeBinary(length=32), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("active_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("work_item_id", name=op.f("pk_claims")),
    )
    op.create_index(op.f("ix_claims_login"), "claims", ["login"], unique=False)
    op.create_index(op.f("ix_claims_session"), "claims", ["session"], unique=False)
    op.create_table(
        "claim_steps",
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=12), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=40), nullable=True),
        sa.Column("before", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("work_item_id", "number", name=op.f("pk_claim_steps")),
    )
    op.create_table(
        "handovers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("from_login", sa.String(length=40), nullable=False),
        sa.Column("to_login", sa.String(length=40), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("read_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handovers")),
    )
    op.create_index(op.f("ix_handovers_from_login"), "handovers", ["from_login"], unique=False)
    op.create_index(op.f("ix_handovers_to_login_read_ms"), "handovers", ["to_login", "read_ms"], unique=False)
    op.create_table(
        "name_keys",
        sa.Column("key", _KEY, nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("key", "patient_id", name=op.f("pk_name_keys")),
    )
    op.create_index(op.f("ix_name_keys_patient_id"), "name_keys", ["patient_id"], unique=False)
    op.create_table(
        "case_codes",
        sa.Column("code", _KEY, nullable=False),
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_case_codes")),
        sa.UniqueConstraint("work_item_id", name=op.f("uq_case_codes_work_item_id")),
    )
    op.create_table(
        "push_devices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("endpoint_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("p256dh", sa.String(length=120), nullable=False),
        sa.Column("auth", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("english", sa.Boolean(), nullable=False),
        sa.Column("added_ms", sa.BigInteger(), nullable=False),
        sa.Column("told_ms", sa.BigInteger(), nullable=True),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_devices")),
        sa.UniqueConstraint("endpoint_sha256", name=op.f("uq_push_devices_endpoint_sha256")),
    )
    op.create_index(op.f("ix_push_devices_login"), "push_devices", ["login"], unique=False)
    op.create_table(
        "pushes",
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("ranked_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("work_item_id", "ranked_ms", "login", name=op.f("pk_pushes")),
    )
    op.create_index("ix_work_items_pressing", "work_items", ["status", "urgency_rank", sa.text(_DUE), "id"])
    op.create_index("ix_work_items_newest", "work_items", ["received_ms", "id"])
    op.create_index("ix_observations_received_ms", "observations", ["received_ms"])
    op.create_index("ix_work_items_owner_status", "work_items", ["owner", "status"])


def downgrade() -> None:
    op.drop_index("ix_observations_received_ms", "observations")
    for name in ("owner_status", "newest", "pressing"):
        op.drop_index(f"ix_work_items_{name}", "work_items")
    for table in ("pushes", "push_devices", "case_codes", "name_keys", "handovers", "claim_steps", "claims"):
        op.drop_table(table)
