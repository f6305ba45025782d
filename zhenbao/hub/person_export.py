"""Everything the hub has of one person, for that person: a ZIP of JSON for machines and a page for people."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.case import SignedReport, signed_reports
from zhenbao.hub.store import (
    HubStore,
    audit,
    consents,
    files,
    identities,
    loop,
    people,
    person,
    person_rows,
    records,
    referrals,
    returned,
    shares,
    work,
)
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.attachment import Attachment
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter
from zhenbao.model.recording import Recording
from zhenbao.model.time import local_text
from zhenbao.words import Words

JSON, PAGE = "data.json", "index.html"
_SUFFIX = {"application/pdf": "pdf", "image/jpeg": "jpg", "image/png": "png", "application/dicom": "dcm"}


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit with all that belongs to it."""

    item: WorkItem
    encounter: Encounter | None
    readings: tuple[tuple[Observation, int], ...]
    recordings: tuple[Recording, ...]
    reports: tuple[SignedReport, ...]
    loop: tuple[loop.LoopEntry, ...]


def export(store: HubStore, patient_id: UUID, words: Words) -> bytes:
    """The ZIP. It is made in memory and kept nowhere.

    Args:
        words: in which the page is written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from zhenbao.hub.web.present import Presenter

    now_ms = store.clock.now_ms()
    out = io.BytesIO()
    with store.reading() as connection, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        found = person.ids(connection, patient_id)
        visits = [_visit(connection, item) for item in work.of_patients(connection, found.patients, 10_000)]
        attached: list[tuple[str, Attachment]] = []
        for encounter_id in found.encounters:
            for listed in files.of_encounter(connection, encounter_id):
                file = files.find(connection, encounter_id, listed.id)
                if file is not None:
                    name = f"files/{file.id}.{_SUFFIX.get(file.media_type.value, 'bin')}"
                    attached.append((name, file))
                    archive.writestr(name, file.content)
        data: dict[str, Any] = {
            "made": local_text(now_ms, seconds=True),
            "patient_versions": [v for id_ in found.patients for v in identities.versions(connection, id_)],
            "links": identities.links(connection, found.patients),
            "visits": visits,
            "files": [
                {"name": name, "title": file.title, "observation_id": file.observation_id, "made_ms": file.made_ms}
                for name, file in attached
            ],
            "returned_reports": [r for id_ in found.encounters for r in returned.of_encounter(connection, id_)],
            "referrals": referrals.of_patients(connection, found.patients),
            "consents": consents.of_patients(connection, found.patients),
            "family_contact": consents.contact(connection, found.patients),
            "share_requests": shares.of_patients(connection, found.patients),
            "who_did_what": _deeds(connection, found),
            "further": person_rows.told(connection, found.by_key),
            "kits_with_copies": found.kits,
        }
        archive.writestr(JSON, _json(data))
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "web" / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        page = environment.get_template("person_export.html").render(
            w=words,
            p=Presenter(words, store.roster, now_ms),
            patient=records.patient(connection, patient_id),
            draw=lambda reading, recordings: _drawn(
                reading, [r for r in recordings if r.observation_id == reading.id], words
            ),
            **data,
        )
        archive.writestr(PAGE, page)
    return out.getvalue()


def _drawn(reading: Observation, recordings: Sequence[Recording], words: Words) -> list[str]:
    from zhenbao.hub.web.drawings import draw
    from zhenbao.hub.web.ecg_view import View, tracing

    ecgs = [tracing(reading, recording, View(), words).svg for recording in recordings if recording.unit == "mV"]
    return [*ecgs, *draw(reading, recordings, words)]


def _visit(connection: Connection, item: WorkItem) -> Visit:
    readings = tuple(records.observations_of(connection, item.encounter_id))
    return Visit(
        item,
        records.encounter(connection, item.encounter_id),
        readings,
        tuple(r for reading, _ in readings for r in records.recordings_of(connection, reading.id)),
        signed_reports(connection, item.encounter_id),
        tuple(loop.entries(connection, item.id)),
    )


def _deeds(connection: Connection, found: person.Ids) -> list[dict[str, object]]:
    """Who looked at this person's records or did something to them, by name: the person may know."""
    names: dict[str, str] = {}
    deeds: list[dict[str, object]] = []
    for row in audit.of_subjects(connection, found.subjects(connection)):
        if row.actor not in names:
            known = people.find(connection, row.actor)
            names[row.actor] = known.name if known is not None else row.actor
        deeds.append({"at_ms": row.at_ms, "by": names[row.actor], "action": row.action, "subject": row.subject})
    return deeds


def _json(data: object) -> bytes:
    import msgspec

    encoded = msgspec.json.encode(data, enc_hook=_plain)
    return msgspec.json.format(encoded, indent=1)


def _plain(value: object) -> object:
    """What JSON does not have: enumerations that are no text, immutable mappings."""
    if hasattr(value, "items"):
        return dict(value.items())
    return str(value)
