"""A day drawn from a number: every truth beside what the kit kept, and the same number is the same day."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from zhenbao.demo.day.bedside import OTHERS_CELSIUS, OTHERS_MMOL_L, OTHERS_PRESSURE
from zhenbao.demo.day.plan import plan
from zhenbao.demo.day.play import play_day
from zhenbao.firmware_sim.patients import DISEASES
from zhenbao.words import Words

pytestmark = pytest.mark.slow
SEED, PATIENTS = 7, 20


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    return play_day(SEED, PATIENTS, tmp_path_factory.mktemp("day"), words=Words("zh_CN"))


def readings(day: dict[str, Any]) -> list[dict[str, Any]]:
    return [reading for visit in day["visits"] for reading in visit["readings"]]


def test_every_reading_agrees_with_its_truth(day: dict[str, Any]) -> None:
    differing = [
        (v["number"], v["disease"], r["code"], r["fault"], r["differs"]) for v in day["visits"] for r in v["readings"]
    ]
    assert [d for d in differing if d[-1]] == []
    assert day["agrees"] is True


def test_nothing_is_lost_and_nothing_lands_on_the_wrong_patient(day: dict[str, Any]) -> None:
    counts = day["counts"]
    assert (counts["visits"], counts["lost"], counts["extra"], counts["wrong_patient"]) == (PATIENTS, 0, 0, 0)
    kept = {value for r in readings(day) for value in r["kit"].values()}
    assert not kept & {OTHERS_CELSIUS, OTHERS_MMOL_L, *map(float, OTHERS_PRESSURE[:2])}, "results of somebody else"


def test_it_rings_for_those_who_are_in_danger_and_for_nobody_else(day: dict[str, Any]) -> None:
    assert [(r["code"], r["alarm"]) for r in readings(day) if r["alarm"] != r["alarm_due"]] == []
    assert day["counts"]["alarms"] >= 5


def test_every_disease_and_many_faults_come(day: dict[str, Any]) -> None:
    assert {v["disease"] for v in day["visits"]} == set(DISEASES)
    faults = Counter(r["fault"] for r in readings(day) if r["fault"])
    assert len(faults) >= 5
    assert day["counts"]["faults"] >= 8


def test_the_plan_of_a_number_is_always_the_same_and_of_another_number_another() -> None:
    assert plan(SEED, PATIENTS) == plan(SEED, PATIENTS)
    assert plan(SEED, PATIENTS) != plan(SEED + 1, PATIENTS)


def test_the_same_number_gives_the_same_day(tmp_path: Path) -> None:
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
    assert play_day(3, 3, first, words=Words("zh_CN")) == play_day(3, 3, second, words=Words("en"))
