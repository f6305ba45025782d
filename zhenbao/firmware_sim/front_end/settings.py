"""The front-end's settings in two slots: a power cut at any step leaves the old or the new block in force, whole."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from zhenbao.firmware_sim.front_end.frames import Result, text

BLOCK_BYTES = 84
_BLOCK = struct.Struct("<BBHH8s12s54s")
_GENERATION = struct.Struct("<I")


class Step(Enum):
    """Moments of a commit at which the power may fail."""

    BEFORE_WRITE = "before the spare slot is written"
    HALF_WRITTEN = "in the middle of the spare slot"
    WRITTEN = "after the spare slot is written"
    READ_BACK = "after the spare slot is read back"
    SWITCHED = "after the slots are switched, before the answer"


class PowerCut(Exception):
    """The power failed at ``step``."""

    def __init__(self, step: Step) -> None:
        super().__init__(step.value)
        self.step = step


class Refused(Exception):
    """The device does not take this block; ``result`` is what its ACK says."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.name)
        self.result = result


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings block (section 5). No patient data."""

    mains_hz: int = 50
    ecg_rate_hz: int = 500
    flow_rate_hz: int = 100
    language: str = "zh-CN"
    village_code: str = "000000000000"
    village_name: str = ""

    def block(self) -> bytes:
        """The 84 bytes."""
        body = _BLOCK.pack(
            1,
            self.mains_hz,
            self.ecg_rate_hz,
            self.flow_rate_hz,
            text(self.language, 8),
            self.village_code.encode(),
            text(self.village_name, 54),
        )
        return body + struct.pack("<I", zlib.crc32(body))


def parse(block: bytes) -> Settings:
    """The settings in a block.

    Raises:
        Refused: the length or a value is outside the table (bad argument), or the CRC is wrong.
    """
    if len(block) != BLOCK_BYTES:
        raise Refused(Result.BAD_ARGUMENT)
    if zlib.crc32(block[:-4]) != struct.unpack_from("<I", block, BLOCK_BYTES - 4)[0]:
        raise Refused(Result.WRONG_CRC)
    version, mains, ecg_rate, flow_rate, language, code, name = _BLOCK.unpack_from(block)
    try:
        settings = Settings(mains, ecg_rate, flow_rate, _unpadded(language), code.decode("ascii"), _unpadded(name))
    except UnicodeDecodeError:
        raise Refused(Result.BAD_ARGUMENT) from None
    if (
        version != 1
        or mains not in (50, 60)
        or ecg_rate not in (250, 500, 1000)
        or flow_rate not in (50, 100, 200)
        or not settings.village_code.isdigit()
        or not settings.language.replace("-", "").isalnum()
        or not settings.language.isascii()
    ):
        raise Refused(Result.BAD_ARGUMENT)
    return settings


def _unpadded(field: bytes) -> str:
    """A NUL-padded text; a NUL inside it is refused, as nothing may hide behind the end."""
    value = field.rstrip(b"\0")
    if b"\0" in value:
        raise Refused(Result.BAD_ARGUMENT)
    return value.decode()


class SettingsStore:
    """Flash memory as files in a directory: ``slot-a``, ``slot-b``, and one byte in ``current`` that says which counts.

    Args:
        directory: made where missing; it outlives the device's power.
        fails_at: fault; called with each step of a commit, True cuts the power there.
        worn: fault; the spare slot does not read back as written.
    """

    def __init__(
        self, directory: Path, *, fails_at: Callable[[Step], bool] = lambda _: False, worn: bool = False
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._slots = {b"a": directory / "slot-a", b"b": directory / "slot-b"}
        self._current = directory / "current"
        self._fails_at = fails_at
        self._worn = worn
        self.generation, self.block = 0, Settings().block()
        self._in_force = b"b"
        if self._current.exists():
            self._in_force = self._current.read_bytes()
            stored = self._slots[self._in_force].read_bytes()
            self.generation, self.block = _GENERATION.unpack_from(stored)[0], stored[_GENERATION.size :]

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return parse(self.block)

    def commit(self, block: bytes) -> None:
        """Write to the spare slot, read back, then switch with one write.

        Raises:
            PowerCut: the power failed on the way.
            Refused: the spare slot does not hold what was written; the old settings stay.
        """
        spare = b"b" if self._in_force == b"a" else b"a"
        wanted = _GENERATION.pack(self.generation + 1) + block
        self._at(Step.BEFORE_WRITE)
        _write(self._slots[spare], wanted[: len(wanted) // 2])
        self._at(Step.HALF_WRITTEN)
        _write(self._slots[spare], wanted[:-1] if self._worn else wanted)
        self._at(Step.WRITTEN)
        if self._slots[spare].read_bytes() != wanted:
            raise Refused(Result.NOT_STORED)
        self._at(Step.READ_BACK)
        fresh = self._current.with_suffix(".new")
        _write(fresh, spare)
        os.replace(fresh, self._current)
        self._in_force, self.generation, self.block = spare, self.generation + 1, block
        self._at(Step.SWITCHED)

    def _at(self, step: Step) -> None:
        if self._fails_at(step):
            raise PowerCut(step)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
