"""Who is before the doctor: registering a patient, opening a visit, and the wrong-patient guard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from zhenbao.model.errors import InputError
from zhenbao.model.identity import Sex, parse_resident_number
from zhenbao.model.ids import uuid7
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.time import Clock, age_years, local_time
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.agent.screen import Screen
    from zhenbao.agent.store import KitStore

ANSWERS = ("yes", "no", "unknown")
ADULT_YEARS = 18
"""The rules' tables are written for adults of 18 and more."""


def register_patient(
    store: KitStore,
    clock: Clock,
    *,
    name: str,
    number: str | None,
    sex: str | None = None,
    birth_date: date | None = None,
    height_cm: float | None = None,
    phone: str | None = None,
    known_diabetes: str = "unknown",
) -> tuple[Patient, bool]:
    """Register a resident by number, or a temporary identity without one.

    A number that is already known gives the patient on file; the typed name must then agree.

    Returns:
        The patient, and whether it is new.

    Raises:
        InputError: ``id-...`` for a wrong number, ``name-missing``, ``name-differs``, ``sex-missing``,
            ``height-range``, ``answer``.
    """
    name = " ".join(name.split())
    if not name:
        raise InputError("name-missing")
    _answer("known_diabetes", known_diabetes)
    if height_cm is not None and not 40 <= height_cm <= 250:
        raise InputError("height-range", height=height_cm)
    now_ms = clock.now_ms()
    if number is None:
        if sex not in (Sex.MALE, Sex.FEMALE, Sex.UNKNOWN):
            raise InputError("sex-missing")
        patient = Patient(uuid7(now_ms), name, Sex(sex), birth_date, None, height_cm, phone, known_diabetes)
        store.save_patient(patient)
        return patient, True
    resident = parse_resident_number(number, local_time(now_ms).date())
    known = store.patient_by_number(resident.number)
    if known is not None:
        if known.name != name:
            raise InputError("name-differs")
        return known, False
    patient = Patient(
        uuid7(now_ms), name, resident.sex, resident.birth_date, resident.number, height_cm, phone, known_diabetes
    )
    store.save_patient(patient)
    return patient, True


def find_patient(store: KitStore, query: str) -> Patient:
    """The one patient that a name, a number or its tail names.

    Raises:
        InputError: ``patient-unknown``, or ``patient-several`` (the doctor types more characters).
    """
    found = store.patients(query)
    if not found:
        raise InputError("patient-unknown")
    if len(found) > 1:
        raise InputError("patient-several", count=len(found))
    return found[0]


def begin_encounter(
    store: KitStore, clock: Clock, kit_id: str, patient: Patient, *, reason: str, chest_pain: str
) -> Encounter:
    """Open a visit.

    Raises:
        InputError: ``answer`` where ``chest_pain`` is not yes, no or unknown.
    """
    _answer("chest_pain", chest_pain)
    now_ms = clock.now_ms()
    encounter = Encounter(uuid7(now_ms), patient.id, kit_id, now_ms, reason, chest_pain)
    store.save_encounter(encounter)
    return encounter


@dataclass(frozen=True, slots=True)
class Visit:
    """The open visit and its patient."""

    encounter: Encounter
    patient: Patient


def open_visit(store: KitStore) -> Visit:
    """The visit that is going on: the last one begun on this kit.

    Raises:
        InputError: ``visit-none``.
    """
    encounter = store.last_encounter()
    patient = store.patient(encounter.patient_id) if encounter else None
    if encounter is None or patient is None:
        raise InputError("visit-none")
    return Visit(encounter, patient)


def known_context(patient: Patient | None, encounter: Encounter, now_ms: int) -> dict[str, str]:
    """What is known of the person and the visit, as facts for the rules; what is not known is left out."""
    context = {"chest_pain": encounter.chest_pain}
    if patient is None:
        return context
    context["known_diabetes"] = patient.known_diabetes
    if patient.sex in (Sex.MALE, Sex.FEMALE):
        context["sex"] = str(patient.sex)
    if patient.sex is Sex.MALE:
        context["pregnant"] = "no"
    if patient.birth_date is not None:
        context["adult"] = "yes" if age_years(patient.birth_date, now_ms) >= ADULT_YEARS else "no"
    return context


def kept_context(context: Mapping[str, str]) -> dict[str, str]:
    """How a reading was taken, as it stays with it: without what the patient's own record says."""
    return {key: value for key, value in context.items() if key not in ("sex", "adult", "pregnant", "known_diabetes")}


def age_text(words: Words, years: int | None) -> str:
    """An age as people read it."""
    return words("agent.age_unknown") if years is None else words("agent.years", age=years)


def show_identity(screen: Screen, patient: Patient, now_ms: int) -> None:
    """Name, sex, age and the number's tail, before every measurement."""
    years = age_years(patient.birth_date, now_ms) if patient.birth_date else None
    sex = screen.words(f"sex.{patient.sex}")
    tail = patient.tail or screen.words("agent.temporary")
    screen.say("agent.identity", name=patient.name, sex=sex, age=age_text(screen.words, years), tail=tail)
    screen.event("identity", sex=patient.sex, age=years, tail=patient.tail, temporary=patient.temporary)


def confirm_identity(screen: Screen, patient: Patient, now_ms: int, *, confirmed_tail: str | None) -> None:
    """The wrong-patient guard: nothing is measured before the person in the chair is confirmed.

    Args:
        confirmed_tail: the tail of the number (``temp`` for a temporary identity) from a script or a scanner;
            None asks the doctor to press Enter.

    Raises:
        InputError: ``wrong-patient`` where the tail is another's, ``not-confirmed`` where nobody could be asked.
    """
    show_identity(screen, patient, now_ms)
    expected = patient.tail or "temp"
    if confirmed_tail is not None:
        if confirmed_tail.strip().upper() != expected.upper():
            raise InputError("wrong-patient", expected=expected)
        return
    try:
        answer = input(screen.words("agent.confirm_prompt") + " ")
    except EOFError:
        raise InputError("not-confirmed") from None
    if answer.strip():
        raise InputError("not-confirmed")


def _answer(question: str, answer: str) -> None:
    if answer not in ANSWERS:
        raise InputError("answer", question=question, answer=answer[:20])
