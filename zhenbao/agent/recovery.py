"""After a crash or a dead battery: what an interrupted measurement had recorded becomes an incomplete record."""

from __future__ import annotations

from uuid import UUID

from zhenbao.agent.kit import Kit
from zhenbao.agent.store import Capture
from zhenbao.model.observation import Observation
from zhenbao.model.recording import Recording

CONTINUED = ("bp", "spirometry")
"""Made of whole readings and blows: an interrupted one goes on where it stopped. A torn ECG cannot."""


def close_orphans(kit: Kit, keep_encounter: UUID | None = None) -> list[Observation]:
    """Close every open capture, except readings and blows of ``keep_encounter``, which can go on.

    Only inside ``only_measurement``: whoever holds that lock knows that no open capture has a living owner.
    """
    closed = []
    for capture in kit.store.open_captures():
        if capture.encounter_id == keep_encounter and capture.code in CONTINUED:
            continue
        left = _left_behind(kit, capture)
        if left is None:
            kit.store.drop_capture(capture.id)
            continue
        observation, recordings = left
        kit.store.save_observation(observation, recordings, closes_capture=capture.id)
        what = kit.screen.words(f"observation.{observation.code}")
        kit.screen.say("agent.closed", what=what)
        kit.screen.event("recovered", observation_id=observation.id, code=observation.code)
        closed.append(observation)
    return closed


def _left_behind(kit: Kit, capture: Capture) -> tuple[Observation, list[Recording]] | None:
    # Imported here: each measurement module calls this one before it starts.
    from zhenbao.agent.measure.bp import close_bp
    from zhenbao.agent.measure.ecg import close_ecg
    from zhenbao.agent.measure.spirometry import close_spirometry
    from zhenbao.agent.measure.spo2 import close_spo2
    from zhenbao.agent.measure.spot import CODES, close_spot
    from zhenbao.agent.measure.strip import close_strip

    encounter = kit.store.encounter(capture.encounter_id)
    if encounter is None:
        return None
    if capture.code == "bp":
        observation = close_bp(kit, encounter, capture.id)
        return (observation, []) if observation else None
    if capture.code == "spo2":
        observation = close_spo2(kit, encounter, capture.id)
        return (observation, []) if observation else None
    if capture.code in CODES:
        observation = close_spot(kit, encounter, capture.code, capture.id)
        return (observation, []) if observation else None
    if capture.code == "spirometry":
        return close_spirometry(kit, encounter, capture.id)
    strip = close_strip(kit, encounter, capture.id, capture.started_ms)
    return strip or close_ecg(kit, encounter, capture.code, capture.id, capture.started_ms)
