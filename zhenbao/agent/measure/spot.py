"""Temperature and weight from a device: one believable result of now, the others set aside with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import cbor2
import msgspec

from zhenbao.agent.capture import Journal, only_measurement, values_of
from zhenbao.agent.device_time import Timing, device_offset_s, judge
from zhenbao.agent.kit import BONDS, Kit
from zhenbao.agent.limits import plausible
from zhenbao.agent.measure import body
from zhenbao.agent.measure.live import taken_now
from zhenbao.agent.measure.saving import conclude
from zhenbao.agent.protocols import protocol
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.visit import Visit, kept_context, known_context
from zhenbao.drivers.links.ble import Radio, open_radio
from zhenbao.drivers.scale.codec import Weight
from zhenbao.drivers.scale.driver import WeighingScale
from zhenbao.drivers.thermometer.codec import Temperature
from zhenbao.drivers.thermometer.driver import Thermometer
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity

CODES = ("temperature", "weight")
FIND_S = 120.0
"""Such a device advertises only when it has a result: this long the doctor has to measure."""
SILENT_S = 15.0
OTHER_VISIT, FAILED, IMPLAUSIBLE, REPEATED = "other-visit", "no-value", "implausible", "repeated"
"""Why a result is set aside."""


@dataclass(frozen=True, slots=True)
class SpotReading:
    """One result as journalled, in the device's own unit."""

    shown: Quantity | None
    """None: the measurement failed."""
    site: str
    device: Device
    device_time: str | None
    offset_s: float | None
    received_ms: int
    raw: bytes
    device_key: str | None


@dataclass(slots=True)
class _Attempt:
    """What is known while one measurement is going on."""

    journal: Journal
    held: list[float] = field(default_factory=list)
    clock_offset_s: float | None = None


async def measure_temperature(kit: Kit, visit: Visit) -> None:
    """Take one temperature.

    Raises:
        DeviceError: the thermometer is absent, not paired, or sent nothing.
        FrameError: it sent nothing that can be read.
        InputError: ``measuring``.
    """
    await _measure(kit, visit, "temperature", lambda: Thermometer(kit.clock), "agent.thermometer_ready")


async def measure_weight(kit: Kit, visit: Visit, *, height_cm: float | None) -> None:
    """Take one weight; with a height (given now, or on the patient's record) its body mass index.

    Raises:
        DeviceError: the scale is absent, not paired, or sent nothing.
        FrameError: it sent nothing that can be read.
        InputError: ``height-range``, ``measuring``.
    """
    visit = body.with_height(kit, visit, height_cm)
    await _measure(kit, visit, "weight", lambda: WeighingScale(kit.clock), "agent.scale_ready")


async def _measure(
    kit: Kit, visit: Visit, code: str, driver: Callable[[], Thermometer | WeighingScale], ready: str
) -> None:
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        attempt = _Attempt(Journal(kit.store, visit.encounter.id, code))
        async with open_radio(kit.settings.bluetooth or None, kit.home / BONDS) as radio:
            good = None
            while good is None:
                kit.screen.say(ready)
                kit.screen.event("measure-now", code=code)
                received = await _fetch(kit, radio, driver(), attempt)
                arrived_s = kit.clock.monotonic_s()
                good = _sort(kit, visit, code, received, attempt)
        observation = _observation(kit, visit.encounter, visit.patient, code, good)
        if code == "temperature":
            assert good.shown is not None
            body.say_temperature(kit, good.shown, observation.values, good.site)
        else:
            body.say_weight(kit, visit, observation.values)
        nothing = body.nothing_found(code)
        conclude(kit, visit, observation, last_sample_s=arrived_s, capture=attempt.journal.id, nothing_found=nothing)


async def _fetch(kit: Kit, radio: Radio, driver: Thermometer | WeighingScale, attempt: _Attempt) -> list[SpotReading]:
    """What the device sends in one connection; each result is on disk before the next is awaited."""
    received: list[SpotReading] = []
    async with radio.connect(await radio.find(driver.service, timeout_s=FIND_S, own=True)) as link:
        try:
            async for measured in driver.read(link, timeout_s=SILENT_S):
                reading = _reading(measured, kit.clock.now_ms())
                attempt.journal.add(reading)
                received.append(reading)
        except FrameError as error:
            if not received:
                raise
            kit.screen.trouble(error)
    attempt.clock_offset_s = driver.device_offset_s
    return received


