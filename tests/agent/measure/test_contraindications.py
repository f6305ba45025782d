"""Nobody blows before the list was asked, or against it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from store_key import KEY

from zhenbao.agent.kit import Kit
from zhenbao.agent.measure.contraindications import ask_contraindications
from zhenbao.agent.screen import Screen
from zhenbao.agent.settings import KitSettings
from zhenbao.agent.store import KitStore
from zhenbao.agent.visit import Visit, begin_encounter, register_patient
from zhenbao.model.errors import InputError
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.quantity import Quantity
from zhenbao.model.time import SystemClock
from zhenbao.words import Words


def asked(
    home: Path,
    answer: str | None,
    monkeypatch: pytest.MonkeyPatch,
    *,
    typed: str | None = None,
    bp: tuple[int, int] | None = None,
) -> tuple[str, str]:
    """The answer, and what stood on the screen."""
    out, clock = io.StringIO(), SystemClock()

    def type_it(_: str) -> str:
        if typed is None:
            raise EOFError
        return typed

    monkeypatch.setattr("builtins.input", type_it)
    with KitStore.open(home, kit_id="kit-test", clock=clock, key=KEY) as store:
        kit = Kit(home, KitSettings("kit-test"), store, clock, Screen(Words("zh_CN"), out=out))
        patient, _ = register_patient(store, clock, name="演示患者甲", number="999999195602290019")
        encounter = begin_encounter(store, clock, "kit-test", patient, reason="", chest_pain="no")
        if bp is not None:
            now_ms = clock.now_ms()
            values = {n: Quantity(v, "mm[Hg]") for n, v in zip(("bp_systolic", "bp_diastolic"), bp, strict=True)}
            reading = Observation(
                uuid7(now_ms),
                patient.id,
                encounter.id,
                "kit-test",
                "bp",
                "preliminary",
                now_ms,
                Device("cuff"),
                values,
            )
            store.save_observation(reading)
        return ask_contraindications(kit, Visit(encounter, patient), answer), out.getvalue()


@pytest.mark.parametrize(("typed", "answer"), [("", "no"), ("n", "no"), ("?", "unknown")])
def test_the_whole_list_is_shown_and_enter_means_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, answer: str
) -> None:
    found, shown = asked(tmp_path, None, monkeypatch, typed=typed)
    assert found == answer
    for text in ("心肌梗死", "咯血", "癫痫", "主动脉瘤", "甲状腺", "气胸", "手术", "200"):
        assert text in shown


@pytest.mark.parametrize("typed", ["y", "1", "有"])
def test_any_other_word_stops_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    with pytest.raises(InputError, match="spirometry-contraindicated"):
        asked(tmp_path, None, monkeypatch, typed=typed)


def test_a_script_answers_by_an_option_and_cannot_leave_it_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(tmp_path, "no", monkeypatch)[0] == "no"
    with pytest.raises(InputError, match="contraindications-not-asked"):
        asked(tmp_path, None, monkeypatch)
    with pytest.raises(InputError, match="spirometry-contraindicated"):
        asked(tmp_path, "yes", monkeypatch)
    with pytest.raises(InputError, match="answer"):
        asked(tmp_path, "perhaps", monkeypatch)


@pytest.mark.parametrize(("bp", "stopped"), [((200, 100), False), ((201, 80), True), ((150, 101), True)])
def test_a_pressure_of_this_visit_is_known_without_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bp: tuple[int, int], stopped: bool
) -> None:
    if not stopped:
        assert asked(tmp_path, "no", monkeypatch, bp=bp)[0] == "no"
        return
    with pytest.raises(InputError, match="spirometry-contraindicated") as raised:
        asked(tmp_path, "no", monkeypatch, bp=bp)
    assert f"{bp[0]}/{bp[1]}" in str(raised.value.facts["found"])
