"""The day, visit by visit: the kit's real measuring code against the simulated devices; then the account."""

from __future__ import annotations

import contextlib
import secrets
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhenbao.agent.kit import Kit, open_kit
from zhenbao.agent.settings import KitSettings, save_settings
from zhenbao.agent.vault.unlocked import forget, hold
from zhenbao.agent.vault.vault import create
from zhenbao.agent.visit import Visit, begin_encounter, confirm_identity, register_patient
from zhenbao.demo.day.bedside import Bedside, Watching, pair_everything
from zhenbao.demo.day.clock import DayClock
from zhenbao.demo.day.plan import PlannedVisit, plan
from zhenbao.demo.day.truth import ALARMS, differences
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.cuff import BloodPressureMeter
from zhenbao.firmware_sim.front_end import FrontEnd
from zhenbao.firmware_sim.glucose_meter import GlucoseMeter
from zhenbao.firmware_sim.oximeter import PulseOximeter
from zhenbao.model.errors import InputError
from zhenbao.model.identity import check_character
from zhenbao.model.time import BEIJING
from zhenbao.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable

    from zhenbao.firmware_sim.patients import Patient

JSON_VERSION = 1
FACTOR = 40.0
BETWEEN_VISITS_S = 1200.0
_BEGINS = datetime(2026, 6, 1, 8, 0, tzinfo=BEIJING)


