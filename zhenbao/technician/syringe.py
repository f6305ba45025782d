"""Verifying the flow sensor with a syringe: strokes from the front-end or from a file, judged, said, and logged."""

from __future__ import annotations

from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from zhenbao.model.errors import DeviceError, InputError
from zhenbao.model.syringe import Stroke, SyringeCheck, SyringeRecord
from zhenbao.model.time import BEIJING, local_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zhenbao.agent.kit import Kit
    from zhenbao.drivers.frontend.messages import StreamHead

_LONGEST_NAME = 48


async def verify_front_end(kit: Kit, port: str, *, syringe_l: float, seconds: float) -> SyringeRecord:
    """Record strokes from the front-end, judge, keep and say.

    Raises:
        DeviceError: the front-end is absent or was lost; nothing is kept. ``syringe-btps``: it converts to BTPS
            and does not say at which temperature and pressure, so the conversion cannot be taken off.
        InputError: ``measuring``.
    """
    from zhenbao.agent.capture import only_measurement
    from zhenbao.drivers.frontend.assemble import assemble
    from zhenbao.drivers.frontend.messages import End, FlowSamples, StreamHead
    from zhenbao.drivers.links.serial import open_serial
    from zhenbao.drivers.spirometer.driver import FrontEndSpirometer

    nobody = UUID(int=0)
    front_end = FrontEndSpirometer()
    head: StreamHead | None = None
    end: End | None = None
    samples: list[FlowSamples] = []
    with only_measurement(kit.home):
        async with open_serial(port) as link:
            kit.screen.say("syringe.ready", seconds=seconds, volume=syringe_l)
            async with aclosing(front_end.read(link, duration_s=seconds)) as events:
                async for event in events:
                    if isinstance(event, StreamHead):
                        head = event
                        kit.screen.say("syringe.go")
                    elif isinstance(event, FlowSamples):
                        samples.append(event)
                    elif isinstance(event, End):
                        end = event
    if head is None:
        raise DeviceError("front-end-no-flow")
    recording = assemble(head, samples, end, id=nobody, observation_id=nobody, started_ms=kit.clock.now_ms())
    flow_l_s = recording.values()[0]
    time_s = [i / recording.fs_hz for i in range(flow_l_s.size)]
    serial, now_ms = front_end.device.serial, kit.clock.now_ms()
    return _concluded(kit, serial, now_ms, time_s, flow_l_s.tolist(), syringe_l, _applied(head))


def verify_file(kit: Kit, path: Path, sensor: str, taken: datetime | None, *, syringe_l: float) -> SyringeRecord:
    """Judge strokes of a recording; the flow in it is ambient, not BTPS.

    Args:
        taken: when the strokes were made, Beijing time; a table does not say it, and today's would make an old
            verification look fresh.

    Raises:
        InputError: ``syringe-sensor``, ``syringe-taken``, ``flow-table-absent`` and those of ``read_flow_table``.
    """
    from zhenbao.formats.flow_table import read_flow_table

    name = sensor.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InputError("syringe-sensor", most=_LONGEST_NAME)
    at_ms = 0 if taken is None else round(taken.replace(tzinfo=BEIJING).timestamp() * 1000)
    if not 0 < at_ms <= kit.clock.now_ms():
        raise InputError("syringe-taken")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError("flow-table-absent", reason=error.strerror or "") from None
    time_s, flow_l_s = read_flow_table(data)
    return _concluded(kit, name, at_ms, time_s, flow_l_s, syringe_l, 1.0)


def check_volume(syringe_l: float) -> float:
    """The volume as given, if a calibration syringe can have it.

    Raises:
        InputError: ``syringe-volume``.
    """
    from zhenbao.signal.spirometry.tables import settings

    bounds = settings("calibration")["syringe"]
    if not bounds["least_l"] <= syringe_l <= bounds["most_l"]:
        raise InputError("syringe-volume", least=bounds["least_l"], most=bounds["most_l"])
    return syringe_l


