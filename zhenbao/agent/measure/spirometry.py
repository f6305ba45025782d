"""Spirometry: blow after blow with feedback, until the session is good enough or eight blows are done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from uuid import UUID

from zhenbao.agent.capture import Journal, all_values, only_measurement
from zhenbao.agent.kit import Kit
from zhenbao.agent.measure.blow_display import LiveBlow
from zhenbao.agent.measure.contraindications import ask_contraindications
from zhenbao.agent.measure.front_end import front_end_port, take
from zhenbao.agent.measure.saving import conclude
from zhenbao.agent.measure.sensor_check import say_sensor_warnings
from zhenbao.agent.measure.spirometry_trend import earlier_tests, say_trend
from zhenbao.agent.protocols import protocol
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.store import KitStore
from zhenbao.agent.visit import Visit
from zhenbao.drivers.frontend.assemble import assemble
from zhenbao.drivers.frontend.messages import End, FlowSamples, StreamHead
from zhenbao.drivers.links.serial import open_serial
from zhenbao.drivers.spirometer.driver import FrontEndSpirometer
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.spirometry import Blow, SpirometryAnalysis
from zhenbao.model.time import decimal_age_years, local_time

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class BlowStart:
    """Journal mark before each blow."""

    started_ms: int


@dataclass(slots=True)
class RecordedBlow:
    """One blow as it arrived."""

    started_ms: int
    head: StreamHead | None = None
    samples: list[FlowSamples] = field(default_factory=list)
    end: End | None = None

    @property
    def whole(self) -> bool:
        """The device said that it ended; a torn blow is kept but says nothing of the patient."""
        return self.head is not None and self.end is not None and bool(self.samples)


async def measure_spirometry(kit: Kit, visit: Visit, *, contraindications: str | None = None) -> None:
    """Lead through the blows and keep them all, the bad ones too. Blows of an interrupted session are taken up again.

    Args:
        contraindications: the answer to :func:`ask_contraindications`; None asks.

    Raises:
        DeviceError: the front-end is absent or was lost; all that arrived is kept for the next attempt.
        InputError: ``measuring``, or as :func:`ask_contraindications`.
    """
    from zhenbao.signal.spirometry import grade_session

    numbers = protocol("spirometry")
    answer = ask_contraindications(kit, visit, contraindications)
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        journal = Journal(kit.store, visit.encounter.id, "spirometry")
        recorded = recorded_blows(kit.store, journal.id)
        if whole := sum(b.whole for b in recorded):
            kit.screen.say("agent.resumed", count=whole)
            kit.screen.event("resumed", code="spirometry", count=whole)
        last_sample_s = kit.clock.monotonic_s()
        age = _age(visit.patient, kit.clock.now_ms())
        blows = analysed(recorded, age)
        async with open_serial(front_end_port(kit)) as link:
            await say_sensor_warnings(kit, link)
            front_end = FrontEndSpirometer()
            while len(blows) < numbers["most_blows"] and (not blows or grade_session(blows, age).more_blows):
                if blows:
                    kit.screen.say("agent.spirometry_more", count=grade_session(blows, age).more_blows)
                number = len(blows) + 1
                kit.screen.say("agent.spirometry_blow", number=number)
                kit.screen.event("blow-start", number=number)
                start = BlowStart(kit.clock.now_ms())
                journal.add(start)
                live = LiveBlow(kit, _factor, age_years=age, predicted_fvc_l=_predicted_fvc_l(kit, visit.patient, age))
                taken = await take(kit, front_end.read(link, duration_s=numbers["blow_s"]), journal, live.hear)
                if taken.error is not None:
                    raise taken.error
                recorded.append(RecordedBlow(start.started_ms, taken.head, taken.flow, taken.end))
                last_sample_s = taken.last_sample_s
                blows = analysed(recorded, age)
                live.finish(blows[-1])
                _say_blow(kit, blows[-1], number)
        observation, recordings = spirometry_observation(
            kit, visit.encounter, visit.patient, front_end.device, recorded
        )
        observation = replace(observation, context={**observation.context, "contraindications": answer})
        _say_result(kit, observation)
        say_trend(kit, observation)
        conclude(kit, visit, observation, recordings, last_sample_s=last_sample_s, capture=journal.id)


def recorded_blows(store: KitStore, capture_id: UUID) -> list[RecordedBlow]:
    """The blows of a capture, split at their marks."""
    blows: list[RecordedBlow] = []
    for part in all_values(store, capture_id, (BlowStart, StreamHead, FlowSamples, End)):
        if isinstance(part, BlowStart):
            blows.append(RecordedBlow(part.started_ms))
        elif isinstance(part, StreamHead):
            blows[-1].head = part
        elif isinstance(part, FlowSamples):
            blows[-1].samples.append(part)
        elif isinstance(part, End):
            blows[-1].end = part
    return blows


def analysed(recorded: Sequence[RecordedBlow], age: float | None) -> list[Blow]:
    """Every whole blow, each judged with the largest FVC before it (ATS/ERS 2019: end of forced expiration)."""
    from zhenbao.signal.spirometry import analyse_blow, largest_fvc

    blows: list[Blow] = []
    for time_s, flow_l_s in (_curve(blow) for blow in recorded if blow.whole):
        prior_fvc_l = largest_fvc(blows)
        blows.append(analyse_blow(time_s, flow_l_s=flow_l_s, age_years=age, prior_fvc_l=prior_fvc_l))
    return blows


def _curve(blow: RecordedBlow) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Time in s and flow in L/s, BTPS; lost samples are NaN."""
    import numpy as np

    recording = _recording(blow, UUID(int=0), UUID(int=0))
    flow = recording.values()[0] * _to_btps(blow)
    return np.arange(flow.size) / recording.fs_hz, flow


