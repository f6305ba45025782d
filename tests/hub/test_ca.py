"""The county's certificates, judged by OpenSSL through Python's ssl, and by what the issuer must refuse."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from zhenbao.hub.ca import init_ca, issue_server, revoke_kit, sign_kit
from zhenbao.hub.cli import app
from zhenbao.hub.issued import IssuedBook, read_issued
from zhenbao.model.errors import InputError, LinkDown, StorageError
from zhenbao.sync.links.identity import load_key, mailbox_in, make_request
from zhenbao.sync.links.tls import client_context, own_trouble
from zhenbao.technician.roads import accept_certificate

NOW_MS = 1_795_312_800_000
DAY_MS = 86_400_000


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    init_ca(tmp_path / "ca", "演示县", NOW_MS)
    return tmp_path / "ca"


def kit_folder(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def signed(ca: Path, folder: Path, kit_id: str, now_ms: int = NOW_MS) -> str:
    mailbox, request = make_request(folder)
    (folder / "road.pem").write_bytes(sign_kit(ca, request.read_bytes(), kit_id, now_ms))
    (folder / "county-ca.pem").write_bytes((ca / "ca.pem").read_bytes())
    return mailbox


def request_for(name: str, key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    algorithm = None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def test_the_name_on_the_road_tells_nothing_and_leads_back_at_the_hub_alone(ca: Path, tmp_path: Path) -> None:
    folder = kit_folder(tmp_path, "kit")
    mailbox = signed(ca, folder, "kit-0007")
    assert b"kit-0007" not in (folder / "road.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate((folder / "road.pem").read_bytes())
    assert certificate.subject.rfc4514_string() == f"CN={mailbox}"
    assert mailbox_in(folder / "road.pem") == mailbox
    book = IssuedBook(ca)
    assert (book.kit_of(mailbox), book.mailbox_of("kit-0007")) == ("kit-0007", mailbox)
    assert book.key_of(mailbox) == load_key(folder / "road.key").public_key().public_bytes_raw()
    assert book.kit_of("kit-0007") is None
    assert book.mailbox_of("kit-0008") is None


def test_keys_and_the_list_are_for_their_owner_alone(ca: Path, tmp_path: Path) -> None:
    folder = kit_folder(tmp_path, "kit")
    signed(ca, folder, "kit-0007")
    issue_server(ca, ["localhost"], NOW_MS)
    for path in (ca / "ca.key", ca / "hub.key", ca / "server.key", ca / "issued.csv", folder / "road.key"):
        assert path.stat().st_mode & 0o777 == 0o600, path.name
    assert ca.stat().st_mode & 0o777 == 0o700


def test_renewing_keeps_key_and_name(ca: Path, tmp_path: Path) -> None:
    folder = kit_folder(tmp_path, "kit")
    mailbox = signed(ca, folder, "kit-0007")
    key = (folder / "road.key").read_bytes()
    assert signed(ca, folder, "kit-0007", NOW_MS + 900 * DAY_MS) == mailbox
    assert (folder / "road.key").read_bytes() == key
    assert len(read_issued(ca)) == 2
    assert own_trouble(folder / "road.pem", NOW_MS + 1900 * DAY_MS) is None


def test_a_revoked_kit_is_a_stranger_at_once_and_stands_in_the_list_for_brokers(ca: Path, tmp_path: Path) -> None:
    folder, other = kit_folder(tmp_path, "kit"), kit_folder(tmp_path, "other")
    mailbox, kept = signed(ca, folder, "kit-0007"), signed(ca, other, "kit-0008")
    book = IssuedBook(ca)
    assert book.kit_of(mailbox) == "kit-0007"
    assert revoke_kit(ca, "kit-0007", NOW_MS + DAY_MS) == 1
    assert book.kit_of(mailbox) is None
    assert book.key_of(mailbox) is None
    assert book.kit_of(kept) == "kit-0008"
    crl = x509.load_pem_x509_crl((ca / "crl.pem").read_bytes())
    serial = x509.load_pem_x509_certificate((folder / "road.pem").read_bytes()).serial_number
    assert [entry.serial_number for entry in crl] == [serial]
    # An expired list locks out a county.
    end = x509.load_pem_x509_certificate((ca / "ca.pem").read_bytes()).not_valid_after_utc
    assert crl.next_update_utc == end
    with pytest.raises(InputError, match="ca-kit-unknown"):
        revoke_kit(ca, "kit-0007", NOW_MS)
    # The old key never comes back; a new one for the same kit does.
    with pytest.raises(InputError, match="ca-request"):
        signed(ca, folder, "kit-0007")
    signed(ca, kit_folder(tmp_path, "new-tablet"), "kit-0007")


def test_what_may_not_be_signed(ca: Path, tmp_path: Path) -> None:
    folder, other = kit_folder(tmp_path, "kit"), kit_folder(tmp_path, "other")
    signed(ca, folder, "kit-0007")
    key = Ed25519PrivateKey.generate()
    for name in ("hub", "kit-0009", "m-XYZ", "m-0123456789abcdef+", "#"):
        with pytest.raises(InputError, match="ca-request"):
            sign_kit(ca, request_for(name, key), "kit-0009", NOW_MS)
    with pytest.raises(InputError, match="ca-request"):
        sign_kit(ca, request_for("m-0123456789abcdef", ec.generate_private_key(ec.SECP256R1())), "kit-0009", NOW_MS)
    with pytest.raises(InputError, match="ca-request"):
        sign_kit(ca, b"no request", "kit-0009", NOW_MS)
    with pytest.raises(InputError, match="kit-id"):
        sign_kit(ca, request_for("m-0123456789abcdef", key), "hub", NOW_MS)
    with pytest.raises(InputError, match="ca-mailbox-taken"):
        sign_kit(ca, (folder / "road.csr").read_bytes(), "kit-0008", NOW_MS)
    with pytest.raises(InputError, match="ca-kit-has-mailbox"):
        signed(ca, other, "kit-0007")
    with pytest.raises(InputError, match="ca-exists"):
        init_ca(ca, "another", NOW_MS)
    with pytest.raises(InputError, match="ca-missing"):
        sign_kit(tmp_path / "nowhere", request_for("m-0123456789abcdef", key), "kit-0009", NOW_MS)
    assert len(read_issued(ca)) == 1


def test_a_damaged_list_is_said_and_never_taken_for_an_empty_one(ca: Path, tmp_path: Path) -> None:
    mailbox = signed(ca, kit_folder(tmp_path, "kit"), "kit-0007")
    book = IssuedBook(ca)
    assert book.kit_of(mailbox) == "kit-0007"
    (ca / "issued.csv").write_text("kit_id,mailbox\nkit-1,m-1\n")
    assert book.kit_of(mailbox) == "kit-0007"
    assert book.kit_of("m-1") is None
    with pytest.raises(StorageError, match="ca-list"):
        IssuedBook(ca)


def test_a_certificate_out_of_its_time_is_told_from_a_wrong_clock(ca: Path, tmp_path: Path) -> None:
    folder = kit_folder(tmp_path, "kit")
    signed(ca, folder, "kit-0007")
    assert own_trouble(folder / "road.pem", NOW_MS) is None
    wrong = own_trouble(folder / "road.pem", 0)
    assert wrong is not None
    assert (wrong.code, wrong.facts["now"]) == ("tls-clock", "1970-01-01 08:00")
    late = own_trouble(folder / "road.pem", NOW_MS + 1096 * DAY_MS)
    assert late is not None
    assert (late.code, late.facts["ended"]) == ("tls-own-expired", "2029-11-21")


def test_the_technician_puts_the_right_certificate_in_its_place_and_no_other(ca: Path, tmp_path: Path) -> None:
    from zhenbao.agent.settings import KitSettings, load_settings

    home, back = kit_folder(tmp_path, "home"), kit_folder(tmp_path, "back")
    settings = KitSettings("kit-0007", "测试村")
    _, request = make_request(home)
    (back / "road.pem").write_bytes(sign_kit(ca, request.read_bytes(), "kit-0007", NOW_MS))
    (back / "county-ca.pem").write_bytes((ca / "ca.pem").read_bytes())
    arguments = {"mqtt": ("hub.example", 8883), "https": "https://hub.example", "now_ms": NOW_MS}
    accept_certificate(home, settings, back, **arguments)  # type: ignore[arg-type]
    kept = load_settings(home)
    assert (kept.hub_tls, kept.hub_host, kept.hub_port) == (True, "hub.example", 8883)
    assert kept.hub_https == "https://hub.example"
    assert (home / "road.pem").read_bytes() == (back / "road.pem").read_bytes()
    # Another tablet's, another CA's, and one that this tablet's clock does not believe.
    other = kit_folder(tmp_path, "other")
    signed(ca, other, "kit-0008")
    with pytest.raises(InputError, match="tls-file"):
        accept_certificate(home, settings, other, **arguments)  # type: ignore[arg-type]
    init_ca(tmp_path / "ca2", "邻县", NOW_MS)
    (back / "county-ca.pem").write_bytes((tmp_path / "ca2" / "ca.pem").read_bytes())
    with pytest.raises(InputError, match="not signed by this CA"):
        accept_certificate(home, settings, back, **arguments)  # type: ignore[arg-type]
    (back / "county-ca.pem").write_bytes((ca / "ca.pem").read_bytes())
    with pytest.raises(LinkDown, match="tls-clock"):
        accept_certificate(home, settings, back, **{**arguments, "now_ms": 0})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="link-address"):
        accept_certificate(home, settings, back, mqtt=None, https="", now_ms=NOW_MS)


def test_tls_below_1_3_is_never_spoken(ca: Path, tmp_path: Path) -> None:
    folder = kit_folder(tmp_path, "kit")
    signed(ca, folder, "kit-0007")
    context = client_context(ca / "ca.pem", folder / "road.pem", folder / "road.key")
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    for missing in ("ca.pem", "nowhere.pem"):
        with pytest.raises(InputError, match="tls-file"):
            client_context(folder / missing, None, None)


def test_the_commands_of_a_county(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--dir", str(tmp_path / "hub")])
        assert result.exit_code == 0, result.output + repr(result.exception)
        return result.output

    run("ca", "init", "--county", "演示县远程诊断枢纽")
    run("ca", "server", "hub.example", "192.0.2.1")
    mailbox, request = make_request(kit_folder(tmp_path, "kit"))
    run("ca", "sign", str(request), "--kit", "kit-0007", "--out", str(tmp_path / "back"))
    assert {path.name for path in (tmp_path / "back").iterdir()} == {"road.pem", "emergency.pem", "county-ca.pem"}
    assert mailbox in run("ca", "list")
    run("broker-config", str(tmp_path / "mosquitto"), "--port", "9999", "--address", "127.0.0.1", "--user", "nobody")
    written = (tmp_path / "mosquitto" / "mosquitto.conf").read_text()
    assert "listener 9999 127.0.0.1\n" in written
    assert "user nobody\n" in written
    server = x509.load_pem_x509_certificate((tmp_path / "mosquitto" / "server.pem").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["hub.example", "192.0.2.1"]
    assert server.not_valid_after_utc - server.not_valid_before_utc <= datetime.timedelta(days=826)
    run("ca", "revoke", "kit-0007")
    assert "已吊销" in run("ca", "list")
