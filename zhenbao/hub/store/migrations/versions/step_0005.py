"""By how much the kit's clock was ahead when a reading was sent: what it means for lateness."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("observations", "work_items"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.add_column(sa.Column("clock_ahead_ms", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    for table in ("work_items", "observations"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column("clock_ahead_ms")
