"""The air between simulated meters and the kit: one Bluetooth controller offered to the kit over TCP."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bumble import core, hci, ll
from bumble.controller import Controller
from bumble.link import LocalLink
from bumble.transport.common import PacketParser

if TYPE_CHECKING:
    from zhenbao.firmware_sim.peripheral import Peripheral

WAIT_FOR_RADIO_S = 10.0
"""How long a second host waits for the first one to let go of the radio before it is turned away."""


class SimulatedAir:
    """Simulated meters around one free controller, which any Bluetooth host reaches as H4 HCI over TCP.

    The kit's commands are separate processes that come one after another, each a fresh host that resets the
    controller. bumble's own TCP server keeps one controller for ever, with the links of a host that has gone, so each
    TCP connection gets a new controller here; when it ends, its links drop as if the kit had left the room. A host
    that comes while another holds the radio waits up to `WAIT_FOR_RADIO_S`.

    Use as ``async with SimulatedAir([cuff, meter]) as air``; ``air.hci`` is what the kit is told.
    """

    def __init__(self, peripherals: Sequence[Peripheral] = (), *, port: int = 0, delay_s: float = 0.0) -> None:
        """
        Args:
            port: 0 takes a free one.
            delay_s: a slow link: each HCI packet comes so much later, either way.
        """
        self.peripherals = tuple(peripherals)
        self._delay_s = delay_s
        self.link = LocalLink()
        self._port = port
        self._server: asyncio.Server | None = None
        self._radio = asyncio.Lock()
        self._hosts: dict[asyncio.StreamWriter, asyncio.Event] = {}

    @property
    def port(self) -> int:
        """TCP port on 127.0.0.1."""
        return self._port

    @property
    def hci(self) -> str:
        """The kit's ``--ble`` value: ``hci:tcp-client:127.0.0.1:PORT``."""
        return f"hci:tcp-client:127.0.0.1:{self._port}"

    @property
    def occupied(self) -> bool:
        """Whether a host holds the radio."""
        return self._radio.locked()

    async def __aenter__(self) -> Self:
        for peripheral in self.peripherals:
            await peripheral.power_on(self.link)
        self._server = await asyncio.start_server(self._on_host, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._hosts:
            writer.transport.abort()
        await asyncio.gather(*(gone.wait() for gone in self._hosts.values()))
        for peripheral in self.peripherals:
            await peripheral.power_off()

    async def _on_host(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = self._hosts[writer] = asyncio.Event()
        try:
            async with asyncio.timeout(WAIT_FOR_RADIO_S):
                await self._radio.acquire()
            try:
                await self._serve(reader, writer)
            finally:
                self._radio.release()
        except TimeoutError:
            return
        finally:
            del self._hosts[writer]
            writer.close()
            gone.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        controller = Controller("kit", host_sink=_Tcp(writer, self._delay_s), link=self.link)
        parser = PacketParser(controller)
        try:
            while data := await reader.read(4096):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                parser.feed_data(data)
        except (ConnectionError, core.InvalidPacketError):
            return  # the host died, or speaks something else than H4
        finally:
            self._leave(controller)

    def _leave(self, controller: Controller) -> None:
        """The kit has gone: end its links on the other side, and take its controller out of the air."""
        controller.host = None
        controller.le_scan_enable = False
        controller.pending_le_connection = None
        for connection in list(controller.le_connections.values()):
            connection.send_ll_control_pdu(ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR))
            controller.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        self.link.remove_controller(controller)


class _Tcp:
    """Where the controller's packets go."""

    def __init__(self, writer: asyncio.StreamWriter, delay_s: float) -> None:
        self._writer = writer
        self._delay_s = delay_s
        self._late: deque[bytes] = deque()

    def on_packet(self, packet: bytes) -> None:
        if not self._delay_s:
            self._write(packet)
            return
        # Each timer sends the oldest packet: their order never changes.
        self._late.append(packet)
        asyncio.get_running_loop().call_later(self._delay_s, lambda: self._write(self._late.popleft()))

    def _write(self, packet: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(packet)
