"""The quality role scores drawn reports without knowing whose they are, who wrote them and where (RULES 2.8).

The sample is that of the second reading: nobody can choose. A major difference also goes into the case's discussion:
whoever answers for the patient must see it, the figure alone would help nobody.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.access import viewer
from zhenbao.hub.consult import bare
from zhenbao.hub.store import audit, identities, organisations, quality, records, second_readings, thread, work
from zhenbao.hub.store.hub_store import HubStore
from zhenbao.hub.store.people import Practitioner, everyone
from zhenbao.hub.store.quality import VERDICTS, Score, Verdict
from zhenbao.hub.store.report_forms import WITH_FORM, form_of
from zhenbao.hub.store.second_readings import SecondReading
from zhenbao.hub.store.tables import reports
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.errors import InputError
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Patient
from zhenbao.model.recording import Recording
from zhenbao.model.time import age_years

_DAY_MS = 86_400_000
VEIL = "□□"


@dataclass(frozen=True, slots=True)
class Limits:
    """``quality.toml``."""

    look_back_days: int
    shortest_note: int
    longest_note: int
    age_band_years: int
    oldest_band: int


@dataclass(frozen=True, slots=True)
class Written:
    """What was reported, with names struck out."""

    conclusion: str
    advice: str
    urgency: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One sample as the quality role sees it."""

    id: UUID
    sample: second_readings.Sample
    specialty: str
    case_urgency: str
    sex: str
    age_band: str
    """``60-64``, ``90+``; empty: not known."""
    report: Written | None
    """None: the hub archived the case without one."""
    readings: tuple[tuple[Observation, tuple[Recording, ...]], ...]
    score: Score | None


@cache
def limits() -> Limits:
    return Limits(**tomllib.loads(files("zhenbao.hub").joinpath("quality.toml").read_text(encoding="utf-8")))


def waiting(store: HubStore, person: Practitioner) -> list[SecondReading]:
    """What a person may score, the oldest first.

    Raises:
        InputError: ``denied-role``.
    """
    now_ms = store.clock.now_ms()
    with store.reading() as connection:
        seer = viewer(connection, person, now_ms)
        if not seer.allowed("score"):
            raise InputError("denied-role")
        return quality.unscored(connection, seer.orgs, now_ms - limits().look_back_days * _DAY_MS)


def look(store: HubStore, drawn_id: UUID, person: Practitioner) -> Drawn:
    """One sample without whom it is about, who wrote it and where; the look is in the audit.

    Raises:
        InputError: ``denied-role``, ``denied-outside`` or ``denied-restricted``; ``quality-unknown``.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        asked, item = _found(connection, drawn_id, person, now_ms)
        shown = _shown(connection, asked, item)
        audit.append(connection, now_ms, person.login, "quality-looked", f"reading:{drawn_id}", case=str(item.id))
    return shown


def score(store: HubStore, drawn_id: UUID, person: Practitioner, verdict: str, note: str) -> Score:
    """Say once whether the report fits the reading.

    Raises:
        InputError: as ``look``; ``quality-verdict``; ``quality-note``: a difference says what it is;
            ``quality-scored``: somebody has done it.
    """
    now_ms, told = store.clock.now_ms(), " ".join(note.split())
    known: Verdict | None = next((v for v in VERDICTS if v == verdict), None)
    if known is None:
        raise InputError("quality-verdict")
    shortest = 0 if known == "agree" else limits().shortest_note
    if not shortest <= len(told) <= limits().longest_note:
        raise InputError("quality-note", shortest=limits().shortest_note, longest=limits().longest_note)
    with store.writing() as connection:
        asked, item = _found(connection, drawn_id, person, now_ms)
        if quality.find(connection, drawn_id) is not None:
            raise InputError("quality-scored")
        made = Score(drawn_id, item.id, asked.org_id, known, told, person.login, now_ms)
        quality.add(connection, made)
        if known == "major":
            thread.add(connection, item.id, "second", person.login, now_ms, text=told)
        # What was said stays out of the audit: it speaks of the patient.
        audit.append(
            connection, now_ms, person.login, "quality-scored", f"reading:{drawn_id}", case=str(item.id), verdict=known
        )
    return made


def age_band(years: int) -> str:
    """Five years, the oldest together."""
    known = limits()
    if years >= known.oldest_band:
        return f"{known.oldest_band}+"
    begin = years - years % known.age_band_years
    return f"{begin}-{begin + known.age_band_years - 1}"


def veiled(text: str, secrets: Iterable[str]) -> str:
    """A text with these names and numbers struck out, also where blanks stand between their letters."""
    for secret in sorted({s for s in secrets if len(s) > 1}, key=len, reverse=True):
        text = re.sub(r"\s*".join(re.escape(letter) for letter in secret if not letter.isspace()), VEIL, text)
    return text


def _found(connection: Connection, drawn_id: UUID, person: Practitioner, now_ms: int) -> tuple[SecondReading, WorkItem]:
    seer = viewer(connection, person, now_ms)
    if not seer.allowed("score"):
        raise InputError("denied-role")
    asked = second_readings.find(connection, drawn_id)
    item = work.find(connection, asked.work_item_id) if asked is not None else None
    if asked is None or item is None:
        raise InputError("quality-unknown")
    if (denied := seer.denial("score", item)) is not None:
        raise InputError(denied)
    return asked, item


def _shown(connection: Connection, asked: SecondReading, item: WorkItem) -> Drawn:
    patient = records.patient(connection, item.patient_id)
    row = connection.execute(WITH_FORM.where(reports.c.id == asked.report_id)).one_or_none()
    secrets = _secrets(connection, item)
    written, covered = None, None if row is None else json.loads(row.observation_ids or "[]")
    if row is not None:
        written = Written(
            veiled(row.conclusion, secrets), veiled(row.advice, secrets), row.urgency, form_of(row).choices
        )
    readings = [
        (replace(bare(reading), device_time=None), tuple(records.recordings_of(connection, reading.id)))
        for reading, _ in records.observations_of(connection, item.encounter_id)
        if covered is None or str(reading.id) in covered
    ]
    return Drawn(
        asked.id,
        asked.sample,
        asked.specialty,
        str(item.urgency),
        str(patient.sex) if patient is not None else "",
        _band(patient, item.effective_ms),
        written,
        tuple(readings),
        quality.find(connection, asked.id),
    )


def _band(patient: Patient | None, at_ms: int) -> str:
    return "" if patient is None or patient.birth_date is None else age_band(age_years(patient.birth_date, at_ms))


def _secrets(connection: Connection, item: WorkItem) -> set[str]:
    """Whatever would say whose it is: of the patient, of everybody who works here, and of every unit."""
    found: set[str] = {item.kit_id}
    for id_ in identities.same_person(connection, item.patient_id):
        for version in identities.versions(connection, id_):
            found |= {version.patient.name, version.patient.resident_number or "", version.patient.phone or ""}
    found |= {person.name for person in everyone(connection)} | {person.phone for person in everyone(connection)}
    found |= {unit.name for unit in organisations.everyone(connection)}
    return found
