"""The table of quality scores, and indexes for what is counted by the day on which it was done."""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, Uuid

from zhenbao.hub.store.chronic_tables import recognitions
from zhenbao.hub.store.report_tables import second_readings
from zhenbao.hub.store.tables import metadata

quality_scores = Table(
    "quality_scores",
    metadata,
    Column("id", Uuid, primary_key=True),  # of the drawn second reading
    Column("work_item_id", Uuid, nullable=False, index=True),
    Column("org_id", String(40), nullable=False),
    Column("verdict", String(12), nullable=False),  # hub.store.quality.Verdict
    Column("note", Text, nullable=False),
    Column("login", String(40), nullable=False),
    Column("scored_ms", BigInteger, nullable=False),
    Index(None, "scored_ms"),
)

Index(None, second_readings.c.asked_ms)
Index(None, second_readings.c.done_ms)
Index(None, recognitions.c.at_ms)
