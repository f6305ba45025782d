"""Pictures and clips of an ultrasound, or a document, from files: taken over as they are, whose they are is looked at.

Nobody judges them here. The examination goes ahead with the results, the files follow in the lane for bulk.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path

from zhenbao import rules
from zhenbao.agent.capture import only_measurement
from zhenbao.agent.kit import Kit
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.visit import Visit, kept_context, known_context
from zhenbao.formats.attachment_file import AttachmentFile, Person, read_attachment
from zhenbao.model.attachment import Attachment, MediaType, Named
from zhenbao.model.errors import InputError
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Patient
from zhenbao.model.report import DeliveryState
from zhenbao.model.time import local_time

CODE = "ultrasound"


@dataclass(frozen=True, slots=True)
class Limits:
    """``files.toml``."""

    file_bytes: int
    visit_bytes: int
    pixels: int
    frames: int
    title_characters: int
    days_told: int
    source: str


@cache
def limits() -> Limits:
    """How much a visit takes over."""
    return Limits(**tomllib.loads(files("zhenbao.agent.measure").joinpath("files.toml").read_text("utf-8")))


def take_files(kit: Kit, visit: Visit, paths: Sequence[Path], *, title: str, sure: bool) -> list[Attachment]:
    """Keep files as one examination of the visit: all of them, or none. A file that the visit has is left out.

    Args:
        title: what they show, in a few words; empty: the kind of picture.
        sure: the doctor has seen that a file names somebody else, and says it is this patient's.

    Raises:
        FileFormatError: as :func:`read_attachment`.
        InputError: ``attachment-title attachment-visit-large attachment-frames attachment-other-patient``.
        StorageError: nothing was kept.
    """
    title = _title(title)
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        read = _new_ones(kit, visit, paths)
        if not read:
            kit.screen.event("attached", count=0)
            return []
        named = [_whose(kit, visit.patient, file, sure=sure) for file in read]
        now_ms = kit.clock.now_ms()
        for file in read:
            _tell_age(kit, file, now_ms)
        examination_id = uuid7(now_ms)
        kept = [
            Attachment(
                uuid7(now_ms),
                visit.encounter.id,
                visit.patient.id,
                examination_id,
                file.media_type,
                title or _kind(kit, file),
                now_ms,
                hashlib.sha256(file.content).digest(),
                file.content,
                whose,
                file.frames,
                file.device_time,
            )
            for file, whose in zip(read, named, strict=True)
        ]
        observation = _examination(kit, visit, kept, now_ms)
        kit.store.save_attachments(observation, kept)
    words = kit.screen.words
    for made, looked in zip(kept, read, strict=True):
        kit.screen.say("agent.file_kept", title=made.title, frames=made.frames, mb=len(made.content) / 1e6)
        if not looked.shown and made.media_type is MediaType.DICOM:
            kit.screen.say("agent.file_not_shown")
    kit.screen.findings(observation.findings)
    kit.screen.say("agent.saved", state=words(f"state.{DeliveryState.SAVED}"), preliminary=words("preliminary"))
    kit.screen.event(
        "attached",
        count=len(kept),
        observation_id=observation.id,
        files=[{"id": f.id, "type": f.media_type, "frames": f.frames, "named": f.named} for f in kept],
    )
    return kept


def differing(patient: Patient, told: Person) -> tuple[str, ...]:
    """In what a file's own person is not this patient: ``name number birth sex``."""
    pairs = {
        "name": (_plain(patient.name), _plain(told.name)),
        "number": (patient.resident_number, told.number),
        "birth": (patient.birth_date, told.birth_date),
        "sex": (str(patient.sex) if patient.sex in ("male", "female") else None, told.sex),
    }
    return tuple(what for what, (ours, theirs) in pairs.items() if ours and theirs and ours != theirs)


def agreeing(patient: Patient, told: Person) -> bool:
    """Whether the file names this patient: by name or number; a birthday or a sex alone names nobody."""
    same_number = told.number is not None and told.number == patient.resident_number
    return not differing(patient, told) and (same_number or (bool(told.name) and bool(_plain(patient.name))))


