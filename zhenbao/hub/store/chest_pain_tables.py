"""The tables of the chest-pain channel. Rows are only added."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Table, Text, Uuid

from zhenbao.hub.store.tables import metadata

# What kits sent; one is written once.
chest_pain_kit_times = Table(
    "chest_pain_kit_times",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("encounter_id", Uuid, nullable=False, index=True),
    Column("kit_id", String(80), nullable=False),
    Column("milestone", String(32), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("noted_ms", BigInteger, nullable=False),
    Column("boot", String(80), nullable=False),
    Column("since_boot_ms", BigInteger, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("clock_ahead_ms", BigInteger, nullable=False),
)

# What people wrote at the hub.
chest_pain_written = Table(
    "chest_pain_written",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("encounter_id", Uuid, nullable=False, index=True),
    Column("milestone", String(32), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("noted_ms", BigInteger, nullable=False),
    Column("login", String(40), nullable=False),
    Column("person", String(80), nullable=False),
    Column("note", Text, nullable=False),
)

# Every state that a channel was in, with the advice that went along; the last row counts.
chest_pain_channel = Table(
    "chest_pain_channel",
    metadata,
    Column("encounter_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("news_id", Uuid, nullable=False),
    Column("state", String(12), nullable=False),
    Column("hospital", String(80), nullable=False),
    Column("ambulance", String(80), nullable=False),
    Column("advice", Text, nullable=False),
    Column("decided_by", String(80), nullable=False),
    Column("login", String(40), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
