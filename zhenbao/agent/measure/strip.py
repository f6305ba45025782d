"""A rhythm strip of one lead from a chest strap or a board: judged and alarmed as a 12-lead ECG is, for rhythm only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from uuid import UUID

from zhenbao import rules
from zhenbao.agent.capture import Journal, only_measurement, values_of
from zhenbao.agent.kit import BONDS, Kit
from zhenbao.agent.measure.ecg import say_ecg, with_chest_pain
from zhenbao.agent.measure.saving import conclude
from zhenbao.agent.protocols import protocol
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.visit import Visit, kept_context, known_context
from zhenbao.drivers.ecg.strip import StripEnd, StripHead, StripSamples, assemble_strip
from zhenbao.drivers.frontend.tracker import lost_stretches
from zhenbao.drivers.healthypi.driver import HealthyPi5
from zhenbao.drivers.links.ble import open_radio
from zhenbao.drivers.links.serial import open_serial
from zhenbao.drivers.polar.driver import PolarH10
from zhenbao.drivers.polar.heart_rate import StrapBeats
from zhenbao.model.ecg import DATA_LOST
from zhenbao.model.errors import DeviceError, FrameError, InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.time import age_years

CODE = "ecg-rhythm"
FIND_S = 60.0
"""A strap shows itself once it feels wet skin: this long the doctor has to put it on."""
FIND_AGAIN_S = 15.0
_LOST = ("strap-lost", "link-lost", "connect-failed")
_UNWRITTEN_S = 0.25
"""What a crash may cost."""
_ENOUGH_BEATS = 5

Event = StripHead | StripSamples | StrapBeats | StripEnd


@dataclass(slots=True)
class StripTaken:
    """What arrived of one strip."""

    head: StripHead | None = None
    samples: list[StripSamples] = field(default_factory=list)
    beats: list[StrapBeats] = field(default_factory=list)
    end: StripEnd | None = None
    started_ms: int = 0
    last_sample_s: float = 0.0
    """Monotonic time at which the last sample arrived."""
    error: DeviceError | FrameError | None = None
    """What ended it early."""


async def measure_strip(kit: Kit, visit: Visit, device: str) -> None:
    """Record, judge, alarm and keep a strip of ``polar-h10`` or ``healthypi5``.

    Raises:
        DeviceError: the device is absent or was lost; what had arrived is kept and marked incomplete.
        FrameError: it does not speak its protocol.
        InputError: ``strap-unset``, ``healthypi-unset``, ``measuring``.
    """
    # Analysis is loaded before the recording, so that it does not stand between the last sample and an alarm.
    import zhenbao.signal.ecg

    assert zhenbao.signal.ecg
    seconds: float = protocol("ecg")["rhythm_strip_s"]
    strap = device == PolarH10.name
    if strap and not kit.settings.ecg_strap:
        raise InputError("strap-unset")
    board = None if strap else _board(kit)
    events = _strap_events(kit, seconds) if board is None else _board_events(kit, board, seconds)
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        kit.screen.say("agent.strip_polar" if strap else "agent.strip_healthypi", seconds=seconds)
        kit.screen.event("recording", code=CODE, seconds=seconds)
        journal = Journal(kit.store, visit.encounter.id, CODE)
        taken = await _take(kit, events, journal)
        notes = ("clock-rate-differs",) if board is not None and _rate_differs(board) else ()
        _finish(kit, visit, taken, journal.id, notes)
        if taken.error is not None:
            raise taken.error


async def _strap_events(kit: Kit, seconds: float) -> AsyncGenerator[Event, None]:
    """The strip of this kit's strap, over as many connections as it takes."""
    strap = PolarH10(kit.clock.monotonic_s)
    left: int = protocol("ecg")["strap_reconnects"]
    find_s = FIND_S
    async with open_radio(kit.settings.bluetooth or None, kit.home / BONDS) as radio:
        while True:
            try:
                found = await radio.find(PolarH10.service, timeout_s=find_s, address=kit.settings.ecg_strap)
                async with radio.connect(found) as link, aclosing(strap.read(link, duration_s=seconds)) as events:
                    async for event in events:
                        yield event
            except DeviceError as error:
                if error.code not in _LOST or not left:
                    raise
            else:
                return
            left -= 1
            find_s = FIND_AGAIN_S
            kit.screen.say("agent.strap_again")
            kit.screen.event("reconnecting", driver=PolarH10.name, left=left)


