"""``zhenbao hub ca`` and ``zhenbao hub broker-config``: certificates for the roads, and Mosquitto's configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from zhenbao.model.time import SystemClock, local_text
from zhenbao.words import Words

_words = Words(os.environ.get("ZHENBAO_LANG", ""))
app = typer.Typer(help=_words("ca.help"), no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
Directory = Annotated[Path, typer.Option("--dir", envvar="ZHENBAO_HUB_DIR", help=_words("hub.cli.directory"))]
_HERE = Path("zhenbao-hub")


def _folder(directory: Path) -> Path:
    from zhenbao.hub.issued import FOLDER

    return directory / FOLDER


@app.command("init", help=_words("ca.init"))
def init(
    county: Annotated[str, typer.Option("--county", help=_words("ca.county"))], directory: Directory = _HERE
) -> None:
    from zhenbao.hub.ca import init_ca

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    init_ca(_folder(directory), county, SystemClock().now_ms())
    typer.echo(_words("ca.made", path=_folder(directory)))


@app.command("server", help=_words("ca.server"))
def server(hosts: Annotated[list[str], typer.Argument(help=_words("ca.hosts"))], directory: Directory = _HERE) -> None:
    from zhenbao.hub.ca import SERVER, SERVER_KEY, issue_server

    issue_server(_folder(directory), hosts, SystemClock().now_ms())
    typer.echo(_words("ca.server_made", certificate=_folder(directory) / SERVER, key=_folder(directory) / SERVER_KEY))


@app.command("sign", help=_words("ca.sign"))
def sign(
    request: Annotated[Path, typer.Argument(help=_words("ca.request"))],
    kit: Annotated[str, typer.Option("--kit", help=_words("ca.kit"))],
    out: Annotated[Path, typer.Option("--out", help=_words("ca.out"))],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help=_words("ca.days"))] = 1095,
    directory: Directory = _HERE,
) -> None:
    from zhenbao.hub.ca import CA_CERTIFICATE, sign_kit
    from zhenbao.model.errors import InputError
    from zhenbao.sync.links.identity import CA, CERTIFICATE, EMERGENCY_CERTIFICATE, mailbox_named, requests_in
    from zhenbao.sync.names import is_emergency_mailbox

    folder = _folder(directory)
    try:
        asked = request.read_bytes()
    except OSError as error:
        raise InputError("ca-request", reason=type(error).__name__) from error
    now_ms = SystemClock().now_ms()
    certificates = [sign_kit(folder, one, kit, now_ms, days) for one in requests_in(asked) or [asked]]
    out.mkdir(parents=True, exist_ok=True)
    for certificate in certificates:
        emergency = is_emergency_mailbox(mailbox_named(certificate, CERTIFICATE))
        (out / (EMERGENCY_CERTIFICATE if emergency else CERTIFICATE)).write_bytes(certificate)
    (out / CA).write_bytes((folder / CA_CERTIFICATE).read_bytes())
    typer.echo(_words("ca.signed", kit=kit, path=out))


@app.command("revoke", help=_words("ca.revoke"))
def revoke(kit: Annotated[str, typer.Argument(help=_words("ca.kit"))], directory: Directory = _HERE) -> None:
    from zhenbao.hub.ca import revoke_kit

    count = revoke_kit(_folder(directory), kit, SystemClock().now_ms())
    typer.echo(_words("ca.revoked", kit=kit, count=count))


@app.command("list", help=_words("ca.list"))
def listed(directory: Directory = _HERE) -> None:
    from zhenbao.hub.issued import read_issued

    now_ms = SystemClock().now_ms()
    rows = read_issued(_folder(directory))
    for row in rows:
        state = "revoked_state" if row.revoked_ms else "expired" if row.not_after_ms < now_ms else "valid"
        until = local_text(row.not_after_ms)[:10]
        typer.echo(_words("ca.row", kit=row.kit_id, mailbox=row.mailbox, until=until, state=_words(f"ca.{state}")))
    if not rows:
        typer.echo(_words("ca.none"))
    say_ending(directory, now_ms)


def say_ending(directory: Path, now_ms: int) -> None:
    """Certificates that must be renewed now, on the error output."""
    from zhenbao.hub.certificates import ending

    for each in ending(_folder(directory), now_ms):
        said = "ca.ended" if each.ends_ms <= now_ms else "ca.ending"
        days = max(0, each.ends_ms - now_ms) // 86_400_000
        typer.echo(_words(said, whose=each.whose, ends=local_text(each.ends_ms)[:10], days=days), err=True)


def broker_config(
    folder: Annotated[Path, typer.Argument(help=_words("ca.broker_folder"))],
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help=_words("ca.broker_port"))] = 8883,
    address: Annotated[str, typer.Option("--address", help=_words("ca.broker_address"))] = "",
    user: Annotated[str, typer.Option("--user", help=_words("ca.broker_user"))] = "mosquitto",
    directory: Directory = _HERE,
) -> None:
    from zhenbao.hub.broker_config import CONFIGURATION, write_broker_config

    write_broker_config(_folder(directory), folder, port=port, address=address, user=user)
    typer.echo(_words("ca.broker_written", path=folder / CONFIGURATION, user=user, folder=folder))
