"""Tables of the worklist: who holds a case, what a case is found by, shifts handed over, and devices that are told.

``name_keys`` and ``case_codes`` are made from other rows and can be made again (see ``store.search``).
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, Uuid, text

from zhenbao.hub.store.tables import metadata, observations, work_items

# Prefixes are looked up by comparing bytes: another order of letters would lose some.
_Key = String(120).with_variant(String(120, collation="C"), "postgresql")

claims = Table(
    "claims",
    metadata,
    Column("work_item_id", Uuid, primary_key=True),
    Column("login", String(40), nullable=False, index=True),
    Column("session", LargeBinary(32), nullable=False, index=True),  # web_sessions.token_sha256
    Column("since_ms", BigInteger, nullable=False),
    Column("active_ms", BigInteger, nullable=False),  # when the holder last did something with the case
)

claim_steps = Table(
    "claim_steps",
    metadata,
    Column("work_item_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("action", String(12), nullable=False),  # hub.store.claims.Action
    Column("by", String(40), nullable=False),
    Column("holder", String(40)),  # from now on; null: nobody
    Column("before", String(40)),  # until now
    Column("reason", Text, nullable=False),
)

handovers = Table(
    "handovers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("from_login", String(40), nullable=False, index=True),
    Column("to_login", String(40), nullable=False),
    Column("by", String(40), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("cases", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("read_ms", BigInteger),  # when the one who takes over said that they had read the note
    Index(None, "to_login", "read_ms"),
)

name_keys = Table(
    "name_keys",
    metadata,
    Column("key", _Key, primary_key=True),
    Column("patient_id", Uuid, primary_key=True, index=True),
)

case_codes = Table(
    "case_codes",
    metadata,
    Column("code", _Key, primary_key=True),
    Column("work_item_id", Uuid, nullable=False, unique=True),
)

push_devices = Table(
    "push_devices",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("login", String(40), nullable=False, index=True),
    Column("endpoint", Text, nullable=False),
    Column("endpoint_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("p256dh", String(120), nullable=False),
    Column("auth", String(40), nullable=False),
    Column("name", String(80), nullable=False),
    Column("english", Boolean, nullable=False),
    Column("added_ms", BigInteger, nullable=False),
    Column("told_ms", BigInteger),
    Column("failed", Integer, nullable=False, server_default="0"),  # times in a row
)

# A case that was pushed to somebody is not pushed again while its rank lasts, whoever looks.
pushes = Table(
    "pushes",
    metadata,
    Column("work_item_id", Uuid, primary_key=True),
    Column("ranked_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("login", String(40), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
)

DUE = "(CASE WHEN acknowledged_ms IS NULL THEN ack_due_ms ELSE report_due_ms END)"
"""The clock that runs: until somebody has looked that of the first answer, then that of the report."""

Index("ix_work_items_pressing", work_items.c.status, work_items.c.urgency_rank, text(DUE), work_items.c.id)
Index("ix_work_items_newest", work_items.c.received_ms, work_items.c.id)
Index("ix_work_items_owner_status", work_items.c.owner, work_items.c.status)
Index("ix_observations_received_ms", observations.c.received_ms)  # "last arrival", on every list