def _board(kit: Kit) -> HealthyPi5:
    settings = kit.settings
    for name in ("healthypi_port", "healthypi_rate_hz", "healthypi_nv_per_count"):
        if not getattr(settings, name):
            raise InputError("healthypi-unset", missing=name)
    return HealthyPi5(settings.healthypi_rate_hz, settings.healthypi_nv_per_count, kit.clock.monotonic_s)


async def _board_events(kit: Kit, board: HealthyPi5, seconds: float) -> AsyncGenerator[Event, None]:
    async with (
        open_serial(kit.settings.healthypi_port) as link,
        aclosing(board.read(link, duration_s=seconds)) as events,
    ):
        async for event in events:
            yield event


def _rate_differs(board: HealthyPi5) -> bool:
    measured, set_hz = board.measured_rate_hz, board.rate_hz
    limit: float = protocol("ecg")["clock_rate_differs"]
    return measured is not None and abs(measured / set_hz - 1) > limit


async def _take(kit: Kit, events: AsyncGenerator[Event, None], journal: Journal) -> StripTaken:
    """Record, and keep what arrives in the journal, at most ``_UNWRITTEN_S`` behind. A lost device ends it."""
    taken = StripTaken(last_sample_s=kit.clock.monotonic_s(), started_ms=kit.clock.now_ms())
    unwritten: list[Event] = []
    written_s = kit.clock.monotonic_s()
    try:
        async with aclosing(events):
            async for event in events:
                now_s = kit.clock.monotonic_s()
                if isinstance(event, StripHead):
                    taken.head, taken.started_ms = event, kit.clock.now_ms()
                elif isinstance(event, StripSamples):
                    taken.samples.append(event)
                    taken.last_sample_s = now_s
                elif isinstance(event, StrapBeats):
                    taken.beats.append(event)
                else:
                    taken.end = event
                unwritten.append(event)
                if now_s - written_s >= _UNWRITTEN_S:
                    journal.add(*unwritten)
                    unwritten.clear()
                    written_s = now_s
    except (DeviceError, FrameError) as error:
        taken.error = error
    if unwritten:
        journal.add(*unwritten)
    return taken


def _finish(kit: Kit, visit: Visit, taken: StripTaken, capture_id: UUID, notes: tuple[str, ...]) -> None:
    if taken.head is None or not taken.samples:
        kit.store.drop_capture(capture_id)
        return
    observation, recording = strip_observation(
        kit,
        visit.encounter,
        visit.patient,
        taken.head,
        taken.samples,
        taken.beats,
        taken.end,
        taken.started_ms,
        notes,
    )
    say_ecg(kit, observation, (), recording)
    if "heart_rate" in observation.values:
        kit.screen.say("agent.strap_rate", rate=observation.values["heart_rate"].value)
    lost = _missing_share(recording)
    assert observation.ecg is not None
    if lost >= protocol("ecg")["missing_told"] or DATA_LOST in observation.ecg.quality.reasons:
        kit.screen.say("agent.strip_missing", share=lost)
        kit.screen.event("samples-missing", share=round(lost, 3))
    if "strap-rate-only" in observation.notes:
        kit.screen.say("agent.strap_rate_only")
    if "strap-rate-differs" in observation.notes:
        kit.screen.say("agent.strap_rate_differs")
    if "clock-rate-differs" in observation.notes:
        kit.screen.say("agent.clock_rate_differs")
    conclude(kit, visit, observation, [recording], last_sample_s=taken.last_sample_s, capture=capture_id)


