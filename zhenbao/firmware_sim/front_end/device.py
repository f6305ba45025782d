"""The front-end itself: a thread that answers commands and streams samples, as the firmware on the board would."""

from __future__ import annotations

import os
import select
import struct
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from zhenbao.firmware_sim.front_end import frames
from zhenbao.firmware_sim.front_end.frames import Answer, Command, CommandReader, Fault, Order, Reason, Result, Stream
from zhenbao.firmware_sim.front_end.line import CablePulled, Line, LineFaults
from zhenbao.firmware_sim.front_end.settings import PowerCut, Refused, SettingsStore, Step, parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zhenbao.firmware_sim.front_end.recording import Recording
    from zhenbao.firmware_sim.waveforms.ecg import EcgSource

STATUS_EVERY_US = 2_000_000
UNTIL_STOP_S = 60.0
"""A duration of 0 ends by itself after this time."""
LOWPASS_HZ = 150
_BACKLOG_BYTES = 65536
_HOST_GONE_S = 2.0
"""While the host takes nothing, the stream waits this long before frames are dropped."""


class FlowSource(Protocol):
    """A blow: what the flow sensor sees from START on."""

    def flow_l_s(self, rate_hz: int) -> NDArray[np.float64]:
        """Flow [n] in L/s BTPS, expiration positive; NaN for a lost sample."""


@dataclass(frozen=True, slots=True)
class BoardIdentity:
    """What IDENTIFY tells; each text up to 16 bytes of UTF-8."""

    maker: str = "Zhenbao 诊包"
    model: str = "ZB-FE1 sim"
    serial: str = "FE1-SIM-0001"
    firmware: str = "1.0.0-sim"


@dataclass(frozen=True, slots=True)
class Air:
    """The air at the flow sensor. ``btps`` True: the device converts to BTPS itself."""

    btps: bool = True
    temperature_c: float = 22.0
    pressure_pa: int = 101_325
    humidity_percent: float = 45.0


