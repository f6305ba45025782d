"""What thermometers and scales share: the result is on its way as soon as the device is connected.

As with a cuff, what is confirmed is gone from the device, so the subscription comes first and is cleared at the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from zhenbao.drivers.gatt_information import clock_offset_s, device_information
from zhenbao.drivers.indicated import QUIET_S, results
from zhenbao.model.errors import DeviceError
from zhenbao.model.observation import Device
from zhenbao.model.time import Clock, SystemClock

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink

T = TypeVar("T")


class SpotDevice(ABC, Generic[T]):
    """Yields each result that the device indicates, until it disconnects or falls silent.

    Args:
        clock: the kit's.
    """

    name: ClassVar[str]
    service: ClassVar[str]
    MEASUREMENT: ClassVar[str]
    SILENT: ClassVar[str]
    """The code of the message where it sends nothing."""
    QUIET_S: ClassVar[float] = QUIET_S

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.device = Device(self.name)
        """Which one, known before the first result is yielded."""
        self.device_offset_s: float | None = None
        """Its clock minus the kit's, where it has a clock that can be read."""

    async def read(self, link: GattLink, *, timeout_s: float) -> AsyncGenerator[T, None]:
        """Yield results in the order of arrival.

        Args:
            link: a fresh connection; nothing may have been asked of the device before.
            timeout_s: how long the first result is awaited.

        Raises:
            DeviceError: ``SILENT`` if it sent nothing; ``not-paired``, ``link-lost``, ``gatt-missing``.
            FrameError: it sent something else; raised after all good results were yielded.
        """
        async with link.notifications(self.MEASUREMENT) as received:
            self.device = await device_information(link, self.name)
            self.device_offset_s = await clock_offset_s(link, self._clock)
            decode = await self.decoder(link)
            silent = DeviceError(self.SILENT)
            async for result in results(received, decode, timeout_s=timeout_s, quiet_s=self.QUIET_S, silent=silent):
                yield result

    @abstractmethod
    async def decoder(self, link: GattLink) -> Callable[[bytes], T]:
        """How its frames are read, once ``device`` is known; the function raises ``FrameError``."""
