"""Chronic registers, follow-ups, due dates, plans, what kits were told, recognised results, and the fleet of kits."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "care_notices",
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("read_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("login", "key", name=op.f("pk_care_notices")),
    )
    op.create_index(
        op.f("ix_care_notices_login_read_ms_at_ms"), "care_notices", ["login", "read_ms", "at_ms"], unique=False
    )
    op.create_table(
        "care_sent",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("kit_id", sa.String(length=80), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "kit_id", name=op.f("pk_care_sent")),
    )
    op.create_table(
        "chronic_changes",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("what", sa.String(length=12), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "number", name=op.f("pk_chronic_changes")),
    )
    op.create_table(
        "chronic_due",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("tier", sa.String(length=12), nullable=False),
        sa.Column("form", sa.String(length=20), nullable=False),
        sa.Column("why", sa.String(length=20), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "tier", name=op.f("pk_chronic_due")),
    )
    op.create_index(op.f("ix_chronic_due_org_id_due_on"), "chronic_due", ["org_id", "due_on"], unique=False)
    op.create_table(
        "chronic_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("disease", sa.String(length=12), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("entered_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("specialist", sa.String(length=40), nullable=True),
        sa.Column("gp", sa.String(length=40), nullable=True),
        sa.Column("manager", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chronic_entries")),
    )
    op.create_index(op.f("ix_chronic_entries_org_id_ended_ms"), "chronic_entries", ["org_id", "ended_ms"], unique=False)
    op.create_index(op.f("ix_chronic_entries_patient_id"), "chronic_entries", ["patient_id"], unique=False)
    op.create_table(
        "discharge_plans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("referral_id", sa.Uuid(), nullable=True),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discharge_plans")),
        sa.UniqueConstraint("referral_id", name=op.f("uq_discharge_plans_referral_id")),
    )
    op.create_index(op.f("ix_discharge_plans_patient_id"), "discharge_plans", ["patient_id"], unique=False)
    op.create_table(
        "fleet_tasks",
        sa.Column("kit_id", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("began_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("login", sa.String(length=40), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kit_id", "kind", "began_ms", name=op.f("pk_fleet_tasks")),
    )
    op.create_index(op.f("ix_fleet_tasks_ended_ms"), "fleet_tasks", ["ended_ms"], unique=False)
    op.create_table(
        "follow_ups",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("disease", sa.String(length=12), nullable=False),
        sa.Column("tier", sa.String(length=12), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follow_ups")),
    )
    op.create_index(op.f("ix_follow_ups_received_ms"), "follow_ups", ["received_ms"], unique=False)
    op.create_index(
        op.f("ix_follow_ups_patient_id_disease_at_ms"), "follow_ups", ["patient_id", "disease", "at_ms"], unique=False
    )
    op.create_table(
        "kit_statuses",
        sa.Column("kit_id", sa.String(length=80), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("clock_ahead_ms", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kit_id", name=op.f("pk_kit_statuses")),
    )
    op.create_table(
        "recognitions",
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("observation_id", sa.Uuid(), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("work_item_id", "observation_id", name=op.f("pk_recognitions")),
    )
    op.create_index(op.f("ix_inbox_sender_received_ms"), "inbox", ["sender", "received_ms"], unique=False)
    op.create_index(op.f("ix_referrals_state"), "referrals", ["state"], unique=False)
    op.create_index(op.f("ix_patient_versions_kit_id"), "patient_versions", ["kit_id"], unique=False)
    op.create_index(op.f("ix_patient_versions_received_ms"), "patient_versions", ["received_ms"], unique=False)
    op.create_index(op.f("ix_reports_signed_ms"), "reports", ["signed_ms"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_reports_signed_ms"), table_name="reports")
    op.drop_index(op.f("ix_referrals_state"), table_name="referrals")
    op.drop_index(op.f("ix_patient_versions_received_ms"), table_name="patient_versions")
    op.drop_index(op.f("ix_patient_versions_kit_id"), table_name="patient_versions")
    op.drop_index(op.f("ix_inbox_sender_received_ms"), table_name="inbox")
    op.drop_table("recognitions")
    op.drop_table("kit_statuses")
    op.drop_index(op.f("ix_follow_ups_patient_id_disease_at_ms"), table_name="follow_ups")
    op.drop_index(op.f("ix_follow_ups_received_ms"), table_name="follow_ups")
    op.drop_table("follow_ups")
    op.drop_index(op.f("ix_fleet_tasks_ended_ms"), table_name="fleet_tasks")
    op.drop_table("fleet_tasks")
    op.drop_index(op.f("ix_discharge_plans_patient_id"), table_name="discharge_plans")
    op.drop_table("discharge_plans")
    op.drop_index(op.f("ix_chronic_entries_patient_id"), table_name="chronic_entries")
    op.drop_index(op.f("ix_chronic_entries_org_id_ended_ms"), table_name="chronic_entries")
    op.drop_table("chronic_entries")
    op.drop_index(op.f("ix_chronic_due_org_id_due_on"), table_name="chronic_due")
    op.drop_table("chronic_due")
    op.drop_table("chronic_changes")
    op.drop_table("care_sent")
    op.drop_index(op.f("ix_care_notices_login_read_ms_at_ms"), table_name="care_notices")
    op.drop_table("care_notices")
