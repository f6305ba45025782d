"""One case a visit, one lead, and others asked for their own readings: nobody's look stands for another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zhenbao.hub.server import add_practitioner
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.report import Viewed
from zhenbao.sync.envelope import unpack

if TYPE_CHECKING:
    from uuid import UUID

    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

SLOW = Finding("EC19", Urgency.RED)
OBSTRUCTIVE = Finding("SP03", Urgency.YELLOW)


@pytest.fixture
def lungs(store: HubStore) -> Practitioner:
    return add_practitioner(
        store,
        "lungs",
        name="演示医师丙",
        role="specialist",
        specialty="respiratory",
        phone="",
        password="correct horse",
    )


@pytest.fixture
def readings(kit: KitVoice) -> dict[str, UUID]:
    """A visit with a critical ECG and an obstructive spirometry."""
    patient = kit.patient()
    visit = kit.encounter(patient)
    ecg = kit.observation(visit, SLOW, code="ecg")
    blow = kit.observation(visit, OBSTRUCTIVE, code="spirometry")
    kit.send(patient, visit, ecg, blow)
    return {"ecg": ecg.id, "spirometry": blow.id}


def test_the_most_urgent_leads_and_the_other_specialty_is_asked(
    worklist: Worklist, readings: dict[str, UUID], heart: Practitioner, lungs: Practitioner
) -> None:
    (row,) = worklist.rows()
    assert (row.item.specialty, row.item.joint_specialties) == ("cardiology", ("respiratory",))
    assert [r.item.id for r in worklist.rows(lungs)] == [row.item.id]
    assert [r.item.id for r in worklist.rows(heart)] == [row.item.id]


def test_a_joint_look_stops_no_clock_and_counts_for_its_own_readings(
    worklist: Worklist, store: HubStore, clock: HandClock, readings: dict[str, UUID], lungs: Practitioner
) -> None:
    case = worklist.open_case(worklist.rows()[0].item.id, lungs)
    assert case.item.acknowledged_ms is None
    told = [v for e in store.due(clock.ms, 99) if isinstance(v := unpack(e.kind, store.load(e.id).body), Viewed)]
    assert [v.observation_ids for v in told] == [(readings["spirometry"],)]


def test_a_joint_report_covers_its_own_readings_and_leaves_the_case_to_its_lead(
    worklist: Worklist,
    reports: Reports,
    readings: dict[str, UUID],
    heart: Practitioner,
    lungs: Practitioner,
) -> None:
    case_id = worklist.rows()[0].item.id
    worklist.open_case(case_id, lungs)
    first = reports.sign(case_id, lungs, conclusion="阻塞", advice="吸入治疗随访")
    assert first.observation_ids == (readings["spirometry"],)
    (row,) = worklist.rows()
    assert (row.item.status, row.item.urgency) == ("open", Urgency.RED)
    worklist.open_case(case_id, heart)
    second = reports.sign(case_id, heart, conclusion="三度阻滞可能", advice="呼120", after=first.id)
    assert set(second.observation_ids) == set(readings.values())
    assert worklist.rows() == []


def test_who_is_not_asked_sees_nothing(worklist: Worklist, store: HubStore, readings: dict[str, UUID]) -> None:
    sugar = add_practitioner(
        store,
        "sugar",
        name="演示医师丁",
        role="specialist",
        specialty="endocrinology",
        phone="",
        password="correct horse",
    )
    assert worklist.rows(sugar) == []
    with pytest.raises(InputError, match="denied-unassigned"):
        worklist.open_case(worklist.rows()[0].item.id, sugar)
