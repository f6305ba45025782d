"""A person's own data: the whole of it for them, and a deletion that keeps what the law keeps, and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import select

from zhenbao.hub import consent, courses, privacy, referral
from zhenbao.hub.access import break_glass, viewer
from zhenbao.hub.person_export import export
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, briefs, organisations, person, records, referrals, terms, work
from zhenbao.hub.store.organisations import Organisation
from zhenbao.hub.watch import tasks
from zhenbao.model.attachment import Attachment, MediaType
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.referral import UpForm
from zhenbao.model.time import SystemClock
from zhenbao.words import Words

if TYPE_CHECKING:
    from conftest import HandClock, KitVoice

    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist
    from zhenbao.model.patient import Patient

NUMBER, NAME = "99999919480101002X", "演示患者甲"
SECRET = "窦性心动过缓独一无二"
RED = Finding("EC19", Urgency.RED, source="a list of critical values")
YEAR_MIN = 365.2425 * 24 * 60


@pytest.fixture
def officer(store: HubStore) -> Practitioner:
    return _person(store, "privacy-1", "privacy-officer")


@pytest.fixture
def director(store: HubStore) -> Practitioner:
    return _person(store, "director-1", "director")


def _person(store: HubStore, login: str, role: Any, org: str = "county") -> Practitioner:
    return add_practitioner(
        store, login, name="演示人员", role=role, specialty=None, phone="", password="correct horse", org_id=org
    )


@pytest.fixture
def patient(kit: KitVoice) -> Patient:
    return kit.patient(NAME, NUMBER, phone="13800000000")


@pytest.fixture
def case_id(
    kit: KitVoice, patient: Patient, worklist: Worklist, reports: Reports, heart: Practitioner, clock: HandClock
) -> UUID:
    """A visit with an ECG, its waveform, a picture, a signed report and a draft."""
    encounter = kit.encounter(patient, reason="头晕两天独一无二")
    observation, recording = kit.ecg(encounter, RED)
    content = b"%PDF-1.4 one of a kind"
    digest = hashlib.sha256(content).digest()
    file = Attachment(
        uuid7(clock.ms), encounter.id, patient.id, observation.id, MediaType.PDF, "报告", clock.ms, digest, content
    )
    kit.send(patient, encounter, observation, recording, file)
    case = next(r.item.id for r in worklist.rows() if r.item.encounter_id == encounter.id)
    worklist.open_case(case, heart)
    reports.sign(case, heart, conclusion=SECRET, advice="平卧，呼120", urgency="RED")
    return case


def record(store: HubStore, by: Practitioner, kind: str = "access", **more: Any) -> privacy.PrivacyRequest:
    given: dict[str, Any] = {
        "kind": kind,
        "number": NUMBER,
        "name": NAME,
        "asked_by": "演示患者甲",
        "relation": "self",
        "checked": "id-card",
        "reason": "本人不再需要保存",
    }
    return privacy.record(store, by, **(given | more))


def deletion(store: HubStore, officer: Practitioner, director: Practitioner) -> privacy.PrivacyRequest:
    request = record(store, officer, "deletion")
    privacy.decide(store, request.id, director, approve=True)
    return privacy.delete(store, request.id, officer)


def everything(store: HubStore) -> str:
    """All that lies in the database, as text."""
    with sqlite3.connect(store.database.url.database) as raw:
        raw.text_factory = lambda data: data.decode("utf-8", "replace")
        return "\n".join(raw.iterdump())


def as_hex(text: str) -> str:
    return text.encode().hex().upper()


def test_the_export_holds_the_whole_person_for_machines_and_for_people(
    store: HubStore, case_id: UUID, patient: Patient, heart: Practitioner
) -> None:
    consent.note(
        store, case_id, heart, kind="research", given=False, by_name=NAME, relation="self", how="spoken", witness="证人"
    )
    with zipfile.ZipFile(io.BytesIO(export(store, patient.id, Words("zh_CN")))) as archive:
        assert {"data.json", "index.html"} <= set(archive.namelist())
        data = json.loads(archive.read("data.json"))
        page = archive.read("index.html").decode()
    assert data["patient_versions"][0]["patient"]["resident_number"] == NUMBER
    (visit,) = data["visits"]
    assert visit["encounter"]["reason"] == "头晕两天独一无二"
    assert visit["reports"][0]["conclusion"] == SECRET
    assert visit["readings"][0][0]["findings"][0]["rule_id"] == "EC19"
    assert len(visit["recordings"][0]["samples"]) > 1000, "the waveform itself"
    assert data["consents"][0]["given"] is False
    assert {deed["action"] for deed in data["who_did_what"]} >= {"case-opened", "case-viewed"}
    assert any(deed["by"] == "演示医师甲" for deed in data["who_did_what"])
    for shown in (NAME, NUMBER, SECRET, "头晕两天独一无二", "<svg"):
        assert shown in page
    assert "<script" not in page


def test_what_others_wrote_is_no_markup_in_the_export(store: HubStore, kit: KitVoice, worklist: Worklist) -> None:
    one = kit.patient("<b>甲</b>", None)
    encounter = kit.encounter(one, reason="<script>x</script>")
    kit.send(one, encounter, kit.observation(encounter, RED, code="ecg"))
    with zipfile.ZipFile(io.BytesIO(export(store, one.id, Words("en")))) as archive:
        page = archive.read("index.html").decode()
    assert "<script>x" not in page
    assert "&lt;b&gt;" in page


def test_it_takes_two_people_and_each_step_once(
    store: HubStore, case_id: UUID, officer: Practitioner, director: Practitioner, heart: Practitioner
) -> None:
    request = record(store, officer)
    with pytest.raises(InputError, match="privacy-state"):
        privacy.begin_access(store, request.id, officer)
    with pytest.raises(InputError, match="denied-role"):
        privacy.decide(store, request.id, officer, approve=True)
    for stranger in (heart, _person(store, "admin-1", "admin")):
        with pytest.raises(InputError, match="denied-role"):
            record(store, stranger)
        with pytest.raises(InputError, match="denied-role"):
            privacy.listed(store, stranger)
    assert privacy.decide(store, request.id, director, approve=True).state == "approved"
    with pytest.raises(InputError, match="privacy-state"):
        privacy.delete(store, request.id, officer)
    assert privacy.begin_access(store, request.id, officer).state == "done"
    with pytest.raises(InputError, match="privacy-state"):
        privacy.begin_access(store, request.id, officer)
    with store.reading() as connection:
        rows = [(r.action, r.actor) for r in audit.rows(connection, 50) if r.action.startswith("privacy-")]
    assert rows[::-1] == [
        ("privacy-recorded", "privacy-1"),
        ("privacy-approved", "director-1"),
        ("privacy-exported", "privacy-1"),
    ]


def test_a_refused_request_goes_no_further(
    store: HubStore, case_id: UUID, officer: Practitioner, director: Practitioner
) -> None:
    request = record(store, officer)
    assert privacy.decide(store, request.id, director, approve=False).state == "refused"
    with pytest.raises(InputError, match="privacy-state"):
        privacy.begin_access(store, request.id, officer)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "演示患者乙"}, "privacy-nobody"),
        ({"number": "999999196001010020"}, "privacy-nobody"),
        ({"number": ""}, "privacy-nobody"),
        ({"kind": "copy"}, "privacy-fields"),
        ({"checked": "by-telephone"}, "privacy-fields"),
        ({"asked_by": ""}, "privacy-fields"),
        ({"kind": "deletion", "reason": ""}, "privacy-reason"),
    ],
)
def test_the_person_is_checked_before_anything_is_written(
    store: HubStore, case_id: UUID, officer: Practitioner, change: dict[str, str], code: str
) -> None:
    with pytest.raises(InputError, match=code):
        record(store, officer, **change)
    assert privacy.listed(store, officer) == []


def test_only_the_own_units_patients_and_requests(store: HubStore, case_id: UUID) -> None:
    with store.writing() as connection:
        organisations.add(connection, Organisation("hospital-w", "西部医院", "county", None, "西部医共体"))
    west = _person(store, "privacy-w", "privacy-officer", "hospital-w")
    with pytest.raises(InputError, match="privacy-nobody"):
        record(store, west)
    with pytest.raises(InputError, match="privacy-nobody"):
        record(store, west, number="", case_id=case_id)


def test_a_temporary_identity_is_named_by_a_case(
    store: HubStore, kit: KitVoice, worklist: Worklist, officer: Practitioner
) -> None:
    one = kit.patient("演示患者丁", None)
    encounter = kit.encounter(one)
    kit.send(one, encounter, kit.observation(encounter, RED, code="ecg"))
    case = worklist.rows()[0].item.id
    assert record(store, officer, number="", case_id=case, name="演示患者丁").patient_id == one.id


def test_nothing_is_deleted_under_treatment(
    store: HubStore, kit: KitVoice, officer: Practitioner, director: Practitioner, patient: Patient
) -> None:
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))
    with pytest.raises(InputError, match="privacy-treating"):
        deletion(store, officer, director)


def test_what_the_law_keeps_is_shown_to_nobody_but_in_an_emergency(
    store: HubStore, case_id: UUID, officer: Practitioner, director: Practitioner, heart: Practitioner,
    worklist: Worklist, patient: Patient, clock: HandClock, kit: KitVoice, reports: Reports,
) -> None:  # fmt: skip
    said = {"by_name": NAME, "relation": "self", "how": "spoken", "witness": "证人"}
    consent.note(store, case_id, heart, kind="family-notice", given=True, **said)
    consent.set_contact(store, case_id, heart, name="演示家属独一无二", relation="child", phone="13800000000")
    done = deletion(store, officer, director)
    outcome = done.result()
    assert (outcome["restricted"], outcome["kits"]) == (1, ["kit-001"])
    assert outcome["kept_until_ms"] >= clock.ms + 14.9 * YEAR_MIN * 60_000
    assert SECRET in everything(store), "the law keeps it"
    assert "演示家属独一无二" not in everything(store), "what is no record went at once"
    assert worklist.rows(heart, shown="archive") == []
    for look in (worklist.open_case, worklist.look):
        with pytest.raises(InputError, match="denied-restricted"):
            look(case_id, heart)
    with pytest.raises(InputError, match="denied-restricted"):
        reports.sign(case_id, heart, conclusion="x", advice="y")
    # They come again: the new visit is treated, the old one stays closed.
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))
    (fresh,) = worklist.rows(heart)
    assert worklist.look(fresh.item.id, heart)[0].earlier == ()
    break_glass(store, heart, patient.id, "患者昏迷正在抢救")
    assert worklist.look(case_id, heart)[0].reports[0].conclusion == SECRET
    assert done.state == "done"


def test_what_the_law_keeps_is_neither_compared_nor_told_to_kits(
    store: HubStore, case_id: UUID, officer: Practitioner, director: Practitioner, heart: Practitioner, patient: Patient
) -> None:
    def seen() -> tuple[int, int]:
        with store.reading() as connection:
            seer = viewer(connection, heart, store.clock.now_ms())
            taken, _ = courses.readings(connection, seer, [patient.id])
            return len(briefs.recent(connection, [patient.id], store.clock.now_ms())), len(taken)

    assert min(seen()) > 0
    deletion(store, officer, director)
    assert seen() == (0, 0)


def test_a_critical_reading_that_comes_after_a_restriction_is_seen(
    store: HubStore, case_id: UUID, officer: Practitioner, director: Practitioner, heart: Practitioner,
    worklist: Worklist, kit: KitVoice,
) -> None:  # fmt: skip
    """A kit that was out of reach sends another reading of the same visit."""
    deletion(store, officer, director)
    assert worklist.rows(heart) == []
    assert tasks(store) == []
    with store.reading() as connection:
        encounter = records.encounter(connection, work.find(connection, case_id).encounter_id)
    kit.send(kit.observation(encounter, Finding("EC16", Urgency.RED, source="x"), code="ecg"))
    (row,) = worklist.rows(heart)
    assert (row.item.id, row.item.status) == (case_id, "open")
    worklist.open_case(case_id, heart)


def test_a_referral_under_way_waits_and_an_ended_one_is_shown_to_nobody(
    store: HubStore, case_id: UUID, officer: Practitioner, director: Practitioner, heart: Practitioner
) -> None:
    with store.writing() as connection:
        organisations.add(connection, Organisation("hospital-p", "省级医院", "province"))
    form = UpForm("心内科", "三度房室传导阻滞", "黑矇", consent=True, physician="演示医师", physician_phone="1")
    made = referral.write(store, case_id, heart, to_org="hospital-p", form=form)
    with pytest.raises(InputError, match="privacy-treating"):
        deletion(store, officer, director)
    referral.move(store, made.id, heart, "withdrawn", note="患者未去")
    deletion(store, officer, director)
    with pytest.raises(InputError, match="referral-unknown"):
        referral.look(store, made.id, heart)
    with store.reading() as connection:
        assert referrals.of_orgs(connection, ["county"], ended=True) == []
        assert person.ids(connection, made.patient_id).referrals == (made.id,), "it is kept all the same"


def test_after_fifteen_years_everything_goes_and_the_chain_still_holds(
    store: HubStore, case_id: UUID, officer: Practitioner, director: Practitioner, heart: Practitioner,
    clock: HandClock, kit: KitVoice, reports: Reports, worklist: Worklist,
) -> None:  # fmt: skip
    other = kit.patient("演示患者乙", "999999196001010020")
    clock.pass_minutes(14.9 * YEAR_MIN)
    request = deletion(store, officer, director)
    assert request.result()["restricted"] == 1
    clock.pass_minutes(0.2 * YEAR_MIN)
    encounter = kit.encounter(other, reason="另一个人")
    kit.send(other, encounter, kit.observation(encounter, RED, code="ecg"))
    before = everything(store)
    for trace in (NAME, NUMBER, SECRET):
        assert trace in before or as_hex(trace) in before
    with store.reading() as connection:
        before_chain = audit.verify(connection)
    outcome = deletion(store, officer, director).result()
    assert outcome["restricted"] == 0
    assert outcome["deleted"] > 8
    after = everything(store)
    for trace in (SECRET, "头晕两天独一无二", NUMBER):
        assert trace not in after
        assert as_hex(trace) not in after
    assert str(case_id) not in after, "the audit says nothing of the case any more"
    assert "另一个人" in after or as_hex("另一个人") in after, "nobody else's went"
    with store.reading() as connection:
        chain = audit.verify(connection)
    assert chain.broken is None
    assert chain.redacted == outcome["redacted"] > 2
    assert chain.rows > before_chain.rows
    assert reports.altered() == []
    assert len(worklist.rows()) == 1


def test_emptying_rows_by_hand_is_found(store: HubStore, case_id: UUID) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql("update audit set subject = '', detail = '{}', redacted = 1 where number = 2")
    with store.reading() as connection:
        assert audit.first_broken(connection) == 2


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("update audit set actor = 'nobody' where number = 2", 2),
        ("update audit set at_ms = at_ms + 1 where number = 3", 3),
        ("update audit set detail = '{}' where number = 2", 2),
        ("update audit set hash = previous_hash where number = 2", 2),
        ("delete from audit where number = 2", 2),
        ("delete from audit where number = (select max(number) from audit)", None),
        ("delete from audit", 1),
    ],
)
def test_meddling_with_the_chain_is_found(store: HubStore, case_id: UUID, statement: str, broken: int | None) -> None:
    with store.writing() as connection:
        rows = audit.verify(connection).rows
        connection.exec_driver_sql(statement)
    with store.reading() as connection:
        assert audit.first_broken(connection) == (broken if broken is not None else rows)


def test_a_chain_that_was_written_anew_is_found_by_a_hash_kept_elsewhere(store: HubStore, case_id: UUID) -> None:
    """Whoever holds the whole database can write a whole new chain: only what was kept outside shows it."""
    with store.reading() as connection:
        kept = audit.rows(connection, 1)[0]
    with store.writing() as connection:
        connection.exec_driver_sql("delete from audit")
        terms.set_setting(connection, "audit", f"0:{audit.GENESIS}")
        for _ in range(kept.number + 3):
            audit.append(connection, 1, "hub", "case-opened", "case:x")
    with store.reading() as connection:
        assert audit.first_broken(connection) is None
        assert audit.verify(connection, known=[(kept.number, kept.hash)]).broken == kept.number
        assert audit.verify(connection, known=[(10_000, kept.hash)]).broken is not None, "it was longer once"


def test_how_long_things_are_kept_has_a_source() -> None:
    assert person.years_kept("record") == 15
    import tomllib

    table = tomllib.loads(Path(privacy.__file__).with_name("retention.toml").read_text(encoding="utf-8"))
    assert all(row["source"] for row in table.values())


def test_every_table_that_names_a_person_is_emptied(
    store: HubStore, case_id: UUID, officer: Practitioner, director: Practitioner, clock: HandClock, patient: Patient
) -> None:
    """Whatever column of whatever table holds one of the person's ids: only receipts and the request stay."""
    with store.reading() as connection:
        found = person.ids(connection, patient.id)
    ids = {i.hex for group in (found.patients, found.encounters, found.observations, found.recordings, found.cases,
                               found.reports) for i in group}  # fmt: skip
    clock.pass_minutes(15.1 * YEAR_MIN)
    deletion(store, officer, director)
    left = {line.split('"')[1] for line in everything(store).splitlines() if any(i in line for i in ids)}
    assert left <= {"inbox", "privacy_requests"}