@dataclass(frozen=True, slots=True)
class FrontEndFaults:
    """What may be wrong with the board or its cable."""

    line: LineFaults = field(default_factory=LineFaults)
    electrode_off: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Electrode name (``RA`` ... ``V6``) to the samples [start, stop) in which it hangs loose."""
    fault_at_sample: int | None = None
    """The amplifier (or flow sensor) fails at this sample: END says fault, STATUS tells which."""
    power_cut: Step | None = None
    """The power fails, once, at this step of the next COMMIT; the device is then off until `FrontEnd.start`."""
    worn_storage: bool = False
    """The spare slot does not read back."""


class FrontEnd:
    """The simulated sensor front-end on a pseudo-terminal.

    It runs in a thread of its own, so it works beside asyncio too. ``with FrontEnd(...) as board: board.port``.

    Args:
        ecg: what the ECG amplifier sees from START on; None: no ECG fitted.
        blows: one for each START of the flow stream, in order; after the last one nobody blows.
        speed: how many times faster than real time its clock runs.
        settings_dir: where settings outlive the power; a temporary place where None.
        identity: what IDENTIFY tells.
        faults: what goes wrong.
        air: the air at the flow sensor.
        link: a symbolic link to the port, for a name that stays over restarts.
        battery_percent: 255 on mains.
    """

    def __init__(
        self,
        ecg: EcgSource | None = None,
        blows: Iterable[FlowSource] = (),
        *,
        speed: float = 1.0,
        settings_dir: Path | None = None,
        identity: BoardIdentity = BoardIdentity(),
        faults: FrontEndFaults = FrontEndFaults(),
        air: Air = Air(),
        link: Path | None = None,
        battery_percent: int = 255,
    ) -> None:
        self.ecg = ecg
        self.blows = deque(blows)
        self.speed = speed
        self.identity = identity
        self.faults = faults
        self.air = air
        self.battery_percent = battery_percent
        self._link = link
        self._temporary = tempfile.TemporaryDirectory()
        self._directory = settings_dir or Path(self._temporary.name)
        self._plugged: Line | None = None
        self._power_has_failed = False
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = -1, -1

    @property
    def port(self) -> str:
        """Path of the serial port that the host opens."""
        return self._line.path

    @property
    def running(self) -> bool:
        """Whether it has power and its cable is in."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> Self:
        """Power up: numbers and time begin at 0, nothing is staged, settings are as last committed."""
        self._power_up()
        self._thread = threading.Thread(target=self._run, name="front-end", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Power down, and pull the cable. Harmless when it is already off."""
        if self._thread is None:
            return
        if self._thread.is_alive():
            os.write(self._wake_write, b"x")
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._thread = None

    pull_cable = stop

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._temporary.cleanup()

    @property
    def _line(self) -> Line:
        if self._plugged is None:
            raise RuntimeError("the front-end has not been started")
        return self._plugged

    def _power_up(self) -> None:
        self.stop()
        self._store = SettingsStore(self._directory, fails_at=self._power_fails, worn=self.faults.worn_storage)
        self._wake_read, self._wake_write = os.pipe()
        self._plugged = Line(self.faults.line, self._link)
        self._reader = CommandReader()
        self._sequence = 0
        self._staged: bytes | None = None
        self._recording: Recording | None = None
        self._fault = Fault.NONE
        self._powered_s = time.monotonic()
        self._next_status_us = STATUS_EVERY_US
        self._taken, self._taken_s = 0, time.monotonic()

    def _power_fails(self, step: Step) -> bool:
        fails = step is self.faults.power_cut and not self._power_has_failed
        self._power_has_failed |= fails
        return fails

    def _now_us(self) -> int:
        return round((time.monotonic() - self._powered_s) * self.speed * 1e6)

    def _run(self) -> None:
        try:
            while True:
                received = self._line.wait(self._until_next(), self._wake_read)
                for command in self._reader.feed(received):
                    self._obey(command)
                if not received and self._stopping():
                    return
                self._stream()
        except (CablePulled, PowerCut):
            return  # off, as far as the host can see
        finally:
            self._line.close()

    def _stopping(self) -> bool:
        return bool(select.select([self._wake_read], [], [], 0)[0])

    def _until_next(self) -> float:
        if self._line.pending >= _BACKLOG_BYTES:
            return 0.02
        due_us = self._next_status_us if self._recording is None else self._recording.next_frame_us
        return (due_us - self._now_us()) / 1e6 / self.speed

    def _stream(self) -> None:
        recording = self._recording
        if recording is None:
            self._tell_status()
            return
        while recording.sent < recording.stop and recording.next_frame_us <= self._now_us() and self._host_takes():
            type_, time_us, payload = recording.take_frame()
            self._send(type_, payload, time_us)
        if recording.sent >= recording.stop and recording.time_us(recording.stop) <= self._now_us():
            self._end(recording, recording.reason)

    def _host_takes(self) -> bool:
        """Hold the stream back while the host is slow; when it takes nothing for a while, go on without it."""
        if self._line.taken != self._taken:
            self._taken, self._taken_s = self._line.taken, time.monotonic()
        if self._line.pending < _BACKLOG_BYTES:
            return True
        if time.monotonic() - self._taken_s < _HOST_GONE_S:
            return False
        self._line.give_up()
        return True

    def _tell_status(self) -> None:
        if self._next_status_us > self._now_us():
            return
        self._next_status_us = self._now_us() + STATUS_EVERY_US
        if self._line.pending == 0:
            self._send(Answer.STATUS, frames.status(self.battery_percent, 0, self._fault))

    def _end(self, recording: Recording, reason: Reason) -> None:
        self._recording = None
        self._next_status_us = self._now_us() + STATUS_EVERY_US
        if reason is Reason.FAULT and recording.fault_at is not None:
            self._fault = Fault.AMPLIFIER if recording.stream is Stream.ECG else Fault.FLOW_SENSOR
        self._send(Answer.END, frames.end(recording.stream, reason, recording.sent))

    def _send(self, type_: Answer, payload: bytes, time_us: int | None = None) -> None:
        at = self._now_us() if time_us is None else time_us
        frame = frames.frame(type_, self._sequence, at, payload)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._line.send(frame)

    def _obey(self, command: Command) -> None:
        match command.type:
            case Order.IDENTIFY:
                self._answer(command, Result.DONE)
                capabilities = (self.ecg is not None) | 2
                told = self.identity
                self._send(
                    Answer.IDENTITY, frames.identity(capabilities, told.maker, told.model, told.serial, told.firmware)
                )
            case Order.START:
                self._start(command)
            case Order.STOP:
                self._answer(command, Result.DONE)
                if self._recording is not None:
                    self._end(self._recording, Reason.STOPPED)
            case Order.CONFIGURE:
                self._configure(command)
            case Order.COMMIT:
                self._commit(command)
            case Order.READ_CONFIG:
                self._answer(command, Result.DONE)
                self._send(Answer.CONFIG, struct.pack("<I", self._store.generation) + self._store.block)
            case _:
                self._answer(command, Result.UNKNOWN_COMMAND)

    def _answer(self, command: Command, result: Result) -> None:
        self._send(Answer.ACK, frames.ack(command.sequence, command.type, result))

    def _start(self, command: Command) -> None:
        if self._recording is not None:
            self._answer(command, Result.BUSY)
            return
        if len(command.payload) != 5:
            self._answer(command, Result.BAD_ARGUMENT)
            return
        stream, duration_ms = struct.unpack("<BI", command.payload)
        seconds = duration_ms / 1000 if duration_ms else UNTIL_STOP_S
        if stream == Stream.ECG and self.ecg is not None:
            self._answer(command, Result.DONE)
            self._start_ecg(self.ecg, seconds)
        elif stream == Stream.FLOW:
            self._answer(command, Result.DONE)
            self._start_flow(seconds)
        else:
            self._answer(command, Result.BAD_ARGUMENT)

    def _start_ecg(self, source: EcgSource, seconds: float) -> None:
        from zhenbao.firmware_sim.front_end.recording import ECG_NV, ecg_recording

        rate = self._store.settings.ecg_rate_hz
        self._send(Answer.STREAM, frames.ecg_stream(rate, ECG_NV, source.highpass_hz, LOWPASS_HZ))
        self._recording = ecg_recording(
            source, rate, round(rate * seconds), self._now_us(), self.faults.electrode_off, self.faults.fault_at_sample
        )

    def _start_flow(self, seconds: float) -> None:
        import numpy as np

        from zhenbao.firmware_sim.front_end.recording import FLOW_UL_S, flow_recording
        from zhenbao.firmware_sim.waveforms.spirometry import btps_factor

        rate, air = self._store.settings.flow_rate_hz, self.air
        flow = self.blows.popleft().flow_l_s(rate) if self.blows else np.zeros(0)
        if not air.btps:
            flow = flow / btps_factor(air.temperature_c, air.pressure_pa)
        head = frames.flow_stream(
            rate,
            FLOW_UL_S,
            btps=air.btps,
            temperature_c=air.temperature_c,
            pressure_pa=air.pressure_pa,
            humidity_percent=air.humidity_percent,
        )
        self._send(Answer.STREAM, head)
        self._recording = flow_recording(flow, rate, round(rate * seconds), self._now_us(), self.faults.fault_at_sample)

    def _configure(self, command: Command) -> None:
        try:
            parse(command.payload)
        except Refused as refused:
            self._answer(command, refused.result)
            return
        self._staged = command.payload
        self._answer(command, Result.DONE)

    def _commit(self, command: Command) -> None:
        if len(command.payload) != 4:
            self._answer(command, Result.BAD_ARGUMENT)
        elif self._staged is None:
            # A repeated COMMIT, whose first answer was lost, has been carried out.
            done = self._store.generation > 0 and command.payload == self._store.block[-4:]
            self._answer(command, Result.DONE if done else Result.NOTHING_STAGED)
        elif command.payload != self._staged[-4:]:
            self._answer(command, Result.BAD_ARGUMENT)
        else:
            try:
                self._store.commit(self._staged)
            except Refused as refused:
                self._fault = Fault.STORAGE
                self._answer(command, refused.result)
                return
            self._staged = None
            self._answer(command, Result.DONE)
