"""Plays a story to the real hub by a clock that stands where it is put, and writes down what it did and what it saw.

``Played.log`` holds only what was done, never what the hub made of it: from this alone ``count`` knows what must be.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from county.seen import Eyes
from county.story import Event, Kit, Story
from sqlalchemy import select

from zhenbao import __version__
from zhenbao.hub import care_watch, chronic, loop, referral
from zhenbao.hub.reports import Reports
from zhenbao.hub.roster import Contact, Desk, Duty, Roster
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import HubStore, organisations, work
from zhenbao.hub.store.organisations import Organisation
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.report_forms import Form
from zhenbao.hub.store.tables import patients
from zhenbao.hub.watch import sweep
from zhenbao.hub.worklist import Worklist
from zhenbao.model.chronic import FollowUp
from zhenbao.model.ecg import LEADS, EcgAnalysis, EcgQuality
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.fleet import KitStatus
from zhenbao.model.identity import Sex
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.referral import DownForm, UpForm
from zhenbao.model.report import Receipt, ReportRead
from zhenbao.model.time import local_time
from zhenbao.sync.envelope import Body, Envelope, Lane, envelope_id, kind_of, pack

SPECIALTIES = ("cardiology", "emergency", "endocrinology", "respiratory", "general-practice", "geriatrics")
DESK_PHONE = "0994-0000000"
_DOWN = DownForm("演示诊断", "按方案随访", "每周测血压", physician="演示医师", physician_phone="0994-0000011")
_UP = UpForm("内科", "演示印象", "演示原因", consent=True, physician="演示医师", physician_phone="0994-0000051")
_TAKES = ("care-brief", "discharge-plan")


@dataclass
class Clock:
    """Stands where it was put."""

    ms: int

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000

    def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@dataclass
class Played:
    """What was done, and beside it what the hub answered."""

    story: Story
    log: list[Event] = field(default_factory=list)
    seen: dict[int, Any] = field(default_factory=dict)
    """By the place in the log of a look: what the hub said then."""
    end: dict[str, Any] = field(default_factory=dict)
    """What the hub has at the end."""

    @property
    def digest(self) -> str:
        """The same for the same number, whatever ids the hub drew."""
        text = json.dumps([[e.at_ms, e.kind, e.facts] for e in self.log], sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]


def play(story: Story, folder: Path, progress: Callable[[str], None] = lambda _: None) -> Played:
    """Play a story on a hub of its own.

    Args:
        folder: where its database lies.
    """
    clock = Clock(story.events[0].at_ms)
    store = HubStore(f"sqlite:///{folder / 'hub.db'}", clock, Roster(Desk(DESK_PHONE, "emergency")))
    try:
        return _Player(story, store, clock).run(progress)
    finally:
        store.close()


class _Player:
    def __init__(self, story: Story, store: HubStore, clock: Clock) -> None:
        self.store, self.clock, self.played = store, clock, Played(story)
        self.rng = random.Random(story.seed)
        self.kits: dict[str, Kit] = {kit.key: kit for kit in story.kits}
        self.reports, self.worklist = Reports(store), Worklist(store)
        self.ids: dict[str, UUID] = {}
        self.sequence: defaultdict[str, int] = defaultdict(int)
        self.sent: defaultdict[str, list[Envelope]] = defaultdict(list)
        self.signed: defaultdict[str, list[tuple[str, UUID, str]]] = defaultdict(list)
        """By visit: name, id and stage of its reports."""
        self.fetched: dict[UUID, bool] = {}
        """By report: whether it was read."""
        self.people = self._settle(story)
        self.eyes = Eyes(store, self.ids, self.people)

    def run(self, progress: Callable[[str], None]) -> Played:
        for n, event in enumerate(self.played.story.events):
            if n % 5000 == 0:
                progress(f"{n} of {len(self.played.story.events)} events")
            self.clock.ms = event.at_ms
            done = getattr(self, "_" + event.kind.replace("-", "_"))(**event.facts)
            if done is not None:
                self.played.log.append(Event(event.at_ms, event.kind, done))
                if (seen := self.eyes.last) is not None:
                    self.played.seen[len(self.played.log) - 1], self.eyes.last = seen, None
        self.clock.ms = self.played.story.end_ms
        self.played.end = self.eyes.end(self.played.story)
        return self.played

    def _settle(self, story: Story) -> dict[str, Practitioner]:
        now_ms = self.clock.now_ms()
        with self.store.writing() as connection:
            for id_, kind, parent, group in story.orgs:
                organisations.add(
                    connection, Organisation(id_, f"演示{id_}", organisations.check_kind(kind), parent, group)
                )
            for kit in story.kits:
                organisations.place_kit(connection, kit.key, kit.org, now_ms)

        def person(login: str, role: Any, specialty: str | None = None, org: str = "county") -> Practitioner:
            return add_practitioner(
                self.store, login, name="演示医师", role=role, specialty=specialty, phone="", org_id=org,
                password="correct horse battery",
            )  # fmt: skip

        made = [person(f"{s}-1", "specialist", s) for s in SPECIALTIES]
        made += [person("desk", "operator")]
        for org in (id_ for id_, kind, _, _ in story.orgs if kind == "township"):
            made.append(person(f"doctor-{org}", "township-doctor", "general-practice", org))
        return {p.login: p for p in made}

    def _id(self, key: str) -> UUID:
        if key not in self.ids:
            self.ids[key] = uuid7(self.clock.now_ms(), self.rng.getrandbits)
        return self.ids[key]

    # What kits do

    def _batch(self, kit: str, parts: list[dict[str, Any]]) -> dict[str, Any] | None:
        ahead_ms = self.kits[kit].ahead_ms(self.clock.ms)
        envelopes: list[Envelope] = []
        told = []
        for part in parts:
            if part["what"] == "repeat":
                again = self.sent[part["visit"]]
                envelopes += again
                told += [part | {"count": len(again)}] if again else []
                continue
            made = self._part(kit, part)
            for value, known in made:
                envelope = self._envelope(kit, value, ahead_ms)
                envelopes.append(envelope)
                told.append(known)
                if part["what"] in ("patient", "encounter", "reading"):
                    self.sent[part.get("visit", "")].append(envelope)
        if not envelopes:
            return None
        receipts = self.store.accept(envelopes, self.clock.ms)
        assert [r.envelope_id for r in receipts] == [e.id for e in envelopes], "a receipt for each, in order"
        return {"kit": kit, "ahead_ms": ahead_ms, "parts": told}

    def _part(self, kit: str, part: dict[str, Any]) -> list[tuple[Body, dict[str, Any]]]:
        told = self.kits[kit].ahead_ms
        if part["what"] == "read":
            found: list[tuple[Body, dict[str, Any]]] = []
            for name, id_, _ in self.signed[part["visit"]]:
                if self.fetched.get(id_) is False:
                    self.fetched[id_] = True
                    found.append((ReportRead(id_, part["at_ms"]), part | {"report": name}))
            return found
        if part["what"] == "reading":
            ahead_ms = told(part["at_ms"])
            return [(self._observation(kit, part, part["at_ms"] + ahead_ms), part | {"taken_ahead_ms": ahead_ms})]
        if part["what"] == "forged":
            reading = {"visit": part["visit"], "reading": f"{part['visit']}-x", "patient": "nobody", "code": "bp"}
            return [(self._observation("kit-other", reading | {"found": []}, self.clock.ms), part)]
        if part["what"] == "patient":
            return [(self._patient(part), part)]
        if part["what"] == "encounter":
            started_ms = part["at_ms"] + told(part["at_ms"])
            encounter = Encounter(
                self._id(part["visit"]), self._id(part["patient"]), kit, started_ms, "演示", part["pain"]
            )
            return [(encounter, part | {"started_ms": started_ms})]
        if part["what"] == "status":
            return [(self._kit_status(kit, part), part)]
        on = local_time(part["at_ms"]).date()
        made = FollowUp(
            self._id(part["follow-up"]), self._id(part["patient"]), part["disease"], "village", part["disease"], 1,
            part["at_ms"] + told(part["at_ms"]), {}, part["outcome"], on + timedelta(days=part["days"]), kit_id=kit,
        )  # fmt: skip
        return [(made, part | {"taken_ahead_ms": told(part["at_ms"])})]

    def _envelope(self, kit: str, value: Body, ahead_ms: int) -> Envelope:
        self.sequence[kit] += 1
        number = self.sequence[kit]
        subject = getattr(value, "id", None) or getattr(value, "report_id", None) or UUID(int=0)
        return Envelope(
            envelope_id(kit, "boot-1", number), kit, "hub", "boot-1", number, kind_of(value), Lane.RESULTS, subject,
            self.clock.ms + ahead_ms, pack(value), ahead_ms,
        )  # fmt: skip

    def _patient(self, part: dict[str, Any]) -> Patient:
        number = int(part["person"][1:])
        digits = f"9999{number // 1000:02d}{part['born']}0101{number % 1000:03d}"
        weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
        check = "10X98765432"[sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11]
        sex = Sex.MALE if int(digits[16]) % 2 else Sex.FEMALE
        name = f"演示患者{number}"
        return Patient(self._id(part["patient"]), name, sex, date(part["born"], 1, 1), digits + check)

    def _observation(self, kit: str, part: dict[str, Any], effective_ms: int) -> Observation:
        findings = tuple(
            Finding(
                rule.rstrip("?"), Urgency(urgency), (), "a source", "undetermined" if rule.endswith("?") else "present"
            )
            for rule, urgency in part["found"]
        )
        reading = Observation(
            self._id(part["reading"]), self._id(part["patient"]), self._id(part["visit"]), kit, part["code"],
            "preliminary", effective_ms, Device("示例", "示例厂", "1", "SN1"), _VALUES[part["code"]], findings=findings,
        )  # fmt: skip
        if part["code"] != "ecg":
            return reading
        quality = EcgQuality(part["acceptable"], 0.9)
        analysis = EcgAnalysis(500.0, LEADS, (125,), ("?",), 60.0, "not-judged", {}, None, findings, quality)
        return replace(reading, ecg=analysis)

    def _kit_status(self, kit: str, part: dict[str, Any]) -> KitStatus:
        made_ms = self.clock.ms + self.kits[kit].ahead_ms(self.clock.ms)
        oldest_ms = None if part["oldest_h"] is None else made_ms - part["oldest_h"] * 3_600_000
        return KitStatus(
            uuid7(self.clock.ms, self.rng.getrandbits), made_ms, __version__, _TAKES if int(kit[4:]) % 3 == 0 else (),
            part["battery"], part["mains"], {}, oldest_ms, part["refused"], None, None, part["free_mb"],
        )  # fmt: skip

    def _fetch(self, kit: str, refuse: bool) -> dict[str, Any] | None:
        waiting = [w for w in self.store.due(self.clock.ms, 1_000_000) if w.recipient == kit]
        names = {id_: name for reports in self.signed.values() for name, id_, _ in reports} if waiting else {}
        receipts, taken = [], []
        for item in waiting:
            refused = "report-recordings" if refuse and item.kind == "report" else ""
            receipts.append(Receipt(item.id, item.body_sha256, "kit-epoch", self.clock.ms, refused=refused))
            if item.kind == "report":
                taken.append(names[item.subject_id])
                if not refused:
                    self.fetched[item.subject_id] = False
        if receipts:
            self.store.receipted(receipts)
        return {"kit": kit, "reports": taken, "refused": refuse} if taken else None

    # What people do

    def _case(self, visit: str) -> work.WorkItem | None:
        with self.store.reading() as connection:
            return work.of_encounter(connection, self._id(visit))

    def _open(self, visit: str) -> dict[str, Any] | None:
        case = self._case(visit)
        if case is None or case.specialty is None:
            return None
        login = f"{case.specialty}-1"
        self.worklist.open_case(case.id, self.people[login])
        return {"visit": visit, "login": login}

    def _sign(self, visit: str, said: str, stage: str) -> dict[str, Any] | None:
        case, before = self._case(visit), self.signed[visit]
        final = [report for report in before if report[2] != "preliminary"]
        if case is None or case.specialty is None or case.status != ("reported" if stage == "amended" else "open"):
            return None
        if (stage == "preliminary" and final) or (stage == "amended" and not final):
            return None
        login = f"{case.specialty}-1"
        if stage != "amended":
            # Whoever signs has opened it, if not everything of it: what came since stays for the next report.
            opened = self._known_to(visit, login)
            if not opened:
                self.worklist.open_case(case.id, self.people[login])
                self.played.log.append(Event(self.clock.ms, "open", {"visit": visit, "login": login}))
        elif not self._known_to(visit, login):
            return None
        form = Form(stage, amends_id=final[-1][1], reason="更正结论") if stage == "amended" else Form(stage)  # type: ignore[arg-type]
        report = self.reports.sign(
            case.id, self.people[login], conclusion="演示结论", advice="演示建议", urgency=said,
            after=before[-1][1] if before else None, form=form,
        )  # fmt: skip
        name = f"{visit}#{len(before) + 1}"
        self.signed[visit].append((name, report.id, stage))
        return {"visit": visit, "report": name, "login": login, "said": said, "stage": stage}

    def _known_to(self, visit: str, login: str) -> bool:
        """Whether they opened it since it became theirs: by the log, as a person would remember."""
        return self.eyes.viewed(self._id(visit), login)

    def _loop(self, visit: str, step: str, channel: str, ago_min: int) -> dict[str, Any] | None:
        case = self._case(visit)
        if case is None or case.specialty is None:
            return None
        try:
            loop.note(
                self.store, case.id, self.people["desk"], step=step, person="村医甲", channel=channel, text="已复述",
                minutes_ago=ago_min,
            )  # fmt: skip
            self.eyes.last = True
        except InputError as error:
            # A step before it is missing: the hub says so, and the count must say so too.
            if error.code != "loop-order":
                raise
            self.eyes.last = False
        return {"visit": visit, "step": step, "ago_min": ago_min}

    def _refer(self, visit: str, referral: str) -> dict[str, Any] | None:
        from zhenbao.hub import referral as referrals

        case = self._case(visit)
        patient = None if case is None else self.eyes.on_the_way(case.patient_id)
        if case is None or patient:
            return None
        township = case.org_id.partition("-")[0]
        made = referrals.write(self.store, case.id, self.people[f"doctor-{township}"], to_org="county", form=_UP)
        self.ids[referral] = made.id
        return {"visit": visit, "referral": referral, "from": township, "to": "county"}

    def _referral_step(self, referral: str, state: str) -> dict[str, Any] | None:
        if referral not in self.ids:
            return None
        return self._move_referral(referral, state)

    def _move_referral(self, name: str, state: str) -> dict[str, Any]:
        with self.store.reading() as connection:
            from zhenbao.hub.store import referrals

            known = referrals.find(connection, self.ids[name])
        assert known is not None
        by = known.from_org if state in ("village-received", "followed-up", "withdrawn") else known.to_org
        person = self.people["cardiology-1" if by == "county" else f"doctor-{by}"]
        note = "演示原因" if state in ("refused", "withdrawn") else ""
        referral.move(self.store, known.id, person, state, note=note, down=_DOWN if state == "returned" else None)
        return {"referral": name, "state": state}

    def _enter(self, patient: str, disease: str) -> dict[str, Any] | None:
        id_ = self.ids.get(patient)
        with self.store.reading() as connection:
            there = connection.execute(select(patients.c.id).where(patients.c.id == id_)).first()
            if id_ is None or there is None:
                return None
            units = self.eyes.places(connection, id_)
        township = units[0].partition("-")[0]
        entries = self.eyes.registers(id_)
        if disease in entries:
            return None
        by = self.people[f"doctor-{township}"]
        chronic.enter(self.store, id_, by, disease=disease, org_id=units[0], ground="演示依据")
        return {"patient": patient, "disease": disease, "org": units[0]}

    # What nobody does for a patient

    def _roster(self, duty: list[Any], contact: list[Any]) -> dict[str, Any]:
        rows = tuple(Duty(s, first, f"1-{first}", second, f"1-{second}", hours) for s, first, second, hours in duty)
        contacts = tuple(Contact(to, f"2-{login}", login, org, spec) for to, org, spec, login in contact)
        self.store.roster = Roster(Desk(DESK_PHONE, "emergency"), rows, (), contacts)
        return {"duty": duty, "contact": contact}

    def _move(self, kit: str, org: str) -> dict[str, Any]:
        with self.store.writing() as connection:
            organisations.place_kit(connection, kit, org, self.clock.ms)
        return {"kit": kit, "org": org}

    def _look(self) -> dict[str, Any]:
        # Now and then another process looks at the same instant.
        self.eyes.calls(sweep(self.store), sweep(self.store) if self.rng.random() < 0.2 else [])
        return {}

    def _care(self) -> dict[str, Any]:
        care_watch.sweep(self.store)
        self.eyes.fleet()
        return {}

    def _check(self) -> dict[str, Any]:
        self.eyes.lists()
        return {}


_VALUES = {
    "bp": {"bp_systolic": Quantity(124, "mm[Hg]"), "bp_diastolic": Quantity(78, "mm[Hg]")},
    "glucose": {"glucose": Quantity(6.0, "mmol/L")},
    "ecg": {"heart_rate_ecg": Quantity(60, "/min")},
}
