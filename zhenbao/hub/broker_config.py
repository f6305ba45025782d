"""Mosquitto's configuration and access list for a county, written with the CA's files beside them.

The broker is a road: it keeps nothing on disk, takes nobody without a certificate of the county's CA, and lets each
kit reach its own three topics alone, by the name in its certificate, and a locked kit two others.
"""

from __future__ import annotations

import os
from pathlib import Path

from zhenbao.hub.ca import CA_CERTIFICATE, CRL, EMERGENCY_USER, SERVER, SERVER_KEY
from zhenbao.model.errors import InputError
from zhenbao.sync.links.mqtt import DOWN, EMERGENCY, GONE, RECEIPT, UP
from zhenbao.sync.names import HUB

CONFIGURATION, ACCESS = "mosquitto.conf", "zhenbao.acl"
MOST_BYTES = 1 << 20
"""The largest message; packets are some KiB, so that nothing urgent waits behind one."""

_ACCESS = f"""\
# Who may reach which topics. %u is the name in the client's certificate.
user {HUB}
topic read {UP}/+
topic read {GONE}/+
topic write {DOWN}/+
topic read {EMERGENCY}/+
topic write {RECEIPT}/+

# Locked kits: one user for all, told apart by their client ids, which are their random names (%c). They bring
# emergencies and hear the receipts for their own; what the patterns below would give to this user is taken from it.
user {EMERGENCY_USER}
topic deny {UP}/{EMERGENCY_USER}
topic deny {GONE}/{EMERGENCY_USER}
topic deny {DOWN}/{EMERGENCY_USER}

pattern write {EMERGENCY}/%c
pattern read {RECEIPT}/%c
pattern write {UP}/%u
pattern write {GONE}/%u
pattern read {DOWN}/%u
"""

_CONFIGURATION = """\
# Mosquitto 2 as the road between the kits and the hub of one county. Written by "zhenbao hub broker-config".
user {user}
listener {port}{address}
protocol mqtt

# Nobody without a certificate of the county's CA; the name in it is the name in the access list.
tls_version tlsv1.3
cafile {folder}/{ca}
certfile {folder}/{server}
keyfile {folder}/{server_key}
crlfile {folder}/{crl}
require_certificate true
use_identity_as_username true
allow_anonymous false
allow_zero_length_clientid false
acl_file {folder}/{access}

# A road, not a memory: kit and hub keep everything until the other side's receipt.
persistence false
retain_available false
persistent_client_expiration 1h
max_queued_messages 200
max_queued_bytes {queued_bytes}

# Limits.
max_packet_size {packet_bytes}
max_inflight_messages 100
max_keepalive 60
max_connections 5000

# Small packets at once; no statistics topics; no line in the log for each connection.
set_tcp_nodelay true
sys_interval 0
connection_messages false
log_dest stderr
log_type error
log_type warning
log_type notice
"""


def write_broker_config(
    ca: Path, folder: Path, *, port: int = 8883, address: str = "", user: str = "mosquitto"
) -> None:
    """Write ``mosquitto.conf``, the access list, and copies of the CA's certificate, the server's key and certificate
    and the revocation list.

    Args:
        ca: the CA's folder.
        folder: where the broker finds them, absolute in the configuration.
        address: to listen on; empty: all.
        user: the account under which the broker runs; the server's key must be readable by it.

    Raises:
        InputError: ``ca-missing``: no CA, or no server certificate yet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        files = {name: (ca / name).read_bytes() for name in (CA_CERTIFICATE, SERVER, SERVER_KEY, CRL)}
    except OSError as error:
        raise InputError("ca-missing", path=ca, reason=Path(error.filename or "?").name) from error
    files[ACCESS] = _ACCESS.encode()
    files[CONFIGURATION] = _CONFIGURATION.format(
        user=user,
        port=port,
        address=f" {address}" if address else "",
        folder=folder.absolute(),
        ca=CA_CERTIFICATE,
        server=SERVER,
        server_key=SERVER_KEY,
        crl=CRL,
        access=ACCESS,
        packet_bytes=MOST_BYTES + 1024,
        queued_bytes=MOST_BYTES,
    ).encode()
    for name, content in files.items():
        mode = 0o640 if name == SERVER_KEY else 0o644
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
