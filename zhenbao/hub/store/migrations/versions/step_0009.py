"""The chest-pain channel: instants from kits and from people, and the states of the channel."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chest_pain_kit_times",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("encounter_id", sa.Uuid(), nullable=False),
        sa.Column("kit_id", sa.String(80), nullable=False),
        sa.Column("milestone", sa.String(32), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.String(80), nullable=False),
        sa.Column("since_boot_ms", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("clock_ahead_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chest_pain_kit_times")),
    )
    op.create_index(op.f("ix_chest_pain_kit_times_encounter_id"), "chest_pain_kit_times", ["encounter_id"])
    op.create_table(
        "chest_pain_written",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("encounter_id", sa.Uuid(), nullable=False),
        sa.Column("milestone", sa.String(32), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=False),
        sa.Column("login", sa.String(40), nullable=False),
        sa.Column("person", sa.String(80), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chest_pain_written")),
    )
    op.create_index(op.f("ix_chest_pain_written_encounter_id"), "chest_pain_written", ["encounter_id"])
    op.create_table(
        "chest_pain_channel",
        sa.Column("encounter_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("news_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("hospital", sa.String(80), nullable=False),
        sa.Column("ambulance", sa.String(80), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(80), nullable=False),
        sa.Column("login", sa.String(40), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("encounter_id", "number", name=op.f("pk_chest_pain_channel")),
    )
    # The figures of a month go by the visit's begin.
    op.create_index(op.f("ix_encounters_started_ms"), "encounters", ["started_ms"])


def downgrade() -> None:
    op.drop_index(op.f("ix_encounters_started_ms"), "encounters")
    op.drop_table("chest_pain_channel")
    op.drop_index(op.f("ix_chest_pain_written_encounter_id"), "chest_pain_written")
    op.drop_table("chest_pain_written")
    op.drop_index(op.f("ix_chest_pain_kit_times_encounter_id"), "chest_pain_kit_times")
    op.drop_table("chest_pain_kit_times")
