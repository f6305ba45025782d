"""A unit that refers far more than the others is noticed; chance in a small village is not."""

from __future__ import annotations

import io
from datetime import date
from typing import TYPE_CHECKING

import pytest

from zhenbao.hub.care_indicators import Care, Days
from zhenbao.hub.indicators import compute
from zhenbao.hub.referral_rates import Limits, UnitRate, judged, limits, rates
from zhenbao.hub.store import organisations, referrals
from zhenbao.hub.store.organisations import Organisation
from zhenbao.hub.store.period import Period
from zhenbao.model.finding import Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.referral import Referral, UpForm
from zhenbao.words import Words

if TYPE_CHECKING:
    from conftest import HandClock, KitVoice

    from zhenbao.hub.store import HubStore

LIMITS = Limits(visits_from=20, times_of_all=2.0, percent_from=5.0)


def alerts(*counts: tuple[int, int]) -> list[str]:
    units = [UnitRate(f"u{n}", f"u{n}", sent, visits) for n, (sent, visits) in enumerate(counts)]
    return [rate.org_id for rate in judged(units, LIMITS) if rate.alert]


@pytest.mark.parametrize(
    ("unit", "stands_out"),
    [
        pytest.param((2, 20), True, id="10 % of 20, twice the 5 % of the others"),
        pytest.param((2, 19), False, id="too few visits"),
        pytest.param((19, 200), False, id="9.5 %"),
        pytest.param((20, 200), True, id="10 % of 200"),
        pytest.param((0, 100), False, id="none"),
        pytest.param((3, 0), False, id="no visits"),
    ],
)
def test_a_unit_beside_others_that_refer_one_in_twenty(unit: tuple[int, int], stands_out: bool) -> None:
    assert ("u0" in alerts(unit, (10, 200), (5, 100))) is stands_out


def test_a_large_unit_does_not_hide_in_the_whole() -> None:
    assert alerts((200, 1000), (5, 100)) == ["u0"]


def test_a_low_rate_is_never_high_however_little_the_others_refer() -> None:
    assert alerts((4, 100), (0, 1000)) == []
    assert alerts((5, 100), (0, 1000)) == ["u0"]


def test_a_unit_alone_has_nothing_to_be_compared_with() -> None:
    assert alerts((50, 100)) == []
    assert judged([], LIMITS) == []


def test_the_county_s_limits_are_data() -> None:
    assert limits() == LIMITS


def test_from_the_database_each_unit_for_itself(store: HubStore, kit: KitVoice, clock: HandClock) -> None:
    with store.writing() as connection:
        for unit in (Organisation("east", "东乡卫生院", "township", "county"),
                     Organisation("east-1", "东一村卫生室", "village", "east")):  # fmt: skip
            organisations.add(connection, unit)
        organisations.place_kit(connection, "kit-001", "east-1", clock.ms)
    from_ms = clock.ms
    for _ in range(3):
        patient = kit.patient(number=None)
        encounter = kit.encounter(patient)
        kit.send(patient, encounter, kit.observation(encounter))
    form = UpForm("心内科", "疑似", "胸闷", consent=True, physician="演示医师", physician_phone="1")
    made = Referral(
        uuid7(clock.ms), "ZZ-1", patient.id, encounter.id, "east-1", "county", Urgency.YELLOW, "sent", clock.ms, form
    )
    with store.writing() as connection:
        referrals.add(connection, made, "t")
    with store.reading() as connection:
        found = rates(connection, Period(from_ms, clock.ms + 1), {"county", "east", "east-1"})
        assert rates(connection, Period(0, from_ms), {"county", "east", "east-1"}) == []
        assert rates(connection, Period(from_ms, clock.ms + 1), {"east"}) == []
    assert [(r.org_id, r.referrals, r.visits, r.alert) for r in found] == [("east-1", 1, 3, False)]


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_the_report_on_paper_is_text_in_an_embedded_font(language: str) -> None:
    pytest.importorskip("fpdf")
    pdfium = pytest.importorskip("pypdfium2")
    from zhenbao.hub.statistics_pdf import as_pdf

    words = Words(language)
    care = Care(Days(date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1)))
    found = compute([], [], [], [], kits_active=0, kits=0, care=care, now_ms=0)
    units = [UnitRate(f"u{n}", f"演示卫生院{n}", n, 100, n > 30) for n in range(40)]
    data = as_pdf(found, units, words, place="演示县", month="2026-11", made="2026-12-01 08:00")
    assert data.startswith(b"%PDF")
    document = pdfium.PdfDocument(io.BytesIO(data))
    text = "".join(page.get_textpage().get_text_range() for page in document)
    assert len(document) >= 2
    for shown in ("演示县", "2026-11", words("hub.indicator.return-rate"), "演示卫生院39", words("hub.stats.alert")):
        assert shown in text, shown
    assert text.count(words("hub.stats.alert")) == 9