def play_day(
    seed: int, count: int, folder: Path, *, words: Words, told: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Play a day.

    Args:
        seed: what it is drawn from; the same number gives the same day.
        count: visits.
        folder: for the kit and the front-end; empty.
        told: is given one line a visit.

    Returns:
        The account: ``docs/simulators.md``. It holds no time and no id, so that equal days are equal objects.
    """
    clock = DayClock(round(_BEGINS.timestamp() * 1000), FACTOR)
    bench = Bench(
        BloodPressureMeter(speed=FACTOR),
        GlucoseMeter(clock=clock),
        FrontEnd(speed=FACTOR / 2, settings_dir=folder / "flash", link=folder / "front-end"),
        oximeter=PulseOximeter(speed=FACTOR),
        speed=FACTOR,
    )
    visits = plan(seed, count)
    with bench:
        home = folder / "kit"
        save_settings(
            home,
            KitSettings(
                "kit-day",
                bluetooth=bench.hci,
                front_end_port=str(folder / "front-end"),
                altitude_m=400,
                spirometry_equation="gli2012",
                spirometry_group="NEAsia",
            ),
        )
        screen = Watching(words)
        # The day's kit lives as long as the day: nobody needs its passphrase again.
        hold(home, create(home, "kit-day", "".join(secrets.choice("0123456789") for _ in range(20))))
        with contextlib.ExitStack() as ends:
            ends.callback(forget, home)
            kit = ends.enter_context(open_kit(home, clock, screen))
            pair_everything(kit, bench)
            accounts = []
            for visit in visits:
                account = _visit(kit, bench, visit, screen)
                accounts.append(account)
                if told is not None:
                    told(_line(words, account))
                clock.sleep(BETWEEN_VISITS_S)
            counts = _counts(kit, accounts, screen)
    agrees = not (counts["lost"] or counts["extra"] or counts["wrong_patient"] or counts["differing"])
    agrees = agrees and counts["alarms"] == counts["alarms_due"] and not counts["alarms_wrong"]
    return {"version": JSON_VERSION, "seed": seed, "visits": accounts, "counts": counts, "agrees": agrees}


def _visit(kit: Kit, bench: Bench, planned: PlannedVisit, screen: Watching) -> dict[str, Any]:
    patient = planned.patient
    person, _ = register_patient(
        kit.store,
        kit.clock,
        name=f"演示患者{planned.number}",
        number=_number(patient, planned.number),
        height_cm=float(patient.height_cm),
        known_diabetes="yes" if patient.disease in ("diabetes", "hyperosmolar", "hypoglycaemia") else "no",
    )
    encounter = begin_encounter(kit.store, kit.clock, kit.settings.kit_id, person, reason="", chest_pain="no")
    refused = None
    if planned.wrong_tail_first:
        try:
            confirm_identity(screen, person, kit.clock.now_ms(), confirmed_tail="000X")
        except InputError as error:
            refused = error.code
    confirm_identity(screen, person, kit.clock.now_ms(), confirmed_tail=person.tail)
    bedside = Bedside(kit, bench, Visit(encounter, person), planned, screen)
    readings = []
    for code in planned.measures:
        screen.forget()
        truth = bedside.measure(code)
        kept = [o for o in kit.store.observations(encounter.id) if o.code == code and o.status == "preliminary"]
        said = kept[-1] if kept else None
        wrong = ["nothing kept"] if said is None else differences(patient, truth, said)
        readings.append(
            {
                "code": code,
                "fault": planned.faults.get(code),
                "truth": truth,
                "kit": None if said is None else {k: v.value for k, v in sorted(said.values.items())},
                "findings": [] if said is None else sorted({f.rule_id for f in said.findings if f.status == "present"}),
                "urgency": None if said is None else str(said.urgency),
                "alarm": screen.count("alarm") > 0,
                "alarm_due": ALARMS.get(patient.disease) == code,
                "told": screen.troubles(),
                "differs": wrong,
            }
        )
    return {
        "number": planned.number,
        "disease": patient.disease,
        "refused": refused,
        "readings": readings,
        "encounter": str(encounter.id),
        "patient": str(person.id),
    }


def _counts(kit: Kit, accounts: list[dict[str, Any]], screen: Watching) -> dict[str, int]:
    """What must be nought, and what must be equal. Takes the ids out of the accounts: they differ from day to day."""
    stored = kit.store.observations()
    visits = {a.pop("encounter"): a.pop("patient") for a in accounts}
    readings = [r for a in accounts for r in a["readings"]]
    complete = [o for o in stored if o.status == "preliminary"]
    once = {(o.encounter_id, o.code) for o in complete if o.code not in ("ecg", "rhythm")}
    recorded = {(o.encounter_id, o.code, o.effective_ms) for o in complete if o.code in ("ecg", "rhythm")}
    return {
        "visits": len(accounts),
        "readings": len(readings),
        "lost": sum(r["kit"] is None for r in readings) + len(screen.kept_ids - {str(o.id) for o in stored}),
        "extra": len(complete) - len(once) - len(recorded),
        "interrupted": len(stored) - len(complete),
        "wrong_patient": sum(visits.get(str(o.encounter_id)) != str(o.patient_id) for o in stored),
        "differing": sum(bool(r["differs"]) for r in readings),
        "faults": sum(r["fault"] is not None for r in readings),
        "refused_patients": sum(a["refused"] == "wrong-patient" for a in accounts),
        "alarms": sum(r["alarm"] for r in readings),
        "alarms_due": sum(r["alarm_due"] for r in readings),
        "alarms_wrong": sum(r["alarm"] != r["alarm_due"] for r in readings),
        "waiting": kit.store.account().posted,
    }


def _number(patient: Patient, sequence: int) -> str:
    """A synthetic resident number: the area code 999999 is assigned to nobody; odd sequences are men."""
    order = 2 * sequence + (0 if patient.female else 1)
    first = f"999999{patient.born:%Y%m%d}{order:03d}"
    return first + check_character(first)


def _line(words: Words, account: dict[str, Any]) -> str:
    codes = words("agent.list_separator").join(words(f"observation.{r['code']}") for r in account["readings"])
    wrong = [text for reading in account["readings"] for text in reading["differs"]]
    alarm = words("demo.day.alarm") if any(r["alarm"] for r in account["readings"]) else ""
    faults = [r["fault"] for r in account["readings"] if r["fault"]]
    return words(
        "demo.day.visit",
        number=account["number"],
        disease=words(f"demo.disease.{account['disease']}"),
        codes=codes,
        fault=words("demo.day.fault", fault=" ".join(faults)) if faults else "",
        alarm=alarm,
        verdict=words("demo.day.wrong", what="; ".join(wrong)) if wrong else words("demo.day.right"),
    )
