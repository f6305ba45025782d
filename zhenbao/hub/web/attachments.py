"""The files of a case: pictures to look at, and originals to fetch."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from zhenbao.formats.attachment_file import media_type
from zhenbao.hub.store import audit, files
from zhenbao.hub.web.pictures import picture
from zhenbao.hub.web.security import session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.attachment import Attachment, MediaType
from zhenbao.model.errors import InputError

router = APIRouter()
_SUFFIX = {MediaType.DICOM: "dcm", MediaType.JPEG: "jpg", MediaType.PNG: "png", MediaType.PDF: "pdf"}


@router.get("/cases/{case_id}/files/{file_id}/picture")
def show(request: Request, case_id: UUID, file_id: UUID, frame: int = 0) -> Response:
    """One picture; asked for by an ``img`` alone."""
    file, _ = _found(request, case_id, file_id)
    content, kind = picture(file, frame)
    return Response(content, media_type=kind)


@router.get("/cases/{case_id}/files/{file_id}/original")
def fetch(request: Request, case_id: UUID, file_id: UUID) -> Response:
    """The file as the kit sent it, to be saved and never opened by the browser itself; who fetched it is noted."""
    file, login = _found(request, case_id, file_id)
    kind = media_type(file.content)
    if kind is None:
        raise InputError("attachment-not-shown")
    site: Site = request.app.state.site
    with site.store.writing() as connection:
        audit.append(connection, site.store.clock.now_ms(), login, "file-fetched", f"file:{file_id}", case=str(case_id))
    name = f"{file_id}.{_SUFFIX[kind]}"
    return Response(
        file.content, media_type=kind.value, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _found(request: Request, case_id: UUID, file_id: UUID) -> tuple[Attachment, str]:
    """The file and who asks, if the case is theirs and the file is the case's."""
    site: Site = request.app.state.site
    person = session_of(request, site.store).practitioner
    case, _ = site.worklist.look(case_id, person)
    with site.store.reading() as connection:
        file = files.find(connection, case.item.encounter_id, file_id)
    if file is None:
        raise InputError("case-unknown")
    return file, person.login
