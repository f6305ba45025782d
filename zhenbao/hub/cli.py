"""``zhenbao hub``: for those who run the hub. Slow imports happen inside the commands."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from zhenbao.hub import accounts_cli, checks_cli, kits_cli, privacy_cli, roster_cli, rules_cli, start_cli
from zhenbao.hub.ca_cli import app as ca_app
from zhenbao.hub.ca_cli import broker_config, say_ending
from zhenbao.hub.fleet_cli import fleet
from zhenbao.hub.options import HERE as _HERE
from zhenbao.hub.options import Database, Directory
from zhenbao.hub.options import open_store as _store
from zhenbao.hub.recovery_cli import add_commands as add_recovery_commands
from zhenbao.model.errors import InputError
from zhenbao.words import Words

_words = Words(os.environ.get("ZHENBAO_LANG", ""))

app = typer.Typer(
    help=_words("hub.cli.help"), no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
app.add_typer(accounts_cli.user, name="user")
app.add_typer(accounts_cli.org, name="org")
app.add_typer(ca_app, name="ca")
app.command("broker-config", help=_words("ca.broker_config"))(broker_config)
app.add_typer(kits_cli.kit, name="kit")
app.command("renew-keys", help=_words("hub.cli.renew_keys"))(kits_cli.renew_keys)
app.add_typer(rules_cli.app, name="rules")
app.add_typer(privacy_cli.app, name="privacy")
app.command("fleet", help=_words("hub.cli.fleet.help"))(fleet)

_DAY_S = 86_400.0
RosterFile = Annotated[Path | None, typer.Option("--roster", help=_words("hub.cli.roster"))]


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
    notify: Annotated[
        list[str] | None, typer.Option("--notify", envvar="ZHENBAO_NOTIFY", help=_words("hub.cli.notify"))
    ] = None,
    push: Annotated[str, typer.Option("--push", envvar="ZHENBAO_PUSH", help=_words("hub.push.option"))] = "",
    web_address: Annotated[str, typer.Option("--web-address", help=_words("hub.cli.web_address"))] = "127.0.0.1",
    web_cert: Annotated[Path | None, typer.Option("--web-cert", help=_words("hub.cli.web_cert"))] = None,
    web_key: Annotated[Path | None, typer.Option("--web-key", help=_words("hub.cli.web_key"))] = None,
    oidc: Annotated[Path | None, typer.Option("--oidc", help=_words("hub.oidc.option"))] = None,
) -> None:
    import signal
    import threading

    from zhenbao.hub.server import Hub

    if (web_cert is None) != (web_key is None):
        raise InputError("hub-web-pair")
    hub = Hub(
        directory,
        mqtt_port=mqtt_port,
        web_port=web_port,
        broker=broker,
        roster=roster,
        database=database or None,
        hosts=host or (),
        https=https,
        notify=notify or (),
        push=push,
        web_host=web_address,
        web_tls=(web_cert, web_key) if web_cert is not None and web_key is not None else None,
        oidc=oidc,
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
    say_ending(directory, hub.clock.now_ms())
    while not stop.wait(_DAY_S):
        say_ending(directory, hub.clock.now_ms())
    hub.close()
    typer.echo(_words("hub.cli.stopped"))


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


@app.command("stats", help=_words("hub.cli.stats.help"))
def stats(
    directory: Directory = _HERE,
    database: Database = "",
    month: Annotated[str, typer.Option("--month", help=_words("hub.cli.stats.month"))] = "",
    org: Annotated[str, typer.Option("--org", help=_words("hub.cli.stats.org"))] = "county",
    csv_file: Annotated[Path | None, typer.Option("--csv", help=_words("hub.cli.stats.csv"))] = None,
    pdf_file: Annotated[Path | None, typer.Option("--pdf", help=_words("hub.cli.stats.pdf"))] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_words("hub.cli.as_json"))] = False,
) -> None:
    from zhenbao.hub import referral_rates, statistics
    from zhenbao.hub.store import organisations
    from zhenbao.hub.store.period import indicators
    from zhenbao.model.time import local_text

    store = _store(directory, database)
    now_ms = store.clock.now_ms()
    period = statistics.month(month or local_text(now_ms)[:7])
    with store.reading() as connection:
        orgs = organisations.subtree(connection, organisations.check(connection, org))
        found = indicators(connection, period, orgs, now_ms)
        rates = referral_rates.rates(connection, period, orgs)
        unit = organisations.find(connection, org)
    if pdf_file is not None:
        from zhenbao.hub.statistics_pdf import as_pdf

        told = {"place": unit.name if unit else org, "month": month or local_text(now_ms)[:7]}
        pdf_file.write_bytes(as_pdf(found, rates, _words, made=local_text(now_ms), **told))
    if csv_file is not None:
        csv_file.write_bytes(statistics.as_csv(found, _words))
    if csv_file is not None or pdf_file is not None:
        return
    if as_json:
        _json({"indicators": found, "referral_rates": rates})
        return
    for row in statistics.rows(found, _words):
        typer.echo("  ".join(cell for cell in row if cell))
    for rate in rates:
        if rate.alert:
            typer.echo(_words("hub.stats.alert_line", name=rate.name, referrals=rate.referrals, visits=rate.visits))


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


@app.command("backup", help=_words("hub.cli.backup"))
def backup(
    place: Annotated[Path | None, typer.Argument(help=_words("hub.cli.backup_place"))] = None,
    every: Annotated[int | None, typer.Option("--every", help=_words("hub.cli.backup_every"))] = None,
    directory: Directory = _HERE,
    database: Database = "",
    roster: RosterFile = None,
) -> None:
    from zhenbao.hub.backup import backup, last_backup_ms, promise
    from zhenbao.model.time import local_text

    with closing(_store(directory, database, roster)) as store:
        if every is not None:
            typer.echo(_words("hub.cli.backup_promised", hours=every, told=promise(store, every)))
        if place is not None:
            made = backup(store, place)
            size_mb, taken = made.size_bytes / 1e6, local_text(made.taken_ms)
            typer.echo(_words("hub.cli.backup_made", name=made.place.name, mb=size_mb, time=taken))
        last = last_backup_ms(store)
    typer.echo(_words("hub.cli.backup_last", time=local_text(last)) if last else _words("hub.cli.backup_never"))


@app.command("restore", help=_words("hub.cli.restore"))
def restore(
    place: Annotated[Path | None, typer.Argument(help=_words("hub.cli.restore_place"))] = None,
    announce_only: Annotated[bool, typer.Option("--announce", help=_words("hub.cli.restore_announce"))] = False,
    directory: Directory = _HERE,
    database: Database = "",
    roster: RosterFile = None,
) -> None:
    from zhenbao.hub.backup import announce, restore
    from zhenbao.hub.roster import load_roster
    from zhenbao.hub.server import DATABASE
    from zhenbao.model.errors import InputError
    from zhenbao.model.time import SystemClock, local_text

    if announce_only == (place is not None):
        raise InputError("hub-restore-what")
    if place is None:
        with closing(_store(directory, database, roster)) as store:
            done = announce(store)
    else:
        done = restore(place, directory / DATABASE, SystemClock(), load_roster(roster))
    typer.echo(_words("hub.cli.restored", time=local_text(done.taken_ms), told=done.told, epoch=done.epoch))
    if done.set_aside:
        typer.echo(_words("hub.cli.restored_aside", name=done.set_aside))
    typer.echo(_words("hub.cli.restored_check"))


add_recovery_commands(app, _store)
app.command("audit-verify", help=_words("hub.privacy.audit_verify"))(checks_cli.audit_verify)
app.add_typer(roster_cli.app, name="roster")
app.command("duty", help=_words("hub.duty.help"))(roster_cli.duty)
app.command("init", help=_words("hub.init.help"))(start_cli.init)


def _json(value: object) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")
