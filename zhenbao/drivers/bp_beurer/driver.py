"""A Beurer BM65 on its serial cable: all stored measurements, each read twice.

4800 baud, 8N1. The cuff answers single bytes: AA greets (55), A4 tells its name (32 characters), A2 how many records it
has, A3 and a number (from 1) one of them. Nothing is ever deleted, and its clock can neither be read nor set.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

from zhenbao.drivers.bp_beurer.codec import (
    COUNT,
    DESCRIBE,
    DESCRIPTION_BYTES,
    HELLO,
    HELLO_ANSWER,
    RECORD,
    RECORD_BYTES,
    decode,
    description,
)
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device

if TYPE_CHECKING:
    from zhenbao.drivers.bp.codec import BloodPressure

BAUD = 4800
USB_ID = "067b:2303"
"""Of the cable (Prolific PL2303): the cable of many other things too, so the greeting decides."""


class ByteLink(Protocol):
    """What the driver needs of a port; ``zhenbao.drivers.links.serial.SerialLink`` is one."""

    async def read(self, timeout_s: float) -> bytes:
        """What has arrived, at least one byte; empty after ``timeout_s`` of silence. DeviceError: the port is gone."""

    async def write(self, data: bytes) -> None:
        """Send all of it. DeviceError: the port is gone."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record that goes to no chart, with its number on the cuff, why, and every byte string that was read."""

    number: int
    reason: str
    """``unstable`` (it reads differently), ``short`` (never nine bytes), ``misplaced`` (more bytes than a record has),
    ``impossible`` (no such measurement)."""
    raw: tuple[bytes, ...]


class BeurerCuff:
    """Yields the stored measurements of a cuff on a serial cable, in the cuff's own order (not known to be by time)."""

    name: ClassVar[str] = "bp-beurer-serial"
    ANSWER_S: ClassVar[float] = 1.0
    """Nine bytes need 20 ms at 4800 baud; after this long nothing more is awaited."""
    QUIET_S: ClassVar[float] = 0.02
    """After an answer the line must be silent for so long: what follows it means that it began elsewhere."""
    TRIES: ClassVar[int] = 5
    """How often one thing is asked at most, until two answers one after the other agree: a line that is wrong every
    second time would make a wrong answer agree with another wrong one."""

    def __init__(self, serial: str = "") -> None:
        """
        Args:
            serial: tells this cuff from others, since it tells no number itself: the cable's, or what the technician
                has written on it. Empty: results of two such cuffs with the same bytes count as one.
        """
        self._serial = serial
        self.device = Device(self.name, "Beurer", "", serial)
        """Which cuff; ``model`` is what it says of itself, known before the first measurement is yielded."""
        self.set_aside: list[SetAside] = []

    async def read(self, link: ByteLink) -> AsyncGenerator[BloodPressure, None]:
        """Yield the good records; the others are in ``set_aside`` afterwards.

        Raises:
            DeviceError: ``cuff-cable-silent`` (no answer), ``cuff-cable-other`` (another device answers),
                ``cuff-cable-broke-off`` (it fell silent after the greeting), ``serial-lost``.
        """
        await self._greet(link)
        name = description(await self._agreed(link, DESCRIBE, DESCRIPTION_BYTES))
        self.device = Device(self.name, "Beurer", name, self._serial)
        count = (await self._agreed(link, COUNT, 1))[0]
        for number in range(1, count + 1):
            record = await self._record(link, number)
            if record is not None:
                yield replace(record, device=self.device)

    async def _greet(self, link: ByteLink) -> None:
        answer = b""
        for _ in range(self.TRIES):
            answer = await self._ask(link, HELLO, 1) or answer
            if answer == HELLO_ANSWER:
                return
        if answer:
            raise DeviceError("cuff-cable-other", answer=answer.hex())
        raise DeviceError("cuff-cable-silent")

    async def _record(self, link: ByteLink, number: int) -> BloodPressure | None:
        """One record, or None after setting it aside."""
        answers: list[bytes] = []
        for _ in range(self.TRIES):
            answer = await self._ask(link, RECORD + bytes([number]), RECORD_BYTES)
            if len(answer) == RECORD_BYTES and answers[-1:] == [answer]:
                try:
                    return decode(answer)
                except FrameError:
                    self.set_aside.append(SetAside(number, "impossible", (answer,)))
                    return None
            answers.append(answer)
        if not any(answers):
            raise DeviceError("cuff-cable-broke-off", number=number)
        longest = max(len(answer) for answer in answers)
        reason = "short" if longest < RECORD_BYTES else "misplaced" if longest > RECORD_BYTES else "unstable"
        self.set_aside.append(SetAside(number, reason, tuple(answers)))
        return None

    async def _agreed(self, link: ByteLink, question: bytes, size: int) -> bytes:
        """The first whole answer that comes twice, one after the other."""
        answers: list[bytes] = []
        for _ in range(self.TRIES):
            answer = await self._ask(link, question, size)
            if len(answer) == size and answers[-1:] == [answer]:
                return answer
            answers.append(answer)
        raise DeviceError("cuff-cable-broke-off", number=0)

    async def _ask(self, link: ByteLink, question: bytes, size: int) -> bytes:
        """What comes within ``size`` bytes; fewer where it falls silent. What lay on the line before is thrown away."""
        while await link.read(0.0):
            pass
        await link.write(question)
        answer = b""
        while len(answer) < size:
            chunk = await link.read(self.ANSWER_S)
            if not chunk:
                break
            answer += chunk
        if len(answer) >= size:
            answer += await link.read(self.QUIET_S)
        # Of more than was asked for nobody knows where it begins: it is given as it is, and fits nowhere.
        return answer
