"""Indicators: each numerator and denominator of a small county counted on paper, and from the database."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from zhenbao.hub import loop as critical
from zhenbao.hub import referral
from zhenbao.hub.care_indicators import Care, Days
from zhenbao.hub.indicators import CaseFacts, Indicator, Reading, ReferralFacts, Visit, compute, definitions
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.statistics import as_csv, month
from zhenbao.hub.store import organisations
from zhenbao.hub.store.organisations import Organisation
from zhenbao.hub.store.period import Period, indicators
from zhenbao.hub.store.report_forms import Form
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.referral import UpForm
from zhenbao.words import LANGUAGES, Words

if TYPE_CHECKING:
    from conftest import HandClock, KitVoice

    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

MIN = 60_000
NO_CARE = Care(Days(date(2026, 11, 1), date(2026, 11, 30), date(2026, 11, 22)))
R, Y, G = Urgency.RED, Urgency.YELLOW, Urgency.GREEN


def case(urgency: Urgency, ack: int | None, report: int | None, **more: object) -> CaseFacts:
    """Times in minutes after a start of 0; due at 5 and 10."""
    given: dict[str, object] = {"read": False, "loop": (), "judged": None} | more
    return CaseFacts(
        urgency, 0, 5 * MIN, 10 * MIN, None if ack is None else ack * MIN, None if report is None else report * MIN,
        **given,  # type: ignore[arg-type]
    )  # fmt: skip


def test_by_hand() -> None:
    a, b, c = (UUID(int=n) for n in range(3))
    visits = [
        Visit(a, a, 0, True, 9 * MIN),
        Visit(b, a, 0, True, 10 * MIN + 1),
        Visit(c, b, 0, True, None),
        Visit(c, c, 0, False, 0),
    ]
    readings = [
        Reading("ecg", R, True, 0, 2 * MIN),
        Reading("ecg", G, False, 0, 60 * MIN),
        Reading("bp", Y, None, 0, 4 * MIN),
    ]
    cases = [
        case(R, 4, 9, read=True, loop=("notified", "read-back", "handled", "recorded"), judged=R),
        case(R, 6, 12, loop=("notified",), judged=G),
        case(Y, None, None),
        case(G, 5, 10, judged=Urgency.ORANGE),
    ]
    referrals_ = [
        ReferralFacts(a, "returned", ("draft", "sent", "accepted", "arrived", "returned")),
        ReferralFacts(a, "refused", ("draft", "sent", "refused")),
        ReferralFacts(b, "arrived", ("draft", "sent", "accepted", "arrived")),
    ]
    found = {
        i.key: i
        for i in compute(visits, readings, cases, referrals_, kits_active=2, kits=3, care=NO_CARE, now_ms=7 * MIN)
    }
    pairs = {key: (i.numerator, i.denominator) for key, i in found.items() if i.unit != "minutes"}
    assert pairs == {
        "visits": (4, None),
        "ecg-count": (2, None),
        "ecg-acceptable": (1, 2),
        "ecg-positive": (1, 2),
        "ecg-critical": (1, None),
        "ack-on-time": (2, 4),  # the third was due at 5 and it is 7
        "report-on-time": (2, 3),  # the third may still be reported in time
        "chest-pain-ecg-on-time": (1, 3),
        "loop-closed": (1, 2),
        "report-read": (1, 3),
        "referred-up": (2, None),  # persons, not referrals
        "returned": (1, None),
        "return-rate": (1, 2),
        "arrival-rate": (2, 3),
        "referral-rate": (3, 4),
        "hint-agreement": (1, 3),
        "hint-sensitivity": (1, 2),  # the specialist saw R and O; the kit had said R and G
        "hint-specificity": (0, 1),
        "kits-active": (2, 3),
        "managed": (0, None),
        "managed-by-norm": (0, 0),
        "controlled": (0, 0),
        "follow-up-on-time": (0, 0),
        "three-c-revisit": (0, 0),
        "three-c-readmitted": (0, 0),
        "recognised": (0, None),
        "second-agreement": (0, 0),
        "quality-agreed": (0, 0),
        "quality-major": (0, 0),
    }
    assert (found["ack-minutes"].median, found["ack-minutes"].p90) == (5, 6)
    assert (found["transfer-minutes"].numerator, found["transfer-minutes"].median) == (3, 4)
    assert found["chest-pain-ecg-on-time"].target_percent == 75
    assert found["ecg-acceptable"].percent == 50


def test_of_nothing_there_is_no_rate() -> None:
    for indicator in compute([], [], [], [], kits_active=0, kits=0, care=NO_CARE, now_ms=0):
        assert indicator.numerator == 0
        assert indicator.percent is None
        assert indicator.median is None


def test_from_the_database_by_organisation_and_period(
    kit: KitVoice, store: HubStore, worklist: Worklist, reports: Reports, clock: HandClock, heart: Practitioner,
    desk: Practitioner,
) -> None:  # fmt: skip
    with store.writing() as connection:
        organisations.add(connection, Organisation("east", "东乡卫生院", "township", "county"))
        organisations.add(connection, Organisation("west", "西乡卫生院", "township", "county"))
        organisations.place_kit(connection, "kit-001", "east", clock.now_ms())
        organisations.place_kit(connection, "kit-silent", "east", clock.now_ms())
    town = add_practitioner(
        store, "town", name="演示医师", role="township-doctor", specialty="general-practice", phone="1",
        password="correct horse", org_id="east",
    )  # fmt: skip
    start_ms = clock.now_ms()
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="yes")
    clock.pass_minutes(3)
    observation, recording = kit.ecg(encounter, Finding("EC16", R, (), "x"))
    clock.pass_minutes(1)
    kit.send(patient, encounter, observation, recording)
    case_id = worklist.rows()[0].item.id
    clock.pass_minutes(2)
    worklist.open_case(case_id, heart)
    clock.pass_minutes(2)
    reports.sign(case_id, heart, conclusion="三度房室传导阻滞", advice="呼120", urgency="RED")
    for step in ("notified", "read-back", "handled", "recorded"):
        critical.note(store, case_id, desk, step=step, person="村医甲", channel="phone", text="已复述")
    form = UpForm("心内科", "三度房室传导阻滞", "黑矇", consent=True, physician="演示医师", physician_phone="1")
    made = referral.write(store, case_id, town, to_org="county", form=form)
    referral.move(store, made.id, heart, "accepted")
    referral.move(store, made.id, heart, "arrived")

    def counted(orgs: set[str], from_ms: int) -> dict[str, tuple[int, int | None]]:
        with store.reading() as connection:
            found = indicators(connection, Period(from_ms, clock.now_ms() + 1), orgs, clock.now_ms())
        return {i.key: (i.numerator, i.denominator) for i in found}

    for orgs in ({"east"}, {"county", "east", "west"}):
        found = counted(orgs, start_ms)
        assert found["visits"] == (1, None)
        assert found["ecg-acceptable"] == (1, 1)
        assert found["ecg-critical"] == (1, None)
        assert found["chest-pain-ecg-on-time"] == (1, 1)
        assert found["ack-on-time"] == (1, 1)
        assert found["report-on-time"] == (1, 1)
        assert found["loop-closed"] == (1, 1)
        assert found["report-read"] == (0, 1)
        assert found["arrival-rate"] == (1, 1)
        assert found["return-rate"] == (0, 1)
        assert found["hint-agreement"] == (1, 1)
        assert found["kits-active"] == (1, 2)
    assert all(n == 0 for n, _ in counted({"west"}, start_ms).values())
    assert counted({"east"}, clock.now_ms() + 1 - 1)["visits"] == (0, None)


def test_what_comes_later_moves_no_case_and_makes_no_report_late(
    kit: KitVoice, store: HubStore, worklist: Worklist, reports: Reports, clock: HandClock, heart: Practitioner
) -> None:
    start_ms = clock.now_ms()
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC16", R, (), "x"), code="ecg"))
    case_id = worklist.rows()[0].item.id
    worklist.open_case(case_id, heart)
    clock.pass_minutes(4)
    first = reports.sign(case_id, heart, conclusion="三度房室传导阻滞", advice="呼120")
    clock.pass_minutes(24 * 60)
    amended = Form("amended", amends_id=first.id, reason="笔误更正")
    reports.sign(case_id, heart, conclusion="二度房室传导阻滞", advice="呼120", after=first.id, form=amended)

    def counted(from_ms: int) -> dict[str, Indicator]:
        with store.reading() as connection:
            found = indicators(connection, Period(from_ms, clock.now_ms() + 1), {"county"}, clock.now_ms())
        return {i.key: i for i in found}

    found = counted(start_ms)
    assert (found["report-on-time"].numerator, found["report-on-time"].denominator) == (1, 1)
    assert found["report-minutes"].median == 4
    kit.send(kit.observation(encounter, Finding("EC16", R, (), "x"), code="ecg"))
    later = counted(start_ms + 24 * 60 * MIN)
    assert later["loop-closed"].denominator == 0, "opened the day before"
    assert counted(start_ms)["loop-closed"].denominator == 1


def test_a_kit_whose_clock_is_wrong_makes_the_road_neither_faster_nor_slower(
    kit: KitVoice, store: HubStore, clock: HandClock
) -> None:
    encounter = kit.encounter(kit.patient())
    for ahead_min, road_min in ((90, 2), (-7, 3), (0, 4)):
        reading = kit.observation(encounter, at_ms=clock.now_ms() + ahead_min * MIN)
        clock.pass_minutes(road_min)
        store.accept([replace(kit.envelope(reading), clock_ahead_ms=ahead_min * MIN)], clock.now_ms())
    with store.reading() as connection:
        found = indicators(connection, Period(0, clock.now_ms() + 1), {"county"}, clock.now_ms())
    transfer = next(i for i in found if i.key == "transfer-minutes")
    assert (transfer.numerator, transfer.median, transfer.p90) == (3, 3, 4)


def test_a_month_is_a_month_in_beijing() -> None:
    period = month("2026-11")
    assert (period.from_ms, period.to_ms) == (1_793_462_400_000, 1_796_054_400_000)
    assert month("2026-12").from_ms == period.to_ms
    assert month("2027-01").from_ms == month("2026-12").to_ms
    for wrong in ("", "2026", "2026-13", "2026-00", "26-11", "2026-11-01", "２０２６-11"):
        with pytest.raises(InputError, match="stats-month"):
            month(wrong)


def test_the_file_opens_in_wps_and_excel() -> None:
    found = compute([], [Reading("ecg", R, True, 0, 2 * MIN)], [], [], kits_active=0, kits=0, care=NO_CARE, now_ms=0)
    data = as_csv(found, Words())
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(data.decode("utf-8-sig").splitlines()))
    assert rows[0] == ["指标", "分子", "分母", "比率", "中位数", "P90", "单位", "目标"]
    assert ["心电图合格率", "1", "1", "100.0%", "", "", "份", ""] in rows
    assert ["就诊人次", "0", "", "", "", "", "人次", ""] in rows
    assert ["控制率（最近一次随访达标）", "0", "0", "无数据", "", "", "例", ""] in rows
    assert len({len(row) for row in rows}) == 1


def test_every_indicator_has_its_words() -> None:
    for language in LANGUAGES:
        words = Words(language)
        for key, definition in definitions().items():
            assert words(f"hub.indicator.{key}")
            assert words(f"hub.indicator_unit.{definition['unit']}")
