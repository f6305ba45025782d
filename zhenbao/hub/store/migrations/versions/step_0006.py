"""Which kit was last heard, when, and by which road."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "presence",
        sa.Column("kit_id", sa.String(80), primary_key=True),
        sa.Column("road", sa.String(16), nullable=False),
        sa.Column("heard_ms", sa.BigInteger(), nullable=False),
        sa.Column("here", sa.Boolean(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("presence")
