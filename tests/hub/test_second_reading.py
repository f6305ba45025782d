"""Second reading: who is asked, who may not answer, and that a disagreement ends with a report."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import text

from zhenbao.hub import second_reading
from zhenbao.hub.second_reading import answer, drawn, sample_archive, share_of, waiting
from zhenbao.hub.store import audit, second_readings, thread
from zhenbao.hub.store.report_forms import Form
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

RED = Finding("EC19", Urgency.RED)


@pytest.fixture
def case_id(kit: KitVoice, worklist: Worklist, heart: Practitioner) -> UUID:
    patient = kit.patient()
    made = kit.encounter(patient)
    kit.send(patient, made, kit.observation(made, RED, code="ecg"))
    return worklist.open_case(worklist.rows()[0].item.id, heart).item.id


def test_the_policy_is_what_was_agreed() -> None:
    """Written down a second time: every critical report, 5 % of the others and of the archive."""
    assert {u: share_of(u).share for u in Urgency} == {
        Urgency.RED: 1.0,
        Urgency.ORANGE: 0.05,
        Urgency.YELLOW: 0.05,
        Urgency.BLUE: 0.05,
        Urgency.GREEN: 0.05,
    }
    raw = tomllib.loads(files("zhenbao.hub").joinpath("second_reading.toml").read_text(encoding="utf-8"))
    assert raw["archive"]["share"] == 0.05


def test_the_lot_is_even_and_never_changes() -> None:
    numbers = random.Random(7)
    ids = [UUID(int=numbers.getrandbits(128)) for _ in range(20_000)]
    hits = sum(drawn(id_, 0.05) for id_ in ids)
    assert 880 <= hits <= 1120, "five standard deviations around a twentieth"
    assert [drawn(id_, 0.05) for id_ in ids[:50]] == [drawn(id_, 0.05) for id_ in ids[:50]]
    assert all(drawn(id_, 1.0) for id_ in ids[:100])
    assert not any(drawn(id_, 0.0) for id_ in ids[:100])


def test_every_critical_report_is_asked_of_another_physician_of_the_specialty(
    store: HubStore, reports: Reports, heart: Practitioner, heart_2: Practitioner, lungs: Practitioner,
    desk: Practitioner, case_id: UUID
) -> None:  # fmt: skip
    report = reports.sign(case_id, heart, conclusion="三度房室阻滞", advice="呼120")
    (asked,) = waiting(store, heart_2)
    assert (asked.report_id, asked.first_login, asked.state) == (report.id, "heart", "asked")
    assert waiting(store, heart) == []
    assert waiting(store, lungs) == []
    with pytest.raises(InputError, match="denied-role"):
        waiting(store, desk)
    for person, code in ((heart, "second-self"), (lungs, "denied-unassigned"), (desk, "denied-role")):
        with pytest.raises(InputError, match=code):
            answer(store, asked.id, person, "agreed", "")
    with pytest.raises(InputError, match="second-unknown"):
        answer(store, UUID(int=1), heart_2, "agreed", "")
    assert answer(store, asked.id, heart_2, "agreed", "").state == "agreed"
    assert waiting(store, heart_2) == []
    with pytest.raises(InputError, match="second-answered"):
        answer(store, asked.id, heart_2, "disagreed", "导联看错了")


def test_a_preliminary_report_and_a_joint_specialist_s_are_not_asked_about(
    store: HubStore, reports: Reports, heart: Practitioner, heart_2: Practitioner, case_id: UUID
) -> None:
    first = reports.sign(case_id, heart, conclusion="初步", advice="呼120", form=Form("preliminary"))
    assert waiting(store, heart_2) == []
    reports.sign(case_id, heart, conclusion="正式", advice="呼120", after=first.id)
    assert len(waiting(store, heart_2)) == 1


def test_a_disagreement_says_why_is_told_to_the_case_and_ends_with_an_amended_report(
    store: HubStore, reports: Reports, worklist: Worklist, heart: Practitioner, heart_2: Practitioner, case_id: UUID
) -> None:
    first = reports.sign(case_id, heart, conclusion="正常", advice="观察")
    (asked,) = waiting(store, heart_2)
    with pytest.raises(InputError, match="second-note"):
        answer(store, asked.id, heart_2, "disagreed", " 错 ")
    answer(store, asked.id, heart_2, "disagreed", "V2 起 ST 抬高")
    with store.reading() as connection:
        assert [(p.kind, p.text) for p in thread.posts(connection, case_id)] == [("second", "V2 起 ST 抬高")]
        assert "V2" not in repr(audit.rows(connection, 20)), "what was said stays with the case"
    assert [r.state for r in waiting(store, heart_2)] == ["disagreed"], "not done with while no report follows"
    worklist.open_case(case_id, heart_2)
    extra = reports.sign(case_id, heart_2, conclusion="补充", advice="观察", after=first.id)
    assert [r.state for r in waiting(store, heart_2)] == ["disagreed"], "a supplement corrects nothing"
    form = Form("amended", amends_id=first.id, reason="复核意见不同")
    second = reports.sign(case_id, heart_2, conclusion="心梗", advice="呼120", after=extra.id, form=form)
    with store.reading() as connection:
        done = next(r for r in second_readings.of_case(connection, case_id) if r.id == first.id)
        assert (done.state, done.amended_id, done.reader) == ("amended", second.id, "heart-2")
        assert second.id not in {r.id for r in second_readings.of_case(connection, case_id)}, "two have looked already"
        actions = [row.action for row in audit.rows(connection, 20)]
        assert audit.first_broken(connection) is None
    assert {"second-asked", "second-disagreed", "second-amended"} <= set(actions)


@pytest.fixture
def archived(kit: KitVoice, store: HubStore, worklist: Worklist) -> UUID:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    observation, recording = kit.ecg(encounter)
    kit.send(patient, encounter, observation, recording)
    (row,) = worklist.rows(shown="archive")
    assert row.item.status == "archived"
    return row.item.id


def all_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = second_reading._policy()
    monkeypatch.setattr(second_reading, "_policy", lambda: raw | {"archive": raw["archive"] | {"share": 1.0}})


def test_the_archive_is_sampled_once_an_hour_and_each_case_once(
    kit: KitVoice, store: HubStore, archived: UUID, heart: Practitioner, clock: HandClock,
    monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    all_drawn(monkeypatch)
    assert sample_archive(store) == 1
    assert sample_archive(store) == 0
    other = replace(kit, kit_id="kit-002")
    patient = other.patient("样例患者乙", "999999195602290019")
    encounter = other.encounter(patient)
    other.send(patient, encounter, other.observation(encounter))
    assert sample_archive(store) == 0, "an hour has not passed"
    clock.pass_minutes(61)
    assert sample_archive(store) == 1
    (asked,) = waiting(store, heart)
    assert (asked.id, asked.sample, asked.report_id, asked.specialty) == (archived, "archive", None, "cardiology")


def test_who_is_asked_about_the_archive_may_open_it_and_answers_for_it_on_disagreeing(
    store: HubStore, archived: UUID, heart: Practitioner, heart_2: Practitioner, lungs: Practitioner,
    worklist: Worklist, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    all_drawn(monkeypatch)
    with pytest.raises(InputError, match="denied-unassigned"):
        worklist.open_case(archived, heart)
    sample_archive(store)
    assert worklist.open_case(archived, heart).item.id == archived
    with pytest.raises(InputError, match="denied-unassigned"):
        worklist.open_case(archived, lungs)
    with pytest.raises(InputError, match="denied-unassigned"):
        reports.sign(archived, heart, conclusion="心梗", advice="呼120")
    answer(store, archived, heart, "disagreed", "下壁 ST 抬高")
    worklist.open_case(archived, heart)
    report = reports.sign(archived, heart, conclusion="心梗", advice="呼120", urgency="RED")
    with store.reading() as connection:
        readings = second_readings.of_case(connection, archived)
    assert [(r.state, r.amended_id) for r in readings] == [("amended", report.id)]
    with pytest.raises(InputError, match="denied-unassigned"):
        worklist.open_case(archived, heart_2)


def test_agreeing_closes_the_door_again(
    store: HubStore, archived: UUID, heart: Practitioner, worklist: Worklist, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_drawn(monkeypatch)
    sample_archive(store)
    answer(store, archived, heart, "agreed", "")
    with pytest.raises(InputError, match="denied-unassigned"):
        worklist.open_case(archived, heart)


def test_the_lists_come_from_indexes(store: HubStore) -> None:
    with store.reading() as connection:
        for query in (
            "select * from second_readings where specialty = 'x' and state in ('asked','disagreed')"
            " and org_id in ('county') order by due_ms limit 200",
            "select * from second_readings where work_item_id = x'00'",
            "select * from work_items where status = 'archived' and ranked_ms > 5",
            "select * from report_forms where amends_id = x'00'",
            "select * from consults where work_item_id = x'00'",
            "select * from consults where expert = 'x' order by asked_ms desc limit 100",
            "select * from thread_posts where work_item_id = x'00' order by number",
            "select * from thread_seen where login = 'x' and work_item_id = x'00'",
        ):
            plan = " ".join(str(row) for row in connection.execute(text(f"explain query plan {query}")))
            assert "SEARCH" in plan, query
            assert "SCAN" not in plan, query
