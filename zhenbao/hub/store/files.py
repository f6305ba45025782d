"""Attachments of visits, as they came: listed without their content, read one at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, insert, select

from zhenbao.hub.store.tables import attachments
from zhenbao.model.attachment import Attachment, MediaType, Named
from zhenbao.model.errors import Rejected
from zhenbao.sync.envelope import Envelope, unpack

_LONGEST_TITLE = 120
_MOST_FRAMES = 100_000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a page lists of an attachment."""

    id: UUID
    observation_id: UUID
    media_type: MediaType
    title: str
    made_ms: int
    device_time: str | None
    named: Named
    frames: int
    size_bytes: int
    received_ms: int


def save(connection: Connection, envelope: Envelope, file: Attachment, now_ms: int) -> None:
    """Keep it; one that is known changes nothing.

    Raises:
        Rejected: ``attachment-hash``, ``envelope-body`` or ``other-body``.
    """
    if hashlib.sha256(file.content).digest() != file.sha256:
        raise Rejected("attachment-hash")
    if not (
        len(file.title) <= _LONGEST_TITLE
        and 1 <= file.frames <= _MOST_FRAMES
        and len(file.device_time or "") <= 32
        and 0 <= file.made_ms < 1 << 47
    ):
        raise Rejected("envelope-body", reason="attachment")
    known = connection.execute(select(attachments.c.body).where(attachments.c.id == file.id)).scalar()
    if known is not None:
        if known != envelope.body:
            raise Rejected("other-body")
        return
    connection.execute(
        insert(attachments).values(
            id=file.id,
            encounter_id=file.encounter_id,
            patient_id=file.patient_id,
            observation_id=file.observation_id,
            media_type=file.media_type.value,
            title=file.title,
            made_ms=file.made_ms,
            device_time=file.device_time,
            named=file.named.value,
            frames=file.frames,
            size_bytes=len(file.content),
            received_ms=now_ms,
            body=envelope.body,
        )
    )


def of_encounter(connection: Connection, encounter_id: UUID) -> list[StoredFile]:
    """The files of a visit that arrived so far, in order of their making."""
    a = attachments.c
    rows = connection.execute(
        select(
            a.id,
            a.observation_id,
            a.media_type,
            a.title,
            a.made_ms,
            a.device_time,
            a.named,
            a.frames,
            a.size_bytes,
            a.received_ms,
        )
        .where(a.encounter_id == encounter_id)
        .order_by(a.made_ms, a.id)
    )
    return [
        StoredFile(
            r.id,
            r.observation_id,
            MediaType(r.media_type),
            r.title,
            r.made_ms,
            r.device_time,
            Named(r.named),
            r.frames,
            r.size_bytes,
            r.received_ms,
        )
        for r in rows
    ]


def find(connection: Connection, encounter_id: UUID, attachment_id: UUID) -> Attachment | None:
    """One file of a visit; None where the visit has none such."""
    body = connection.execute(
        select(attachments.c.body).where(attachments.c.id == attachment_id, attachments.c.encounter_id == encounter_id)
    ).scalar()
    value = unpack("attachment", body) if body is not None else None
    return value if isinstance(value, Attachment) else None