def show_log(kit: Kit, records: Sequence[SyringeRecord]) -> None:
    """The log, the oldest first, then what it warns of for each sensor."""
    from zhenbao.agent.measure.sensor_check import say_warnings_of

    if not records:
        kit.screen.say("syringe.log_empty")
    for record in records:
        check = record.check
        kit.screen.say(
            "syringe.log_row",
            time=local_text(record.at_ms),
            sensor=record.sensor,
            verdict=kit.screen.words(f"syringe_verdict.{check.verdict}"),
            mean=_percent(kit, check.mean_error_percent),
            largest=_percent(kit, check.largest_error_percent),
        )
        _event(kit, record)
    for sensor in dict.fromkeys(record.sensor for record in records):
        kit.screen.say("syringe.log_sensor", sensor=sensor)
        say_warnings_of(kit, sensor)


def _applied(head: StreamHead) -> float:
    """What the front-end has multiplied by to get to BTPS; 1 where it sends what the sensor saw."""
    from zhenbao.signal.spirometry import btps_factor

    if not head.btps:
        return 1.0
    if head.temperature_c is None or head.pressure_pa is None:
        raise DeviceError("syringe-btps")
    return btps_factor(head.temperature_c, head.pressure_pa / 1000)


def _concluded(
    kit: Kit,
    sensor: str,
    at_ms: int,
    time_s: Sequence[float],
    flow_l_s: Sequence[float],
    syringe_l: float,
    btps_factor: float,
) -> SyringeRecord:
    from zhenbao.agent.measure.sensor_check import say_warnings_of
    from zhenbao.signal.spirometry.calibration import verify

    check = verify(time_s, flow_l_s, syringe_l=syringe_l, btps_factor=btps_factor)
    record = SyringeRecord(sensor, at_ms, check)
    kit.store.add_syringe_check(record)
    _say(kit, record, btps_factor)
    say_warnings_of(kit, sensor)
    return record


def _say(kit: Kit, record: SyringeRecord, btps_factor: float) -> None:
    screen, check = kit.screen, record.check
    screen.say("syringe.head", sensor=record.sensor, time=local_text(record.at_ms), volume=check.syringe_l)
    screen.say("syringe.btps_off" if btps_factor != 1.0 else "syringe.ambient", factor=btps_factor)
    for number, stroke in enumerate(check.strokes, 1):
        screen.say("syringe.stroke", number=number, **_told(kit, stroke))
    if check.strokes:
        mean, linearity = (_percent(kit, v) for v in (check.mean_error_percent, check.linearity_percent))
        zero_l_s = round(check.zero_l_s or 0.0, 3) + 0.0
        screen.say("syringe.sum", mean=mean, linearity=linearity.lstrip("+"), zero=zero_l_s)
    screen.say(f"syringe_result.{check.verdict}")
    for note in check.notes:
        screen.say("syringe.note", text=screen.words(f"syringe_note.{note}"))
    _event(kit, record)


def _told(kit: Kit, stroke: Stroke) -> dict[str, object]:
    words = kit.screen.words
    mark = words(f"syringe_note.stroke-{stroke.left_out}") if stroke.left_out else ""
    return {
        "direction": words(f"syringe.{stroke.direction}"),
        "range": words(f"syringe_range.{stroke.range}"),
        "volume": stroke.volume_l,
        "error": round(stroke.error_percent, 1) + 0.0,
        "flow": stroke.mean_flow_l_s,
        "mark": words("syringe.left_out", reason=mark) if mark else "",
    }


def _percent(kit: Kit, value: float | None) -> str:
    # Rounded first: -0.04 is shown as +0.0.
    return kit.screen.words("syringe.unknown") if value is None else f"{round(value, 1) + 0.0:+.1f} %"


def _event(kit: Kit, record: SyringeRecord) -> None:
    check: SyringeCheck = record.check
    kit.screen.event("syringe", sensor=record.sensor, at_ms=record.at_ms, check=check)
