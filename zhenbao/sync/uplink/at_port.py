"""The AT port of a modem, where no ModemManager holds it: opened for this process alone, asked with time limits."""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.sync.uplink import at
from zhenbao.sync.uplink.state import Kind, Radio, Registration, Signal, Sim, Uplink

if TYPE_CHECKING:
    import serial

_ANSWER_S = 5.0
"""The maker allows 300 ms for most of these commands, and 5 s for +CPIN."""
_READ_S = 0.2
_DENIED, _BUSY = {errno.EACCES, errno.EPERM}, {errno.EBUSY, errno.EAGAIN}


def read_modem(path: str, *, answer_s: float = _ANSWER_S) -> Uplink:
    """What the modem on a port tells of itself. It changes no setting of the modem.

    Args:
        path: its AT port, best as ``/dev/serial/by-id/...``.
        answer_s: how long each answer may take.

    Raises:
        DeviceError: ``modem-absent``, ``modem-denied``, ``modem-busy`` (another program has the port),
            ``modem-silent`` (no answer in time), ``modem-noise`` (answers that are none), ``modem-lost`` (the port
            vanished); each with ``port``.
    """
    import serial

    try:
        port = serial.Serial(path, 115200, timeout=_READ_S, write_timeout=_READ_S * 5, exclusive=True)
    except (OSError, ValueError) as error:  # SerialException is an OSError
        number = _errno(error)
        code = "modem-denied" if number in _DENIED else "modem-busy" if number in _BUSY else "modem-absent"
        raise DeviceError(code, port=path) from error
    try:
        return _read(port, answer_s)
    except FrameError as error:
        raise DeviceError("modem-noise", port=path) from error
    except (OSError, TypeError) as error:  # a pulled cable; pyserial: TypeError when the port was closed meanwhile
        raise DeviceError("modem-lost", port=path) from error
    finally:
        port.close()


def _read(port: serial.Serial, answer_s: float) -> Uplink:
    sim = at.sim(_ask(port, "AT+CPIN?", answer_s))
    uplink = Uplink(Kind.CELLULAR, sim=sim)
    if sim is Sim.MISSING:
        return replace(uplink, up=False, registration=Registration.NONE)
    cell = _told(_ask(port, 'AT+QENG="servingcell"', answer_s))
    states = [
        state
        for command in ("AT+C5GREG?", "AT+CEREG?")
        if (answer := _told(_ask(port, command, answer_s))) and (state := at.registration(answer)[0]) is not None
    ]
    uplink = replace(uplink, registration=_best(states))
    if cell:
        found = at.serving_cell(cell)
        uplink = replace(
            uplink,
            radio=found.radio,
            plmn=found.plmn,
            band=found.band,
            signal=found.signal,
            nr_signal=found.nr_signal,
            registration=_with_cell(uplink.registration, found.state),
        )
    else:
        uplink = _without_cell(port, uplink, answer_s)
    address = _told(_ask(port, "AT+CGPADDR", answer_s))
    return replace(uplink, up=at.has_address(address) if address else None)


def _without_cell(port: serial.Serial, uplink: Uplink, answer_s: float) -> Uplink:
    """A modem of another maker: the standard's own commands tell the technology and the signal."""
    radio: Radio | None = None
    signal: Signal | None = None
    nr_signal: Signal | None = None
    if cops := _told(_ask(port, "AT+COPS?", answer_s)):
        radio = at.operator(cops)[1]
    if cesq := _told(_ask(port, "AT+CESQ", answer_s)):
        lte, nr = (found if found != Signal() else None for found in at.extended_signal(cesq))
        signal, nr_signal = (nr, None) if radio is Radio.SA else (lte, nr)
    return replace(uplink, radio=radio, signal=signal, nr_signal=nr_signal)


def _best(states: list[Registration]) -> Registration | None:
    """SA registers on the 5G core, LTE and NSA on the LTE core: the other one says "none" or "searching"."""
    order = (
        Registration.HOME,
        Registration.ROAMING,
        Registration.LIMITED,
        Registration.DENIED,
        Registration.SEARCHING,
        Registration.NONE,
    )
    return min(states, key=order.index, default=None)


def _with_cell(registration: Registration | None, state: str) -> Registration | None:
    if state == "LIMSRV":
        return Registration.LIMITED
    if state == "SEARCH" and registration in (None, Registration.NONE):
        return Registration.SEARCHING
    return registration


def _told(answer: at.Answer) -> tuple[str, ...]:
    """The lines of an answer; none where this firmware does not know the command."""
    return () if answer.error is not None else answer.lines


def _ask(port: serial.Serial, command: str, answer_s: float) -> at.Answer:
    """One command and its answer.

    Raises:
        DeviceError: ``modem-silent``.
        FrameError: noise.
        OSError: the port vanished.
    """
    port.reset_input_buffer()
    port.write(command.encode("ascii") + b"\r")
    dialogue = at.Dialogue(command)
    until_s = time.monotonic() + answer_s
    while time.monotonic() < until_s:
        # One byte waits for the first of an answer, the rest is there at once.
        chunk = port.read(max(1, port.in_waiting))
        answer = dialogue.feed(chunk) if chunk else None
        if answer is not None:
            return answer
    raise DeviceError("modem-silent", port=port.port)


def _errno(error: BaseException) -> int:
    """pyserial hides the number of a failed lock in the exception's cause or context."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and isinstance(seen.errno, int):
            return seen.errno
        seen = seen.__cause__ or seen.__context__
    return 0
