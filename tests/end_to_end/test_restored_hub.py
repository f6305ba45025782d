"""A hub is restored from an old backup: the kits offer again everything since, and the hub ends with all of it."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from store_key import KEY

from zhenbao.agent.store import KitStore
from zhenbao.hub import backup as backups
from zhenbao.hub.reports import Reports
from zhenbao.hub.roster import load_roster
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import HubStore, audit, returned
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.worklist import Worklist
from zhenbao.model.attachment import Attachment, MediaType
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.hub_terms import restored_from_ms
from zhenbao.model.identity import Sex
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.report import DeliveryState, Report

FAR = 1 << 60
DAY_S = 86_400
RED = Finding("EC19", Urgency.RED, source="a list of critical values")


@dataclass
class HandClock:
    wall_ms: int = 1_795_312_800_000

    def now_ms(self) -> int:
        self.wall_ms += 1
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.wall_ms / 1000

    def sleep(self, seconds: float) -> None:
        self.wall_ms += round(1000 * seconds)

    def wait_s(self, seconds: float) -> float:
        return seconds


@dataclass
class County:
    """A hub, its kits, and a road between them that loses nothing."""

    home: Path
    clock: HandClock = field(default_factory=HandClock)
    kits: dict[str, KitStore] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hub = self.opened()

    def opened(self) -> HubStore:
        return HubStore(f"sqlite:///{self.home / 'hub.db'}", self.clock, load_roster())

    def kit(self, name: str) -> KitStore:
        if name not in self.kits:
            self.kits[name] = KitStore.open(
                self.home / name, kit_id=name, clock=self.clock, ballast_bytes=1 << 20, key=KEY
            )
        return self.kits[name]

    def visit(self, name: str, *findings: Finding) -> tuple[Observation, Recording, Attachment]:
        """A whole visit: patient, encounter, an ECG with its waveform, an ultrasound with its picture."""
        kit, now_ms = self.kit(name), self.clock.now_ms()
        patient = Patient(uuid4(), "演示患者甲", Sex.FEMALE, None)
        encounter = Encounter(uuid4(), patient.id, name, now_ms)
        kit.save_patient(patient)
        kit.save_encounter(encounter)
        rate = {"heart_rate_ecg": Quantity(60.0, "/min")}
        ids = (patient.id, encounter.id, name)
        recording_id = uuid4()
        ecg = Observation(
            uuid4(),
            *ids,
            "ecg",
            "preliminary",
            now_ms,
            Device("x"),
            rate,
            findings=findings,
            recordings=(recording_id,),
        )
        trace = Recording(recording_id, ecg.id, "ecg", 500.0, ("I",), "mV", 0.001, now_ms, os.urandom(2000))
        kit.save_observation(ecg, [trace])
        scan = Observation(uuid4(), *ids, "ultrasound", "preliminary", now_ms, Device("file"), {})
        content = os.urandom(500)
        picture = Attachment(
            uuid4(), encounter.id, patient.id, scan.id, MediaType.JPEG, "超声", now_ms, _sha(content), content
        )
        kit.save_attachments(scan, [picture])
        return ecg, trace, picture

    def meet(self, rng: random.Random | None = None) -> None:
        """Everything that waits on either side arrives, in any order, and is receipted."""
        for _ in range(40):
            moved = False
            for name, kit in self.kits.items():
                out = kit.due(FAR, 1000)
                if rng is not None:
                    rng.shuffle(out)
                for item in out:
                    moved = True
                    whole = kit.load(item.id)
                    assert whole is not None
                    assert kit.receipted(self.hub.accept([whole], self.clock.now_ms())) == [True]
                for item in [i for i in self.hub.due(FAR, 1000) if i.recipient == name]:
                    moved = True
                    whole = self.hub.load(item.id)
                    assert whole is not None
                    receipts = kit.accept([whole], self.clock.now_ms())
                    assert not receipts[0].refused
                    assert self.hub.receipted(receipts) == [True]
            if not moved:
                return
        pytest.fail("the road never became quiet")

    def restore(self, place: Path) -> backups.Restored:
        self.hub.close()
        done = backups.restore(place, self.home / "hub.db", self.clock, load_roster())
        self.hub = self.opened()
        return done

    def held(self) -> dict[str, dict[UUID, bytes]]:
        """Everything the hub has of the kits' values."""
        with self.hub.reading() as c:
            return {
                table: {
                    UUID(hex=id_): body
                    for id_, body in c.exec_driver_sql(f"select id, body from {table}")  # noqa: S608 - our own tables
                }
                for table in ("patients", "encounters", "observations", "recordings", "attachments")
            }

    def close(self) -> None:
        self.hub.close()
        for kit in self.kits.values():
            kit.close()


