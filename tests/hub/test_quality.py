"""The quality role: it sees reading and report and nothing that says whose they are; each sample is scored once."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import event

from tests.hub.conftest import PASSWORD
from tests.hub.test_report_pages import Visitor
from zhenbao.hub import quality, thread
from zhenbao.hub.quality import age_band, look, score, veiled, waiting
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import audit, organisations, people
from zhenbao.hub.store.organisations import Organisation
from zhenbao.hub.store.period import Period, indicators
from zhenbao.hub.store.quality import unscored
from zhenbao.hub.store.tables import work_items
from zhenbao.hub.web import vendor
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

NAME, NUMBER, PHONE = "演示患者甲", "99999919480101002X", "13800000000"
RED = Finding("EC19", Urgency.RED)


@pytest.fixture
def judge(store: HubStore) -> Practitioner:
    return add_practitioner(
        store, "judge", name="演示质控", role="quality", specialty=None, phone="", password=PASSWORD
    )


@pytest.fixture
def drawn_id(kit: KitVoice, worklist: Worklist, reports: Reports, heart: Practitioner, clock: HandClock) -> UUID:
    patient = kit.patient(NAME, NUMBER, phone=PHONE)
    made = kit.encounter(patient)
    ecg, recording = kit.ecg(made, RED)
    kit.send(patient, made, ecg, recording)
    case_id = worklist.open_case(worklist.rows()[0].item.id, heart).item.id
    clock.pass_minutes(1)
    conclusion = f"{NAME}({PHONE})三度房室阻滞，{heart.name}已电话告知"
    report = reports.sign(case_id, heart, conclusion=conclusion, advice="演示 患者甲呼120", urgency="RED")
    # What comes later is not what the report is about.
    kit.send(kit.observation(made, RED))
    return report.id


def test_nothing_says_whose_it_is(store: HubStore, judge: Practitioner, heart: Practitioner, drawn_id: UUID) -> None:
    (asked,) = waiting(store, judge)
    assert asked.id == drawn_id
    found = look(store, drawn_id, judge)
    assert (found.age_band, found.sex, found.specialty) == ("75-79", "female", "cardiology")
    assert found.report is not None
    assert (found.report.conclusion, found.report.advice) == ("□□(□□)三度房室阻滞，□□已电话告知", "□□呼120")
    assert [reading.code for reading, _ in found.readings] == ["ecg"]
    assert len(found.readings[0][1]) == 1, "with its waveform"
    shown = repr((found.report, found.readings))
    for secret in (NAME, NUMBER, PHONE, heart.name, "kit-001", "SN1", "SN2"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("years", "band"), [(0, "0-4"), (4, "0-4"), (5, "5-9"), (64, "60-64"), (89, "85-89"), (90, "90+"), (104, "90+")]
)
def test_bands(years: int, band: str) -> None:
    assert age_band(years) == band


def test_a_name_is_struck_out_however_it_is_written_and_one_letter_is_not() -> None:
    assert veiled("王 小 明、王小明明", ["王小明", "明"]) == "□□、□□明"
    assert veiled("(a.b)", ["a.b", "(", ""]) == "(□□)"


def test_scored_once_and_never_by_anybody_else(
    store: HubStore, judge: Practitioner, heart: Practitioner, desk: Practitioner, drawn_id: UUID
) -> None:
    for person in (heart, desk):
        for deed in (lambda p: look(store, drawn_id, p), lambda p: score(store, drawn_id, p, "agree", "")):
            with pytest.raises(InputError, match="denied-role"):
                deed(person)
        with pytest.raises(InputError, match="denied-role"):
            waiting(store, person)
    for verdict, note, code in (
        ("good", "", "quality-verdict"), ("minor", "少写", "quality-note"), ("major", " ", "quality-note"),
        ("agree", "长" * 401, "quality-note"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=code):
            score(store, drawn_id, judge, verdict, note)
    with pytest.raises(InputError, match="quality-unknown"):
        score(store, UUID(int=1), judge, "agree", "")
    assert score(store, drawn_id, judge, "minor", "电轴未描述").verdict == "minor"
    with pytest.raises(InputError, match="quality-scored"):
        score(store, drawn_id, judge, "agree", "")
    assert waiting(store, judge) == []
    kept = look(store, drawn_id, judge).score
    assert kept is not None
    assert kept.note == "电轴未描述"
    with store.reading() as connection:
        rows = audit.rows(connection, 5)
        assert audit.first_broken(connection) is None
    assert {"quality-scored", "quality-looked"} <= {row.action for row in rows}
    assert "电轴" not in repr(rows)


@pytest.mark.parametrize(("verdict", "posts"), [("agree", []), ("minor", []), ("major", ["应为二度房室阻滞"])])
def test_a_major_difference_reaches_who_answers_for_the_patient(
    store: HubStore, judge: Practitioner, heart: Practitioner, drawn_id: UUID, verdict: str, posts: list[str]
) -> None:
    made = score(store, drawn_id, judge, verdict, "应为二度房室阻滞")
    assert [seen.post.text for seen in thread.read(store, made.work_item_id, heart)] == posts


def test_only_of_ones_own_units_and_never_what_is_only_kept(
    store: HubStore, judge: Practitioner, drawn_id: UUID, clock: HandClock
) -> None:
    with store.writing() as connection:
        organisations.add(connection, Organisation("west", "西乡卫生院", "township", "county"))
        people.add(connection, replace(judge, login="judge-w", org_id="west"), PASSWORD, clock.ms)
        beside = people.find(connection, "judge-w")
    assert beside is not None
    assert waiting(store, beside) == []
    with pytest.raises(InputError, match="denied-outside"):
        look(store, drawn_id, beside)
    with store.writing() as connection:
        connection.execute(work_items.update().values(restricted_ms=clock.ms))
    assert waiting(store, judge) == []
    with pytest.raises(InputError, match="denied-restricted"):
        score(store, drawn_id, judge, "agree", "")


def test_what_nobody_scored_in_a_quarter_is_no_longer_asked_for(
    store: HubStore, judge: Practitioner, drawn_id: UUID, clock: HandClock
) -> None:
    clock.pass_minutes(quality.limits().look_back_days * 1440)
    assert [each.id for each in waiting(store, judge)] == [drawn_id]
    clock.pass_minutes(1)
    assert waiting(store, judge) == []


def test_the_month_counts_it(store: HubStore, judge: Practitioner, drawn_id: UUID, clock: HandClock) -> None:
    score(store, drawn_id, judge, "major", "应为二度房室阻滞")
    with store.reading() as connection:
        found = {
            i.key: (i.numerator, i.denominator)
            for i in indicators(connection, Period(clock.ms, clock.ms + 1), {"county"}, clock.ms)
        }
    assert (found["quality-agreed"], found["quality-major"]) == ((0, 1), (1, 1))


def test_the_list_goes_through_an_index(store: HubStore) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _cur: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    with store.reading() as connection:
        event.listen(connection, "before_cursor_execute", note)
        unscored(connection, ["county"], 0)
        event.remove(connection, "before_cursor_execute", note)
        statement, values = next(each for each in asked if each[0].startswith("SELECT"))
        plan = [row[3] for row in connection.exec_driver_sql(f"explain query plan {statement}", values)]
    assert "ix_second_readings_asked_ms" in plan[0]
    assert not any(line.startswith("SCAN") for line in plan), plan


@pytest.mark.slow
def test_the_pages(store: HubStore, judge: Practitioner, heart: Practitioner, drawn_id: UUID) -> None:
    try:
        vendor.check()
    except StorageError:
        pytest.skip("the page's files are not there")
    visitor = Visitor(store, "judge")
    assert f'href="/quality/{drawn_id}"' in visitor.text("/quality")
    page = visitor.text(f"/quality/{drawn_id}")
    ecg = look(store, drawn_id, judge).readings[0][0]
    trace = visitor.text(f"/quality/{drawn_id}/ecg/{ecg.recordings[0]}")
    for secret in (NAME, NUMBER, NUMBER[-4:], PHONE, heart.name, "演示村", "kit-001", "2026-11-22", "10:00"):
        assert secret not in page
        assert secret not in trace
    assert "75-79 岁" in page
    assert "<svg" in page
    assert visitor.client.post(f"/quality/{drawn_id}", data={"verdict": "agree", "csrf": "x"}).status_code == 403
    wrong = visitor.post(f"/quality/{drawn_id}", verdict="major", note="短")
    assert wrong.status_code == 409
    assert "差异说明过短或过长" in unescape(wrong.text)
    assert visitor.post(f"/quality/{drawn_id}", verdict="minor", note="电轴未描述").status_code == 303
    assert visitor.post(f"/quality/{drawn_id}", verdict="agree").status_code == 409
    assert "没有待评分的抽样" in visitor.text("/quality")
    assert visitor.get(f"/quality/{UUID(int=3)}").status_code == 404
    assert Visitor(store, "heart").get("/quality").status_code == 403
