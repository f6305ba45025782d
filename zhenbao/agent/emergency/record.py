"""Recording while locked: the usual measurement on a store in memory, whose content is then sealed for the hub.

The store lies in a folder that dies with the power, under a key of its own. A kill leaves it there, and
``seal_what_a_kill_left`` seals what had been recorded; a power cut before the sealing loses it.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from zhenbao import rules
from zhenbao.agent.capture import only_measurement
from zhenbao.agent.emergency import spool
from zhenbao.agent.keys import for_emergencies
from zhenbao.agent.kit import Kit
from zhenbao.agent.screen import Screen
from zhenbao.agent.settings import KitSettings, load_settings
from zhenbao.agent.store import KitStore
from zhenbao.agent.vault.unlocked import runtime_folder
from zhenbao.agent.visit import Visit, begin_encounter, register_patient
from zhenbao.model.emergency import Emergency
from zhenbao.model.errors import StorageError, ZhenbaoError
from zhenbao.model.time import Clock, local_text
from zhenbao.sync.envelope import pack
from zhenbao.sync.sealing import seal_to

KIND = "emergency"
_BALLAST_BYTES = 1 << 16
_KEY = "key"


@contextmanager
def emergency(
    home: Path, clock: Clock, screen: Screen, *, sex: str, chest_pain: str, note: str
) -> Iterator[tuple[Kit, Visit]]:
    """A kit and a visit of nobody known, in memory. On leaving, whatever was recorded is sealed and waits for the hub.

    Raises:
        InputError: as the visit has it.
        StorageError: ``vault-no-memory``, or a sealed item could not be kept: it then stays in memory.
    """
    settings = load_settings(home)
    folder = _new_folder(home)
    with only_measurement(folder):  # while this process lives, nobody else seals it
        try:
            with _store(folder, settings, clock) as store:
                kit = Kit(home, settings, store, clock, screen)
                name = screen.words("emergency.nobody", time=local_text(clock.now_ms()))
                patient, _ = register_patient(store, clock, name=name, number=None, sex=sex)
                encounter = begin_encounter(store, clock, settings.kit_id, patient, reason=note, chest_pain=chest_pain)
                yield kit, Visit(encounter, patient)
        finally:
            _seal(home, folder, settings, clock, screen)


def seal_what_a_kill_left(home: Path, clock: Clock, screen: Screen) -> None:
    """At a start: seal what killed emergency recordings left; one that is going on is left alone."""
    from zhenbao.agent.recovery import close_orphans

    for folder in _left(home):
        try:
            with only_measurement(folder):
                settings = load_settings(home)
                with _store(folder, settings, clock) as store:
                    close_orphans(Kit(home, settings, store, clock, screen))
                _seal(home, folder, settings, clock, screen)
        except ZhenbaoError as error:
            # The next start tries again; whatever else there is to do must not wait for it.
            if error.code != "measuring":
                screen.trouble(error)


def left_over(home: Path) -> bool:
    """Whether a recording lies in memory that is not sealed."""
    return bool(_left(home))


def _left(home: Path) -> list[Path]:
    try:
        return sorted(place for place in _folder(home).glob("*") if not place.name.startswith("."))
    except StorageError:
        return []  # no folder in memory, nothing in it


def _new_folder(home: Path) -> Path:
    """In memory, with a key of its own; it appears whole."""
    draft = _folder(home) / f".{secrets.token_hex(8)}"
    draft.mkdir(parents=True, mode=0o700)
    (draft / _KEY).write_bytes(secrets.token_bytes(32))
    return draft.rename(draft.with_name(draft.name[1:]))


def _seal(home: Path, folder: Path, settings: KitSettings, clock: Clock, screen: Screen) -> None:
    """Each recording as a sealed packet on the disk; then the folder in memory goes."""
    try:
        hub, key = for_emergencies(home)
    except ZhenbaoError as error:
        # It stays in memory, where it can be sealed until the power goes.
        screen.trouble(error)
        return
    with _store(folder, settings, clock) as store:
        made = _emergencies(store)
    for emergency in made:
        # Named after its reading: where a kill came between two of them, the first is not sealed a second time.
        spool.put(home, emergency.id, lambda one=emergency: seal_to(hub, key, KIND, pack(one)))  # type: ignore[misc]
    if made:
        waiting = len(spool.waiting(home))
        screen.say("emergency.sealed", waiting=waiting)
        screen.event("sealed", readings=len(made), waiting=waiting)
    shutil.rmtree(folder)


def _emergencies(store: KitStore) -> list[Emergency]:
    """Each reading whole in itself, with the finding that somebody on the spot thought it urgent."""
    encounter = store.last_encounter()
    patient = store.patient(encounter.patient_id) if encounter else None
    if encounter is None or patient is None:
        return []
    begun = rules.evaluate("emergency", {}, {"begun": "yes"})
    return [
        Emergency(
            reading.id,
            patient,
            encounter,
            replace(reading, findings=(*reading.findings, *begun)),
            tuple(store.recordings_of(reading.id)),
        )
        for reading in store.observations(encounter.id)
    ]


def _store(folder: Path, settings: KitSettings, clock: Clock) -> KitStore:
    key = (folder / _KEY).read_bytes()
    return KitStore.open(folder, kit_id=settings.kit_id, clock=clock, key=key, ballast_bytes=_BALLAST_BYTES)


def _folder(home: Path) -> Path:
    """Of this kit, in memory."""
    name = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]
    return runtime_folder() / f"emergency-{name}"