def _sha(content: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(content).digest()


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    made = County(tmp_path)
    yield made
    made.close()


@pytest.fixture
def heart(county: County) -> Practitioner:
    return add_practitioner(
        county.hub,
        "heart",
        name="演示医师甲",
        role="specialist",
        specialty="cardiology",
        phone="",
        password="correct horse",
    )


def sign(county: County, heart: Practitioner, ecg: Observation, conclusion: str) -> Report:
    worklist = Worklist(county.hub)
    (row,) = [r for r in worklist.rows() if r.item.encounter_id == ecg.encounter_id]
    worklist.open_case(row.item.id, heart)
    return Reports(county.hub).sign(row.item.id, heart, conclusion=conclusion, advice="立即转诊")


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_an_old_backup_is_restored_and_nothing_is_lost_or_twice(county: County, seed: int | None) -> None:
    for name in ("kit-1", "kit-2"):
        for _ in range(3):
            county.visit(name)
    county.meet()
    county.clock.sleep(30 * DAY_S)
    county.visit("kit-1")
    county.meet()
    made = backups.backup(county.hub, county.home / "backup.db")
    county.clock.sleep(DAY_S)
    for name in ("kit-1", "kit-2", "kit-new"):  # the last one is not in the backup
        for _ in range(2):
            county.visit(name)
    county.meet()
    everything = county.held()
    accounts = {name: kit.account() for name, kit in county.kits.items()}
    assert [len(rows) for rows in everything.values()] == [13, 13, 26, 13, 13]

    done = county.restore(made.place)
    assert restored_from_ms(done.epoch) == made.taken_ms // 1000 * 1000
    assert done.told >= 2
    assert len(county.held()["patients"]) == 7
    # Nobody does anything: the announcement is enough for those the backup knows; any receipt for the others.
    county.kit("kit-new").save_patient(replace(county.kit("kit-new").patients()[0], phone="0994-0000101"))
    county.meet(random.Random(seed) if seed is not None else None)

    now = county.held()
    assert {table: set(rows) for table, rows in now.items()} == {table: set(rows) for table, rows in everything.items()}
    for table in ("observations", "recordings", "attachments", "encounters"):
        assert now[table] == everything[table], "bit by bit"
    with county.hub.reading() as c:
        once = c.exec_driver_sql("select count(*), count(distinct envelope_id) from inbox").one()
        assert once[0] == once[1]
        assert audit.first_broken(c) is None
    assert county.hub.quarantined() == []
    for name, kit in county.kits.items():
        assert kit.queue().total == kit.queue().quarantined == 0
        account = kit.account()
        assert account.posted == account.delivered == accounts[name].posted + (name == "kit-new")
        assert all(DeliveryState.RECEIVED in kit.delivery(o.id) for o in kit.observations())


def test_only_what_the_backup_lacks_is_offered_again(county: County) -> None:
    for _ in range(10):
        county.visit("kit-1")
    county.meet()
    county.clock.sleep(30 * DAY_S)
    made = backups.backup(county.hub, county.home / "backup.db")
    county.clock.sleep(DAY_S)
    county.visit("kit-1")
    county.meet()
    county.restore(made.place)
    for item in county.hub.due(FAR, 10):
        whole = county.hub.load(item.id)
        assert whole is not None
        county.kit("kit-1").accept([whole], county.clock.now_ms())
    assert len(county.kit("kit-1").due(FAR, 1000)) == 6, "one visit's values, not a month's waveforms over a radio"


def test_a_restore_twice_and_a_second_one_of_an_older_backup(county: County) -> None:
    county.visit("kit-1")
    county.meet()
    old = backups.backup(county.hub, county.home / "old.db")
    county.clock.sleep(3 * DAY_S)
    county.visit("kit-1")
    county.meet()
    new = backups.backup(county.hub, county.home / "new.db")
    county.clock.sleep(3 * DAY_S)
    county.visit("kit-1")
    county.meet()
    everything = county.held()
    epochs = {county.hub.epoch}
    for place in (new.place, new.place, old.place):
        county.restore(place)
        epochs.add(county.hub.epoch)
        county.meet()
        assert county.held() == everything
    assert len(epochs) == 4


def test_signed_reports_that_the_hub_lost_come_back_from_the_kit(county: County, heart: Practitioner) -> None:
    first, _, _ = county.visit("kit-1", RED)
    county.meet()
    kept = sign(county, heart, first, "三度房室传导阻滞")
    county.meet()
    county.clock.sleep(2 * DAY_S)
    made = backups.backup(county.hub, county.home / "backup.db")
    county.clock.sleep(2 * DAY_S)
    second, _, _ = county.visit("kit-1", RED)
    county.meet()
    lost = sign(county, heart, second, "窦性停搏")
    county.meet()
    kit = county.kit("kit-1")
    assert kit.read_report(lost.id, county.clock.now_ms())
    county.meet()

    county.restore(made.place)
    county.meet()
    with county.hub.reading() as c:
        assert returned.of_encounter(c, first.encounter_id) == (), "this one is here as it was signed"
        (copy,) = returned.of_encounter(c, second.encounter_id)
    assert copy.report == lost
    assert (copy.kit_id, copy.read_ms is not None) == ("kit-1", True)
    # Still open: only a person who may sign closes a case, never a kit.
    assert [row.item.encounter_id for row in Worklist(county.hub).rows()] == [second.encounter_id]
    assert Reports(county.hub).altered() == []
    again = sign(county, heart, second, "窦性停搏，同前")
    county.meet()
    assert {r.report.id for r in kit.inbox()} == {kept.id, lost.id, again.id}
    # Given back a second time, after another restore of the same backup, it is still one.
    county.restore(made.place)
    county.meet()
    with county.hub.reading() as c:
        assert {r.report.id for r in returned.of_encounter(c, second.encounter_id)} == {lost.id, again.id}
        assert audit.first_broken(c) is None


def test_a_forged_copy_of_a_report_never_replaces_the_signed_one(county: County, heart: Practitioner) -> None:
    from zhenbao.model.report import ReturnedReport
    from zhenbao.sync.envelope import Envelope, Lane, pack

    ecg, _, _ = county.visit("kit-1", RED)
    county.meet()
    signed = sign(county, heart, ecg, "三度房室传导阻滞")

    def give_back(report: Report) -> str:
        body = pack(ReturnedReport(report, 1, None))
        item = Envelope(uuid4(), "kit-1", "hub", "b", 999, "returned-report", Lane.REPORTS, report.id, 1, body)
        return county.hub.accept([item], county.clock.now_ms())[0].refused

    assert give_back(signed) == ""
    assert give_back(replace(signed, conclusion="一切正常")) == ""
    assert give_back(replace(signed, conclusion="一切都好")) == "other-body"
    (row,) = Worklist(county.hub).rows(shown="archive")
    (shown,) = Worklist(county.hub).look(row.item.id, heart)[0].reports
    assert shown.conclusion == "三度房室传导阻滞"


def test_a_backup_is_taken_beside_a_running_hub_and_is_for_its_owner_only(county: County) -> None:
    county.visit("kit-1")
    county.meet()
    made = backups.backup(county.hub, county.home / "backup.db")
    assert stat.S_IMODE(made.place.stat().st_mode) == 0o600
    county.visit("kit-1")
    county.meet()
    with sqlite3.connect(made.place) as raw:
        assert raw.execute("select count(*) from observations").fetchone() == (2,)
        assert raw.execute("pragma integrity_check").fetchone() == ("ok",)
    raw.close()
    with pytest.raises(InputError, match="hub-backup-exists"):
        backups.backup(county.hub, made.place)
    assert backups.last_backup_ms(county.hub) == made.taken_ms


def test_a_running_hub_is_not_restored_over(county: County) -> None:
    made = backups.backup(county.hub, county.home / "backup.db")
    with pytest.raises(StorageError, match="hub-running"):
        backups.restore(made.place, county.home / "hub.db", county.clock, load_roster())


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "absent", "another"])
def test_a_bad_backup_changes_nothing(county: County, damage: str) -> None:
    county.visit("kit-1")
    county.meet()
    made = backups.backup(county.hub, county.home / "backup.db")
    content = made.place.read_bytes()
    if damage == "absent":
        made.place.unlink()
    elif damage == "another":
        made.place.unlink()
        with sqlite3.connect(made.place) as raw:
            raw.execute("create table meta (key text, value text)")
        raw.close()
    else:
        made.place.write_bytes({"cut": content[: len(content) // 2], "noise": os.urandom(9000), "empty": b""}[damage])
    before = county.held()
    county.hub.close()
    with pytest.raises(InputError, match="hub-backup-file"):
        backups.restore(made.place, county.home / "hub.db", county.clock, load_roster())
    county.hub = county.opened()
    assert county.held() == before
    assert list(county.home.glob("*restor*")) == []


def test_the_database_from_before_is_kept_whole(county: County) -> None:
    made = backups.backup(county.hub, county.home / "backup.db")
    county.visit("kit-1")
    county.meet()
    before = county.held()
    done = county.restore(made.place)
    county.hub.close()
    (county.home / "hub.db").unlink()
    (county.home / done.set_aside).rename(county.home / "hub.db")
    county.hub = county.opened()
    assert county.held() == before


def test_kits_are_told_how_often_the_hub_is_backed_up(county: County) -> None:
    county.visit("kit-1")
    county.meet()
    assert backups.promise(county.hub, 48) >= 1
    county.visit("kit-2")  # comes later
    county.meet()
    county.meet()
    assert [county.kit(name).setting("hub_backup_hours") for name in ("kit-1", "kit-2")] == ["48", "48"]
    assert backups.promise(county.hub, 48) == 0, "told once"
    with pytest.raises(InputError, match="hub-backup-hours"):
        backups.promise(county.hub, 0)
