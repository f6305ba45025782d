"""The worklist: its order, its filters, its search, its pages, and that every question to the database has an index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, event, update

from tests.hub.conftest import PASSWORD, KitVoice
from zhenbao.hub import rows as rows_module
from zhenbao.hub.case_code import case_code
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import HubStore, organisations
from zhenbao.hub.store.list_tables import case_codes, name_keys
from zhenbao.hub.store.listing import Filters
from zhenbao.hub.store.organisations import Organisation
from zhenbao.hub.store.tables import meta
from zhenbao.model.finding import Finding, Urgency

if TYPE_CHECKING:
    from uuid import UUID

    from tests.hub.conftest import HandClock
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

RED = Finding("EC19", Urgency.RED, source="x")
NUMBERS = ("99999919480101002X", "999999196001010020", "999999195602290019")


def visit(
    kit: KitVoice,
    name: str = "演示患者甲",
    number: str | None = None,
    urgency: Urgency = Urgency.RED,
    rule: str = "EC19",
    code: str = "ecg",
) -> UUID:
    """A case of one reading; returns its encounter."""
    patient = kit.patient(name=name, number=number)
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding(rule, urgency, source="x"), code=code))
    return encounter.id


def names(worklist: Worklist, person: Practitioner | None, filters: Filters, page: int = 1) -> list[str]:
    return [row.patient.name for row in worklist.overview(person, filters, page=page).rows if row.patient]


# Order


def test_the_most_urgent_first_and_then_the_least_time_left(
    kit: KitVoice, worklist: Worklist, desk: Practitioner, heart: Practitioner, clock: HandClock
) -> None:
    visit(kit, "黄一", urgency=Urgency.YELLOW, rule="EC34")
    visit(kit, "红一")
    clock.pass_minutes(1)
    visit(kit, "红二")
    assert names(worklist, desk, Filters()) == ["红一", "红二", "黄一"]
    # The first is seen: what is left of it is the ten minutes of the report; the second's five of the answer are less.
    first = worklist.rows(desk)[0]
    worklist.open_case(first.item.id, heart)
    assert names(worklist, desk, Filters()) == ["红二", "红一", "黄一"]


def test_new_data_ranks_a_case_anew(kit: KitVoice, worklist: Worklist, desk: Practitioner, clock: HandClock) -> None:
    visit(kit, "先来")
    patient = kit.patient(name="后来", number=None)
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC34", Urgency.YELLOW, source="x"), code="ecg"))
    clock.pass_minutes(6)
    assert names(worklist, desk, Filters()) == ["先来", "后来"]
    kit.send(kit.observation(encounter, RED, code="ecg"))
    assert names(worklist, desk, Filters(urgency=Urgency.RED)) == ["先来", "后来"]
    assert worklist.overview(desk).counts[Urgency.YELLOW] == 0


# Filters


def test_each_filter_leaves_what_it_says(
    kit: KitVoice, worklist: Worklist, desk: Practitioner, heart: Practitioner, store: HubStore, clock: HandClock
) -> None:
    with store.writing() as connection:
        organisations.add(connection, Organisation("east", "东乡卫生院", "township", "county"))
        organisations.add(connection, Organisation("east-1", "东一村", "village", "east"))
        organisations.place_kit(connection, "kit-002", "east-1", clock.ms)
    visit(kit, "红心")
    visit(kit, "黄压", urgency=Urgency.YELLOW, rule="BP04", code="bp")
    visit(KitVoice(store, clock, kit_id="kit-002"), "东村")
    seen = next(row for row in worklist.rows(desk) if row.patient and row.patient.name == "红心")
    worklist.open_case(seen.item.id, heart)

    def left(**chosen: Any) -> set[str]:
        return set(names(worklist, desk, Filters(**chosen)))

    assert left(urgency=Urgency.YELLOW) == {"黄压"}
    assert left(specialty="cardiology") >= {"红心", "东村"}
    assert left(specialty="respiratory") == set()
    assert left(org="east") == {"东村"}  # with all below it
    assert left(org="county") == {"红心", "黄压", "东村"}
    assert left(org="nowhere") == set()
    assert left(answered="answered") == {"红心"}
    assert left(answered="unanswered") == {"黄压", "东村"}
    assert left(kind="bp") == {"黄压"}
    assert left(kind="ecg", urgency=Urgency.RED, org="east") == {"东村"}
    clock.pass_minutes(6)
    assert left(answered="overdue") == {"东村"}  # five minutes to the first answer; the other has ten to the report
    assert left(shown="archive") == set()
    assert sum(worklist.overview(desk, Filters(org="east")).counts.values()) == 1


def test_mine_nobodys_and_others(
    kit: KitVoice, worklist: Worklist, heart: Practitioner, heart_2: Practitioner, store: HubStore
) -> None:
    from tests.hub.test_holding import session
    from zhenbao.hub import holding

    visit(kit, "一号")
    visit(kit, "二号")
    by_name = {row.patient.name: row.item.id for row in worklist.rows(heart) if row.patient}
    holding.claim(store, by_name["二号"], session(store, heart_2))
    assert set(names(worklist, heart, Filters(held="mine"))) == {"一号", "二号"}  # the roster gives both to heart
    assert names(worklist, heart_2, Filters(held="mine")) == ["二号"]
    assert names(worklist, heart, Filters(held="unclaimed")) == ["一号"]
    assert names(worklist, heart, Filters(held="others")) == ["二号"]
    assert names(worklist, heart_2, Filters(held="others")) == []


def test_filters_widen_nobodys_reach(
    kit: KitVoice, worklist: Worklist, lungs: Practitioner, store: HubStore, clock: HandClock
) -> None:
    encounter = visit(kit, "张三", NUMBERS[0])
    (row,) = worklist.rows()
    assert row.item.encounter_id == encounter
    for filters in (
        Filters(),
        Filters(org="county"),
        Filters(specialty="cardiology"),
        Filters(text="张三"),
        Filters(text="zs"),
        Filters(text="002X"),
        Filters(text=case_code(row.item.id)),
    ):
        assert names(worklist, lungs, filters) == []


def test_pages(kit: KitVoice, worklist: Worklist, desk: Practitioner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "overview", _small_pages(rows_module.overview))
    for number in range(5):
        visit(kit, f"患者{number}")
    pages = [worklist.overview(desk, page=page) for page in (1, 2, 3, 4)]
    assert [len(page.rows) for page in pages] == [2, 2, 1, 0]
    assert [page.more for page in pages] == [True, True, False, False]
    assert len({row.item.id for page in pages for row in page.rows}) == 5
    assert pages[0].counts[Urgency.RED] == 5  # of all pages


def _small_pages(overview: Any) -> Any:
    return lambda *args, **more: overview(*args, **{**more, "page_rows": 2})


# Search


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("单雄信", {"单雄信"}),
        ("单", {"单雄信"}),
        ("雄信", {"单雄信"}),
        ("信", set()),  # the given name from its beginning
        ("shanxiongxin", {"单雄信"}),
        ("Shan Xiong Xin", {"单雄信"}),
        ("shan", {"单雄信"}),
        ("danxiong", {"单雄信"}),  # somebody who does not know the surname
        ("sxx", {"单雄信"}),
        ("xiongxin", {"单雄信"}),
        ("zeng", {"曾国"}),
        ("zg", {"曾国"}),
        ("lvbu", {"吕布"}),
        ("lǚ bù", {"吕布"}),
        ("lyubu", {"吕布"}),
        ("买买提", {"买买提·吐尔逊"}),
        ("买买提•吐", {"买买提·吐尔逊"}),  # another dot
        ("吐尔逊", {"买买提·吐尔逊"}),
        ("tuerxun", {"买买提·吐尔逊"}),
        ("mmttex", {"买买提·吐尔逊"}),
        ("002X", {"单雄信"}),
        ("002x", {"单雄信"}),
        ("0020", {"曾国"}),
        ("9999", set()),  # the head of a number is nobody's
        ("99999919480101002X", set()),
        ("02X", set()),
        ("%", set()),
        ("_", set()),
        ("' or 1=1 --", set()),
        ("\U0010ffff", set()),
    ],
)
def test_a_case_is_found(kit: KitVoice, worklist: Worklist, heart: Practitioner, typed: str, found: set[str]) -> None:
    visit(kit, "单雄信", NUMBERS[0])
    visit(kit, "曾国", NUMBERS[1])
    visit(kit, "吕布")
    visit(kit, "买买提·吐尔逊")
    assert set(names(worklist, heart, Filters(text=typed))) == found


def test_a_case_is_found_by_its_code_as_it_is_read_out(kit: KitVoice, worklist: Worklist, desk: Practitioner) -> None:
    visit(kit, "甲")
    visit(kit, "乙")
    for row in worklist.rows():
        assert row.patient is not None
        code = case_code(row.item.id)
        for typed in (code, code.lower(), code.replace("-", ""), code[:5], f" {code} "):
            assert row.patient.name in names(worklist, desk, Filters(text=typed))


def test_the_desk_finds_by_name_and_not_by_number(kit: KitVoice, worklist: Worklist, desk: Practitioner) -> None:
    visit(kit, "单雄信", NUMBERS[0])
    assert names(worklist, desk, Filters(text="sxx")) == ["单雄信"]
    assert names(worklist, desk, Filters(text="002X")) == []


def test_an_expert_of_a_consultation_has_a_bundle_and_no_list(
    kit: KitVoice, worklist: Worklist, store: HubStore
) -> None:
    from zhenbao.hub.store import grants

    visit(kit, "单雄信", NUMBERS[0])
    (row,) = worklist.rows()
    expert = add_practitioner(
        store, "expert", name="省级专家", role="provincial-expert", specialty=None, phone="", password=PASSWORD
    )
    with store.writing() as connection:
        grants.give(connection, "expert", row.item.patient_id, "consult", "会诊", "heart", store.clock.now_ms(), 24)
    for text in ("", "sxx", "002X", case_code(row.item.id)):
        assert names(worklist, expert, Filters(text=text)) == []


def test_a_name_that_was_put_right_is_found_and_the_wrong_one_is_not(
    kit: KitVoice, worklist: Worklist, heart: Practitioner
) -> None:
    from dataclasses import replace

    patient = kit.patient(name="张山", number=None)
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, RED, code="ecg"))
    kit.send(replace(patient, name="李四"))
    assert names(worklist, heart, Filters(text="zs")) == []
    assert names(worklist, heart, Filters(text="ls")) == ["李四"]


def test_a_hub_of_before_is_indexed_when_it_is_opened(
    kit: KitVoice, worklist: Worklist, heart: Practitioner, store: HubStore, clock: HandClock
) -> None:
    visit(kit, "单雄信", NUMBERS[0])
    (row,) = worklist.rows()
    with store.writing() as connection:
        connection.execute(delete(name_keys))
        connection.execute(delete(case_codes))
        connection.execute(update(meta).where(meta.c.key == "search").values(value="0:other rules"))
    assert names(worklist, heart, Filters(text="sxx")) == []
    again = HubStore(str(store.database.url), clock, store.roster)
    again.close()
    for typed in ("sxx", "002X", case_code(row.item.id)):
        assert names(worklist, heart, Filters(text=typed)) == ["单雄信"]


# Plans

GROWS = (
    "work_items",
    "patients",
    "observations",
    "claims",
    "name_keys",
    "case_codes",
    "reports",
    "report_reads",
    "audit",
)


@contextmanager
def statements(store: HubStore) -> Iterator[list[tuple[str, Any]]]:
    """Every question that is put to the database meanwhile."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(store.database.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(store.database.engine, "before_cursor_execute", note)


