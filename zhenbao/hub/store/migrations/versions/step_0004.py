"""Referrals, identities, the closed loop and escalations, organisations, grants, and accounts with a second factor."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    organisations = op.create_table(
        "organisations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("parent_id", sa.String(length=40), nullable=True),
        sa.Column("consortium", sa.String(length=80), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
    )
    op.create_index(op.f("ix_organisations_parent_id"), "organisations", ["parent_id"], unique=False)
    op.bulk_insert(
        organisations,
        [{"id": "county", "name": "县级牵头医院", "kind": "county", "parent_id": None, "consortium": "", "phone": ""}],
    )
    op.create_table(
        "kit_places",
        sa.Column("kit_id", sa.String(length=80), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kit_id", name=op.f("pk_kit_places")),
    )
    op.create_index(op.f("ix_kit_places_org_id"), "kit_places", ["org_id"], unique=False)
    op.create_table(
        "grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("begun_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_patient_id"), "grants", ["patient_id"], unique=False)
    op.create_index(op.f("ix_grants_login_ends_ms"), "grants", ["login", "ends_ms"], unique=False)
    op.create_table(
        "loop_steps",
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.String(length=12), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=80), nullable=False),
        sa.Column("channel", sa.String(length=12), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("work_item_id", "number", name=op.f("pk_loop_steps")),
    )
    op.create_table(
        "escalations",
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("ranked_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("to", sa.String(length=20), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=True),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("work_item_id", "ranked_ms", "step", name=op.f("pk_escalations")),
    )
    versions = op.create_table(
        "patient_versions",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kit_id", sa.String(length=80), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "number", name=op.f("pk_patient_versions")),
    )
    patients = sa.table("patients", sa.column("id"), sa.column("sender"), sa.column("received_ms"), sa.column("body"))
    op.execute(
        versions.insert().from_select(
            ["patient_id", "number", "kit_id", "received_ms", "body"],
            sa.select(patients.c.id, sa.literal(1), patients.c.sender, patients.c.received_ms, patients.c.body),
        )
    )
    op.create_table(
        "patient_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("one", sa.Uuid(), nullable=False),
        sa.Column("other", sa.Uuid(), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("undone_ms", sa.BigInteger(), nullable=True),
        sa.Column("undone_by", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_links")),
    )
    op.create_index(op.f("ix_patient_links_one"), "patient_links", ["one"], unique=False)
    op.create_index(op.f("ix_patient_links_other"), "patient_links", ["other"], unique=False)
    op.create_table(
        "referrals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=80), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("encounter_id", sa.Uuid(), nullable=True),
        sa.Column("from_org", sa.String(length=40), nullable=False),
        sa.Column("to_org", sa.String(length=40), nullable=False),
        sa.Column("urgency", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("state_ms", sa.BigInteger(), nullable=False),
        sa.Column("up", sa.Text(), nullable=False),
        sa.Column("down", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referrals")),
        sa.UniqueConstraint("number", name=op.f("uq_referrals_number")),
    )
    for name in ("patient_id", "from_org", "to_org"):
        op.create_index(op.f(f"ix_referrals_{name}"), "referrals", [name], unique=False)
    op.create_table(
        "referral_steps",
        sa.Column("referral_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("referral_id", "number", name=op.f("pk_referral_steps")),
    )
    with op.batch_alter_table("practitioners") as batch_op:
        batch_op.alter_column("role", existing_type=sa.String(length=16), type_=sa.String(length=20))
        batch_op.add_column(sa.Column("org_id", sa.String(length=40), server_default="county", nullable=False))
        batch_op.add_column(sa.Column("totp_secret", sa.LargeBinary(length=32), nullable=True))
        batch_op.add_column(sa.Column("totp_counter", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("wrong", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("rests_until_ms", sa.BigInteger(), server_default="0", nullable=False))
    with op.batch_alter_table("work_items") as batch_op:
        batch_op.add_column(sa.Column("org_id", sa.String(length=40), server_default="county", nullable=False))
        batch_op.create_index(batch_op.f("ix_work_items_org_id_status"), ["org_id", "status"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("work_items") as batch_op:
        batch_op.drop_index(batch_op.f("ix_work_items_org_id_status"))
        batch_op.drop_column("org_id")
    with op.batch_alter_table("practitioners") as batch_op:
        for name in ("rests_until_ms", "wrong", "totp_counter", "totp_secret", "org_id"):
            batch_op.drop_column(name)
    for name in (
        "patient_links",
        "patient_versions",
        "escalations",
        "loop_steps",
        "grants",
        "kit_places",
        "organisations",
    ):
        op.drop_table(name)
