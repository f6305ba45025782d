"""The month's figures: counted by hand, and whoever cannot be judged stands beside the line, not below it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from zhenbao.hub.chest_pain import deeds, month
from zhenbao.hub.chest_pain.chain import Facts, KitTime, Written, chain
from zhenbao.hub.chest_pain.figures import CaseChain, Figure, compute
from zhenbao.hub.statistics import month as period_of
from zhenbao.model.finding import Finding, Urgency
from zhenbao.words import Words

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.reports import Reports
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

MIN = 60_000
T = 1_795_312_800_000


def case(minutes_to_ecg: float | None, *, held: bool = False, door_min: float | None = None) -> CaseChain:
    def taken(name: str, minutes: float) -> KitTime:
        at_ms = T + round(minutes * MIN)
        return KitTime(name, at_ms, at_ms, "b", at_ms - T + 1000, False, at_ms + (60 * MIN if held else 500), 0)

    times = [taken("first-contact", 0)]
    if minutes_to_ecg is not None:
        times.append(taken("ecg-end", minutes_to_ecg))
    doors = [Written(UUID(int=1), "door-in", T + round(door_min * MIN), T, "x", "某人", "")] if door_min else []
    return CaseChain(chain(Facts("kit-1", kit_times=tuple(times), written=tuple(doors))), opened=bool(doors))


def of(found: list[Figure], key: str) -> Figure:
    return next(figure for figure in found if figure.key == key)


def test_met_missed_and_not_judged_are_three_things() -> None:
    cases = [case(4), case(8), case(12), case(None)]
    figure = of(compute(cases, T + 600 * MIN), "fmc-ecg")
    assert (figure.numerator, figure.denominator, figure.unknown) == (2, 3, 1)
    assert (figure.median, figure.p90, figure.target_percent) == (8.0, 12.0, 75)
    assert figure.percent is not None
    assert round(figure.percent, 1) == 66.7


def test_nothing_at_all_is_empty_and_never_nought_per_cent() -> None:
    for figure in compute([], T):
        assert (figure.percent, figure.median, figure.p90) == (None, None, None)
        assert "0.0%" not in month.cells(figure, Words("zh_CN"))


def test_a_kit_whose_clock_cannot_be_vouched_for_is_not_judged_against_another_clock() -> None:
    figure = of(compute([case(4, held=True, door_min=25)], T + 600 * MIN), "fmc-hospital")
    assert (figure.numerator, figure.denominator, figure.unknown, figure.median) == (0, 0, 1, None)
    figure = of(compute([case(4, door_min=25)], T + 600 * MIN), "fmc-hospital")
    assert (figure.numerator, figure.denominator, figure.unknown) == (1, 1, 0)


def test_the_month_from_the_store_and_its_file(
    store: HubStore,
    kit: KitVoice,
    worklist: Worklist,
    reports: Reports,
    heart: Practitioner,
    clock: HandClock,
) -> None:
    for wait_min in (5, 25):
        patient = kit.patient(number=None)
        encounter = kit.encounter(patient, chest_pain="yes")
        clock.pass_minutes(0.25)  # ten seconds of ECG, and the sending
        observation, recording = kit.ecg(encounter, Finding("EC19", Urgency.RED), at_ms=clock.ms - 12_000)
        kit.send(patient, encounter, observation, recording)
        (item,) = [row.item for row in worklist.rows() if row.item.encounter_id == encounter.id]
        worklist.open_case(item.id, heart)
        clock.pass_minutes(wait_min)
        reports.sign(item.id, heart, conclusion="急性心肌梗死", advice="卧床")
    deeds.set_channel(store, item.id, heart, state="open", hospital="县医院")
    no_pain = kit.patient(number=None)
    other = kit.encounter(no_pain, chest_pain="no")
    kit.send(no_pain, other, kit.observation(other, Finding("BP04", Urgency.YELLOW)))
    with store.reading() as connection:
        found = month.figures(connection, period_of("2026-11"), ["county"], clock.ms)
        assert month.figures(connection, period_of("2026-10"), ["county"], clock.ms)[0].numerator == 0
        assert month.figures(connection, period_of("2026-11"), ["east"], clock.ms)[0].numerator == 0
    assert (of(found, "cases").numerator, of(found, "opened").numerator) == (2, 1)
    diagnosed = of(found, "ecg-diagnosis")
    assert (diagnosed.numerator, diagnosed.denominator, diagnosed.unknown) == (1, 2, 0)
    assert (of(found, "transmitted").denominator, of(found, "transmitted").unknown) == (0, 2)
    text = month.as_csv(found, Words("zh_CN"))
    assert text.startswith(b"\xef\xbb\xbf")
    assert "心电图→诊断,1,2,50.0%,0," in text.decode("utf-8-sig")


def test_the_month_is_found_through_an_index(store: HubStore) -> None:
    with store.reading() as connection:
        wanted = month.visits(period_of("2026-11"), ["county"]).compile(
            connection.engine, compile_kwargs={"literal_binds": True}
        )
        plan = [row[3] for row in connection.exec_driver_sql(f"explain query plan {wanted}").all()]
    assert not [step for step in plan if step.startswith("SCAN")], plan
