"""Blood pressure: rest, two readings (three where they disagree), the mean, its class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from zhenbao import rules
from zhenbao.agent.capture import Journal, only_measurement, values_of
from zhenbao.agent.device_time import device_offset_s
from zhenbao.agent.kit import Kit
from zhenbao.agent.measure.cuff import Cuff, Taken, open_cuff
from zhenbao.agent.measure.cuff_display import LivePressure, mmhg
from zhenbao.agent.measure.live import taken_now
from zhenbao.agent.measure.saving import conclude
from zhenbao.agent.protocols import BpStep, Pressure, mean_pressure, next_bp_step, protocol, readings_wanted
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.visit import Visit, kept_context, known_context
from zhenbao.drivers.bp.codec import BloodPressure
from zhenbao.model.errors import DeviceError, InputError
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter
from zhenbao.model.quantity import Quantity

ARMS = ("left", "right")
OTHER_VISIT, REPEATED, IMPLAUSIBLE, IMPOSSIBLE = "other-visit", "repeated", "implausible", "impossible"
"""Why a reading is set aside."""


@dataclass(frozen=True, slots=True)
class CuffReading:
    """One reading as journalled."""

    systolic_mmhg: float
    diastolic_mmhg: float
    mean_mmhg: float | None
    pulse_per_min: float | None
    status: tuple[str, ...]
    device: Device
    device_time: str | None
    offset_s: float | None
    received_ms: int
    raw: bytes
    device_key: str | None

    @property
    def pressure(self) -> Pressure:
        return Pressure(self.systolic_mmhg, self.diastolic_mmhg)

    def values(self) -> dict[str, Quantity]:
        """The reading by keys of the code table."""
        values = {
            "bp_systolic": Quantity(self.systolic_mmhg, "mm[Hg]"),
            "bp_diastolic": Quantity(self.diastolic_mmhg, "mm[Hg]"),
        }
        if self.mean_mmhg is not None:
            values["bp_mean"] = Quantity(self.mean_mmhg, "mm[Hg]")
        if self.pulse_per_min is not None:
            values["pulse_rate_nibp"] = Quantity(self.pulse_per_min, "/min")
        return values


async def measure_bp(kit: Kit, visit: Visit, *, arm: str, skip_rest: str | None) -> None:
    """Lead the doctor through the protocol and keep the result. Readings of an interrupted attempt are taken up again.

    Raises:
        DeviceError: the cuff is absent, not paired, or sent nothing; readings so far are kept for the next attempt.
        InputError: ``choice`` (arm), ``skip-reason``, ``measuring``.
    """
    if arm not in ARMS:
        raise InputError("choice", value=arm, choices=", ".join(ARMS))
    if skip_rest is not None and not skip_rest.strip():
        raise InputError("skip-reason")
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        journal = Journal(kit.store, visit.encounter.id, "bp")
        readings = journal.kept(CuffReading)
        if readings:
            kit.screen.say("agent.resumed", count=len(readings))
            kit.screen.event("resumed", code="bp", count=len(readings))
        last_s = kit.clock.monotonic_s()
        rested = waited = bool(readings)
        if skip_rest:
            kit.screen.say("agent.rest_skipped", reason=skip_rest)
            rested = True
        async with open_cuff(kit) as cuff:
            while (
                step := next_bp_step(
                    [r.pressure for r in readings], rested=rested, waited=waited, irregular=_irregular(readings)
                )
            ) is not BpStep.DONE:
                if step is BpStep.REST:
                    kit.screen.say("agent.rest", minutes=protocol("bp")["rest_s"] / 60)
                    kit.clock.sleep(protocol("bp")["rest_s"])
                    rested = True
                elif step is BpStep.WAIT:
                    kit.screen.say("agent.wait", seconds=protocol("bp")["interval_s"])
                    kit.clock.sleep(protocol("bp")["interval_s"])
                    waited = True
                else:
                    _say_third(kit, readings)
                    reading = await _take(kit, cuff, len(readings) + 1)
                    last_s = kit.clock.monotonic_s()
                    journal.add(reading)
                    readings.append(reading)
                    _say_reading(kit, reading, len(readings))
                    waited = False
        context = {"arm": arm} | ({"skipped_rest": skip_rest} if skip_rest else {})
        observation = bp_observation(kit, visit.encounter, readings, context)
        _say_result(kit, observation, arm)
        conclude(kit, visit, observation, last_sample_s=last_s, capture=journal.id)


async def _take(kit: Kit, cuff: Cuff, number: int) -> CuffReading:
    """One believable reading; one that failed, is implausible or perhaps old is told and asked for again."""
    held: list[float] = []
    again = protocol("bp")["again_if_disturbed"]
    while True:
        await cuff.get_ready()
        kit.screen.say("agent.cuff_ready", number=number)
        kit.screen.event("press-start", number=number)
        reading = _sort(kit, await cuff.take(LivePressure(kit).hear), held)
        if reading is None:
            continue
        disturbed = [s for s in reading.status if s in protocol("bp")["disturbed"]]
        if not disturbed or again <= 0:
            return reading
        again -= 1
        _set_aside(kit, reading, "+".join(disturbed))
        _say_disturbed(kit, reading, disturbed)


def _sort(kit: Kit, taken: Taken, held: list[float]) -> CuffReading | None:
    """The last believable reading of now; every other one is set aside, and told."""
    good: CuffReading | None = None
    for raw in taken.impossible:
        kit.store.set_aside(raw.hex(), "bp", IMPOSSIBLE, raw)
        kit.screen.trouble(DeviceError("bp-no-value"))
    for measured in taken.readings:
        reading = _reading(measured, kit.clock.now_ms())
        if reading is None:
            kit.screen.trouble(DeviceError("bp-no-value"))
        elif _implausible(reading):
            _set_aside(kit, reading, IMPLAUSIBLE)
            kit.screen.trouble(
                DeviceError("bp-implausible", systolic=reading.systolic_mmhg, diastolic=reading.diastolic_mmhg)
            )
        elif taken.surely_new or _is_live(kit, reading, taken.clock_offset_s, held):
            if good is not None and good.raw != reading.raw:
                _set_aside(kit, good, REPEATED)
            good = reading
    return good


def _is_live(kit: Kit, reading: CuffReading, clock_offset_s: float | None, held: list[float]) -> bool:
    """Whether the reading was taken now; one that perhaps was not is told."""
    live = taken_now(
        kit, reading.device, reading.device_time, reading.received_ms, clock_offset_s=clock_offset_s, held=held
    )
    if not live:
        _set_aside(kit, reading, OTHER_VISIT)
        kit.screen.trouble(DeviceError("bp-held", device_time=(reading.device_time or "").replace("T", " ")))
    return live


def _reading(measured: BloodPressure, received_ms: int) -> CuffReading | None:
    systolic, diastolic = mmhg(measured.systolic), mmhg(measured.diastolic)
    if systolic is None or diastolic is None:
        return None
    return CuffReading(
        systolic,
        diastolic,
        mmhg(measured.mean),
        measured.pulse.value if measured.pulse else None,
        tuple(sorted(measured.status)),
        measured.device,
        measured.device_time,
        device_offset_s(measured.device_time, received_ms),
        received_ms,
        measured.raw,
        measured.device_key,
    )


def _implausible(reading: CuffReading) -> bool:
    return any(f.rule_id == "BP34" for f in rules.evaluate("bp", reading.values()))


def bp_observation(
    kit: Kit,
    encounter: Encounter,
    readings: Sequence[CuffReading],
    context: Mapping[str, str],
    *,
    complete: bool = True,
) -> Observation:
    """The mean of the readings, judged; without judgement where the protocol was not finished."""
    mean = mean_pressure([r.pressure for r in readings])
    pulses = [r.pulse_per_min for r in readings if r.pulse_per_min is not None]
    values = {
        "bp_systolic": Quantity(mean.systolic_mmhg, "mm[Hg]"),
        "bp_diastolic": Quantity(mean.diastolic_mmhg, "mm[Hg]"),
    }
    if pulses:
        values["pulse_rate_nibp"] = Quantity(round(sum(pulses) / len(pulses)), "/min")
    last = readings[-1]
    keys = [r.device_key for r in readings]
    notes = {f"cuff:{status}" for r in readings for status in r.status}
    if any(abs(r.offset_s or 0) > protocol("clock")["device_clock_warning_s"] for r in readings):
        notes.add("device-clock")
    patient = kit.store.patient(encounter.patient_id)
    facts = {**known_context(patient, encounter, last.received_ms), **context}
    return Observation(
        uuid7(kit.clock.now_ms()),
        encounter.patient_id,
        encounter.id,
        kit.settings.kit_id,
        "bp",
        "preliminary" if complete else "incomplete",
        last.received_ms,
        last.device,
        values,
        tuple(r.values() for r in readings),
        kept_context(facts),
        rules.evaluate("bp", values, facts),
        last.device_time,
        last.offset_s,
        "+".join(k for k in keys if k) if all(keys) else None,
        notes=tuple(sorted(notes)),
    )


def _set_aside(kit: Kit, reading: CuffReading, reason: str) -> None:
    """Keep what the cuff sent, out of the record."""
    key = reading.device_key or f"{reading.device.serial}|{reading.received_ms}|{reading.raw.hex()}"
    kit.store.set_aside(key, "bp", reason, reading.raw)


def _irregular(readings: Sequence[CuffReading]) -> bool:
    return any("irregular-pulse" in reading.status for reading in readings)


def _say_disturbed(kit: Kit, reading: CuffReading, disturbed: Sequence[str]) -> None:
    words = kit.screen.words
    reasons = words("agent.list_separator").join(words(f"cuff_status.{status}") for status in disturbed)
    kit.screen.trouble(
        DeviceError("bp-disturbed", systolic=reading.systolic_mmhg, diastolic=reading.diastolic_mmhg, reasons=reasons)
    )


def _say_third(kit: Kit, readings: Sequence[CuffReading]) -> None:
    if len(readings) == protocol("bp")["readings"]:
        if _irregular(readings):
            kit.screen.say("agent.bp_third_irregular", count=protocol("bp")["readings_if_irregular"])
            return
        first, second = readings
        apart = max(abs(first.systolic_mmhg - second.systolic_mmhg), abs(first.diastolic_mmhg - second.diastolic_mmhg))
        kit.screen.say("agent.bp_third", apart=apart, limit=protocol("bp")["third_if_above_mmhg"])


def _say_reading(kit: Kit, reading: CuffReading, number: int) -> None:
    pulse = "—" if reading.pulse_per_min is None else f"{reading.pulse_per_min:g}"
    kit.screen.say(
        "agent.bp_reading",
        number=number,
        systolic=reading.systolic_mmhg,
        diastolic=reading.diastolic_mmhg,
        pulse=pulse,
    )
    for status in reading.status:
        kit.screen.say("agent.bp_status", text=kit.screen.words(f"cuff_status.{status}"))
    kit.screen.event("reading", code="bp", number=number, values=reading.values())


def _say_result(kit: Kit, observation: Observation, arm: str) -> None:
    kit.screen.say(
        "agent.bp_result",
        systolic=observation.values["bp_systolic"].value,
        diastolic=observation.values["bp_diastolic"].value,
        count=len(observation.readings),
        arm=kit.screen.words(f"agent.arm_{arm}"),
    )


def close_bp(kit: Kit, encounter: Encounter, capture_id: UUID) -> Observation | None:
    """What an abandoned measurement left behind, as an incomplete observation; None where it left nothing."""
    readings = list(values_of(kit.store, capture_id, CuffReading))
    if not readings:
        return None
    complete = len(readings) >= readings_wanted([r.pressure for r in readings], irregular=_irregular(readings))
    return bp_observation(kit, encounter, readings, {}, complete=complete)
