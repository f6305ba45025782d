"""12-lead ECG from the kit's sensor front-end (docs/devices/front-end.md)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from zhenbao.drivers.frontend.messages import EcgSamples, End, FlowSamples, Stream, StreamHead
from zhenbao.drivers.frontend.session import ByteLink, FrontEnd
from zhenbao.drivers.frontend.tracker import Gap
from zhenbao.model.errors import DeviceError
from zhenbao.model.observation import Device

EcgEvent = StreamHead | EcgSamples | Gap | End


class FrontEndEcg:
    """Records twelve leads; every event can be journaled at once and put together later by ``assemble``."""

    name: ClassVar[str] = "ecg-front-end"

    def __init__(self) -> None:
        self.device = Device(self.name)
        """Maker, model, serial and firmware, known once ``read`` has yielded its head."""
        self.notch_hz: float | None = None
        """The mains frequency in the front-end's settings, known with its head."""
        self._session: FrontEnd | None = None

    async def read(self, link: ByteLink, *, duration_s: float = 10.0) -> AsyncGenerator[EcgEvent, None]:
        """Yield the head, then samples and gaps in order, then the End.

        Raises:
            DeviceError: ``front-end-lost`` after everything received was yielded; ``front-end-no-ecg``, and those of
                ``FrontEnd``.
        """
        session = self._session = FrontEnd(link)
        identity = await session.identify()
        if not identity.ecg:
            raise DeviceError("front-end-no-ecg")
        self.device = Device(self.name, identity.maker, identity.model, identity.serial, identity.firmware)
        self.notch_hz = float((await session.read_settings()).block.mains_hz)
        async with aclosing(session.record(Stream.ECG, duration_s)) as events:
            async for event in events:
                if not isinstance(event, FlowSamples):
                    yield event

    async def stop(self) -> None:
        """End the running recording early; its End still comes."""
        if self._session is not None:
            await self._session.stop()
