"""The hub's tables, the same on every database that SQLAlchemy speaks.

Instants are Unix milliseconds. ``body`` columns hold the packed value exactly as it came; the columns beside it
are only what is searched for. Nothing here refers to another table by a foreign key: things arrive in any order.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# BIGINT autoincrement does not exist on SQLite, whose INTEGER is 64 bits wide anyway.
_Counter = BigInteger().with_variant(Integer, "sqlite")

meta = Table(
    "meta",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("envelope_id", Uuid, primary_key=True),
    Column("sender", String(80), nullable=False),
    Column("boot", String(80), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("body_sha256", LargeBinary(32), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("epoch", String(16), nullable=False),
    Index(None, "sender", "boot", "sequence"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("envelope_id", Uuid, primary_key=True),
    Column("recipient", String(80), nullable=False),
    Column("boot", String(80), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("lane", Integer, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("body_sha256", LargeBinary(32), nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("not_before_ms", BigInteger, nullable=False, default=0),
    Column("receipted_ms", BigInteger),
    Column("refused", Text),
    Column("proof_id", BigInteger),
    Index(None, "receipted_ms", "lane", "sequence"),
    Index(None, "subject_id"),
)

proofs = Table(
    "proofs",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # receipts as a kit signed them
)

kits = Table(
    "kits",
    metadata,
    Column("kit_id", String(80), primary_key=True),
    Column("card", LargeBinary, nullable=False),
    Column(
        "pinned_ms", BigInteger, nullable=False
    ),  # when this card came: the overlap of its older keys counts from here
    Column("added_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("knows", LargeBinary, nullable=False, default=b""),  # the newest key of the hub that the kit has confirmed
)

kit_keys = Table(
    "kit_keys",
    metadata,
    Column("key_id", LargeBinary(8), primary_key=True),
    Column("kit_id", String(80), nullable=False, index=True),
)

presence = Table(
    "presence",
    metadata,
    Column("kit_id", String(80), primary_key=True),
    Column("road", String(16), nullable=False),
    Column("heard_ms", BigInteger, nullable=False),
    Column("here", Boolean, nullable=False),
)

sealed_packets = Table(
    "sealed_packets",
    metadata,
    Column("envelope_id", Uuid, primary_key=True),
    Column("packet", LargeBinary, nullable=False),
)

transfers = Table(
    "transfers",
    metadata,
    Column("peer", String(80), primary_key=True),
    Column("transfer", LargeBinary(8), primary_key=True),
    Column("n_parts", Integer, nullable=False),
    Column("touched_ms", BigInteger, nullable=False),
    Column("done", LargeBinary),  # the receipts that were the answer
)

transfer_parts = Table(
    "transfer_parts",
    metadata,
    Column("peer", String(80), primary_key=True),
    Column("transfer", LargeBinary(8), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

future_packets = Table(
    "future_packets",
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("peer", String(80), nullable=False, index=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("packet", LargeBinary, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("number", _Counter, primary_key=True, autoincrement=True),
    Column("direction", String(3), nullable=False),  # in: from a kit; out: refused by a kit
    Column("envelope_id", Uuid, nullable=False),
    Column("peer", String(80), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("body_sha256", LargeBinary(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("direction", "envelope_id", "body_sha256"),
)

patients = Table(
    "patients",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("resident_number", String(18), index=True),
    Column("birth_date", Date),
    Column("sender", String(80), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

encounters = Table(
    "encounters",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("patient_id", Uuid, nullable=False, index=True),
    Column("started_ms", BigInteger, nullable=False, index=True),
    Column("sender", String(80), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

observations = Table(
    "observations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("patient_id", Uuid, nullable=False, index=True),
    Column("encounter_id", Uuid, nullable=False, index=True),
    Column("kit_id", String(80), nullable=False),
    Column("code", String(32), nullable=False),
    Column("urgency", String(8), nullable=False),
    Column("effective_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("clock_ahead_ms", BigInteger, nullable=False, server_default="0"),  # the kit's clock, when it was sent
    Column("body", LargeBinary, nullable=False),
)

recordings = Table(
    "recordings",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("observation_id", Uuid, nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("encounter_id", Uuid, nullable=False, index=True),
    Column("patient_id", Uuid, nullable=False),
    Column("observation_id", Uuid, nullable=False),
    Column("media_type", String(32), nullable=False),
    Column("title", String(120), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("device_time", String(32)),
    Column("named", String(16), nullable=False),
    Column("frames", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# Reports that kits gave back to a hub that was restored from a backup; the hub's own are in ``reports``.
returned_reports = Table(
    "returned_reports",
    metadata,
    Column("report_id", Uuid, primary_key=True),
    Column("encounter_id", Uuid, nullable=False, index=True),
    Column("sender", String(80), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

report_reads = Table(
    "report_reads",
    metadata,
    Column("report_id", Uuid, primary_key=True),
    Column("read_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
)

work_items = Table(
    "work_items",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("encounter_id", Uuid, nullable=False, unique=True),
    Column("patient_id", Uuid, nullable=False, index=True),
    Column("kit_id", String(80), nullable=False),
    Column("status", String(12), nullable=False),  # open, reported, archived
    Column("urgency", String(8), nullable=False),
    Column("urgency_rank", Integer, nullable=False),
    Column("route_id", String(16), nullable=False),
    Column("other_routes", Text, nullable=False, default=""),
    Column("lead_rule", String(16)),
    Column("specialty", String(40)),
    Column("second_specialty", String(40)),
    Column("late", Boolean, nullable=False, default=False),
    Column("effective_ms", BigInteger, nullable=False),  # of the earliest reading of the urgency that decided
    Column("received_ms", BigInteger, nullable=False),  # of the same reading
    Column("clock_ahead_ms", BigInteger, nullable=False, server_default="0"),  # of the same reading
    Column("ranked_ms", BigInteger, nullable=False),  # when this urgency began at the hub: the clocks' start
    Column("ack_due_ms", BigInteger),
    Column("report_due_ms", BigInteger),
    Column("owner", String(40)),  # a practitioner's login
    Column("owner_phone", String(40), nullable=False, default=""),
    Column("fallback", Boolean, nullable=False, default=False),
    Column("acknowledged_ms", BigInteger),
    Column("acknowledged_by", String(40)),
    Column("reported_ms", BigInteger),
    Column("org_id", String(40), nullable=False, server_default="county"),  # where the kit stood when it was opened
    Column("rules_version", String(24)),  # that ranked it; None: before versions were kept
    Column("joint", Text),  # specialties asked besides the lead, as those rules said; None: as for rules_version
    Column("restricted_ms", BigInteger),  # kept because the law says so, and shown to nobody
    Index(None, "status", "urgency_rank", "report_due_ms"),
    Index(None, "org_id", "status"),
    Index(None, "status", "ranked_ms"),
)

views = Table(
    "views",
    metadata,
    Column("work_item_id", Uuid, primary_key=True),
    Column("login", String(40), primary_key=True),
    Column("observation_id", Uuid, primary_key=True),
    Column("viewed_ms", BigInteger, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("work_item_id", Uuid, nullable=False, index=True),
    Column("encounter_id", Uuid, nullable=False, index=True),
    Column("patient_id", Uuid, nullable=False),
    Column("author", String(40), nullable=False),
    Column("status", String(8), nullable=False),  # draft, signed
    Column("revision", Integer, nullable=False),
    Column("supplements_id", Uuid),
    Column("conclusion", Text, nullable=False),
    Column("advice", Text, nullable=False),
    Column("urgency", String(8), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("saved_ms", BigInteger, nullable=False),
    # Filled once, at signing.
    Column("practitioner", String(80)),
    Column("specialty", String(40)),
    Column("observation_ids", Text),
    Column("signed_number", BigInteger),  # of the audit row before it: the order of signing, whatever the clock did
    Column("signed_ms", BigInteger),
    Column("previous_hash", String(64)),
    Column("signature", String(64)),
)

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(80), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("redacted", Boolean, nullable=False, server_default=false()),  # its content was deleted, its hash was not
    Index(None, "subject"),
)

practitioners = Table(
    "practitioners",
    metadata,
    Column("login", String(40), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("role", String(20), nullable=False),  # hub.permission.Role
    Column("specialty", String(40)),
    Column("phone", String(40), nullable=False, default=""),
    Column("password", String(200), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("disabled_ms", BigInteger),
    Column("org_id", String(40), nullable=False, server_default="county"),
    Column("totp_secret", LargeBinary(32)),
    Column("totp_counter", BigInteger),  # of the last code that was taken: none is taken twice
    Column("wrong", Integer, nullable=False, server_default="0"),  # wrong tries since the last right one
    Column("rests_until_ms", BigInteger, nullable=False, server_default="0"),
)

organisations = Table(
    "organisations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("kind", String(12), nullable=False),  # hub.store.organisations.Kind
    Column("parent_id", String(40), index=True),
    Column("consortium", String(80), nullable=False, default=""),
    Column("phone", String(40), nullable=False, default=""),
)

kit_places = Table(
    "kit_places",
    metadata,
    Column("kit_id", String(80), primary_key=True),
    Column("org_id", String(40), nullable=False, index=True),
    Column("since_ms", BigInteger, nullable=False),
)

patient_versions = Table(
    "patient_versions",
    metadata,
    Column("patient_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # in the order in which they came, from 1
    Column("kit_id", String(80), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

patient_links = Table(
    "patient_links",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("one", Uuid, nullable=False, index=True),
    Column("other", Uuid, nullable=False, index=True),
    Column("by", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("undone_ms", BigInteger),
    Column("undone_by", String(40)),
)

referrals = Table(
    "referrals",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("number", String(80), nullable=False, unique=True),
    Column("patient_id", Uuid, nullable=False, index=True),
    Column("encounter_id", Uuid),
    Column("from_org", String(40), nullable=False, index=True),
    Column("to_org", String(40), nullable=False, index=True),
    Column("urgency", String(8), nullable=False),
    Column("state", String(20), nullable=False),  # model.referral.ReferralState
    Column("state_ms", BigInteger, nullable=False),
    Column("up", Text, nullable=False),
    Column("down", Text),
)

referral_steps = Table(
    "referral_steps",
    metadata,
    Column("referral_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String(20), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("login", String(40), nullable=False),
    Column("note", Text, nullable=False),
)

loop_steps = Table(
    "loop_steps",
    metadata,
    Column("work_item_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # in the order of their noting, from 1
    Column("step", String(12), nullable=False),  # hub.clocks.LOOP_STEPS
    Column("at_ms", BigInteger, nullable=False),
    Column("noted_ms", BigInteger, nullable=False),
    Column("login", String(40), nullable=False),
    Column("person", String(80), nullable=False),
    Column("channel", String(12), nullable=False),
    Column("note", Text, nullable=False),
)

escalations = Table(
    "escalations",
    metadata,
    Column("work_item_id", Uuid, primary_key=True),
    Column("ranked_ms", BigInteger, primary_key=True, autoincrement=False),  # a case that is ranked anew starts anew
    Column("step", String(40), primary_key=True),  # rules.escalation.Step.key
    Column("to", String(20), nullable=False),
    Column("login", String(40)),
    Column("phone", String(40), nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("login", String(40), nullable=False),
    Column("patient_id", Uuid, nullable=False, index=True),
    Column("kind", String(12), nullable=False),  # hub.store.grants.Kind
    Column("reason", Text, nullable=False),
    Column("by", String(40), nullable=False),
    Column("begun_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("org_id", String(40)),  # of a share: whose cases alone it opens
    Index(None, "login", "ends_ms"),
)

web_sessions = Table(
    "web_sessions",
    metadata,
    Column("token_sha256", LargeBinary(32), primary_key=True),
    Column("login", String(40), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("address", String(60), nullable=False, server_default=""),
    Column("browser", String(60), nullable=False, server_default=""),
    Column("way", String(12), nullable=False, server_default="password"),  # or oidc
    Column("fresh_ms", BigInteger, nullable=False, server_default="0"),  # when the identity provider last asked anew
)
