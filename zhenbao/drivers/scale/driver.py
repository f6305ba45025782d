"""Weighing scales over Bluetooth (Weight Scale Service)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.drivers.quirks import scale_quirk
from zhenbao.drivers.scale.codec import Weight, decode
from zhenbao.drivers.spot import SpotDevice

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import GattLink


class WeighingScale(SpotDevice[Weight]):
    """Yields each weighing the scale indicates."""

    name: ClassVar[str] = "scale-gatt"
    service: ClassVar[str] = sig_uuid(0x181D)
    MEASUREMENT: ClassVar[str] = sig_uuid(0x2A9D)
    SILENT: ClassVar[str] = "scale-silent"
    protected: ClassVar[str] = MEASUREMENT
    """What a technician's pairing touches."""

    async def decoder(self, link: GattLink) -> Callable[[bytes], Weight]:
        """By the product: some count pounds in other steps than the specification."""
        device, quirk = self.device, scale_quirk(self.device)
        return lambda frame: replace(decode(frame, quirk=quirk), device=device)
