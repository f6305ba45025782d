"""A session of blows out of the kit, as a file that names nobody."""

from __future__ import annotations

from pathlib import Path

from zhenbao.agent.store import KitStore
from zhenbao.agent.visit import open_visit
from zhenbao.formats.spirometry_export import spirometry_export
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.time import age_years


def export_spirometry(store: KitStore, place: Path) -> int:
    """Write the last spirometry of the open visit; returns how many blows. A file that exists is replaced whole.

    Raises:
        InputError: ``visit-none``; ``export-none``: the visit has no spirometry with blows; ``export-pruned``: the hub
            alone has its curves.
        StorageError: ``analyse-write``.
    """
    visit = open_visit(store)
    sessions = [each for each in store.observations(visit.encounter.id) if each.code == "spirometry" and not each.typed]
    if not sessions:
        raise InputError("export-none")
    session = sessions[-1]
    kept = {recording.id: recording for recording in store.recordings_of(session.id)}
    if any(id_ not in kept for id_ in session.recordings) and store.pruned_of(session.id):
        raise InputError("export-pruned")
    recordings = [kept[id_] for id_ in session.recordings if id_ in kept]
    born = visit.patient.birth_date
    data = spirometry_export(
        session,
        recordings,
        sex=str(visit.patient.sex),
        age_years=age_years(born, session.effective_ms) if born else None,
        height_cm=visit.patient.height_cm,
    )
    write_whole(place, data)
    return len(recordings)


def write_whole(place: Path, data: bytes) -> None:
    """Write a file; one that exists is replaced only by a whole one.

    Raises:
        StorageError: ``analyse-write``.
    """
    partial = place.with_name(place.name + ".part")
    try:
        partial.write_bytes(data)
        partial.replace(place)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError("analyse-write", name=place.name, reason=error.strerror or "") from error
