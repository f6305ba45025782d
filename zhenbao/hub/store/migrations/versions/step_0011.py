"""Requests to share, consent, privacy requests, versions of the rules, sessions that can be told apart, OIDC."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLES = (
    "share_requests",
    "consents",
    "family_contacts",
    "privacy_requests",
    "rule_versions",
    "rule_activations",
    "login_identities",
    "oidc_flows",
)


def upgrade() -> None:
    op.create_table(
        "share_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("asking_org", sa.String(length=40), nullable=False),
        sa.Column("owner_org", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=True),
        sa.Column("ends_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share_requests")),
    )
    op.create_index(op.f("ix_share_requests_patient_id"), "share_requests", ["patient_id"], unique=False)
    op.create_index(op.f("ix_share_requests_login_asked_ms"), "share_requests", ["login", "asked_ms"], unique=False)
    op.create_index(
        op.f("ix_share_requests_owner_org_asked_ms"), "share_requests", ["owner_org", "asked_ms"], unique=False
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("by_name", sa.String(length=80), nullable=False),
        sa.Column("relation", sa.String(length=20), nullable=False),
        sa.Column("how", sa.String(length=12), nullable=False),
        sa.Column("form_number", sa.String(length=40), nullable=False),
        sa.Column("witness", sa.String(length=80), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("text_version", sa.String(length=20), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=False),
        sa.Column("noted_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index(op.f("ix_consents_patient_id"), "consents", ["patient_id"], unique=False)
    op.create_table(
        "family_contacts",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("relation", sa.String(length=20), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=False),
        sa.Column("noted_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_family_contacts")),
    )
    op.create_table(
        "privacy_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("relation", sa.String(length=20), nullable=False),
        sa.Column("checked", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.String(length=40), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("done_by", sa.String(length=40), nullable=True),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privacy_requests")),
    )
    op.create_index(op.f("ix_privacy_requests_patient_id"), "privacy_requests", ["patient_id"], unique=False)
    op.create_index(
        op.f("ix_privacy_requests_org_id_recorded_ms"), "privacy_requests", ["org_id", "recorded_ms"], unique=False
    )
    op.create_table(
        "rule_versions",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("program", sa.String(length=16), nullable=False),
        sa.Column("clinician", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rule_versions")),
    )
    op.create_table(
        "rule_activations",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("clinician", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rule_activations")),
    )
    op.create_table(
        "login_identities",
        sa.Column("issuer", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("added_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_login_identities")),
    )
    op.create_index(op.f("ix_login_identities_login"), "login_identities", ["login"], unique=False)
    op.create_table(
        "oidc_flows",
        sa.Column("state_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("verifier", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=8), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=True),
        sa.Column("session_sha256", sa.LargeBinary(length=32), nullable=True),
        sa.Column("begun_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state_sha256", name=op.f("pk_oidc_flows")),
    )
    with op.batch_alter_table("grants") as batch_op:
        batch_op.add_column(sa.Column("org_id", sa.String(length=40), nullable=True))
    with op.batch_alter_table("work_items") as batch_op:
        batch_op.add_column(sa.Column("rules_version", sa.String(length=24), nullable=True))
        batch_op.add_column(sa.Column("joint", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("restricted_ms", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("audit") as batch_op:
        batch_op.add_column(sa.Column("redacted", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"], unique=False)
    with op.batch_alter_table("web_sessions") as batch_op:
        batch_op.add_column(sa.Column("address", sa.String(length=60), server_default="", nullable=False))
        batch_op.add_column(sa.Column("browser", sa.String(length=60), server_default="", nullable=False))
        batch_op.add_column(sa.Column("way", sa.String(length=12), server_default="password", nullable=False))
        batch_op.add_column(sa.Column("fresh_ms", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.create_index(batch_op.f("ix_web_sessions_login"), ["login"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("web_sessions") as batch_op:
        batch_op.drop_index(batch_op.f("ix_web_sessions_login"))
        for column in ("fresh_ms", "way", "browser", "address"):
            batch_op.drop_column(column)
    op.drop_index(op.f("ix_audit_subject"), "audit")
    with op.batch_alter_table("audit") as batch_op:
        batch_op.drop_column("redacted")
    with op.batch_alter_table("work_items") as batch_op:
        for column in ("restricted_ms", "joint", "rules_version"):
            batch_op.drop_column(column)
    with op.batch_alter_table("grants") as batch_op:
        batch_op.drop_column("org_id")
    for table in _TABLES:
        op.drop_table(table)
