"""The fleet: what is wrong with a kit at and beside each limit, tasks that end by their own fact, and no patient."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hub.conftest import PASSWORD, HandClock, KitVoice
from zhenbao import __version__
from zhenbao.hub import fleet
from zhenbao.hub.fleet import limits, look, note, troubles
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import HubStore, audit, organisations
from zhenbao.hub.store import fleet as rows
from zhenbao.hub.store.fleet import KitFacts
from zhenbao.hub.worklist import Worklist
from zhenbao.model.errors import InputError
from zhenbao.model.fleet import KitStatus, SensorState
from zhenbao.model.ids import uuid7
from zhenbao.words import LANGUAGES, catalogue

NOW_MS = 1_795_312_800_000
MIN_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
WELL = KitStatus(
    uuid7(NOW_MS), NOW_MS, __version__, (), 80, False, {"results": 1}, NOW_MS - HOUR_MS, 0, NOW_MS - MIN_MS,
    NOW_MS + 300 * DAY_MS, 9000, (SensorState("SN1", NOW_MS - DAY_MS, "passed"),),
)  # fmt: skip


def kit(status: KitStatus | None = WELL, **more: object) -> KitFacts:
    return replace(KitFacts("kit-1", "county", False, NOW_MS, status, NOW_MS, 0), **more)


def told(**more: object) -> KitFacts:
    return kit(replace(WELL, **more))


def test_every_limit_has_a_reason_and_words() -> None:
    assert all(row["reason"] for row in limits().values())
    for kind in (*limits(), "never", "version"):
        for language in LANGUAGES:
            assert {f"hub.fleet.trouble.{kind}", f"hub.fleet.do.{kind}"} <= set(catalogue(language))


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (kit(), ()),
        (kit(None), ()),
        (kit(None, last_contact_ms=None), ("never",)),
        (kit(last_contact_ms=NOW_MS - 24 * HOUR_MS), ()),
        (kit(last_contact_ms=NOW_MS - 24 * HOUR_MS - 1), ("silent",)),
        (told(battery_percent=15), ()),
        (told(battery_percent=14), ("battery",)),
        (told(battery_percent=14, on_mains=True), ()),
        (told(battery_percent=None), ()),
        (kit(clock_ahead_ms=5 * MIN_MS), ()),
        (kit(clock_ahead_ms=-5 * MIN_MS - 1), ("clock",)),
        (told(oldest_ms=NOW_MS - 24 * HOUR_MS), ()),
        (told(oldest_ms=NOW_MS - 24 * HOUR_MS - 1), ("queue",)),
        (told(refused=1), ("refused",)),
        (told(certificate_until_ms=NOW_MS + 30 * DAY_MS), ()),
        (told(certificate_until_ms=NOW_MS + 30 * DAY_MS - 1), ("certificate",)),
        (told(certificate_until_ms=None), ()),
        (told(sensors=(SensorState("SN1", NOW_MS - 7 * DAY_MS, "passed"),)), ()),
        (told(sensors=(SensorState("SN1", NOW_MS - 7 * DAY_MS - 1, "passed"),)), ("calibration",)),
        (told(sensors=(SensorState("SN1", NOW_MS, "failed"),)), ("calibration",)),
        (told(sensors=(SensorState("SN1", NOW_MS, "incomplete"),)), ("calibration",)),
        (told(free_mb=500), ()),
        (told(free_mb=499), ("storage",)),
        (told(version="0.0.9"), ("version",)),
        (kit(replace(WELL, battery_percent=1), revoked=True, last_contact_ms=None), ()),
    ],
)
def test_what_is_wrong(facts: KitFacts, found: tuple[str, ...]) -> None:
    assert troubles(facts, NOW_MS) == found


@pytest.fixture
def voice(store: HubStore, clock: HandClock) -> KitVoice:
    with store.writing() as connection:
        for id_, parent in (("east", "county"), ("west", "county")):
            organisations.add(connection, organisations.Organisation(id_, f"{id_}卫生院", "township", parent))
        organisations.place_kit(connection, "kit-001", "east", clock.ms)
    voice = KitVoice(store, clock)
    voice.send(replace(WELL, id=uuid7(clock.ms), made_ms=clock.ms))
    return voice


def test_a_silent_kit_is_a_task_until_it_speaks_again(store: HubStore, voice: KitVoice, clock: HandClock) -> None:
    fleet.sweep(store)
    assert look(store)[0].tasks == ()
    clock.pass_minutes(24 * 60 + 1)
    for _ in range(3):
        fleet.sweep(store)
    (task,) = look(store)[0].tasks
    assert (task.kind, task.began_ms, task.ended_ms) == ("silent", clock.ms, None)
    desk = add_practitioner(
        store, "desk", name="演示调度员", role="operator", specialty=None, phone="", password=PASSWORD
    )
    note(store, "kit-001", "silent", desk, Worklist(store).viewer(desk), "已打电话，平板没电")
    fleet.sweep(store)
    (noted,) = look(store)[0].tasks  # a note does not end it
    assert (noted.login, noted.note) == ("desk", "已打电话，平板没电")
    clock.pass_minutes(5)
    voice.send(replace(WELL, id=uuid7(clock.ms), made_ms=clock.ms, oldest_ms=None))
    fleet.sweep(store)
    assert look(store)[0].tasks == ()
    with store.reading() as connection:
        assert len(audit.found(connection, before=None, actor=None, action="fleet-task", limit=9)) == 1


def test_each_sees_the_kits_of_their_reach(store: HubStore, voice: KitVoice) -> None:
    def seen(login: str, role: str, org_id: str) -> list[str]:
        person = add_practitioner(
            store, login, name="演示", role=role, specialty=None, phone="", password=PASSWORD, org_id=org_id
        )  # type: ignore[arg-type]
        return [each.facts.kit_id for each in look(store, Worklist(store).viewer(person))]

    assert seen("tech-east", "technician", "east") == ["kit-001"]
    assert seen("tech-west", "technician", "west") == []
    assert seen("desk", "operator", "county") == ["kit-001"]
    with pytest.raises(InputError, match="denied-role"):
        seen("village", "village-doctor", "east")


def test_a_task_elsewhere_cannot_be_noted(store: HubStore, voice: KitVoice, clock: HandClock) -> None:
    clock.pass_minutes(25 * 60)
    fleet.sweep(store)
    west = add_practitioner(
        store, "tech", name="演示", role="technician", specialty=None, phone="", password=PASSWORD, org_id="west"
    )
    with pytest.raises(InputError, match="fleet-unknown"):
        note(store, "kit-001", "silent", west, Worklist(store).viewer(west), "不是我的")


def test_the_newest_status_counts_in_the_order_in_which_the_hub_heard_it(
    store: HubStore, voice: KitVoice, clock: HandClock
) -> None:
    """A tablet whose clock jumped back tells of itself as of 1970; that is news all the same."""
    clock.pass_minutes(60)
    back = replace(WELL, id=uuid7(clock.ms), made_ms=1, battery_percent=55)
    store.accept([replace(voice.envelope(back), clock_ahead_ms=-clock.ms)], clock.ms)
    with store.reading() as connection:
        (facts,) = rows.facts(connection)
    assert facts.status is not None
    assert (facts.status.battery_percent, facts.status_ms, facts.last_contact_ms) == (55, clock.ms, clock.ms)
    assert "clock" in troubles(facts, clock.ms)


def test_nothing_of_a_status_could_be_a_patient() -> None:
    """Whatever is added to the status must be looked at here: this page is for those who may see no patient."""
    assert set(KitStatus.__dataclass_fields__) == {
        "id", "made_ms", "version", "takes", "battery_percent", "on_mains", "waiting", "oldest_ms", "refused",
        "last_receipt_ms", "certificate_until_ms", "free_mb", "sensors",
    }  # fmt: skip


@pytest.mark.slow
def test_the_command_lists_the_kits_in_both_ways(store: HubStore, voice: KitVoice, tmp_path: Path) -> None:
    voice.send(replace(WELL, id=uuid7(NOW_MS), battery_percent=9))
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    said = [
        subprocess.run(
            [sys.executable, "-m", "zhenbao", "hub", "fleet", "--database", url, *more],
            capture_output=True, text=True, check=True, env={**os.environ, "ZHENBAO_LANG": "zh_CN"},
        ).stdout
        for more in ((), ("--json",))
    ]  # fmt: skip
    for needed in ("kit-001", "east", "电量 9%", "标定 通过", "电量低"):
        assert needed in said[0], needed
    (told,) = json.loads(said[1])
    assert (told["facts"]["kit_id"], "battery" in told["troubles"]) == ("kit-001", True)
