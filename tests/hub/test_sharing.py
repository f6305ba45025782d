"""Sideways only by a request that the other unit agrees to, for a time; a withdrawn consent ends it at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from zhenbao.hub import consent, sharing
from zhenbao.hub.access import break_glass
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, organisations, shares
from zhenbao.hub.store.organisations import Organisation
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from conftest import HandClock, KitVoice

    from zhenbao.hub.permission import Role
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

NUMBER = "99999919480101002X"
YELLOW = Finding("BP04", Urgency.YELLOW, source="a guideline")
WHY = "患者转到本院，需要以前的心电图"


class County:
    """Two consortia; one person with a case in a village of each, and another case of somebody else in the west."""

    def __init__(self, store: HubStore, kit: KitVoice, worklist: Worklist) -> None:
        self.store = store
        with store.writing() as connection:
            for unit in (
                Organisation("hospital-e", "东部医院", "county", None, "东部医共体"),
                Organisation("hospital-w", "西部医院", "county", None, "西部医共体"),
                Organisation("east", "东乡卫生院", "township", "hospital-e", "东部医共体"),
                Organisation("west", "西乡卫生院", "township", "hospital-w", "西部医共体"),
                Organisation("east-1", "东一村卫生室", "village", "east"),
                Organisation("west-1", "西一村卫生室", "village", "west"),
                Organisation("west-2", "西二村养老院", "care-home", "west"),
            ):
                organisations.add(connection, unit)
            for kit_id, org in (("kit-e", "east-1"), ("kit-w", "west-1"), ("kit-x", "west-2")):
                organisations.place_kit(connection, kit_id, org, store.clock.now_ms())
        self.here = self.visit(kit, worklist, "kit-e", NUMBER)
        self.there = self.visit(kit, worklist, "kit-w", NUMBER)
        self.other = self.visit(kit, worklist, "kit-x", "999999196001010020")
        self.asker = self.person("t-east", "township-doctor", "east", "general-practice")
        self.owner = self.person("t-west", "township-doctor", "west", "general-practice")

    def visit(self, kit: KitVoice, worklist: Worklist, kit_id: str, number: str) -> UUID:
        voice = replace(kit, kit_id=kit_id)
        patient = voice.patient("演示患者甲", number)
        encounter = voice.encounter(patient, chest_pain="no")
        voice.send(patient, encounter, voice.observation(encounter, YELLOW))
        return next(r.item.id for r in worklist.rows() if r.item.encounter_id == encounter.id)

    def person(self, login: str, role: Role, org: str, specialty: str | None = None) -> Practitioner:
        return add_practitioner(
            self.store, login, name="演示人员", role=role, specialty=specialty, phone="", password="correct horse",
            org_id=org,
        )  # fmt: skip


@pytest.fixture
def county(store: HubStore, kit: KitVoice, worklist: Worklist) -> County:
    return County(store, kit, worklist)


def ask(county: County, days: int = 7) -> shares.ShareRequest:
    (request,) = sharing.ask(county.store, county.here, county.asker, reason=WHY, days=days)
    return request


def opens(worklist: Worklist, case_id: UUID, person: Practitioner) -> bool:
    item = next(row.item for row in (*worklist.rows(), *worklist.rows(shown="archive")) if row.item.id == case_id)
    if worklist.viewer(person).denial("open", item) is None:
        worklist.look(case_id, person)
        return True
    with pytest.raises(InputError, match="denied-"):
        worklist.look(case_id, person)
    return False


def test_an_agreed_request_opens_that_unit_s_cases_of_that_person_and_nothing_else_for_its_days(
    county: County, worklist: Worklist, clock: HandClock, kit: KitVoice
) -> None:
    assert not opens(worklist, county.there, county.asker)
    request = ask(county)
    assert (request.owner_org, request.state) == ("west-1", "asked")
    assert not opens(worklist, county.there, county.asker), "asking opens nothing"
    done = sharing.decide(county.store, request.id, county.owner, approve=True, days=3)
    assert opens(worklist, county.there, county.asker)
    assert not opens(worklist, county.other, county.asker)
    assert county.there in {row.item.id for row in worklist.rows(county.asker)}
    elsewhere = county.visit(kit, worklist, "kit-x", NUMBER)
    assert not opens(worklist, elsewhere, county.asker), "another unit was not asked"
    assert elsewhere not in {row.item.id for row in worklist.rows(county.asker)}
    assert not opens(worklist, county.here, county.owner), "it is no exchange"
    clock.pass_minutes(3 * 24 * 60)
    assert done.state_at(clock.ms) == "ended"
    assert not opens(worklist, county.there, county.asker)
    assert county.there not in {row.item.id for row in worklist.rows(county.asker)}


def test_the_same_ids_in_another_unit_stay_closed(
    county: County, worklist: Worklist, store: HubStore, kit: KitVoice, clock: HandClock
) -> None:
    """A kit that moved has cases of one patient id in two units: each unit agrees for itself."""
    request = ask(county)
    with store.writing() as connection:
        organisations.place_kit(connection, "kit-w", "west-2", clock.ms)
    item = next(row.item for row in worklist.rows() if row.item.id == county.there)
    voice = replace(kit, kit_id="kit-w")
    encounter = replace(voice.encounter(voice.patient()), patient_id=item.patient_id)
    voice.send(encounter, voice.observation(encounter, YELLOW))
    moved = next(r.item.id for r in worklist.rows() if r.item.encounter_id == encounter.id)
    sharing.decide(store, request.id, county.owner, approve=True)
    assert opens(worklist, county.there, county.asker)
    assert not opens(worklist, moved, county.asker)
    assert moved not in {row.item.id for row in worklist.rows(county.asker)}
    assert not any(visit.item.id == moved for visit in worklist.look(county.there, county.asker)[0].earlier)


def test_every_step_stands_in_the_audit_and_names_no_patient(county: County, store: HubStore) -> None:
    request = ask(county)
    sharing.decide(store, request.id, county.owner, approve=True)
    sharing.finish(store, request.id, county.asker)
    with store.reading() as connection:
        rows = [row for row in audit.rows(connection, 50) if row.action.startswith("share-")]
    assert [(row.action, row.actor) for row in reversed(rows)] == [
        ("share-asked", "t-east"),
        ("share-approved", "t-west"),
        ("share-ended", "t-east"),
    ]
    assert not any(WHY in str(row) or NUMBER in str(row) for row in rows)


def test_only_the_unit_that_has_the_records_decides_and_nobody_on_their_own_request(
    county: County, store: HubStore
) -> None:
    request = ask(county)
    stranger = county.person("d-east", "director", "hospital-e")
    for person, code in (
        (county.asker, "share-unknown"),
        (stranger, "share-unknown"),
        (county.person("desk", "operator", "hospital-w"), "denied-role"),
    ):
        with pytest.raises(InputError, match=code):
            sharing.decide(store, request.id, person, approve=True)
    village = county.person("v-west", "village-doctor", "west-1")
    assert sharing.decide(store, request.id, village, approve=True).state == "approved"
    both = county.person("both", "township-doctor", "county", "general-practice")
    assert both.org_id == "county"
    with pytest.raises(InputError, match="share-settled"):
        sharing.decide(store, request.id, county.owner, approve=False, note="已经同意过了吗")


def test_who_stands_above_both_still_does_not_decide_on_their_own_request(
    store: HubStore, kit: KitVoice, clock: HandClock
) -> None:
    with store.writing() as connection:
        own = shares.ask(connection, "boss", "county", UUID(int=1), "county", WHY, 3, clock.ms)
    boss = add_practitioner(
        store, "boss", name="演示人员", role="director", specialty=None, phone="", password="correct horse"
    )
    with pytest.raises(InputError, match="share-own"):
        sharing.decide(store, own.id, boss, approve=True)


def test_refused_withdrawn_ended_and_lapsed(county: County, store: HubStore, clock: HandClock) -> None:
    first = ask(county)
    with pytest.raises(InputError, match="share-nothing"):
        ask(county)
    with pytest.raises(InputError, match="share-reason"):
        sharing.decide(store, first.id, county.owner, approve=False)
    assert sharing.decide(store, first.id, county.owner, approve=False, note="没有看到转诊记录").state == "refused"
    second = ask(county)
    assert sharing.finish(store, second.id, county.asker).state == "withdrawn"
    third = ask(county)
    sharing.decide(store, third.id, county.owner, approve=True)
    assert sharing.finish(store, third.id, county.owner).state == "ended", "the owner may end it early"
    fourth = ask(county)
    clock.pass_minutes(shares.LAPSES_DAYS * 24 * 60)
    assert fourth.state_at(clock.ms) == "lapsed"
    with pytest.raises(InputError, match="share-settled"):
        sharing.decide(store, fourth.id, county.owner, approve=True)
    assert ask(county).state == "asked", "a lapsed one does not stand in the way"


@pytest.mark.parametrize(
    ("reason", "days", "code"), [("短", 7, "share-reason"), (WHY, 0, "share-days"), (WHY, 91, "share-days")]
)
def test_what_is_asked_must_make_sense(county: County, reason: str, days: int, code: str) -> None:
    with pytest.raises(InputError, match=code):
        sharing.ask(county.store, county.here, county.asker, reason=reason, days=days)


def test_longer_than_asked_is_never_agreed(county: County, store: HubStore) -> None:
    with pytest.raises(InputError, match="share-days"):
        sharing.decide(store, ask(county, 2).id, county.owner, approve=True, days=3)


def test_a_withdrawn_consent_ends_the_share_at_once_but_not_an_emergency_look(
    county: County, store: HubStore, worklist: Worklist
) -> None:
    request = ask(county)
    sharing.decide(store, request.id, county.owner, approve=True)
    said = {"by_name": "演示患者甲", "relation": "self", "how": "spoken", "witness": "演示见证人"}
    consent.note(store, county.there, county.owner, kind="county-sharing", given=False, **said)
    assert not opens(worklist, county.there, county.asker)
    with pytest.raises(InputError, match="share-consent"):
        ask(county)
    item = next(row.item for row in worklist.rows() if row.item.id == county.there)
    break_glass(store, county.asker, item.patient_id, "患者昏迷正在抢救")
    assert opens(worklist, county.there, county.asker)
    consent.note(store, county.there, county.owner, kind="county-sharing", given=True, **said)
    with store.reading() as connection:
        assert shares.find(connection, request.id).state == "ended", "what was ended stays ended"
