"""Tables around the report: its form, second readings, consultations upward, and the discussion of a case.

As in ``tables``: instants are Unix milliseconds, nothing refers to another table by a foreign key.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, Uuid

from zhenbao.hub.store.tables import metadata

# What a report is besides its text; a report without a row is a final one without coded choices.
report_forms = Table(
    "report_forms",
    metadata,
    Column("report_id", Uuid, primary_key=True),
    Column("stage", String(12), nullable=False),  # hub.store.report_forms.Stage
    Column("amends_id", Uuid, index=True),
    Column("reason", Text, nullable=False),
    Column("choices", Text, nullable=False),  # keys of rules.report_templates, in the order of the template
)

second_readings = Table(
    "second_readings",
    metadata,
    # Of the report, or of the case where none was written: what was asked for once is not asked for again.
    Column("id", Uuid, primary_key=True),
    Column("work_item_id", Uuid, nullable=False, index=True),
    Column("report_id", Uuid),
    Column("sample", String(12), nullable=False),  # report, archive
    Column("specialty", String(40), nullable=False),
    Column("org_id", String(40), nullable=False),
    Column("first_login", String(40)),
    Column("asked_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),  # hub.store.second_readings.State
    Column("reader", String(40)),
    Column("note", Text, nullable=False, server_default=""),
    Column("done_ms", BigInteger),
    Column("amended_id", Uuid),
    Index(None, "specialty", "state", "due_ms"),
)

consults = Table(
    "consults",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("work_item_id", Uuid, nullable=False, index=True),
    Column("asker", String(40), nullable=False),
    Column("expert", String(40), nullable=False),
    Column("question", Text, nullable=False),
    Column("history", Text, nullable=False),
    Column("observation_ids", Text, nullable=False),
    Column("named", Boolean, nullable=False),  # the patient's name goes along
    Column("grant_id", Uuid, nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("withdrawn_ms", BigInteger),
    Column("looked_ms", BigInteger),
    Column("opinion", Text),
    Column("answered_ms", BigInteger),
    Index(None, "expert", "asked_ms"),
)

thread_posts = Table(
    "thread_posts",
    metadata,
    Column("work_item_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # in the order of their writing, from 1
    Column("kind", String(12), nullable=False),  # hub.store.thread.Kind
    Column("text", Text, nullable=False),
    Column("observation_id", Uuid),
    Column("channel", String(12)),  # hub.store.thread.Channel
    Column("retracts", Integer),
    Column("login", String(40), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

thread_seen = Table(
    "thread_seen",
    metadata,
    Column("login", String(40), primary_key=True),
    Column("work_item_id", Uuid, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)