def _to_btps(blow: RecordedBlow) -> float:
    """The factor of a blow."""
    return 1.0 if blow.head is None else _factor(blow.head)


def _factor(head: StreamHead) -> float:
    """What the sensor's flow is multiplied by; 1 where the front-end converts by itself or does not tell enough."""
    from zhenbao.signal.spirometry import btps_factor

    if head.btps or head.temperature_c is None or not head.pressure_pa:
        return 1.0
    return btps_factor(head.temperature_c, head.pressure_pa / 1000)


def _predicted_fvc_l(kit: Kit, patient: Patient, age: float | None) -> float | None:
    from zhenbao.signal.spirometry.predicted import predicted_for

    settings = kit.settings
    found = predicted_for(
        settings.spirometry_equation or None,
        settings.spirometry_group or None,
        None,
        sex=str(patient.sex),
        age_years=age,
        height_cm=patient.height_cm,
    )
    return found.references["FVC"].predicted if found.references else None


def _recording(blow: RecordedBlow, id_: UUID, observation_id: UUID) -> Recording:
    assert blow.head is not None
    return assemble(
        blow.head,
        blow.samples,
        blow.end,
        id=id_,
        observation_id=observation_id,
        started_ms=blow.started_ms,
    )


def spirometry_observation(
    kit: Kit, encounter: Encounter, patient: Patient | None, device: Device, recorded: Sequence[RecordedBlow]
) -> tuple[Observation, list[Recording]]:
    """The session as it is kept, and what the analysis says of it."""
    from zhenbao.signal.spirometry import analyse_session

    now_ms = kit.clock.now_ms()
    observation_id = uuid7(now_ms)
    kept = [b for b in recorded if b.head is not None and b.samples]
    recordings = [_recording(blow, uuid7(now_ms), observation_id) for blow in kept]
    whole = [b for b in recorded if b.whole]
    analysis = analyse_session(
        [_curve(b) for b in whole],
        sex=str(patient.sex) if patient else None,
        age_years=_age(patient, now_ms) if patient else None,
        height_cm=patient.height_cm if patient else None,
        equation=kit.settings.spirometry_equation or None,
        ethnicity=kit.settings.spirometry_group or None,
        flow_equation=kit.settings.spirometry_flows or None,
        taken_on=local_time(now_ms).date(),
        earlier=earlier_tests(kit, encounter.patient_id),
    )
    complete = len(whole) == len(recorded) and bool(whole)
    return (
        Observation(
            observation_id,
            encounter.patient_id,
            encounter.id,
            kit.settings.kit_id,
            "spirometry",
            "preliminary" if whole else "incomplete",
            kept[0].started_ms if kept else now_ms,
            device,
            _values(analysis),
            context={"chest_pain": encounter.chest_pain, **_conversion(kept)},
            findings=analysis.findings,
            spirometry=analysis,
            recordings=tuple(r.id for r in recordings),
            notes=() if complete else ("interrupted",),
        ),
        recordings,
    )


