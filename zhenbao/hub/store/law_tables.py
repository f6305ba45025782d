"""Tables of accounts, consent, privacy and rule versions; instants are Unix ms by the hub's clock."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, Uuid

from zhenbao.hub.store.tables import metadata

share_requests = Table(
    "share_requests",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("patient_id", Uuid, nullable=False, index=True),
    Column("login", String(40), nullable=False),  # who asks
    Column("asking_org", String(40), nullable=False),
    Column("owner_org", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("days", Integer, nullable=False),
    Column("state", String(12), nullable=False),  # hub.store.shares.State
    Column("asked_ms", BigInteger, nullable=False),
    Column("decided_by", String(40)),
    Column("decided_ms", BigInteger),
    Column("note", Text, nullable=False, server_default=""),
    Column("grant_id", Uuid),
    Column("ends_ms", BigInteger),
    Index(None, "login", "asked_ms"),
    Index(None, "owner_org", "asked_ms"),
)

consents = Table(
    "consents",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("patient_id", Uuid, nullable=False, index=True),
    Column("kind", String(20), nullable=False),  # hub.store.consents.Kind
    Column("given", Boolean, nullable=False),
    Column("by_name", String(80), nullable=False),
    Column("relation", String(20), nullable=False),
    Column("how", String(12), nullable=False),
    Column("form_number", String(40), nullable=False),
    Column("witness", String(80), nullable=False),
    Column("language", String(20), nullable=False),
    Column("text_version", String(20), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("noted_ms", BigInteger, nullable=False),
    Column("noted_by", String(80), nullable=False),  # a login
)

family_contacts = Table(
    "family_contacts",
    metadata,
    Column("patient_id", Uuid, primary_key=True),
    Column("name", String(80), nullable=False),
    Column("relation", String(20), nullable=False),
    Column("phone", String(40), nullable=False),
    Column("noted_ms", BigInteger, nullable=False),
    Column("noted_by", String(40), nullable=False),
)

privacy_requests = Table(
    "privacy_requests",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("patient_id", Uuid, nullable=False, index=True),
    Column("kind", String(12), nullable=False),  # access, deletion
    Column("org_id", String(40), nullable=False),
    Column("asked_by", String(80), nullable=False),
    Column("relation", String(20), nullable=False),
    Column("checked", String(40), nullable=False),  # how the person's identity was checked
    Column("reason", Text, nullable=False),
    Column("state", String(12), nullable=False),  # recorded, approved, done, refused
    Column("recorded_ms", BigInteger, nullable=False),
    Column("recorded_by", String(40), nullable=False),
    Column("decided_ms", BigInteger),
    Column("decided_by", String(40)),
    Column("done_ms", BigInteger),
    Column("done_by", String(40)),
    Column("outcome", Text, nullable=False, server_default=""),
    Index(None, "org_id", "recorded_ms"),
)

rule_versions = Table(
    "rule_versions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),  # TOML, as it was handed in
    Column("program", String(16), nullable=False),  # digest of the program's own tables that it was checked against
    Column("clinician", String(80), nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
)

rule_activations = Table(
    "rule_activations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("clinician", String(80), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

login_identities = Table(
    "login_identities",
    metadata,
    Column("issuer", String(200), primary_key=True),
    Column("subject", String(200), primary_key=True),
    Column("login", String(40), nullable=False, index=True),
    Column("added_ms", BigInteger, nullable=False),
)

oidc_flows = Table(
    "oidc_flows",
    metadata,
    Column("state_sha256", LargeBinary(32), primary_key=True),
    Column("nonce", String(64), nullable=False),
    Column("verifier", String(128), nullable=False),
    Column("purpose", String(8), nullable=False),  # login, sign
    Column("login", String(40)),
    Column("session_sha256", LargeBinary(32)),  # of the session that is to be made fresh
    Column("begun_ms", BigInteger, nullable=False),
)
