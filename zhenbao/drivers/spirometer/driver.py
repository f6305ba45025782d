"""Spirometer flow from the kit's sensor front-end (docs/devices/front-end.md)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from zhenbao.drivers.frontend.messages import EcgSamples, End, FlowSamples, Stream, StreamHead
from zhenbao.drivers.frontend.session import ByteLink, FrontEnd
from zhenbao.drivers.frontend.tracker import Gap
from zhenbao.model.errors import DeviceError
from zhenbao.model.observation import Device

FlowEvent = StreamHead | FlowSamples | Gap | End


class FrontEndSpirometer:
    """Records flow, expiration positive. If the head does not say BTPS, it has what is needed to convert."""

    name: ClassVar[str] = "spirometer-front-end"

    def __init__(self) -> None:
        self.device = Device(self.name)
        """Maker, model, serial and firmware, known once ``read`` has yielded its head."""
        self._session: FrontEnd | None = None

    async def read(self, link: ByteLink, *, duration_s: float = 15.0) -> AsyncGenerator[FlowEvent, None]:
        """Yield the head, then samples and gaps in order, then the End.

        Raises:
            DeviceError: ``front-end-lost`` after everything received was yielded; ``front-end-no-flow``, and those of
                ``FrontEnd``.
        """
        session = self._session = FrontEnd(link)
        identity = await session.identify()
        if not identity.flow:
            raise DeviceError("front-end-no-flow")
        self.device = Device(self.name, identity.maker, identity.model, identity.serial, identity.firmware)
        async with aclosing(session.record(Stream.FLOW, duration_s)) as events:
            async for event in events:
                if not isinstance(event, EcgSamples):
                    yield event

    async def stop(self) -> None:
        """End the blow early; its End still comes."""
        if self._session is not None:
            await self._session.stop()
