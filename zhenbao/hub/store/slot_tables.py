"""The table of wishes for an appointment with a provincial expert (号源)."""

from sqlalchemy import BigInteger, Column, Date, Index, String, Table, Text, Uuid

from zhenbao.hub.store.tables import metadata

slot_requests = Table(
    "slot_requests",
    metadata,
    Column("consult_id", Uuid, primary_key=True),
    Column("work_item_id", Uuid, nullable=False, index=True),
    Column("asker", String(40), nullable=False),
    Column("expert", String(40), nullable=False),
    Column("kind", String(8), nullable=False),  # hub.store.slots.Kind
    Column("from_on", Date, nullable=False),
    Column("until_on", Date, nullable=False),
    Column("state", String(12), nullable=False),  # hub.store.slots.State
    Column("asked_ms", BigInteger, nullable=False),
    Column("remind_ms", BigInteger, nullable=False),
    Column("booked_on", Date),
    Column("booked_time", String(5), nullable=False, server_default=""),
    Column("place", Text, nullable=False, server_default=""),
    Column("number", String(40), nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("ended_ms", BigInteger),
    Index(None, "asker", "state", "remind_ms"),
)
