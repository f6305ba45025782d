"""Oxygen saturation: a finished result of the oximeter, or a stream that has stood still for long enough; judged."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import cbor2
import msgspec

from zhenbao import rules
from zhenbao.agent.capture import Journal, only_measurement, values_of
from zhenbao.agent.device_time import Timing, device_offset_s, judge
from zhenbao.agent.kit import Kit
from zhenbao.agent.measure.oximeter import Source, open_oximeter
from zhenbao.agent.measure.saving import conclude
from zhenbao.agent.protocols import protocol
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.settled import UNSETTLED, Moment, altitude_band, settled, unusable
from zhenbao.agent.visit import ANSWERS, Visit, kept_context, known_context
from zhenbao.drivers.oximeter.reading import TOLD, Oximetry
from zhenbao.model.errors import DeviceError, InputError
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter
from zhenbao.model.quantity import Quantity

OTHER_VISIT = "other-visit"
QUESTIONS = ("oxygen", "dyspnoea", "cyanosis", "altered_consciousness")
"""What the doctor may say of the person; each ``yes``, ``no`` or ``unknown``."""


@dataclass(frozen=True, slots=True)
class SaturationReading:
    """The one reading that counts, as journalled."""

    spo2_percent: float
    pulse_per_min: float
    perfusion_percent: float | None
    status: tuple[str, ...]
    device: Device
    device_time: str | None
    offset_s: float | None
    received_ms: int
    raw: bytes
    device_key: str | None
    context: dict[str, str]

    def values(self) -> dict[str, Quantity]:
        """The reading by keys of the code table."""
        values = {
            "spo2": Quantity(self.spo2_percent, "%"),
            "pulse_rate_oximeter": Quantity(self.pulse_per_min, "/min"),
        }
        if self.perfusion_percent is not None:
            values["perfusion_index"] = Quantity(self.perfusion_percent, "%")
        return values


def asked_context(kit: Kit, said: Mapping[str, str]) -> dict[str, str]:
    """What was said of the person, and how high the place lies: what a saturation is judged with.

    Raises:
        InputError: ``answer``.
    """
    for question, answer in said.items():
        if answer not in ANSWERS:
            raise InputError("answer", question=question, answer=answer[:20])
    context = {key: answer for key, answer in said.items() if answer != "unknown"}
    if (band := altitude_band(kit.settings.altitude_m)) is not None:
        context["altitude"] = band
    return context


async def measure_spo2(kit: Kit, visit: Visit, *, said: Mapping[str, str]) -> None:
    """Wait for a number that may be believed, and keep it; what may not be believed is set aside with the reason.

    Args:
        said: answers to ``QUESTIONS``.

    Raises:
        DeviceError: the oximeter is absent, not paired or silent; ``oximeter-lost`` (it ended before there was a
            result); ``spo2-unsettled`` (no number stood still, with the reason).
        InputError: ``answer``, ``measuring``.
    """
    context = asked_context(kit, said)
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        kit.screen.say("agent.spo2_ready", minutes=protocol("spo2")["rest_s"] / 60)
        kit.screen.event("oximeter-wanted")
        async with open_oximeter(kit) as source:
            result = await _result(kit, source)
            last_s = kit.clock.monotonic_s()
            reading = _kept(result, kit.clock.now_ms(), context)
            journal = Journal(kit.store, visit.encounter.id, "spo2")
            journal.add(reading)
        observation = spo2_observation(kit, visit.encounter, reading)
        _say_result(kit, reading)
        conclude(kit, visit, observation, last_sample_s=last_s, capture=journal.id)


async def _result(kit: Kit, source: Source) -> Oximetry:
    """The first message that is a result."""
    stream: list[Moment] = []
    held: list[float] = []
    told: set[tuple[str, Quantity | None]] = set()
    second_s = kit.clock.wait_s(1.0)
    try:
        async with asyncio.timeout(kit.clock.wait_s(protocol("spo2")["patience_s"])):
            async for message in source.messages:
                reason = unusable(message)
                if message.spot and reason is None and _is_live(kit, source, message, held):
                    return message
                if message.spot:
                    _refuse(kit, message, reason or OTHER_VISIT, told)
                    if reason is None:
                        continue  # a good number, but nobody knows whose: it may not help a stream to settle
                stream.append(Moment(kit.clock.monotonic_s() / second_s, message))
                _show(kit, message, reason)
                if (result := settled(stream)) is not None:
                    return result
    except TimeoutError:
        reason = _why_not(kit, stream)
        raise DeviceError("spo2-unsettled", reason=kit.screen.words(f"quarantine.{reason}")) from None
    reason = _why_not(kit, stream)
    raise DeviceError("oximeter-lost", reason=kit.screen.words(f"quarantine.{reason}"))


def _is_live(kit: Kit, source: Source, message: Oximetry, held: list[float]) -> bool:
    """Whether a finished result was measured now. Learns the offset of a wrong clock, and says so."""
    if message.device_time is None:
        return "from-storage" not in message.status
    setting = f"clock-offset:{message.device.driver}:{message.device.serial}"
    learned, told_s = kit.store.setting(setting), source.driver.device_offset_s
    known = (*held, *([float(learned)] if learned else ()), *([told_s] if told_s is not None else ()))
    judged = judge(message.device_time, kit.clock.now_ms(), known_offsets_s=known)
    assert judged.offset_s is not None
    if judged.timing is Timing.HELD:
        held.append(judged.offset_s)
        return False
    if abs(judged.offset_s) > protocol("clock")["device_clock_warning_s"]:
        kit.store.set_setting(setting, str(judged.offset_s))
        kit.screen.say("agent.device_clock", minutes=abs(judged.offset_s) / 60)
        kit.screen.event("device-clock", driver=message.device.driver, offset_s=judged.offset_s)
    return True


def _refuse(kit: Kit, message: Oximetry, reason: str, told: set[tuple[str, Quantity | None]]) -> None:
    """Set a finished result aside, and say so; a stream that repeats it without a name of its own does so once."""
    if message.device_key is None and (reason, message.spo2) in told:
        return
    told.add((reason, message.spo2))
    if _set_aside(kit, message, reason):
        kit.screen.say("agent.spo2_refused", reason=kit.screen.words(f"quarantine.{reason}"))
        kit.screen.event("set-aside", code="spo2", reason=reason)


def _why_not(kit: Kit, stream: list[Moment]) -> str:
    """Why there was no result; the last number that was sent is set aside with that reason."""
    last = stream[-1].reading if stream else None
    reason = "no-saturation" if last is None else unusable(last) or UNSETTLED
    if last is not None and last.spo2 is not None:
        _set_aside(kit, last, reason)
    kit.screen.event("unsettled", code="spo2", reason=reason, messages=len(stream))
    return reason


def _set_aside(kit: Kit, message: Oximetry, reason: str) -> bool:
    # A number without a time of its own has no lasting name: it is kept as often as it comes.
    digest = hashlib.sha256(message.raw).hexdigest()[:16]
    key = message.device_key or f"{message.device.serial}|{kit.clock.now_ms()}|{digest}"
    body = cbor2.dumps(msgspec.to_builtins(message, builtin_types=(bytes,)))
    return kit.store.set_aside(key, "spo2", reason, body)


def _kept(message: Oximetry, received_ms: int, context: dict[str, str]) -> SaturationReading:
    assert message.spo2 is not None and message.pulse is not None
    return SaturationReading(
        message.spo2.value,
        message.pulse.value,
        message.perfusion.value if message.perfusion else None,
        tuple(sorted(message.status)),
        message.device,
        message.device_time,
        device_offset_s(message.device_time, received_ms),
        received_ms,
        message.raw,
        message.device_key,
        context,
    )


def spo2_observation(kit: Kit, encounter: Encounter, reading: SaturationReading) -> Observation:
    """The reading, judged by the rules for the height of this place."""
    notes = {f"oximeter:{status}" for status in reading.status if status in TOLD}
    if "altitude" not in reading.context:
        notes.add("altitude-unknown")
    if reading.context.get("oxygen") == "yes":
        notes.add("on-oxygen")
    if abs(reading.offset_s or 0) > protocol("clock")["device_clock_warning_s"]:
        notes.add("device-clock")
    patient = kit.store.patient(encounter.patient_id)
    facts = {**known_context(patient, encounter, reading.received_ms), **reading.context}
    values = reading.values()
    return Observation(
        uuid7(kit.clock.now_ms()),
        encounter.patient_id,
        encounter.id,
        kit.settings.kit_id,
        "spo2",
        "preliminary",
        reading.received_ms,
        reading.device,
        values,
        context=kept_context(facts),
        findings=rules.evaluate("spo2", values, facts),
        device_time=reading.device_time,
        device_offset_s=reading.offset_s,
        device_key=reading.device_key,
        notes=tuple(sorted(notes)),
    )


def close_spo2(kit: Kit, encounter: Encounter, capture_id: UUID) -> Observation | None:
    """A reading that was finished when the program ended, as an observation; None where there was none."""
    readings = list(values_of(kit.store, capture_id, SaturationReading))
    return spo2_observation(kit, encounter, readings[-1]) if readings else None


def _show(kit: Kit, message: Oximetry, reason: str | None) -> None:
    words = kit.screen.words
    if reason is not None or message.spo2 is None or message.pulse is None:
        kit.screen.live(words("agent.spo2_no_number", reason=words(f"quarantine.{reason}")))
    else:
        kit.screen.live(words("agent.spo2_live", spo2=message.spo2.value, pulse=message.pulse.value))


def _say_result(kit: Kit, reading: SaturationReading) -> None:
    words = kit.screen.words
    perfusion = reading.perfusion_percent
    kit.screen.say(
        "agent.spo2_result",
        spo2=reading.spo2_percent,
        pulse=reading.pulse_per_min,
        perfusion="—" if perfusion is None else f"{perfusion:.1f}%",
    )
    if "altitude" not in reading.context:
        kit.screen.say("agent.spo2_altitude_unknown")
    if reading.context.get("oxygen") == "yes":
        kit.screen.say("agent.spo2_on_oxygen")
    for status in reading.status:
        if status in TOLD:
            kit.screen.say("agent.spo2_told", text=words(f"note.oximeter:{status}"))
