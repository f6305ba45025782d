"""Chronic care from the hub to the village and back, with the real commands, broker and stores."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bedside import RESIDENT, KitCommand, enrol, set_up

from zhenbao.hub import chronic as care
from zhenbao.hub.care_watch import sweep
from zhenbao.hub.fleet import look
from zhenbao.hub.server import Hub
from zhenbao.hub.store import follow_ups
from zhenbao.hub.store.tables import patients

pytestmark = pytest.mark.slow
ANSWERS = {"way": "2", "htn_symptoms": "1", "adherence": "1", "adverse": "1", "complication": "1"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    made.start()
    yield made
    made.close()


def test_a_register_a_follow_up_and_a_plan_go_round(hub: Hub, tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None, hub_port=hub.mqtt_port)
    enrol(tmp_path / "kit", hub)

    def sync() -> None:
        ended = kit("sync", "--timeout", "20")
        assert (ended.code, ended.of("synced")[0]["waiting"]) == (0, 0), ended.said

    due = kit("due")
    assert (due.code, due.of("due")) == (0, []), due.said
    sync()
    (told,) = look(hub.store)
    assert told.facts.status is not None
    assert "care-brief" in told.facts.status.takes

    town = hub.add_practitioner(
        "town", name="演示医师甲", role="township-doctor", specialty="general-practice", password="correct horse"
    )
    with hub.store.reading() as connection:
        patient_id = connection.execute(patients.select()).one().id
    entry = care.enter(hub.store, patient_id, town, disease="htn", org_id="county", ground="三次非同日血压升高")
    words = {"diagnosis": "高血压3级", "next_plan": "每日测血压", "nursing_plan": "每周入户一次"}
    care.send_plan(hub.store, patient_id, town, words, [])
    arrived = take_in(kit)
    assert [(e["disease"], e["tier"]) for e in arrived] == [("htn", "village"), ("htn", "township"), ("htn", "county")]
    assert kit("plan", "0019").of("plan")[0]["dates"][0][0] == "village-visit"
    assert kit("due").of("plans")[0]["unread"] == 0

    measured = kit("measure", "bp", "--typed", "136/84", "--confirm", RESIDENT[-4:])
    assert measured.code == 0, measured.said
    typed = [part for key, value in ANSWERS.items() for part in ("--set", f"{key}={value}")]
    made = kit("followup", "htn", "0019", *typed)
    assert made.code == 0, made.said
    (event,) = made.of("follow-up")
    assert (event["outcome"], event["kept"]) == ("controlled", True)
    sync()
    with hub.store.reading() as connection:
        (kept,) = follow_ups.of_patients(connection, [patient_id])
    assert (str(kept.id), kept.answers["systolic"], kept.kit_id) == (event["follow_up_id"], "136", "kit-test")
    assert entry.disease == kept.disease
    sweep(hub.store)
    village = [e["on"] for e in kit("due", "--all").of("due") if e["tier"] == "village"]
    assert village == [event["next_on"]]


def take_in(kit: KitCommand) -> list[dict[str, str]]:
    """Run the service until what the hub told lies in the store."""
    service = kit.start("service")
    try:
        for _ in range(60):
            if found := kit("due", "--all").of("due"):
                return found
            time.sleep(0.5)
    finally:
        service.terminate()
        service.wait(20)
    pytest.fail("nothing came")
