"""Values typed by hand from a device's display: the same limits, rules and alarm as measured ones, and marked for ever.

Devices break, and a value on a display is better than none. What cannot be right is refused, what is seldom right has
to be confirmed, and an observation of typed values says so wherever it is shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from zhenbao.agent.capture import only_measurement
from zhenbao.agent.kit import Kit
from zhenbao.agent.limits import admit
from zhenbao.agent.measure.body import (
    check_height,
    judge,
    nothing_found,
    say_temperature,
    say_weight,
    temperature_values,
    weight_limit,
    weight_values,
    with_height,
)
from zhenbao.agent.measure.bp import ARMS
from zhenbao.agent.measure.glucose import MEALS
from zhenbao.agent.measure.saving import conclude
from zhenbao.agent.measure.spo2 import asked_context
from zhenbao.agent.protocols import Pressure, mean_pressure, protocol, readings_wanted
from zhenbao.agent.recovery import close_orphans
from zhenbao.agent.visit import Visit, kept_context, known_context
from zhenbao.model.errors import InputError
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import TYPED, Device, Observation
from zhenbao.model.quantity import Quantity

GLUCOSE_UNITS = {"mmol/L": "mmol/L", "mg/dL": "mg/dL"}
TEMPERATURE_UNITS = {"C": "Cel", "F": "[degF]"}
SITES = ("armpit", "ear", "mouth", "rectum", "forehead", "unknown")
_NUMBER = re.compile(r"\d{1,4}(\.\d{1,3})?")


def type_bp(kit: Kit, visit: Visit, typed: Sequence[str], *, pulse: str | None, arm: str, sure: bool) -> None:
    """Keep pressures typed as ``152/94``; several are averaged as measured ones are.

    Raises:
        InputError: ``choice`` (arm), ``typed-form``, ``typed-order``, ``typed-impossible``, ``typed-implausible``.
    """
    _choice(arm, ARMS)
    confirmed = False
    readings = []
    for text in typed:
        systolic, diastolic = _pair(text, "152/94")
        if diastolic >= systolic:
            raise InputError("typed-order", first=systolic, second=diastolic)
        values = {"bp_systolic": Quantity(systolic, "mm[Hg]"), "bp_diastolic": Quantity(diastolic, "mm[Hg]")}
        apart = Quantity(systolic - diastolic, "mm[Hg]")
        for name, quantity in (*values.items(), ("bp_pulse_pressure", apart)):
            confirmed |= admit(name, quantity, sure=sure)
        readings.append(values)
    rate = None
    if pulse is not None:
        rate = Quantity(_number(pulse, "78"), "/min")
        confirmed |= admit("pulse", rate, sure=sure)
    pressures = [Pressure(r["bp_systolic"].value, r["bp_diastolic"].value) for r in readings]
    mean = mean_pressure(pressures)
    values = {
        "bp_systolic": Quantity(mean.systolic_mmhg, "mm[Hg]"),
        "bp_diastolic": Quantity(mean.diastolic_mmhg, "mm[Hg]"),
    } | ({"pulse_rate_nibp": rate} if rate else {})
    kit.screen.say(
        "agent.bp_result",
        systolic=mean.systolic_mmhg,
        diastolic=mean.diastolic_mmhg,
        count=len(readings),
        arm=kit.screen.words(f"agent.arm_{arm}"),
    )
    if len(readings) < readings_wanted(pressures):
        kit.screen.say("agent.typed_bp_few", count=len(readings), wanted=readings_wanted(pressures))
    _keep(kit, visit, "bp", values, {"arm": arm}, readings=tuple(readings), confirmed=confirmed)


def type_glucose(kit: Kit, visit: Visit, typed: str, *, unit: str, meal: str, sure: bool) -> None:
    """Keep a glucose typed as a number, or as the HI or LO of the meter's display.

    Raises:
        InputError: ``choice`` (unit, meal), ``typed-form``, ``typed-unit``, ``typed-impossible``,
            ``typed-implausible``.
    """
    ucum = GLUCOSE_UNITS[_choice(unit, GLUCOSE_UNITS)]
    _choice(meal, MEALS)
    confirmed = False
    shown = unicodedata.normalize("NFKC", typed).strip().upper()
    if shown in ("HI", "LO"):
        beyond = protocol("glucose")
        quantity = (
            Quantity(beyond["high_beyond_mg_dl"], "mg/dL", ">")
            if shown == "HI"
            else Quantity(beyond["low_below_mg_dl"], "mg/dL", "<")
        )
    else:
        quantity = Quantity(_number(typed, "7.8"), ucum)
        confirmed = admit("glucose_capillary", quantity, sure=sure)
        shown = f"{quantity.value:g}"
    meal_words = kit.screen.words(f"meal.{meal}")
    told_unit = "" if quantity.comparator else quantity.unit
    kit.screen.say("agent.glucose_typed", value=shown, unit=told_unit, meal=meal_words)
    context = {"meal": meal, "known_diabetes": visit.patient.known_diabetes}
    _keep(kit, visit, "glucose", {"glucose_capillary": quantity}, context, confirmed=confirmed)


def type_spo2(kit: Kit, visit: Visit, typed: str, *, said: Mapping[str, str], pulse: str | None, sure: bool) -> None:
    """Keep an oxygen saturation in per cent.

    Args:
        said: answers to ``QUESTIONS`` of :mod:`zhenbao.agent.measure.spo2`.

    Raises:
        InputError: ``answer``, ``typed-form``, ``typed-impossible``, ``typed-implausible``.
    """
    values = {"spo2": Quantity(_number(typed, "97"), "%")}
    confirmed = admit("spo2", values["spo2"], sure=sure)
    if pulse is not None:
        values["pulse_rate_oximeter"] = Quantity(_number(pulse, "78"), "/min")
        confirmed |= admit("pulse", values["pulse_rate_oximeter"], sure=sure)
    context = asked_context(kit, said)
    kit.screen.say("agent.spo2_typed", value=values["spo2"].value, pulse=pulse or "—")
    if "altitude" not in context:
        kit.screen.say("agent.spo2_altitude_unknown")
    _keep(kit, visit, "spo2", values, context, confirmed=confirmed)


def type_temperature(kit: Kit, visit: Visit, typed: str, *, unit: str, site: str, sure: bool) -> None:
    """Keep a temperature; one in Fahrenheit is charted in Celsius, and kept as typed beside it.

    Raises:
        InputError: ``choice`` (unit, site), ``typed-form``, ``typed-unit``, ``typed-impossible``,
            ``typed-implausible``.
    """
    ucum = TEMPERATURE_UNITS[_choice(unit.upper(), TEMPERATURE_UNITS)]
    _choice(site, SITES)
    shown = Quantity(_number(typed, "38.4"), ucum)
    confirmed = admit("body_temperature", shown, sure=sure)
    values = temperature_values(shown, site)
    say_temperature(kit, shown, values, site)
    sent = ({"body_temperature": shown},)
    _keep(kit, visit, "temperature", values, {"site": site}, readings=sent, confirmed=confirmed)


def type_weight(kit: Kit, visit: Visit, typed: str, *, height_cm: float | None, sure: bool) -> None:
    """Keep a weight in kilograms; with a height (given now, or on the patient's record) its body mass index.

    Raises:
        InputError: ``typed-form``, ``typed-impossible``, ``typed-implausible``, ``height-range``.
    """
    check_height(height_cm)
    shown = Quantity(_number(typed, "65.2"), "kg")
    adult = known_context(visit.patient, visit.encounter, kit.clock.now_ms()).get("adult") == "yes"
    confirmed = admit(weight_limit(adult), shown, sure=sure)
    height = visit.patient.height_cm if height_cm is None else height_cm
    values = weight_values(shown, replace(visit.patient, height_cm=height))
    if "bmi" in values:
        confirmed |= admit("bmi", values["bmi"], sure=sure)
    visit = with_height(kit, visit, height_cm)
    say_weight(kit, visit, values)
    context = {"height_cm": f"{height:g}"} if height else {}
    _keep(kit, visit, "weight", values, context, confirmed=confirmed)


def type_spirometry(kit: Kit, visit: Visit, typed: str, *, sure: bool) -> None:
    """Keep FEV1 and FVC typed as ``2.10/3.05``, in litres: a summary without blows, so without grade and judgement.

    Raises:
        InputError: ``typed-form``, ``typed-volumes`` (FEV1 above FVC), ``typed-impossible``, ``typed-implausible``.
    """
    fev1, fvc = _pair(typed, "2.10/3.05")
    if fev1 > fvc:
        raise InputError("typed-volumes", first=fev1, second=fvc)
    values = {"fev1": Quantity(fev1, "L"), "fvc": Quantity(fvc, "L")}
    confirmed = False
    for name, quantity in values.items():
        confirmed |= admit(name, quantity, sure=sure)
    values["fev1_fvc"] = Quantity(round(100 * fev1 / fvc, 1), "%")
    kit.screen.say("agent.spirometry_typed", fev1=fev1, fvc=fvc, ratio=values["fev1_fvc"].value)
    _keep(
        kit, visit, "spirometry", values, {}, confirmed=confirmed, more_notes=("ungraded",), nothing="agent.not_judged"
    )


def _keep(
    kit: Kit,
    visit: Visit,
    code: str,
    values: dict[str, Quantity],
    context: Mapping[str, str],
    *,
    confirmed: bool,
    readings: tuple[dict[str, Quantity], ...] = (),
    more_notes: tuple[str, ...] = (),
    nothing: str | None = None,
) -> None:
    typed_s = kit.clock.monotonic_s()
    now_ms = kit.clock.now_ms()
    facts = {**known_context(visit.patient, visit.encounter, now_ms), **context}
    kept = kept_context(facts) | {k: v for k, v in context.items() if k == "known_diabetes"}
    observation = Observation(
        uuid7(now_ms),
        visit.patient.id,
        visit.encounter.id,
        kit.settings.kit_id,
        code,
        "preliminary",
        now_ms,
        Device(TYPED),
        values,
        readings,
        kept,
        judge(code, values, facts),
        notes=("typed", *(("typed-sure",) if confirmed else ()), *more_notes),
    )
    with only_measurement(kit.home):
        close_orphans(kit, keep_encounter=visit.encounter.id)
        conclude(kit, visit, observation, last_sample_s=typed_s, nothing_found=nothing or nothing_found(code))


def _number(text: str, example: str) -> float:
    plain = unicodedata.normalize("NFKC", text).strip().replace("。", ".")
    if not _NUMBER.fullmatch(plain):
        raise InputError("typed-form", text=text[:20], example=example)
    return float(plain)


def _pair(text: str, example: str) -> tuple[float, float]:
    first, slash, second = unicodedata.normalize("NFKC", text).partition("/")
    if not slash:
        raise InputError("typed-form", text=text[:20], example=example)
    try:
        return _number(first, example), _number(second, example)
    except InputError:
        raise InputError("typed-form", text=text[:20], example=example) from None


def _choice(value: str, choices: Iterable[str]) -> str:
    if value not in choices:
        raise InputError("choice", value=value[:20], choices=", ".join(choices))
    return value
