"""24 h blood pressure from a recorder's exported table into the visit: means, findings and the course."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from zhenbao.agent.capture import only_measurement
from zhenbao.agent.kit import Kit
from zhenbao.agent.measure.saving import conclude
from zhenbao.agent.protocols import protocol
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.visit import Visit, age_text, kept_context, known_context
from zhenbao.model.bp_series import Bp24Recording
from zhenbao.model.errors import InputError
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.time import BEIJING, age_years

CODE = "bp24"


@dataclass(frozen=True, slots=True)
class Told:
    """What the table does not say and the doctor does; None and empty: nothing."""

    rose: str | None = None
    """``HH:MM``, from the patient's diary."""
    went_to_bed: str | None = None
    columns: str | None = None
    unit: str | None = None
    dates: str | None = None


def take_bp24_file(kit: Kit, visit: Visit, path: Path, told: Told, *, sure: bool) -> Bp24Recording:
    """Chart a recording. The file names nobody: whose it is, the confirmed identity alone says.

    Args:
        sure: the doctor has looked again: it is this person's, although it did not end just before this visit.

    Raises:
        InputError: as :func:`zhenbao.formats.bp_csv.read_bp_series` and :func:`zhenbao.signal.bp24.analyse_bp24`;
            ``bp24-time``; ``measuring``.
    """
    from zhenbao.formats.bp_csv import read_bp_series
    from zhenbao.paper.bp24_wording import lacking_line, mean_lines, nothing_found, quality_lines
    from zhenbao.signal.bp24 import analyse_bp24, judged_readings

    arrived_s, now_ms = kit.clock.monotonic_s(), kit.clock.now_ms()
    series = read_bp_series(path, columns=told.columns, unit=told.unit, dates=told.dates)
    ended_ms = round(datetime.fromisoformat(series.readings[-1].at).replace(tzinfo=BEIJING).timestamp() * 1000)
    of_now = _of_now(ended_ms, now_ms)
    if not of_now and not sure:
        raise InputError("bp24-time", time=series.readings[-1].at.replace("T", " ")[:16])
    born = visit.patient.birth_date
    analysis = analyse_bp24(
        series, rose=told.rose, went_to_bed=told.went_to_bed, age_years=age_years(born, now_ms) if born else None
    )
    recording = Bp24Recording(analysis, judged_readings(series), series.damaged)
    observation = _observation(kit, visit, recording, min(ended_ms, now_ms), of_now=of_now)
    words = kit.screen.words
    lacking = lacking_line(analysis, words)
    for line in (
        *([lacking] if lacking else []),
        words("bp24.row_head"),
        *mean_lines(analysis, words),
        *quality_lines(recording, words),
    ):
        kit.screen.say("bp24.line", text=line)
    for limit in analysis.limits:
        kit.screen.say("agent.limit", text=words(f"bp24_limit.{limit}"))
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        conclude(kit, visit, observation, last_sample_s=arrived_s, nothing_found=nothing_found(analysis))
    return recording


def write_page(kit: Kit, visit: Visit, recording: Bp24Recording, place: Path) -> None:
    """The recording's page as PDF, with the patient's name: for the chart, or for the patient to take along.

    Raises:
        StorageError: ``paper-missing``, ``analyse-write``.
    """
    from zhenbao.agent.export import write_whole
    from zhenbao.paper import to_pdf
    from zhenbao.paper.bp24 import bp24_page

    words, patient = kit.screen.words, visit.patient
    years = age_years(patient.birth_date, kit.clock.now_ms()) if patient.birth_date else None
    person = words("bp24_page.person", name=patient.name, sex=words(f"sex.{patient.sex}"), age=age_text(words, years))
    write_whole(place, to_pdf([bp24_page(recording, words=words, person=person)]))
    kit.screen.say("bp24_page.written", place=place)


def _of_now(ended_ms: int, now_ms: int) -> bool:
    """Whether it ended shortly before: a recorder is brought back on the next day, or after a weekend."""
    ahead_ms = 1000 * protocol("clock")["device_clock_warning_s"]
    return bool(now_ms - 3_600_000 * protocol("bp24")["returned_within_h"] <= ended_ms <= now_ms + ahead_ms)


def _observation(kit: Kit, visit: Visit, recording: Bp24Recording, ended_ms: int, *, of_now: bool) -> Observation:
    from zhenbao.signal.bp24 import means

    analysis, now_ms = recording.analysis, kit.clock.now_ms()
    notes = [
        "device-summary-bp24",
        *([] if of_now else ["bp24-earlier"]),
        *([] if analysis.enough else ["bp24-lacking"]),
    ]
    # A name that stays: the same table, taken twice, is one recording.
    told = msgspec.json.encode(replace(recording, analysis=replace(analysis, findings=(), limits=())), order="sorted")
    return Observation(
        uuid7(now_ms),
        visit.patient.id,
        visit.encounter.id,
        kit.settings.kit_id,
        CODE,
        "preliminary",
        ended_ms,
        Device("file:bp24-table"),
        means(analysis.whole, analysis.day, analysis.night),
        context=kept_context(known_context(visit.patient, visit.encounter, now_ms)),
        findings=analysis.findings,
        device_time=analysis.last_at,
        device_key=f"bp24|{analysis.last_at}|{hashlib.sha256(told).hexdigest()[:16]}",
        notes=tuple(notes),
        bp24=recording,
    )
