"""``zhenbao hub``: for those who run the hub. Slow imports happen inside the commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.hub.store import HubStore

_words = Words(os.environ.get("ZHENBAO_LANG", ""))

app = typer.Typer(
    help=_words("hub.cli.help"), no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
practitioner = typer.Typer(help=_words("hub.cli.practitioner"), no_args_is_help=True, rich_markup_mode=None)
app.add_typer(practitioner, name="practitioner")
kit = typer.Typer(help=_words("hub.cli.kit"), no_args_is_help=True, rich_markup_mode=None)
app.add_typer(kit, name="kit")

Directory = Annotated[Path, typer.Option("--dir", envvar="ZHENBAO_HUB_DIR", help=_words("hub.cli.directory"))]
Database = Annotated[str, typer.Option("--database", envvar="ZHENBAO_HUB_DATABASE", help=_words("hub.cli.database"))]
RosterFile = Annotated[Path | None, typer.Option("--roster", help=_words("hub.cli.roster"))]
_HERE = Path("zhenbao-hub")


@app.command("serve", help=_words("hub.cli.serve"))
def serve(
    directory: Directory = _HERE,
    database: Database = "",
    web_port: Annotated[int, typer.Option("--web-port", help=_words("hub.cli.web_port"))] = 8080,
    mqtt_port: Annotated[int, typer.Option("--mqtt-port", help=_words("hub.cli.mqtt_port"))] = 1883,
    broker: Annotated[str, typer.Option("--broker", help=_words("hub.cli.broker"))] = "embedded",
    roster: RosterFile = None,
    host: Annotated[list[str] | None, typer.Option("--host", help=_words("hub.cli.host"))] = None,
    https: Annotated[bool, typer.Option("--https", help=_words("hub.cli.https"))] = False,
) -> None:
    import signal
    import threading

    from zhenbao.hub.server import Hub

    hub = Hub(
        directory,
        mqtt_port=mqtt_port,
        web_port=web_port,
        broker=broker,
        roster=roster,
        database=database or None,
        hosts=host or (),
        https=https,
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    hub.start()
    if broker == "embedded":
        typer.echo(_words("hub.cli.running", url=hub.web_url, mqtt=hub.mqtt_port))
    else:
        typer.echo(_words("hub.cli.running_external", url=hub.web_url, broker=broker))
    if roster is None:
        typer.echo(_words("hub.cli.example_roster"), err=True)
    stop.wait()
    hub.close()
    typer.echo(_words("hub.cli.stopped"))


@kit.command("card", help=_words("hub.cli.kit_card"))
def kit_card(directory: Directory = _HERE, database: Database = "") -> None:
    from zhenbao.hub.keys import HubKeyring

    card = HubKeyring(_store(directory, database), directory).card
    typer.echo(card.text)
    typer.echo(_words("hub.cli.fingerprint", fingerprint=card.fingerprint), err=True)


@kit.command("add", help=_words("hub.cli.kit_add"))
def kit_add(
    card: Annotated[Path, typer.Argument(help=_words("hub.cli.card_file"))],
    directory: Directory = _HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.keys import add_kit, read_card_file

    read = read_card_file(card)
    changed = add_kit(_store(directory, database), read)
    said = "hub.cli.kit_added" if changed else "hub.cli.kit_unchanged"
    typer.echo(_words(said, kit=read.name, fingerprint=read.fingerprint))


@kit.command("list", help=_words("hub.cli.kit_list"))
def kit_list(directory: Directory = _HERE, database: Database = "") -> None:
    from zhenbao.hub.keys import registered
    from zhenbao.model.time import local_text

    for row in registered(_store(directory, database)):
        state = _words("hub.cli.kit_active" if row.revoked_ms is None else "hub.cli.kit_revoked_state")
        typer.echo(f"{row.kit_id}  {state}  {local_text(row.added_ms)}  {row.card.fingerprint}")


@kit.command("revoke", help=_words("hub.cli.kit_revoke"))
def kit_revoke(
    kit_id: Annotated[str, typer.Argument(help=_words("hub.cli.kit_id"))],
    directory: Directory = _HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.keys import revoke_kit

    revoke_kit(_store(directory, database), kit_id)
    typer.echo(_words("hub.cli.kit_revoked", kit=kit_id))


@practitioner.command("add", help=_words("hub.cli.practitioner_add"))
def practitioner_add(
    account: Annotated[str, typer.Argument(help=_words("hub.cli.account"))],
    name: Annotated[str, typer.Option("--name", help=_words("hub.cli.name"))],
    role: Annotated[str, typer.Option("--role", help=_words("hub.cli.role"))] = "specialist",
    specialty: Annotated[str, typer.Option("--specialty", help=_words("hub.cli.specialty"))] = "",
    phone: Annotated[str, typer.Option("--phone", help=_words("hub.cli.phone"))] = "",
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help=_words("hub.cli.password_stdin"))] = False,
    directory: Directory = _HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.server import add_practitioner
    from zhenbao.hub.store.people import check_role

    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = typer.prompt(_words("hub.cli.password_prompt"), hide_input=True, confirmation_prompt=True)
    store = _store(directory, database)
    add_practitioner(
        store,
        account,
        name=name,
        role=check_role(role),
        specialty=specialty or None,
        phone=phone,
        password=password,
    )
    typer.echo(_words("hub.cli.added", login=account))


@practitioner.command("list", help=_words("hub.cli.practitioner_list"))
def practitioner_list(directory: Directory = _HERE, database: Database = "") -> None:
    from zhenbao.hub.store import people

    with _store(directory, database).reading() as connection:
        for person in people.everyone(connection):
            role = _words(f"hub.role.{person.role}")
            typer.echo("  ".join(filter(None, (person.login, person.name, role, person.specialty, person.phone))))


@practitioner.command("disable", help=_words("hub.cli.practitioner_disable"))
def practitioner_disable(
    account: Annotated[str, typer.Argument(help=_words("hub.cli.account"))],
    directory: Directory = _HERE,
    database: Database = "",
) -> None:
    from zhenbao.hub.store import audit, people

    store = _store(directory, database)
    with store.writing() as connection:
        people.disable(connection, account, store.clock.now_ms())
        audit.append(connection, store.clock.now_ms(), "admin", "practitioner-disabled", f"practitioner:{account}")
    typer.echo(_words("hub.cli.disabled", login=account))


@app.command("worklist", help=_words("hub.cli.worklist"))
def worklist(
    directory: Directory = _HERE,
    database: Database = "",
    roster: RosterFile = None,
    archive: Annotated[bool, typer.Option("--archive", help=_words("hub.cli.archive"))] = False,
    limit: Annotated[int, typer.Option("--limit", help=_words("hub.cli.limit"))] = 50,
    as_json: Annotated[bool, typer.Option("--json", help=_words("hub.cli.as_json"))] = False,
) -> None:
    from zhenbao.hub.roster import load_roster
    from zhenbao.hub.web.present import Presenter
    from zhenbao.hub.worklist import Worklist

    store = _store(directory, database)
    rows = Worklist(store).rows(shown="archive" if archive else "open", limit=limit)
    if as_json:
        _json([row.item for row in rows])
        return
    p = Presenter(_words, load_roster(roster), store.clock.now_ms())
    for row in rows:
        item, kit = row.item, p.kit(row.item.kit_id)
        due = item.ack_due_ms if item.acknowledged_ms is None else item.report_due_ms
        typer.echo(
            _words(
                "hub.cli.case_line",
                mark=item.urgency.mark,
                urgency=_words(f"urgency.{item.urgency}"),
                left=p.left(due) if due is not None and item.status == "open" else "-",
                patient=p.masked(row.patient),
                person=p.person(row.patient, item.effective_ms),
                finding=p.finding(item),
                place=kit.village or kit.id,
                phone=kit.phone,
                specialty=p.specialty(item.specialty),
                owner=row.owner or _words("hub.desk"),
                taken=p.when(item.effective_ms),
                received=p.when(item.received_ms),
                late=f"  {_words('hub.late', span=p.lateness(item))}" if item.late else "",
            )
        )
    if not rows:
        typer.echo(_words("hub.cli.no_cases"))


@app.command("audit", help=_words("hub.cli.audit"))
def show_audit(
    directory: Directory = _HERE,
    database: Database = "",
    limit: Annotated[int, typer.Option("--limit", help=_words("hub.cli.limit"))] = 50,
    as_json: Annotated[bool, typer.Option("--json", help=_words("hub.cli.as_json"))] = False,
) -> None:
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import audit
    from zhenbao.model.time import local_text

    store = _store(directory, database)
    with store.reading() as connection:
        rows = audit.rows(connection, limit)
        broken = audit.first_broken(connection)
    altered = Reports(store).altered()
    if as_json:
        _json({"rows": rows, "first_broken": broken, "altered_reports": altered})
    else:
        for row in rows:
            typer.echo(
                _words(
                    "hub.cli.audit_line",
                    number=row.number,
                    time=local_text(row.at_ms, seconds=True),
                    actor=row.actor,
                    action=_words(f"hub.audit.{row.action}"),
                    subject=row.subject,
                    detail=" ".join(f"{key}={value}" for key, value in row.detail.items()),
                )
            )
        if broken is None and not altered:
            typer.echo(_words("hub.cli.audit_whole"))
        if broken is not None:
            typer.echo(_words("hub.cli.audit_broken", number=broken), err=True)
        if altered:
            typer.echo(_words("hub.cli.reports_altered", reports=", ".join(map(str, altered))), err=True)
    if broken is not None or altered:
        raise typer.Exit(1)


@app.command("quarantine", help=_words("hub.cli.quarantine"))
def quarantine(
    directory: Directory = _HERE,
    database: Database = "",
    limit: Annotated[int, typer.Option("--limit", help=_words("hub.cli.limit"))] = 50,
    as_json: Annotated[bool, typer.Option("--json", help=_words("hub.cli.as_json"))] = False,
) -> None:
    from zhenbao.model.time import local_text

    items = _store(directory, database).quarantined(limit)
    if as_json:
        _json(items)
        return
    for item in items:
        code = item.reason.partition(":")[0]
        told = _words(f"error.{code}.do") if f"error.{code}.do" in _words else ""
        typer.echo(
            _words(
                "hub.cli.quarantine_line",
                number=item.number,
                time=local_text(item.at_ms, seconds=True),
                direction=_words(f"hub.cli.direction_{item.direction}"),
                peer=item.peer,
                kind=item.kind,
                size=item.size,
                reason=f"{item.reason}  {told}".rstrip(),
            )
        )
    if not items:
        typer.echo(_words("hub.cli.quarantine_empty"))


def _store(directory: Path, database: str) -> HubStore:
    """The hub's store, beside a running hub or without one."""
    from zhenbao.hub.server import DATABASE
    from zhenbao.hub.store import HubStore
    from zhenbao.model.time import SystemClock

    if not database:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return HubStore(database or f"sqlite:///{(directory / DATABASE).absolute()}", SystemClock())


def _json(value: object) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")
