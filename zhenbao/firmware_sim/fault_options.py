"""Faults by option: ``--fault cuff.early-indication``, ``--fault glucose.drops-link-after=3``.

Each fault of a simulated device is a field of its dataclass of faults; a new field is an option without a line here.
Values: a flag needs none; numbers; seconds for a time; ``8,20`` for several; ``LA:0:5000`` for an electrode and the
samples it is loose.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from difflib import get_close_matches
from enum import Enum
from typing import Any

from zhenbao.model.errors import InputError

FAULTS = {
    "cuff": "cuff.CuffFaults",
    "glucose": "glucose_meter.GlucoseFaults",
    "oximeter": "oximeter.OximeterFaults",
    "thermometer": "spot_meter.SpotFaults",
    "scale": "spot_meter.SpotFaults",
    "strap": "chest_strap.StrapFaults",
    "front-end": "front_end.device.FrontEndFaults",
    "ecg": "waveforms.ecg.EcgNoise",
    "cuff-cable": "serial_cuff.SerialCuffFaults",
    "spirometer": "contec.ContecFaults",
    "oximeter-cable": "serial_oximeter.SerialOximeterFaults",
    "onetouch": "serial_meters.onetouch.OneTouchFaults",
    "contour": "serial_meters.contour.ContourFaults",
    "healthypi": "healthypi.HealthyPiFaults",
}
"""By the name of a device: where its faults are. ``ecg`` is the noise in the patient's ECG."""
SEPARATOR = "."


def faults_of(device: str) -> Any:
    """The healthy faults of a device.

    Raises:
        InputError: ``sim-fault-device``.
    """
    from importlib import import_module

    if device not in FAULTS:
        raise InputError("sim-fault-device", device=device[:32], known=", ".join(FAULTS))
    module, _, name = FAULTS[device].rpartition(".")
    return getattr(import_module(f"zhenbao.firmware_sim.{module}"), name)()


def parse_faults(options: Sequence[str]) -> dict[str, Any]:
    """The faults of each device that the options name.

    Raises:
        InputError: ``sim-fault-device``, ``sim-fault-name`` (with the nearest), ``sim-fault-value``.
    """
    chosen: dict[str, Any] = {}
    for option in options:
        path, equals, text = option.partition("=")
        device, *names = path.strip().split(SEPARATOR)
        faults = chosen[device] if device in chosen else faults_of(device)
        chosen[device] = _with(faults, names, text if equals else None, option)
    return chosen


def every_fault(device: str) -> Iterator[str]:
    """All options of a device, without their values."""
    yield from (f"{device}{SEPARATOR}{name}" for name in _names(faults_of(device)))


def _names(faults: Any) -> Iterator[str]:
    for field in fields(faults):
        value = getattr(faults, field.name)
        name = field.name.replace("_", "-")
        if is_dataclass(value):
            yield from (f"{name}{SEPARATOR}{inner}" for inner in _names(value))
        else:
            yield name


def _with(faults: Any, names: Sequence[str], text: str | None, option: str) -> Any:
    wanted = names[0].replace("-", "_") if names else ""
    known = [field.name for field in fields(faults)]
    if wanted not in known:
        nearest = (get_close_matches(wanted, known, 1, cutoff=0.0) or ["?"])[0].replace("_", "-")
        raise InputError("sim-fault-name", option=option[:64], nearest=nearest)
    before = getattr(faults, wanted)
    if len(names) > 1 and is_dataclass(before):
        return replace(faults, **{wanted: _with(before, names[1:], text, option)})
    if is_dataclass(before) or len(names) > 1:
        raise InputError("sim-fault-value", option=option[:64])
    kind = typing.get_type_hints(type(faults), localns=vars(types) | {"Mapping": Mapping})[wanted]
    try:
        value = _value(kind, text)
    except (KeyError, ValueError):
        raise InputError("sim-fault-value", option=option[:64]) from None
    return replace(faults, **{wanted: {**before, **value} if isinstance(value, dict) else value})


def _value(kind: Any, text: str | None) -> Any:
    """A text as a field of this kind. ValueError, KeyError: it is none."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _value(next(one for one in inner if one is not type(None)), text)
    if kind is bool:
        return {None: True, "yes": True, "no": False}[text]
    if text is None:
        raise ValueError
    if origin is tuple:
        parts = text.split(",")
        each = inner[:1] * len(parts) if inner[-1] is Ellipsis else inner
        return tuple(_value(one, part) for one, part in zip(each, parts, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        name, start, stop = text.split(":")
        return {name.upper(): (int(start), int(stop))}
    if kind is timedelta:
        return timedelta(seconds=float(text))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind[text.upper().replace("-", "_")]
    return kind(text)
