"""ECG: ten seconds of twelve leads, judged at once; then a rhythm strip."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from zhenbao import rules
from zhenbao.agent.capture import Journal, only_measurement, values_of
from zhenbao.agent.kit import Kit
from zhenbao.agent.live_feed import feeding
from zhenbao.agent.measure.front_end import Taken, front_end_port, take
from zhenbao.agent.measure.saving import conclude
from zhenbao.agent.protocols import protocol
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.visit import Visit, kept_context, known_context
from zhenbao.drivers.ecg.driver import FrontEndEcg
from zhenbao.drivers.frontend.assemble import assemble
from zhenbao.drivers.frontend.messages import EcgSamples, End, StreamHead
from zhenbao.drivers.frontend.tracker import lost_stretches
from zhenbao.drivers.links.serial import open_serial
from zhenbao.model.ecg import DATA_LOST, LEADS, EcgAnalysis
from zhenbao.model.errors import DeviceError
from zhenbao.model.finding import Finding
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.time import age_years

RHYTHM_LEADS = ("II", "V1", "V5")
"""Leads kept of the rhythm strip; of a recording that lacks one, those it has."""


async def measure_ecg(kit: Kit, visit: Visit) -> None:
    """Record, judge, alarm and keep; first ten seconds of all leads, then the strip.

    Raises:
        DeviceError: the front-end is absent or was lost; what had arrived is kept and marked incomplete.
        InputError: ``measuring``.
    """
    # Analysis is loaded before the recording, so that it does not stand between the last sample and an alarm.
    import zhenbao.signal.ecg

    assert zhenbao.signal.ecg
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        async with open_serial(front_end_port(kit)) as link:
            told: frozenset[str] = frozenset()
            for code, key in (("ecg", "twelve_lead_s"), ("ecg-rhythm", "rhythm_strip_s")):
                seconds = protocol("ecg")[key]
                kit.screen.say("agent.ecg_start" if code == "ecg" else "agent.ecg_strip", seconds=seconds)
                kit.screen.event("recording", code=code, seconds=seconds)
                journal = Journal(kit.store, visit.encounter.id, code)
                started_ms = kit.clock.now_ms()
                front_end = FrontEndEcg()
                with feeding(kit.home, kit.clock, visit.encounter.id) as feed:
                    taken = await take(kit, front_end.read(link, duration_s=seconds), journal, feed.hear)
                told |= _finish(kit, visit, code, front_end, taken, started_ms, journal.id, told)
                if taken.error is not None:
                    raise taken.error


def _finish(
    kit: Kit,
    visit: Visit,
    code: str,
    front_end: FrontEndEcg,
    taken: Taken,
    started_ms: int,
    capture_id: UUID,
    told: frozenset[str],
) -> frozenset[str]:
    """Judge, alarm and keep one recording; returns the rules it fired."""
    if taken.head is None:
        kit.store.drop_capture(capture_id)
        return frozenset()
    observation, recording = ecg_observation(
        kit,
        visit.encounter,
        visit.patient,
        code,
        front_end.device,
        taken.head,
        taken.ecg,
        taken.end,
        started_ms,
        front_end.notch_hz,
    )
    say_ecg(kit, observation, taken.ecg, recording)
    assert observation.ecg is not None
    say_lost(kit, observation.ecg)
    conclude(
        kit,
        visit,
        observation,
        [recording],
        last_sample_s=taken.last_sample_s,
        capture=capture_id,
        already_told=told,
    )
    if code == "ecg" and visit.encounter.chest_pain == "yes" and recording.complete:
        # After the alarm, which waits for no store; the instants themselves are those of the recording.
        ended_ms = started_ms + round(1000 * (taken.last_sample_s - taken.started_s))
        kit.store.note_time(visit.encounter.id, "ecg-start", at_ms=started_ms)
        kit.store.note_time(visit.encounter.id, "ecg-end", at_ms=ended_ms)
    return frozenset(f.rule_id for f in observation.findings)


def ecg_observation(
    kit: Kit,
    encounter: Encounter,
    patient: Patient | None,
    code: str,
    device: Device,
    head: StreamHead,
    samples: Sequence[EcgSamples],
    end: End | None,
    started_ms: int,
    notch_hz: float | None = None,
) -> tuple[Observation, Recording]:
    """The recording as it is kept, and what the analysis says of it."""
    from zhenbao.signal.ecg import analyse_ecg

    observation_id = uuid7(kit.clock.now_ms())
    recording = assemble(
        head,
        samples,
        end,
        id=uuid7(kit.clock.now_ms()),
        observation_id=observation_id,
        started_ms=started_ms,
        kind=code,
        channels=None if code == "ecg" else rhythm_leads(samples),
        notch_hz=notch_hz,
    )
    present = [i for i, lead in enumerate(recording.channels) if lead not in recording.absent]
    analysis = analyse_ecg(
        recording.values()[present],
        recording.fs_hz,
        tuple(recording.channels[i] for i in present),
        sex=str(patient.sex) if patient else None,
        age_years=age_years(patient.birth_date, started_ms) if patient and patient.birth_date else None,
        highpass_hz=recording.highpass_hz,
        lost=lost_stretches(samples, end.n_samples if end else 0),
    )
    context = known_context(patient, encounter, started_ms)
    values: dict[str, Quantity] = {}
    if analysis.heart_rate_bpm is not None:
        values["heart_rate_ecg"] = Quantity(round(analysis.heart_rate_bpm, 1), "/min")
    return (
        Observation(
            observation_id,
            encounter.patient_id,
            encounter.id,
            kit.settings.kit_id,
            code,
            "preliminary" if recording.complete else "incomplete",
            started_ms,
            device,
            values,
            context=kept_context(context),
            findings=with_chest_pain(analysis, context) if code == "ecg" else analysis.findings,
            ecg=analysis,
            recordings=(recording.id,),
            notes=() if recording.complete else ("interrupted",),
        ),
        recording,
    )


def with_chest_pain(analysis: EcgAnalysis, context: dict[str, str]) -> tuple[Finding, ...]:
    """Chest pain makes even an unremarkable ECG urgent (rule EC39): a normal ECG excludes nothing."""
    known = {f.rule_id for f in analysis.findings}
    asked = tuple(f for f in rules.evaluate("ecg", {}, context) if f.rule_id not in known)
    return tuple(sorted((*analysis.findings, *asked), key=lambda f: (f.status != "present", f.urgency.rank)))


def rhythm_leads(samples: Sequence[EcgSamples]) -> tuple[str, ...]:
    """The leads kept of a strip: the usual three where fitted, else the first three fitted."""
    absent = frozenset[str]().union(*(s.absent for s in samples))
    fitted = [lead for lead in LEADS if lead not in absent]
    return tuple([lead for lead in RHYTHM_LEADS if lead in fitted] or fitted[:3] or RHYTHM_LEADS)


def close_ecg(
    kit: Kit, encounter: Encounter, code: str, capture_id: UUID, started_ms: int
) -> tuple[Observation, list[Recording]] | None:
    """What an interrupted recording left behind; None where it left no sample."""
    head = next(values_of(kit.store, capture_id, StreamHead), None)
    samples = list(values_of(kit.store, capture_id, EcgSamples))
    device = Device(FrontEndEcg.name)
    if head is None or not samples:
        return None
    end = next(values_of(kit.store, capture_id, End), None)
    patient = kit.store.patient(encounter.patient_id)
    observation, recording = ecg_observation(kit, encounter, patient, code, device, head, samples, end, started_ms)
    return observation, [recording]


def say_ecg(kit: Kit, observation: Observation, samples: Sequence[EcgSamples], recording: Recording) -> None:
    """What was found, to the doctor."""
    words, analysis = kit.screen.words, observation.ecg
    assert analysis is not None
    comma = words("agent.list_separator")
    if off := sorted(set().union(*(s.electrode_off for s in samples)) if samples else ()):
        kit.screen.say("agent.electrode_off", electrodes=comma.join(off))
        kit.screen.event("electrode-off", electrodes=off)
    if recording.absent and observation.code == "ecg":
        kit.screen.say("agent.absent", leads=comma.join(recording.absent))
    if analysis.heart_rate_bpm is not None:
        kit.screen.say(
            "agent.ecg_result",
            rate=analysis.heart_rate_bpm,
            shortest=analysis.intervals["rr_min"],
            longest=analysis.intervals["rr_max"],
            score=analysis.quality.score,
        )
    else:
        kit.screen.say("agent.ecg_no_rate", score=analysis.quality.score)
    if analysis.heart_rate_bpm is not None:
        kit.screen.say("agent.ecg_rhythm", rhythm=words(f"rhythm.{analysis.rhythm}"))
    for hint in analysis.hints:
        kit.screen.say(
            "agent.ecg_hint", text=words(f"ecg_hint.{hint.name}"), confidence=words(f"ecg_confidence.{hint.confidence}")
        )
    if told := [reason for reason in analysis.quality.reasons if reason != DATA_LOST]:
        kit.screen.trouble(DeviceError("ecg-quality", reasons=comma.join(_reason(kit, reason) for reason in told)))
    for limit in analysis.limits:
        kit.screen.say("agent.limit", text=words(f"ecg_limit.{limit}"))


def say_lost(kit: Kit, analysis: EcgAnalysis) -> None:
    """What the cable lost, as what it is; the electrodes are not at fault."""
    if analysis.quality.lost:
        kit.screen.trouble(DeviceError("ecg-data-lost", lost_ms=analysis.lost_ms))


def _reason(kit: Kit, reason: str) -> str:
    key, _, lead = reason.partition(":")
    return kit.screen.words(f"ecg_quality.{key}") + (f"({kit.screen.words.lead(lead)})" if lead else "")
