"""The HealthyPi over USB serial: it streams by itself, so the driver only listens.

Neither the rate nor the scale of the ECG is in its frames, and its documents disagree about the rate (125 or 128 per
second). Both come from the kit's settings; the rate is checked against the kit's clock.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from typing import ClassVar, Protocol

from zhenbao.drivers.ecg.strip import StripEnd, StripEvent, StripHead, StripSamples, packed
from zhenbao.drivers.healthypi.frame import Damage, Decoder, EcgCounts
from zhenbao.model.ecg import MONITOR_LEADS
from zhenbao.model.errors import DeviceError
from zhenbao.model.observation import Device

_NV_PER_MV = 1_000_000
_KEPT_UV = 1
"""Samples are kept in whole microvolts."""


class ByteSource(Protocol):
    """What the driver needs of a port; ``zhenbao.drivers.links.serial.SerialLink`` is one."""

    async def read(self, timeout_s: float) -> bytes:
        """What has arrived, at least one byte; empty after ``timeout_s`` of silence. DeviceError: the port is gone."""


class HealthyPi5:
    """Records one ECG channel; which lead it is depends on where the electrodes were put, so it counts as none."""

    name: ClassVar[str] = "healthypi5"
    SILENCE_S: ClassVar[float] = 3.0

    def __init__(self, rate_hz: int, nv_per_count: int, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """For a board that sends ``rate_hz`` samples per second of ``nv_per_count`` nanovolts each."""
        self.device = Device(self.name)
        self.measured_rate_hz: float | None = None
        """Samples per second by the kit's clock, lost ones included; known at the end."""
        self.damaged = 0
        """How often bytes were lost or bent. A bent byte inside a sample cannot be seen: there is no checksum."""
        self.lead_off = 0
        """Samples that a v4 board sent while it reported an electrode off; they are "no value"."""
        self.rate_hz = rate_hz
        self._nv_per_count = nv_per_count
        self._now_s = monotonic_s

    async def read(self, link: ByteSource, *, duration_s: float) -> AsyncGenerator[StripEvent, None]:
        """Yield the head, then samples in order, then the end.

        Raises:
            DeviceError: ``healthypi-silent`` (no frame for 3 s), ``serial-lost``.
        """
        decoder = Decoder()
        wanted, at, size = round(duration_s * self.rate_hz), 0, 0
        heard_s = self._now_s()
        began_s: float | None = None
        counted = 0
        while at < wanted:
            chunk = await link.read(max(0.0, heard_s + self.SILENCE_S - self._now_s()))
            for event in decoder.feed(chunk):
                heard_s = self._now_s()
                if isinstance(event, Damage):
                    # At least one frame is missing; how many, only the number of bytes tells.
                    at += max(1, round(event.n_bytes / (size or event.n_bytes))) * counted
                    self.damaged = decoder.damaged
                    continue
                if began_s is None:
                    began_s = heard_s
                    self.device = Device(self.name, "ProtoCentral", f"HealthyPi {event.firmware}")
                    yield StripHead(float(self.rate_hz), _KEPT_UV / 1000, MONITOR_LEADS[1], self.device)
                counted, size = len(event.counts), _size(event)
                if at < wanted:
                    yield StripSamples(at, packed(self._microvolts(event)[: wanted - at]))
                at += counted
            if self._now_s() - heard_s >= self.SILENCE_S:
                raise DeviceError("healthypi-silent")
        elapsed_s = heard_s - (began_s or 0.0)
        self.measured_rate_hz = (at - counted) / elapsed_s if elapsed_s > 0 else None
        yield StripEnd(wanted)

    def _microvolts(self, event: EcgCounts) -> list[int]:
        if event.lead_off:
            self.lead_off += len(event.counts)
            return [1 << 31] * len(event.counts)
        return [round(count * self._nv_per_count / 1000) for count in event.counts]


def _size(event: EcgCounts) -> int:
    """Bytes of the whole frame that brought it."""
    return 7 + (50 if len(event.counts) > 1 else 20 if event.firmware == "4" else 22)
