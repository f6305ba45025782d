"""The last step of every measurement: alarm, then record and outbox in one transaction, then words (ADR 4)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from zhenbao.agent.kit import Kit
from zhenbao.agent.triage import raise_alarm
from zhenbao.agent.visit import Visit
from zhenbao.model.finding import Urgency
from zhenbao.model.observation import Observation
from zhenbao.model.recording import Recording
from zhenbao.model.report import DeliveryState
from zhenbao.sync.envelope import Lane


def conclude(
    kit: Kit,
    visit: Visit,
    observation: Observation,
    recordings: Sequence[Recording] = (),
    *,
    last_sample_s: float,
    capture: UUID | None = None,
    already_told: frozenset[str] = frozenset(),
    nothing_found: str = "agent.nothing_found",
) -> bool:
    """Raise the alarm if there is one, keep the observation, and say where it is.

    Args:
        last_sample_s: monotonic time at which the last sample arrived.
        capture: the journal that this observation replaces.
        already_told: rules whose alarm has sounded a moment ago for the same recording session.

        nothing_found: what is said where no rule has anything to say.

    Returns:
        False where the device had given this very result before; nothing was kept twice.

    Raises:
        StorageError: nothing was kept; the alarm has sounded all the same.
    """
    alarm = raise_alarm(
        kit.screen,
        kit.settings,
        visit.patient,
        [f for f in observation.findings if f.rule_id not in already_told],
        now_ms=kit.clock.now_ms(),
        last_sample_s=last_sample_s,
        now_s=kit.clock.monotonic_s(),
    )
    lane = Lane.CRITICAL if observation.urgency in (Urgency.RED, Urgency.ORANGE) else Lane.RESULTS
    new = kit.store.save_observation(observation, recordings, lane=lane, closes_capture=capture)
    words = kit.screen.words
    if not new:
        kit.screen.say("agent.duplicate")
        kit.screen.event("duplicate", observation_id=observation.id, code=observation.code)
        return False
    kit.screen.findings(observation.findings)
    if not observation.findings and observation.status == "preliminary":
        kit.screen.say(nothing_found)
    if observation.status == "incomplete":
        kit.screen.say("agent.incomplete")
    if observation.typed:
        kit.screen.say("agent.typed")
    kit.screen.say("agent.saved", state=words(f"state.{DeliveryState.SAVED}"), preliminary=words("preliminary"))
    kit.screen.event(
        "observation", observation=_brief(observation), urgency=observation.urgency, alarm=alarm is not None
    )
    return True


def _brief(observation: Observation) -> dict[str, object]:
    """What a program needs of an observation: no identity, no samples."""
    return {
        "id": observation.id,
        "encounter_id": observation.encounter_id,
        "code": observation.code,
        "status": observation.status,
        "effective_ms": observation.effective_ms,
        "values": observation.values,
        "findings": observation.findings,
        "readings": len(observation.readings),
        "typed": observation.typed,
        "notes": observation.notes,
        "recordings": observation.recordings,
    }