def plan(store: HubStore, statement: str, parameters: Any) -> list[str]:
    with store.reading() as connection:
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]


@pytest.mark.parametrize("who", ["desk", "heart", None])
@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(urgency=Urgency.RED),
        Filters(specialty="cardiology"),
        Filters(org="county"),
        Filters(answered="overdue"),
        Filters(held="mine"),
        Filters(held="unclaimed"),
        Filters(kind="ecg"),
        Filters(text="sxx"),
        Filters(text="002X"),
        Filters(text="7F3-K2QM"),
        Filters(shown="archive"),
        Filters(shown="archive", text="sxx"),
    ],
    ids=lambda f: " ".join(re.findall(r"\w+=(?!''|None|'open')[^,)]+", repr(f))) or "all",
)
def test_every_question_uses_an_index(
    kit: KitVoice,
    worklist: Worklist,
    store: HubStore,
    desk: Practitioner,
    heart: Practitioner,
    who: str | None,
    filters: Filters,
) -> None:
    visit(kit, "单雄信", NUMBERS[0])
    person = {"desk": desk, "heart": heart, None: None}[who]
    with statements(store) as asked:
        worklist.overview(person, filters)
    assert any("work_items" in statement for statement, _ in asked)
    for statement, parameters in asked:
        for step in plan(store, statement, parameters):
            full = re.match(r"SCAN (\w+)(?!.*USING)", step)
            assert not full or full[1] not in GROWS or "WHERE 0 = 1" in statement, f"{step}\n{statement}"


def test_the_list_comes_in_the_order_of_an_index(kit: KitVoice, worklist: Worklist, store: HubStore) -> None:
    """Fifty lines of five thousand cost fifty."""
    visit(kit)
    for filters in (Filters(), Filters(specialty="cardiology"), Filters(shown="archive")):
        with statements(store) as asked:
            worklist.overview(None, filters)
        (listed,) = [(s, p) for s, p in asked if "LIMIT" in s and "FROM work_items" in s]
        assert not any("TEMP B-TREE" in step for step in plan(store, *listed)), plan(store, *listed)