def _reading(measured: Temperature | Weight, received_ms: int) -> SpotReading:
    shown = measured.temperature if isinstance(measured, Temperature) else measured.weight
    site = (measured.site if isinstance(measured, Temperature) else None) or "unknown"
    return SpotReading(
        shown,
        site,
        measured.device,
        measured.device_time,
        device_offset_s(measured.device_time, received_ms),
        received_ms,
        measured.raw,
        measured.device_key,
    )


def _sort(kit: Kit, visit: Visit, code: str, received: Sequence[SpotReading], attempt: _Attempt) -> SpotReading | None:
    """The last good result of now; every other one is set aside, and told."""
    good: SpotReading | None = None
    for reading in received:
        if reading.shown is None:
            _set_aside(kit, code, reading, FAILED)
            kit.screen.trouble(DeviceError("spot-no-value"))
        elif not taken_now(
            kit,
            reading.device,
            reading.device_time,
            reading.received_ms,
            clock_offset_s=attempt.clock_offset_s,
            held=attempt.held,
        ):
            _set_aside(kit, code, reading, OTHER_VISIT)
            kit.screen.trouble(DeviceError("spot-held", device_time=(reading.device_time or "").replace("T", " ")))
        elif not _believable(code, reading.shown, visit):
            _set_aside(kit, code, reading, IMPLAUSIBLE)
            shown = reading.shown
            unit = {"Cel": "℃", "[degF]": "℉", "[lb_av]": "lb"}.get(shown.unit, shown.unit)
            kit.screen.trouble(DeviceError("spot-implausible", value=shown.value, unit=unit, command=code))
        else:
            if good is not None:
                _set_aside(kit, code, good, REPEATED)
            good = reading
    return good


def _believable(code: str, shown: Quantity, visit: Visit) -> bool:
    if code == "temperature":
        return plausible("body_temperature", shown)
    values = body.weight_values(shown, visit.patient)
    adult = known_context(visit.patient, visit.encounter, visit.encounter.started_ms).get("adult") == "yes"
    return plausible(body.weight_limit(adult), values["body_weight"]) and (
        "bmi" not in values or plausible("bmi", values["bmi"])
    )


def _set_aside(kit: Kit, code: str, reading: SpotReading, reason: str) -> None:
    key = reading.device_key or f"{reading.device.serial}|{reading.received_ms}|{reading.raw.hex()}"
    body_ = cbor2.dumps(msgspec.to_builtins(reading, builtin_types=(bytes,)))
    kit.store.set_aside(key, code, reason, body_)
    kit.screen.event("set-aside", code=code, reason=reason)


def _observation(
    kit: Kit, encounter: Encounter, patient: Patient, code: str, reading: SpotReading, notes: tuple[str, ...] = ()
) -> Observation:
    assert reading.shown is not None
    if code == "temperature":
        values = body.temperature_values(reading.shown, reading.site)
        context, sent = {"site": reading.site}, {"body_temperature": reading.shown}
    else:
        values = body.weight_values(reading.shown, patient)
        context = {"height_cm": f"{patient.height_cm:g}"} if patient.height_cm else {}
        sent = {"body_weight": reading.shown}
    facts = {**known_context(patient, encounter, reading.received_ms), **context}
    wrong_clock = abs(reading.offset_s or 0) > protocol("clock")["device_clock_warning_s"]
    return Observation(
        uuid7(kit.clock.now_ms()),
        encounter.patient_id,
        encounter.id,
        kit.settings.kit_id,
        code,
        "preliminary",
        reading.received_ms,
        reading.device,
        values,
        (sent,),
        kept_context(facts),
        body.judge(code, values, facts),
        reading.device_time,
        reading.offset_s,
        reading.device_key,
        notes=(*notes, *(("device-clock",) if wrong_clock else ())),
    )


def close_spot(kit: Kit, encounter: Encounter, code: str, capture_id: UUID) -> Observation | None:
    """What an abandoned measurement left behind: its last believable result of that time, or nothing."""
    patient = kit.store.patient(encounter.patient_id)
    if patient is None:
        return None
    visit = Visit(encounter, patient)
    good = [
        reading
        for reading in values_of(kit.store, capture_id, SpotReading)
        if reading.shown is not None
        and judge(reading.device_time, reading.received_ms).timing is Timing.LIVE
        and _believable(code, reading.shown, visit)
    ]
    return _observation(kit, encounter, patient, code, good[-1], ("interrupted-whole",)) if good else None
