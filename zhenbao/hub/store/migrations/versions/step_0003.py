"""Keys of kits; what proves a delivery; packets that go in parts; packets of a later version."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "proofs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proofs")),
    )
    op.create_table(
        "kits",
        sa.Column("kit_id", sa.String(length=80), nullable=False),
        sa.Column("card", sa.LargeBinary(), nullable=False),
        sa.Column("pinned_ms", sa.BigInteger(), nullable=False),
        sa.Column("added_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.Column("knows", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kit_id", name=op.f("pk_kits")),
    )
    op.create_table(
        "kit_keys",
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=False),
        sa.Column("kit_id", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_kit_keys")),
    )
    op.create_index(op.f("ix_kit_keys_kit_id"), "kit_keys", ["kit_id"], unique=False)
    op.create_table(
        "sealed_packets",
        sa.Column("envelope_id", sa.Uuid(), nullable=False),
        sa.Column("packet", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("envelope_id", name=op.f("pk_sealed_packets")),
    )
    op.create_table(
        "transfers",
        sa.Column("peer", sa.String(length=80), nullable=False),
        sa.Column("transfer", sa.LargeBinary(length=8), nullable=False),
        sa.Column("n_parts", sa.Integer(), nullable=False),
        sa.Column("touched_ms", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("peer", "transfer", name=op.f("pk_transfers")),
    )
    op.create_table(
        "transfer_parts",
        sa.Column("peer", sa.String(length=80), nullable=False),
        sa.Column("transfer", sa.LargeBinary(length=8), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("peer", "transfer", "number", name=op.f("pk_transfer_parts")),
    )
    op.create_table(
        "future_packets",
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("peer", sa.String(length=80), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("packet", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_future_packets")),
    )
    op.create_index(op.f("ix_future_packets_peer"), "future_packets", ["peer"], unique=False)
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.add_column(sa.Column("proof_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_column("proof_id")
    for table in ("future_packets", "transfer_parts", "transfers", "sealed_packets", "kit_keys", "kits", "proofs"):
        op.drop_table(table)