def _missing_share(recording: Recording) -> float:
    import numpy as np

    return float(np.isnan(recording.values()).mean())


def strip_observation(
    kit: Kit,
    encounter: Encounter,
    patient: Patient | None,
    head: StripHead,
    samples: Sequence[StripSamples],
    beats: Sequence[StrapBeats],
    end: StripEnd | None,
    started_ms: int,
    notes: tuple[str, ...] = (),
) -> tuple[Observation, Recording]:
    """The strip as it is kept, and what the analysis says of it. The strap's own rate stands beside the counted one."""
    from zhenbao.signal.ecg import analyse_ecg

    observation_id = uuid7(kit.clock.now_ms())
    recording = assemble_strip(
        head,
        samples,
        end,
        id=uuid7(kit.clock.now_ms()),
        observation_id=observation_id,
        started_ms=started_ms,
        rr_1024=[interval for told in beats if told.contact is not False for interval in told.rr_1024],
    )
    analysis = analyse_ecg(
        recording.values(),
        recording.fs_hz,
        recording.channels,
        sex=str(patient.sex) if patient else None,
        age_years=age_years(patient.birth_date, started_ms) if patient and patient.birth_date else None,
        highpass_hz=recording.highpass_hz,
        lost=lost_stretches(samples, end.n_samples if end else 0),
    )
    context = known_context(patient, encounter, started_ms)
    values: dict[str, Quantity] = {}
    if analysis.heart_rate_bpm is not None:
        values["heart_rate_ecg"] = Quantity(round(analysis.heart_rate_bpm, 1), "/min")
    findings = with_chest_pain(analysis, context)
    intervals_s = [s for told in beats for s in told.rr_s if s > 0]
    if len(intervals_s) >= _ENOUGH_BEATS:
        own = 60 * len(intervals_s) / sum(intervals_s)
        values["heart_rate"] = Quantity(round(own, 1), "/min")
        counted = analysis.heart_rate_bpm
        if counted is None:
            by_strap = _urgent_by_own_rate(values["heart_rate"], context)
            findings = (*by_strap, *findings)
            notes = (*notes, "strap-rate-only") if by_strap else notes
        elif abs(own / counted - 1) > protocol("ecg")["strap_rate_differs"]:
            notes = (*notes, "strap-rate-differs")
    return (
        Observation(
            observation_id,
            encounter.patient_id,
            encounter.id,
            kit.settings.kit_id,
            CODE,
            "preliminary" if recording.complete else "incomplete",
            started_ms,
            head.device,
            values,
            context=kept_context(context),
            findings=findings,
            ecg=analysis,
            recordings=(recording.id,),
            notes=notes if recording.complete else ("interrupted", *notes),
        ),
        recording,
    )


def _urgent_by_own_rate(own: Quantity, context: dict[str, str]) -> tuple[Finding, ...]:
    """What nobody may wait for in the strap's own rate, where the tracing gave none: a lossy link silences no alarm."""
    found = rules.evaluate("ecg", {"heart_rate_ecg": own}, context)
    return tuple(
        replace(f, confidence="uncertain")
        for f in found
        if f.status == "present" and f.urgency is Urgency.RED and f.evidence
    )


def close_strip(
    kit: Kit, encounter: Encounter, capture_id: UUID, started_ms: int
) -> tuple[Observation, list[Recording]] | None:
    """What an interrupted strip left behind; None where it left no sample, or is another device's recording."""
    head = next(values_of(kit.store, capture_id, StripHead), None)
    samples = list(values_of(kit.store, capture_id, StripSamples))
    if head is None or not samples:
        return None
    observation, recording = strip_observation(
        kit,
        encounter,
        kit.store.patient(encounter.patient_id),
        head,
        samples,
        list(values_of(kit.store, capture_id, StrapBeats)),
        next(values_of(kit.store, capture_id, StripEnd), None),
        started_ms,
    )
    return observation, [recording]
