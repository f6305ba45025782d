"""Consent for each purpose by itself; and the one sentence for a family, with consent only."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from zhenbao.hub import consent
from zhenbao.hub.case_code import case_code
from zhenbao.hub.notify import family_to_file
from zhenbao.hub.store import audit, consents
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from conftest import HandClock, KitVoice

    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

SAID: dict[str, Any] = {"by_name": "演示患者甲", "relation": "self", "how": "signature", "form_number": "TY-0001"}
PHONE = "13800000000"


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist) -> UUID:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC19", Urgency.RED), code="ecg"))
    return worklist.rows()[0].item.id


@pytest.fixture
def patient_id(case_id: UUID, worklist: Worklist) -> UUID:
    return worklist.patient_of(case_id)


def state(store: HubStore, patient_id: UUID, kind: consents.Kind) -> bool | None:
    with store.reading() as connection:
        return consents.state(connection, patient_id, kind)


def test_each_purpose_is_its_own_and_the_newest_statement_counts(
    store: HubStore, heart: Practitioner, case_id: UUID, patient_id: UUID, clock: HandClock
) -> None:
    consent.note(store, case_id, heart, kind="research", given=True, **SAID)
    assert state(store, patient_id, "research") is True
    assert state(store, patient_id, "family-notice") is None
    clock.pass_minutes(1)
    consent.note(store, case_id, heart, kind="research", given=False, **SAID)
    assert state(store, patient_id, "research") is False
    with store.reading() as connection:
        assert not consent.may_use_for_research(connection, patient_id)
        kept = consents.of_patients(connection, [patient_id])
    assert [c.given for c in kept] == [True, False], "nothing is overwritten"
    assert (kept[0].form_number, kept[0].by_name, kept[0].noted_by) == ("TY-0001", "演示患者甲", "heart")


def test_a_paper_that_comes_late_does_not_undo_a_later_withdrawal(
    store: HubStore, heart: Practitioner, case_id: UUID, patient_id: UUID, clock: HandClock
) -> None:
    consent.note(store, case_id, heart, kind="research", given=False, **SAID)
    clock.pass_minutes(5)
    consent.note(store, case_id, heart, kind="research", given=True, days_ago=3, **SAID)
    assert state(store, patient_id, "research") is False


def test_it_holds_for_the_person_under_every_id(
    store: HubStore, heart: Practitioner, case_id: UUID, kit: KitVoice, worklist: Worklist
) -> None:
    consent.note(store, case_id, heart, kind="research", given=True, **SAID)
    again = kit.patient()
    encounter = kit.encounter(again)
    kit.send(again, encounter, kit.observation(encounter))
    assert state(store, again.id, "research") is True


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": "everything"}, "consent-fields"),
        ({"relation": "neighbour"}, "consent-fields"),
        ({"how": "nodded"}, "consent-fields"),
        ({"language": "xx"}, "consent-fields"),
        ({"days_ago": 32}, "consent-fields"),
        ({"days_ago": -1}, "consent-fields"),
        ({"by_name": " "}, "consent-name"),
        ({"form_number": ""}, "consent-form"),
        ({"how": "spoken", "form_number": ""}, "consent-witness"),
        ({"how": "thumbprint"}, "consent-witness"),
    ],
)
def test_who_how_and_the_proof_are_needed(
    store: HubStore, heart: Practitioner, case_id: UUID, change: dict[str, object], code: str
) -> None:
    with pytest.raises(InputError, match=code):
        consent.note(store, case_id, heart, **({"kind": "research", "given": True} | SAID | change))


def test_a_child_s_guardian_consents_and_a_child_may_refuse(
    store: HubStore, heart: Practitioner, kit: KitVoice, worklist: Worklist
) -> None:
    child = kit.patient("演示患者丙", "999999201606150038")
    encounter = kit.encounter(child)
    kit.send(child, encounter, kit.observation(encounter, Finding("EC19", Urgency.RED), code="ecg"))
    case = worklist.rows()[0].item.id
    with pytest.raises(InputError, match="consent-guardian"):
        consent.note(store, case, heart, kind="research", given=True, **SAID)
    consent.note(store, case, heart, kind="research", given=True, **(SAID | {"relation": "guardian"}))
    consent.note(store, case, heart, kind="research", given=False, **SAID)


def test_who_has_no_right_writes_nothing_down(
    store: HubStore, lungs: Practitioner, desk: Practitioner, case_id: UUID
) -> None:
    for person, code in ((lungs, "denied-unassigned"), (desk, "denied-role")):
        with pytest.raises(InputError, match=code):
            consent.note(store, case_id, person, kind="research", given=True, **SAID)
        with pytest.raises(InputError, match=code):
            consent.tell_family(store, case_id, person, lambda *_: pytest.fail("sent"))


def test_a_family_is_told_one_sentence_and_only_with_consent(
    store: HubStore, heart: Practitioner, case_id: UUID, tmp_path: Path, clock: HandClock
) -> None:
    file = tmp_path / "family.jsonl"
    send = family_to_file(file, clock)
    contact = {"name": "演示家属", "relation": "child", "phone": PHONE}
    with pytest.raises(InputError, match="family-consent"):
        consent.set_contact(store, case_id, heart, **contact)
    with pytest.raises(InputError, match="family-consent"):
        consent.tell_family(store, case_id, heart, send)
    consent.note(store, case_id, heart, kind="family-notice", given=True, **SAID)
    with pytest.raises(InputError, match="family-nobody"):
        consent.tell_family(store, case_id, heart, send)
    consent.set_contact(store, case_id, heart, **contact)
    with pytest.raises(InputError, match="family-off"):
        consent.tell_family(store, case_id, heart, None)
    assert not file.exists()
    consent.tell_family(store, case_id, heart, send)
    (line,) = file.read_text(encoding="utf-8").splitlines()
    told = json.loads(line)
    assert told == {
        "at_ms": clock.ms,
        "code": case_code(case_id),
        "phone": PHONE,
        "text": "【诊包】您的家人最近做过检查，请您联系村医。",
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for private in ("演示患者甲", "99999919480101002X", "心", "35"):
        assert private not in told["text"]
    with store.reading() as connection:
        rows = audit.rows(connection, 5)
        assert rows[0].action == "family-told"
        assert PHONE not in str(rows)


def test_a_withdrawal_forgets_whom_to_tell_at_once(
    store: HubStore, heart: Practitioner, case_id: UUID, patient_id: UUID, clock: HandClock
) -> None:
    consent.note(store, case_id, heart, kind="family-notice", given=True, **SAID)
    consent.set_contact(store, case_id, heart, name="演示家属", relation="child", phone=PHONE)
    clock.pass_minutes(1)
    consent.note(store, case_id, heart, kind="family-notice", given=False, **SAID)
    with store.reading() as connection:
        assert consents.contact(connection, [patient_id]) is None
    with pytest.raises(InputError, match="family-consent"):
        consent.tell_family(store, case_id, heart, lambda *_: pytest.fail("sent"))


@pytest.mark.parametrize("phone", ["", "abc", "1", "138-0000-0000; rm", "+"])
def test_no_telephone_number(store: HubStore, heart: Practitioner, case_id: UUID, phone: str) -> None:
    consent.note(store, case_id, heart, kind="family-notice", given=True, **SAID)
    with pytest.raises(InputError, match="family-phone"):
        consent.set_contact(store, case_id, heart, name="演示家属", relation="child", phone=phone)


def test_a_message_that_cannot_be_written_is_said(tmp_path: Path, clock: HandClock) -> None:
    with pytest.raises(StorageError, match="family-write"):
        family_to_file(tmp_path / "missing" / "family.jsonl", clock)("ABC-DEFG", PHONE)
