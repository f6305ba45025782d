"""Our pairing agent as BlueZ calls it, over a D-Bus of its own. The real BlueZ calls it in ``make bluez``."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from zhenbao.drivers.links.bluez import PairingAgent, pairing_agent
from zhenbao.model.errors import DeviceError

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon (Debian package dbus)")
OURS, OTHER = "/org/bluez/hci0/dev_F0_00_00_00_18_08", "/org/bluez/hci0/dev_F0_00_00_00_18_09"
CONFIG = """<busconfig><type>custom</type><listen>unix:path={path}</listen><policy context="default">
<allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>"""


@pytest_asyncio.fixture
async def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A bus of its own in place of the system's."""
    config = tmp_path / "bus.conf"
    config.write_text(CONFIG.format(path=tmp_path / "bus"))
    command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:  # noqa: ASYNC220
        assert daemon.stdout is not None
        address = daemon.stdout.readline().strip()
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address
        daemon.terminate()


class Asked:
    """Our agent on one end of the bus, a caller on the other."""

    def __init__(self, agent: MessageBus, caller: MessageBus) -> None:
        self._agent, self._caller = agent, caller

    async def __call__(self, member: str, signature: str = "", *body: object) -> Any:
        """The answer, or the name of the error."""
        message = Message(
            self._agent.unique_name, "/agent", "org.bluez.Agent1", member, signature=signature, body=list(body)
        )
        answer = await self._caller.call(message)
        assert answer is not None
        return answer.error_name if answer.message_type is MessageType.ERROR else answer.body


async def asked(address: str, agent: PairingAgent) -> Asked:
    ends = [await MessageBus(bus_address=address).connect() for _ in range(2)]
    ends[0].export("/agent", agent)
    return Asked(*ends)


async def typed() -> int | None:
    return 42


async def gives_up() -> int | None:
    return None


async def test_it_gives_the_digits_of_its_own_device_only(address: str) -> None:
    bluez = await asked(address, PairingAgent(OURS, typed))
    assert await bluez("RequestPasskey", "o", OURS) == [42]
    assert await bluez("RequestPasskey", "o", OTHER) == "org.bluez.Error.Rejected"
    assert await bluez("RequestAuthorization", "o", OURS) == []
    assert await bluez("RequestAuthorization", "o", OTHER) == "org.bluez.Error.Rejected"


@pytest.mark.parametrize("passkey", [gives_up, None])
async def test_without_digits_it_refuses(address: str, passkey: Any) -> None:
    bluez = await asked(address, PairingAgent(OURS, passkey))
    assert await bluez("RequestPasskey", "o", OURS) == "org.bluez.Error.Rejected"


async def test_it_never_compares_numbers_or_takes_an_incoming_service(address: str) -> None:
    bluez = await asked(address, PairingAgent(OURS, typed))
    unknown = "org.freedesktop.DBus.Error.UnknownMethod"
    assert await bluez("RequestConfirmation", "ou", OURS, 42) == unknown
    assert await bluez("RequestPinCode", "o", OURS) == unknown
    assert await bluez("AuthorizeService", "os", OURS, "1810") == unknown


async def test_a_device_that_gives_up_ends_the_question(address: str) -> None:
    never: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def waits() -> int | None:
        return await never

    bluez = await asked(address, PairingAgent(OURS, waits))
    question = asyncio.create_task(bluez("RequestPasskey", "o", OURS))
    async with asyncio.timeout(10):
        while not (cancelled := never.cancelled()):
            await bluez("Cancel")
            await asyncio.sleep(0.01)
        assert cancelled
        assert await question == "org.bluez.Error.Canceled"


async def test_without_bluez_the_technician_is_told(address: str) -> None:
    """The bus is there, bluetoothd is not."""
    with pytest.raises(DeviceError) as error:
        async with pairing_agent(OURS, typed):
            pass
    assert error.value.code == "pairing-agent"


async def test_without_a_bus_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(DeviceError, match="pairing-agent"):
        async with pairing_agent(OURS, typed):
            pass