def _plain(name: str | None) -> str:
    """Its characters alone: without spaces, dots between parts, and letters."""
    return "".join(re.findall(r"[\u3400-\u9fff\U00020000-\U0003ffff]", unicodedata.normalize("NFKC", name or "")))


def _title(title: str) -> str:
    title = " ".join(title.split())
    if len(title) > limits().title_characters or not (title.isprintable() or not title):
        raise InputError("attachment-title", most=limits().title_characters)
    return title


def _new_ones(kit: Kit, visit: Visit, paths: Sequence[Path]) -> list[AttachmentFile]:
    """The files, without those that the visit has and those that are given twice."""
    most = limits()
    known = kit.store.attachments(visit.encounter.id)
    seen = {file.sha256 for file in known}
    total = sum(file.size_bytes for file in known)
    new = []
    for path in paths:
        file = read_attachment(path, most_bytes=most.file_bytes, most_pixels=most.pixels)
        if file.frames > most.frames:
            raise InputError("attachment-frames", frames=file.frames, most=most.frames)
        digest = hashlib.sha256(file.content).digest()
        if digest in seen:
            kit.screen.say("agent.file_known")
            kit.screen.event("file-known")
            continue
        seen.add(digest)
        total += len(file.content)
        if total > most.visit_bytes:
            raise InputError("attachment-visit-large", most_mb=most.visit_bytes / 1e6)
        new.append(file)
    return new


def _whose(kit: Kit, patient: Patient, file: AttachmentFile, *, sure: bool) -> Named:
    """Compare; a file of somebody else needs a second look.

    Raises:
        InputError: ``attachment-other-patient``.
    """
    told = file.person
    if wrong := differing(patient, told):
        words = kit.screen.words
        kit.screen.say(
            "agent.file_names",
            name=told.name or "—",
            born=told.birth_date or "—",
            sex=words(f"sex.{told.sex}") if told.sex else "—",
            tail=told.number[-4:] if told.number else "—",
        )
        fields = words("agent.list_separator").join(words(f"agent.file_field_{what}") for what in wrong)
        if not sure:
            raise InputError("attachment-other-patient", fields=fields)
        kit.screen.say("agent.file_differs_kept", fields=fields)
        return Named.DIFFERS
    if agreeing(patient, told):
        kit.screen.say("agent.file_agrees")
        return Named.AGREES
    kit.screen.say("agent.file_nobody")
    return Named.NOBODY


def _tell_age(kit: Kit, file: AttachmentFile, now_ms: int) -> None:
    if file.device_time is None:
        return
    days = (local_time(now_ms).date() - date.fromisoformat(file.device_time[:10])).days
    if abs(days) >= limits().days_told:
        kit.screen.say("agent.file_other_day", time=file.device_time.replace("T", " "))
        kit.screen.event("file-other-day", days=days)


def _kind(kit: Kit, file: AttachmentFile) -> str:
    kind = "document" if file.media_type is MediaType.PDF else "clip" if file.frames > 1 else "still"
    return kit.screen.words(f"agent.file_{kind}")


def _examination(kit: Kit, visit: Visit, kept: Sequence[Attachment], now_ms: int) -> Observation:
    facts = known_context(visit.patient, visit.encounter, now_ms)
    return Observation(
        kept[0].observation_id,
        visit.patient.id,
        visit.encounter.id,
        kit.settings.kit_id,
        CODE,
        "preliminary",
        now_ms,
        Device("file"),
        {},
        context=kept_context(facts),
        findings=rules.evaluate("ultrasound", {}, {"pictures": "yes"}),
        device_time=next((file.device_time for file in kept if file.device_time and "T" in file.device_time), None),
        attachments=tuple(file.id for file in kept),
        notes=("file-differs",) if any(file.named is Named.DIFFERS for file in kept) else (),
    )