def _conversion(kept: Sequence[RecordedBlow]) -> dict[str, str]:
    """Recordings hold what the sensor said; whoever draws them needs the factor that the numbers were made with."""
    factors = {_to_btps(blow) for blow in kept} - {1.0}
    return {"btps_factor": f"{max(factors):.4f}"} if factors else {}


def _values(analysis: SpirometryAnalysis) -> dict[str, Quantity]:
    session = analysis.session
    values = {}
    if session.fev1_l is not None:
        values["fev1"] = Quantity(round(session.fev1_l, 3), "L")
    if session.fvc_l is not None:
        values["fvc"] = Quantity(round(session.fvc_l, 3), "L")
    if session.fev1_fvc is not None:
        values["fev1_fvc"] = Quantity(round(100 * session.fev1_fvc, 1), "%")
    return values


def close_spirometry(kit: Kit, encounter: Encounter, capture_id: UUID) -> tuple[Observation, list[Recording]] | None:
    """What an abandoned session left behind; None where it left no sample."""
    recorded = recorded_blows(kit.store, capture_id)
    if not any(b.samples for b in recorded):
        return None
    patient, device = kit.store.patient(encounter.patient_id), Device(FrontEndSpirometer.name)
    observation, recordings = spirometry_observation(kit, encounter, patient, device, recorded)
    notes = tuple(sorted({*observation.notes, "interrupted"}))
    return replace(observation, status="incomplete", notes=notes), recordings


def _age(patient: Patient, now_ms: int) -> float | None:
    """Exact: reference equations take part of a year into account."""
    return decimal_age_years(patient.birth_date, local_time(now_ms).date()) if patient.birth_date else None


def _say_blow(kit: Kit, blow: Blow, number: int) -> None:
    words = kit.screen.words
    if blow.fev1_acceptable and blow.fvc_acceptable:
        verdict = words("agent.blow_good")
    else:
        defects = words("agent.list_separator").join(words(f"blow_defect.{d}") for d in blow.defects)
        verdict = words("agent.blow_bad", defects=defects)
    kit.screen.say(
        "agent.blow_result",
        number=number,
        fev1=_litres(kit, blow.fev1_l),
        fvc=_litres(kit, blow.fvc_l),
        pef=blow.pef_l_s,
        verdict=verdict,
    )
    if defect := next((d for d in blow.defects if f"blow_coach.{d}" in words), None):
        kit.screen.say("agent.coach", text=words(f"blow_coach.{defect}"))
    kit.screen.event(
        "blow",
        number=number,
        fev1_l=blow.fev1_l,
        fvc_l=blow.fvc_l,
        defects=blow.defects,
        acceptable=blow.fev1_acceptable and blow.fvc_acceptable,
    )


def _say_result(kit: Kit, observation: Observation) -> None:
    words, analysis = kit.screen.words, observation.spirometry
    assert analysis is not None
    session = analysis.session
    ratio = words("agent.not_measured") if session.fev1_fvc is None else f"{session.fev1_fvc:.0%}"
    kit.screen.say(
        "agent.spirometry_result",
        fev1=_litres(kit, session.fev1_l),
        fvc=_litres(kit, session.fvc_l),
        ratio=ratio,
        fev1_grade=session.fev1_grade,
        fvc_grade=session.fvc_grade,
    )
    if analysis.interpretation is not None:
        severity = analysis.interpretation.cn5_severity
        kit.screen.say(
            "agent.spirometry_class",
            pattern=words(f"spirometry_class.{analysis.interpretation.shown_class}"),
            severity=words("agent.severity", severity=words(f"spirometry_severity.{severity}")) if severity else "",
            equation=_equation(kit, analysis),
        )
        for note in analysis.interpretation.notes:
            kit.screen.say("agent.limit", text=words(f"spirometry_note.{note}"))
    for limit in analysis.limits:
        kit.screen.say("agent.limit", text=words(f"spirometry_limit.{limit}"))


def _equation(kit: Kit, analysis: SpirometryAnalysis) -> str:
    """The equation's name, with its group where it has one."""
    words = kit.screen.words
    name = words(f"equation.{analysis.equation}")
    return (
        words("agent.equation_group", equation=name, group=words(f"gli_group.{analysis.group}"))
        if analysis.group
        else name
    )


def _litres(kit: Kit, value_l: float | None) -> str:
    words = kit.screen.words
    return words("agent.not_measured") if value_l is None else words("agent.litres", value=value_l)
