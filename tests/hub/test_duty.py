"""The duty roster: who is behind whom, hours in which nobody is there, and what happens then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from zhenbao.hub.roster import Desk, Duty, Roster
from zhenbao.hub.roster_cli import duty as command
from zhenbao.hub.store import HubStore
from zhenbao.hub.watch import sweep
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from conftest import HandClock, KitVoice

DESK = Desk("0994-0000000", "emergency")
RED = Finding("EC16", Urgency.RED, (), "a source")


def roster(*hours: str) -> Roster:
    return Roster(DESK, tuple(Duty("cardiology", f"heart-{n}", hours=h) for n, h in enumerate(hours)))


@pytest.mark.parametrize(
    ("hours", "gaps"),
    [
        ([""], ()),
        ([], (("00:00", "24:00"),)),
        (["08:00-20:00"], (("20:00", "08:00"),)),
        (["08:00-20:00", "20:00-08:00"], ()),
        (["08:00-20:00", "20:00-07:59"], (("07:59", "08:00"),)),
        (["00:00-12:00", "13:00-24:00"], (("12:00", "13:00"),)),
        (["06:00-10:00", "12:00-14:00"], (("10:00", "12:00"), ("14:00", "06:00"))),
        (["22:00-06:00"], (("06:00", "22:00"),)),
    ],
)
def test_hours_without_anybody(hours: list[str], gaps: tuple[tuple[str, str], ...]) -> None:
    assert roster(*hours).gaps("cardiology") == gaps


def calls(store: HubStore, clock: HandClock, minutes: float) -> dict[tuple[str, str], tuple[str | None, str]]:
    found = {}
    for _ in range(round(minutes)):
        clock.pass_minutes(1)
        found |= {(call.clock, call.to): (call.login, call.phone) for call in sweep(store)}
    return found


@pytest.mark.parametrize(
    ("rows", "second"),
    [
        pytest.param(
            (Duty("cardiology", "heart", "1", "heart-2", "2"), Duty("emergency", "rescue", "3", "rescue-2", "4")),
            ("heart-2", "2"),
            id="the specialty's own",
        ),
        pytest.param((Duty("emergency", "rescue", "3", "rescue-2", "4"),), ("rescue-2", "4"), id="the emergency's"),
        pytest.param((Duty("cardiology", "heart", "1"),), (None, "0994-0000000"), id="none: the desk"),
        pytest.param((), (None, "0994-0000000"), id="nobody at all: the desk"),
    ],
)
def test_who_is_called_behind_the_first_line(
    store: HubStore, kit: KitVoice, clock: HandClock, rows: tuple[Duty, ...], second: tuple[str | None, str]
) -> None:
    store.roster = Roster(DESK, rows)
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))
    assert calls(store, clock, 4)["ack", "second-line"] == second


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(command)
    file = tmp_path / "roster.toml"
    file.write_text(
        '[desk]\nphone="0994-0000000"\nemergency="emergency"\n[[duty]]\nspecialty="emergency"\nfirst="r"\n'
        'hours="08:00-20:00"\n[[duty]]\nspecialty="cardiology"\nfirst="h"\n'
    )
    weak = CliRunner().invoke(app, ["--roster", str(file)])
    assert weak.exit_code == 1
    assert "急诊科：20:00-08:00 无人值班" in weak.output
    assert "心血管内科：全天有人值班" in weak.output
    assert "心血管内科：有时段没有二线" in weak.output
    assert "急诊不是全天有人值班" in weak.output + weak.stderr
    whole = CliRunner().invoke(app, [])
    assert whole.exit_code == 0, "the example has emergency doctors day and night"
