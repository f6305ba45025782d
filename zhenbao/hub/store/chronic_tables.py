"""Tables of chronic registers, follow-ups, what is told to kits of their patients, and the fleet of kits."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Integer, LargeBinary, String, Table, Text, Uuid

from zhenbao.hub.store.tables import inbox, metadata, observations, patient_versions, referrals, reports

chronic_entries = Table(
    "chronic_entries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("patient_id", Uuid, nullable=False, index=True),
    Column("disease", String(12), nullable=False),  # model.chronic.Disease
    Column("org_id", String(40), nullable=False),  # who manages the patient
    Column("since", Date, nullable=False),
    Column("entered_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("specialist", String(40)),  # logins of the three
    Column("gp", String(40)),
    Column("manager", String(40)),
    Index(None, "org_id", "ended_ms"),
)

chronic_changes = Table(
    "chronic_changes",
    metadata,
    Column("entry_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # in the order of the changes, from 1
    Column("what", String(12), nullable=False),  # entered, left, team, moved
    Column("at_ms", BigInteger, nullable=False),
    Column("login", String(40), nullable=False),
    Column("detail", Text, nullable=False),  # the ground, the reason, the names
)

follow_ups = Table(
    "follow_ups",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("patient_id", Uuid, nullable=False),
    Column("disease", String(12), nullable=False),
    Column("tier", String(12), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("org_id", String(40), nullable=False),  # where it was written
    Column("login", String(40)),  # None: on a kit
    Column("outcome", String(12), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(None, "patient_id", "disease", "at_ms"),
    Index(None, "received_ms"),
)

# What the rules say is due next of each tier: made anew with every follow-up, so that a list is one look.
chronic_due = Table(
    "chronic_due",
    metadata,
    Column("entry_id", Uuid, primary_key=True),
    Column("tier", String(12), primary_key=True),
    Column("form", String(20), nullable=False),
    Column("why", String(20), nullable=False),
    Column("due_on", Date, nullable=False),
    Column("org_id", String(40), nullable=False),  # whose task it is
    Index(None, "org_id", "due_on"),
)

care_notices = Table(
    "care_notices",
    metadata,
    Column("login", String(40), primary_key=True),
    Column("key", String(80), primary_key=True),  # of the event: nobody is told twice
    Column("kind", String(20), nullable=False),
    Column("patient_id", Uuid, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("read_ms", BigInteger),
    Index(None, "login", "read_ms", "at_ms"),
)

discharge_plans = Table(
    "discharge_plans",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("patient_id", Uuid, nullable=False, index=True),
    Column("referral_id", Uuid, unique=True),
    Column("made_ms", BigInteger, nullable=False),
    Column("org_id", String(40), nullable=False),
    Column("login", String(40), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# What each kit was last told of a patient, by its digest: what has not changed is not sent again.
care_sent = Table(
    "care_sent",
    metadata,
    Column("patient_id", Uuid, primary_key=True),
    Column("kit_id", String(80), primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

recognitions = Table(
    "recognitions",
    metadata,
    Column("work_item_id", Uuid, primary_key=True),
    Column("observation_id", Uuid, primary_key=True),
    Column("login", String(40), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

kit_statuses = Table(
    "kit_statuses",
    metadata,
    Column("kit_id", String(80), primary_key=True),
    Column("made_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("clock_ahead_ms", BigInteger, nullable=False),
    Column("told", Boolean, nullable=False),  # everything that this version takes was told to it
    Column("body", LargeBinary, nullable=False),
)

fleet_tasks = Table(
    "fleet_tasks",
    metadata,
    Column("kit_id", String(80), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("began_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("ended_ms", BigInteger),
    Column("login", String(40)),  # who last noted something
    Column("note", Text, nullable=False, server_default=""),
    Column("noted_ms", BigInteger),
    Index(None, "ended_ms"),
)

# When a kit was last heard; what came and what was signed since; whom a kit has registered: each is one look.
Index(None, inbox.c.sender, inbox.c.received_ms)
Index(None, observations.c.received_ms)
Index(None, reports.c.signed_ms)
Index(None, patient_versions.c.received_ms)
Index(None, patient_versions.c.kit_id)
Index(None, referrals.c.state)
