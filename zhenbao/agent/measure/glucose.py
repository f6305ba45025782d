"""Glucose: every result of the meter once; those of this visit to the chart, all others set aside with the reason."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import cbor2
import msgspec

from zhenbao import rules
from zhenbao.agent.capture import only_measurement
from zhenbao.agent.kit import Kit
from zhenbao.agent.measure.glucose_meter import Meter, fetch
from zhenbao.agent.measure.saving import conclude
from zhenbao.agent.protocols import protocol
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.visit import Visit, kept_context, known_context
from zhenbao.drivers.glucose.codec import GlucoseReading, on_display
from zhenbao.model.errors import InputError
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Observation
from zhenbao.model.quantity import Quantity
from zhenbao.model.time import local_time

MEALS = ("fasting", "2h-after-meal", "random", "bedtime", "night", "unknown")
OTHER_VISIT = "other-visit"
"""Why a good result is not charted: measured at another time, on whom nobody knows."""
_BEYOND = {"high-without-limit": ">", "low-without-limit": "<"}


async def measure_glucose(kit: Kit, visit: Visit, *, meal: str) -> None:
    """Fetch what the meter has that this kit has not, and keep all of it; nothing is deleted on the meter.

    Raises:
        DeviceError: the meter is absent, not paired, or broke off; what it had sent is kept.
        InputError: ``choice`` (meal), ``measuring``.
    """
    if meal not in MEALS:
        raise InputError("choice", value=meal, choices=", ".join(MEALS))
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        fetched = await fetch(kit)
        arrived_s = kit.clock.monotonic_s()
        _say_clock(kit, fetched.meter)
        _sort(kit, visit, fetched.meter, fetched.readings, meal, arrived_s)
        if fetched.broke_off is not None:
            raise fetched.broke_off
        # Last of all: a crash before this line fetches the results again, and each is known by its key.
        fetched.remember(kit)


def _sort(kit: Kit, visit: Visit, meter: Meter, readings: list[GlucoseReading], meal: str, arrived_s: float) -> None:
    """Chart the results of this visit; set aside every other."""
    aside: Counter[str] = Counter()
    charted = 0
    for reading in readings:
        reason = reading.reason
        if reason in _BEYOND:
            reason = None  # HI or LO of a meter whose limits are unknown is a critical value, not an invalid one
        if reason is None and not _of_this_visit(visit, meter, reading):
            reason = OTHER_VISIT
        if reason is not None:
            body = cbor2.dumps(msgspec.to_builtins(reading, builtin_types=(bytes,)))
            if kit.store.set_aside(reading.device_key, "glucose", reason, body):
                aside[reason] += 1
            continue
        observation = _observation(kit, visit, meter, reading, meal)
        _say_result(kit, reading, observation, meal)
        charted += conclude(kit, visit, observation, last_sample_s=arrived_s)
    others = aside.pop(OTHER_VISIT, 0)
    if others:
        kit.screen.say("agent.glucose_unassigned", count=others)
    if aside:
        words = kit.screen.words
        reasons = words("agent.list_separator").join(words(f"quarantine.{reason}") for reason in aside)
        kit.screen.say("agent.glucose_quarantined", count=aside.total(), reasons=reasons)
    if not charted:
        kit.screen.say("agent.glucose_none")
    kit.screen.event("glucose", fetched=len(readings), charted=charted, other_visit=others, set_aside=dict(aside))


def _of_this_visit(visit: Visit, meter: Meter, reading: GlucoseReading) -> bool:
    """Whether the result was measured since the visit began, by the kit's clock as far as the meter's is known."""
    if reading.device_time is None:
        return False
    measured = datetime.fromisoformat(reading.device_time) - timedelta(seconds=meter.device_offset_s or 0)
    began = local_time(visit.encounter.started_ms).replace(tzinfo=None)
    return measured >= began - timedelta(seconds=protocol("clock")["before_visit_s"])


def _observation(kit: Kit, visit: Visit, meter: Meter, reading: GlucoseReading, meal: str) -> Observation:
    now_ms = kit.clock.now_ms()
    context = {"meal": meal, **known_context(visit.patient, visit.encounter, now_ms)}
    if reading.context and reading.context.meal:
        context["meter_meal"] = reading.context.meal
    if reading.fluid:
        context["sample"] = reading.fluid
    values = {"glucose_capillary": _concentration(reading)}
    wrong_clock = abs(meter.device_offset_s or 0) > protocol("clock")["device_clock_warning_s"]
    return Observation(
        uuid7(now_ms),
        visit.patient.id,
        visit.encounter.id,
        kit.settings.kit_id,
        "glucose",
        "preliminary",
        now_ms,
        meter.device,
        values,
        context=kept_context(context) | {"known_diabetes": visit.patient.known_diabetes},
        findings=rules.evaluate("glucose", values, context),
        device_time=reading.device_time,
        device_offset_s=meter.device_offset_s,
        device_key=reading.device_key,
        notes=("device-clock",) if wrong_clock else (),
    )


def _concentration(reading: GlucoseReading) -> Quantity:
    """The result; for HI or LO of unknown limit, a bound that is certainly true."""
    if reading.concentration is not None:
        return reading.concentration
    numbers = protocol("glucose")
    if _BEYOND[reading.reason or ""] == ">":
        return Quantity(numbers["high_beyond_mg_dl"], "mg/dL", ">")
    return Quantity(numbers["low_below_mg_dl"], "mg/dL", "<")


def _say_clock(kit: Kit, meter: Meter) -> None:
    offset_s = meter.device_offset_s
    if offset_s is not None and abs(offset_s) > protocol("clock")["device_clock_warning_s"]:
        kit.screen.say("agent.device_clock", minutes=abs(offset_s) / 60)
        kit.screen.event("device-clock", driver=meter.name, offset_s=offset_s)


def _say_result(kit: Kit, reading: GlucoseReading, observation: Observation, meal: str) -> None:
    quantity = observation.values["glucose_capillary"]
    kit.screen.say(
        "agent.glucose_result",
        value=_shown(quantity),
        unit=quantity.unit,
        meal=kit.screen.words(f"meal.{meal}"),
        device_time=(reading.device_time or "").replace("T", " "),
    )
    if (shown := on_display(reading)) is not None:
        kit.screen.say("agent.glucose_display", value=_shown(shown), unit=shown.unit)


def _shown(quantity: Quantity) -> str:
    value = f"{quantity.value:.1f}" if quantity.unit == "mmol/L" else f"{quantity.value:.0f}"
    return {">": f"HI(>{value})", "<": f"LO(<{value})", None: value}[quantity.comparator]
