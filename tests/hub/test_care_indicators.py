"""Indicators of chronic care counted on paper, and from the database of a small county."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import event, insert

from tests.hub.conftest import PASSWORD
from zhenbao.hub import chronic as chronic_care
from zhenbao.hub.care_indicators import Care, Days, Managed, Recall, counts
from zhenbao.hub.server import add_practitioner
from zhenbao.hub.store import identities, organisations
from zhenbao.hub.store.care_period import care
from zhenbao.hub.store.chronic_tables import recognitions
from zhenbao.hub.store.period import Period, indicators
from zhenbao.hub.store.persons import same_persons
from zhenbao.hub.store.report_tables import second_readings
from zhenbao.model.chronic import FollowUp, Past
from zhenbao.model.ids import uuid7
from zhenbao.model.time import local_time
from zhenbao.rules.followup import Choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

DAY_MS = 86_400_000
SINCE = date(2026, 1, 1)
NOVEMBER = Days(date(2026, 11, 1), date(2026, 11, 30), date(2026, 11, 22))


def day(text: str) -> date:
    return date.fromisoformat(f"2026-{text}")


def seen(on: str, next_on: str, outcome: str = "controlled", tier: str = "village") -> Past:
    return Past(day(on), tier, outcome, day(next_on))  # type: ignore[arg-type]


OTHERS = (
    seen("03-20", "12-20", tier="township"),
    Past(day("06-01"), "county", "controlled", date(2027, 6, 1)),
)
"""The township's and the county's, not due for long."""


def managed(*past: Past, since: date = SINCE, ended_on: date | None = None, disease: str = "htn") -> Managed:
    return Managed(disease, since, ended_on, tuple(sorted((*past, *OTHERS), key=lambda p: p.on)))  # type: ignore[arg-type]


def counted(*given: Managed, days: Days = NOVEMBER) -> dict[str, tuple[int, int | None]]:
    return counts(Care(days, given))


def test_by_the_norm_is_nothing_overdue_on_the_last_known_day() -> None:
    in_time = managed(seen("09-01", "11-22"))
    one_day_over = managed(seen("09-01", "11-21"))
    assert counted(in_time, one_day_over)["managed-by-norm"] == (1, 2)
    later = replace(NOVEMBER, today=date(2026, 12, 31))
    assert counted(in_time, days=later)["managed-by-norm"] == (0, 1), "the month ended eight days after it was due"
    done_in_december = managed(seen("09-01", "11-22"), seen("12-02", "12-31"))
    assert counted(done_in_december, days=later)["managed-by-norm"] == (0, 1), "what came after the month does not help"


def test_a_tier_above_that_is_overdue_counts_too() -> None:
    village_only = Managed("htn", SINCE, None, (seen("11-02", "12-20"),))
    assert counted(village_only)["managed-by-norm"] == (0, 1), "the township was due in April"
    assert counted(Managed("htn", day("11-10"), None))["managed-by-norm"] == (1, 1), "newly entered: not yet due"


def test_controlled_is_the_last_follow_up_within_a_year() -> None:
    better = managed(seen("08-01", "09-01", "uncontrolled"), seen("11-02", "12-20"))
    worse = managed(seen("08-01", "09-01"), seen("11-02", "11-16", "uncontrolled"))
    never = Managed("dm", SINCE, None)
    long_ago = Managed("htn", date(2025, 1, 1), None, (Past(date(2025, 11, 22), "village", "controlled", SINCE),))
    just = Managed("htn", date(2025, 1, 1), None, (Past(date(2025, 11, 23), "village", "controlled", SINCE),))
    before_entry = Managed("htn", day("11-10"), None, (seen("11-02", "12-20"),))
    assert counted(better, worse, never, long_ago, just, before_entry)["controlled"] == (2, 6)


def test_in_time_is_of_what_fell_due_and_is_known() -> None:
    early = managed(seen("09-01", "11-10"), seen("11-03", "12-31"))
    on_the_day = managed(seen("09-01", "11-10"), seen("11-10", "12-31"))
    late = managed(seen("09-01", "11-10"), seen("11-11", "12-31"))
    missed = managed(seen("09-01", "11-21"))
    may_yet = managed(seen("09-01", "11-22"))
    twice = managed(seen("09-01", "11-02"), seen("11-02", "11-16", "uncontrolled"), seen("11-20", "12-04"))
    left = managed(seen("09-01", "11-10"), ended_on=day("11-10"))
    assert counted(early, on_the_day)["follow-up-on-time"] == (2, 2)
    assert counted(late, missed, may_yet)["follow-up-on-time"] == (0, 2)
    assert counted(twice)["follow-up-on-time"] == (1, 2)
    assert counted(left)["follow-up-on-time"] == (0, 0)
    assert counted(Managed("htn", day("11-02"), None))["follow-up-on-time"] == (0, 1), "the first was due on the 16th"


def test_who_left_or_came_later_is_not_managed() -> None:
    left, stays = managed(ended_on=day("11-22")), managed(ended_on=day("11-23"))
    assert counted(left, stays, managed(since=day("11-23")))["managed"] == (1, None)


def test_of_3c_only_what_was_asked_is_known() -> None:
    def heard(*recalls: Recall) -> Managed:
        return Managed("chd", SINCE, None, (), recalls)

    came = heard(Recall(day("11-02"), False, False), Recall(day("11-20"), True, None))
    again = heard(Recall(day("11-02"), False, True), Recall(day("11-20"), None, False))
    unasked, before = heard(Recall(day("11-02"), None, None)), heard(Recall(day("10-31"), True, True))
    found = counted(came, again, unasked, before)
    assert (found["three-c-revisit"], found["three-c-readmitted"]) == ((1, 2), (1, 2))
    found = counted(unasked, before)
    assert (found["three-c-revisit"], found["three-c-readmitted"]) == ((0, 0), (0, 0)), "no data, and no rate"


GOOD = {
    "way": "1", "htn_symptoms": "1", "systolic": "132", "diastolic": "82", "adherence": "1", "adverse": "1",
    "complication": "1",
}  # fmt: skip
RECALL = {"way": "2", "state": "1", "readmitted": "2", "adherence": "1", "adverse": "1", "revisit": "1"}


@pytest.fixture
def village(store: HubStore, clock: HandClock) -> Practitioner:
    with store.writing() as connection:
        for id_, kind, parent in (
            ("east", "township", "county"),
            ("east-1", "village", "east"),
            ("west", "township", "county"),
        ):
            organisations.add(
                connection, organisations.Organisation(id_, f"{id_}卫生机构", organisations.check_kind(kind), parent)
            )
        organisations.place_kit(connection, "kit-001", "east-1", clock.ms)
    return add_practitioner(
        store, "village-1", name="演示医师", role="village-doctor", specialty=None, phone="1", password=PASSWORD,
        org_id="east-1",
    )  # fmt: skip


@pytest.fixture
def ask(store: HubStore, clock: HandClock) -> Callable[..., dict[str, tuple[int, int | None]]]:
    def asked(org: str, from_ms: int, to_ms: int) -> dict[str, tuple[int, int | None]]:
        with store.reading() as connection:
            orgs = organisations.subtree(connection, org)
            found = indicators(connection, Period(from_ms, to_ms), orgs, clock.ms)
        return {i.key: (i.numerator, i.denominator) for i in found}

    return asked


def test_from_the_database(
    store: HubStore, kit: KitVoice, clock: HandClock, village: Practitioner,
    ask: Callable[..., dict[str, tuple[int, int | None]]],
) -> None:  # fmt: skip
    start_ms = clock.ms
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter))
    pressure = chronic_care.enter(store, patient.id, village, disease="htn", org_id="east-1", ground="三次升高")
    heart = chronic_care.enter(store, patient.id, village, disease="chd", org_id="east-1", ground="支架术后")
    clock.ms += 5 * DAY_MS
    chronic_care.follow_up(store, pressure.id, village, "village", GOOD, Choice())
    # The recall was written on a kit that knows the patient by another id.
    twin = kit.patient()
    assert twin.id != patient.id
    other = kit.encounter(twin)
    kit.send(twin, other, kit.observation(other))
    today = local_time(clock.ms).date()
    recall = FollowUp(
        uuid7(clock.ms), twin.id, "chd", "village", "three-c", 1, clock.ms, RECALL, "controlled",
        today + timedelta(days=30), kit_id="kit-001",
    )  # fmt: skip
    assert kit.send(recall).refused == ""
    clock.ms += 15 * DAY_MS
    found = ask("county", start_ms, clock.ms)
    assert found == found | {
        "managed": (2, None),
        "managed-by-norm": (2, 2),
        "controlled": (2, 2),
        "follow-up-on-time": (2, 2),
        "three-c-revisit": (1, 1),
        "three-c-readmitted": (1, 1),
    }
    assert ask("east-1", start_ms, clock.ms) == found
    nothing = ask("west", start_ms, clock.ms)
    assert {nothing[key][1] for key in ("managed-by-norm", "controlled", "three-c-revisit")} == {0}
    chronic_care.leave(store, heart.id, village, reason="迁出本县")
    assert ask("county", start_ms, clock.ms + DAY_MS)["managed"] == (1, None)
    assert ask("county", clock.ms + DAY_MS, clock.ms + 31 * DAY_MS)["managed"] == (0, None), "nothing is known of later"


def test_recognitions_and_second_readings_by_place_and_time(
    store: HubStore, kit: KitVoice, clock: HandClock, village: Practitioner, worklist: Worklist,
    ask: Callable[..., dict[str, tuple[int, int | None]]],
) -> None:  # fmt: skip
    start_ms = clock.ms
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter))
    (row,) = worklist.rows(shown="archive")
    states = ("agreed", "agreed", "disagreed", "amended", "asked")
    with store.writing() as connection:
        connection.execute(
            insert(recognitions).values(work_item_id=row.item.id, observation_id=UUID(int=1), login="x", at_ms=clock.ms)
        )
        for number, state in enumerate(states):
            connection.execute(
                insert(second_readings).values(
                    id=UUID(int=number), work_item_id=row.item.id, sample="report", specialty="cardiology",
                    org_id="east-1", asked_ms=clock.ms, due_ms=clock.ms, state=state,
                    done_ms=None if state == "asked" else clock.ms,
                )
            )  # fmt: skip
    found = ask("east", start_ms, start_ms + 1)
    assert (found["recognised"], found["second-agreement"]) == ((1, None), (2, 4))
    for empty in (ask("west", start_ms, start_ms + 1), ask("east", start_ms + 1, start_ms + 2)):
        assert (empty["recognised"], empty["second-agreement"]) == ((0, None), (0, 0))


def test_many_persons_at_once_as_one_by_one(store: HubStore, kit: KitVoice, clock: HandClock) -> None:
    numbered = [kit.patient() for _ in range(2)]
    lone = [kit.patient(number=None) for _ in range(3)]
    other = kit.patient("演示患者乙", "999999196001010020")
    everybody = [*numbered, *lone, other]
    for patient in everybody:
        encounter = kit.encounter(patient)
        kit.send(patient, encounter, kit.observation(encounter))
    with store.writing() as connection:
        identities.link(connection, lone[0].id, lone[1].id, "x", "同一人", clock.ms)
        identities.link(connection, lone[1].id, numbered[0].id, "x", "同一人", clock.ms)
        wrong = identities.link(connection, lone[2].id, other.id, "x", "误并", clock.ms)
        identities.unlink(connection, wrong, "x", clock.ms)
    with store.reading() as connection:
        ids = [patient.id for patient in everybody]
        one_by_one = {id_: frozenset(identities.same_person(connection, id_)) for id_ in ids}
        assert same_persons(connection, ids) == one_by_one
        assert same_persons(connection, [lone[0].id]) == {lone[0].id: one_by_one[lone[0].id]}
        assert {len(group) for group in one_by_one.values()} == {1, 4}


def test_every_query_goes_through_an_index(
    store: HubStore, kit: KitVoice, clock: HandClock, village: Practitioner
) -> None:
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter))
    chronic_care.enter(store, patient.id, village, disease="htn", org_id="east-1", ground="三次升高")
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _cur: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    with store.reading() as connection:
        event.listen(connection, "before_cursor_execute", note)
        care(connection, clock.ms - DAY_MS, clock.ms + 1, ["east-1"], clock.ms)
        event.remove(connection, "before_cursor_execute", note)
        statements = [each for each in asked if each[0].startswith("SELECT")]
        plans = {
            row[3]
            for statement, values in statements
            for row in connection.exec_driver_sql(f"explain query plan {statement}", values)
        }
    assert len(statements) == 8
    assert not [line for line in plans if line.startswith("SCAN")], plans
