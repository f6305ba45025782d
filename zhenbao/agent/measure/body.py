"""Temperature and weight: what is charted of a measured or typed one, its judgement, and its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from zhenbao import rules
from zhenbao.agent.kit import Kit
from zhenbao.agent.visit import Visit
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.time import local_text

DOMAINS = {"bp": "bp", "glucose": "glucose", "spo2": "spo2", "temperature": "news2", "weight": "bp"}
"""Whose rules judge a reading: row BP38 (body mass index) stands among those of blood pressure."""
_KG_PER_LB = 0.45359237  # exactly: NIST Handbook 44, appendix C
_KEYS = {
    "armpit": "body_temperature_axillary",
    "ear": "body_temperature_tympanic",
    "tympanum": "body_temperature_tympanic",
    "mouth": "body_temperature_oral",
}
"""Places that have a code of their own; the others are ``body_temperature``."""


def temperature_values(shown: Quantity, site: str) -> dict[str, Quantity]:
    """What is charted: Celsius to 0.1 degree, under the code of the place where it was measured."""
    celsius = shown.value if shown.unit == "Cel" else (shown.value - 32) / 1.8
    return {_KEYS.get(site, "body_temperature"): Quantity(round(celsius, 1), "Cel")}


def weight_values(shown: Quantity, patient: Patient) -> dict[str, Quantity]:
    """What is charted: kilograms, and the body mass index where the patient's height is known."""
    kg = shown.value if shown.unit == "kg" else round(shown.value * _KG_PER_LB, 2)
    values = {"body_weight": Quantity(kg, "kg")}
    if patient.height_cm:
        values["bmi"] = Quantity(round(kg / (patient.height_cm / 100) ** 2, 1), "kg/m2")
    return values


def weight_limit(patient_is_adult: bool) -> str:
    """The row of ``limits.toml`` for a weight."""
    return "body_weight_adult" if patient_is_adult else "body_weight"


def check_height(height_cm: float | None) -> None:
    """Refuse a height that nobody has.

    Raises:
        InputError: ``height-range``.
    """
    if height_cm is not None and not 40 <= height_cm <= 250:
        raise InputError("height-range", height=height_cm)


def with_height(kit: Kit, visit: Visit, height_cm: float | None) -> Visit:
    """The visit with a height that was measured now; it stays with the patient.

    Raises:
        InputError: ``height-range``.
    """
    check_height(height_cm)
    if height_cm is None:
        return visit
    patient = replace(visit.patient, height_cm=height_cm)
    kit.store.save_patient(patient)
    return replace(visit, patient=patient)


def judge(code: str, values: Mapping[str, Quantity], facts: Mapping[str, str]) -> tuple[Finding, ...]:
    """What the rules say of a reading; nothing where there are none for it."""
    domain = DOMAINS.get(code)
    if domain is None:
        return ()
    known = {("body_temperature" if key.startswith("body_temperature") else key): q for key, q in values.items()}
    return rules.evaluate(domain, known, facts)


def nothing_found(code: str) -> str:
    """What is said where no rule spoke: of a temperature, that fever is not graded here."""
    return "agent.temperature_not_graded" if code == "temperature" else "agent.nothing_found"


def say_temperature(kit: Kit, shown: Quantity, values: Mapping[str, Quantity], site: str) -> None:
    """The temperature in Celsius, with what was shown where that was Fahrenheit."""
    (celsius,) = values.values()
    words = kit.screen.words
    kit.screen.say("agent.temperature_result", value=celsius.value, site=words(f"site.{site}"))
    if shown.unit != "Cel":
        kit.screen.say("agent.temperature_shown", value=shown.value)


def say_weight(kit: Kit, visit: Visit, values: Mapping[str, Quantity]) -> None:
    """Weight, body mass index, and the weight before."""
    kit.screen.say("agent.weight_result", value=values["body_weight"].value)
    if "bmi" in values:
        kit.screen.say("agent.bmi_result", value=values["bmi"].value, height=visit.patient.height_cm)
    else:
        kit.screen.say("agent.bmi_no_height")
    earlier = _weight_before(kit, visit)
    if earlier is not None:
        kit.screen.say(
            "agent.weight_before",
            value=earlier.values["body_weight"].value,
            date=local_text(earlier.effective_ms)[:10],
            change=values["body_weight"].value - earlier.values["body_weight"].value,
        )


def _weight_before(kit: Kit, visit: Visit) -> Observation | None:
    kept = kit.store.observations(patient_id=visit.patient.id)
    weights = [o for o in kept if o.code == "weight" and o.status == "preliminary" and "body_weight" in o.values]
    return weights[-1] if weights else None
