"""The kit's own blows as a file: one JSON object of whole numbers as the sensor sent them.

The form is described in ``docs/spirometry-files.md``. It names nobody.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from zhenbao.formats.ecg_file import FileFormatError
from zhenbao.formats.spirometry_file import BlowCurve, SpirometryFile
from zhenbao.model.recording import NO_VALUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zhenbao.model.observation import Observation
    from zhenbao.model.recording import Recording

FORMAT = "zhenbao-spirometry"
_RATES_HZ = (20.0, 10_000.0)
_BTPS_FACTORS = (0.8, 1.4)


class _Person(msgspec.Struct, frozen=True):
    sex: Literal["male", "female"] | None = None
    age_years: float | None = None
    height_cm: float | None = None


class _Device(msgspec.Struct, frozen=True):
    driver: str = ""
    maker: str = ""
    model: str = ""
    serial: str = ""


class _Blow(msgspec.Struct, frozen=True):
    number: int
    fs_hz: float
    lsb_l_s: float
    btps_factor: float
    samples: tuple[int | None, ...]
    complete: bool = True


class _Export(msgspec.Struct, frozen=True):
    format: str
    version: int
    blows: tuple[_Blow, ...]
    person: _Person = _Person()
    device: _Device = _Device()
    taken: str | None = None


def read_spirometry_export(data: bytes) -> SpirometryFile:
    """Read what :func:`spirometry_export` wrote; flow becomes L/s, BTPS. Fields that are not known are passed over.

    Raises:
        FileFormatError: ``spirometry-export-damaged``, with the field, or ``spirometry-export-version``.
    """
    try:
        told = msgspec.json.decode(data, type=_Export)
    except msgspec.DecodeError as error:
        # "... - at `$.blows[0].fs_hz`": the place helps, and quotes nothing of the file.
        _, found, place = str(error).rpartition(" - at `")
        raise FileFormatError("spirometry-export-damaged", field=place.strip("`") if found else "JSON") from None
    if told.format != FORMAT:
        raise FileFormatError("spirometry-export-damaged", field="$.format")
    if told.version != 1:
        raise FileFormatError("spirometry-export-version", version=told.version)
    for i, blow in enumerate(told.blows):
        for field, value, (least, most) in (
            ("fs_hz", blow.fs_hz, _RATES_HZ),
            ("btps_factor", blow.btps_factor, _BTPS_FACTORS),
            ("lsb_l_s", blow.lsb_l_s, (1e-9, 1.0)),
            ("number", blow.number, (1, math.inf)),
        ):
            if not least <= value <= most:
                raise FileFormatError("spirometry-export-damaged", field=f"$.blows[{i}].{field}")
    if len({blow.number for blow in told.blows}) < len(told.blows):
        raise FileFormatError("spirometry-export-damaged", field="$.blows[...].number")
    # A torn blow is kept in the file but says nothing of the patient.
    whole = sorted((blow for blow in told.blows if blow.complete), key=lambda blow: blow.number)
    device = " ".join(part for part in (told.device.maker, told.device.model, told.device.serial) if part)
    return SpirometryFile(
        "zhenbao",
        "flow",
        tuple(_curve(blow) for blow in whole),
        btps="yes",
        sex=told.person.sex,
        age_years=told.person.age_years,
        height_cm=told.person.height_cm,
        device=device or told.device.driver or None,
        taken=told.taken,
        incomplete=tuple(sorted(blow.number for blow in told.blows if not blow.complete)),
    )


def _curve(blow: _Blow) -> BlowCurve:
    factor = blow.lsb_l_s * blow.btps_factor
    return BlowCurve(
        blow.number,
        tuple(i / blow.fs_hz for i in range(len(blow.samples))),
        tuple(math.nan if sample is None else sample * factor for sample in blow.samples),
    )


def spirometry_export(
    observation: Observation,
    recordings: Sequence[Recording],
    *,
    sex: str | None,
    age_years: float | None,
    height_cm: float | None,
) -> bytes:
    """A spirometry session of the kit as a file.

    Args:
        observation: the session.
        recordings: its blows, in the order of ``observation.recordings``; unit L/s.
        sex, age_years, height_cm: of the patient; None is unknown.

    Raises:
        ValueError: a recording is no flow in L/s.
    """
    if any(recording.unit != "L/s" or len(recording.channels) != 1 for recording in recordings):
        raise ValueError("only flow in L/s can be exported as blows")
    factor = float(observation.context.get("btps_factor", "1"))
    device = observation.device
    told = {
        "format": FORMAT,
        "version": 1,
        "taken": datetime.fromtimestamp(observation.effective_ms / 1000, UTC).isoformat(timespec="seconds"),
        "device": {part: getattr(device, part) for part in ("driver", "maker", "model", "serial")},
        "person": {"sex": sex if sex in ("male", "female") else None, "age_years": age_years, "height_cm": height_cm},
        "blows": [
            {
                "number": number,
                "fs_hz": recording.fs_hz,
                "lsb_l_s": recording.lsb,
                "btps_factor": factor,
                "complete": recording.complete,
                "samples": _integers(recording),
            }
            for number, recording in enumerate(recordings, 1)
        ],
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False).encode()


def _integers(recording: Recording) -> list[int | None]:
    raw = memoryview(recording.samples)
    whole = [int.from_bytes(raw[i : i + 2], "little", signed=True) for i in range(0, len(raw) - 1, 2)]
    return [None if sample == NO_VALUE else sample for sample in whole]