def test_nothing_of_anybody_stays_in_a_hub_that_had_one_of_everything(tmp_path: Path) -> None:
    """A table that was forgotten shows here, also one that no single story fills."""
    from tests.hub.full_hub import filled
    from zhenbao.hub.store import HubStore as Store
    from zhenbao.hub.store.tables import patients

    now_ms = 1_800_000_000_000
    filled(tmp_path / "hub", now_ms=now_ms)
    store = Store(f"sqlite:///{tmp_path / 'hub' / 'hub.db'}", SystemClock())
    try:
        with store.writing() as connection:
            everybody = [person.ids(connection, id_) for id_ in connection.execute(select(patients.c.id)).scalars()]
            ids = {i.hex for found in everybody for group in found.by_key.values() for i in group}
            ids |= {i.hex for found in everybody for i in (*found.observations, *found.recordings, *found.referrals)}
            assert len(ids) > 20
            for found in everybody:
                subjects = found.subjects(connection)
                person.delete_record(connection, found)
                audit.redact(connection, now_ms, "privacy-1", subjects)
        lines = everything(store).splitlines()
        left = {line.split('"')[1] for line in lines if any(i in line.replace("-", "").lower() for i in ids)}
        assert left <= {"inbox", "privacy_requests"}
        with store.reading() as connection:
            assert audit.verify(connection).broken is None
    finally:
        store.close()
