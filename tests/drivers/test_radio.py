"""Opening, finding and losing a radio."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from zhenbao.drivers.bp.driver import BloodPressureCuff
from zhenbao.drivers.links.ble import open_radio
from zhenbao.drivers.links.gatt import sig_uuid
from zhenbao.model.errors import DeviceError, StorageError


async def test_an_address_of_another_kind(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as error:
        async with open_radio("tcp-client:127.0.0.1:9", keys):
            pass
    assert error.value.code == "radio-address"
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_nobody_behind_the_address(keys: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused at once
        with pytest.raises(DeviceError) as error:
            async with open_radio(f"hci:tcp-client:127.0.0.1:{taken.getsockname()[1]}", keys):
                pass
    assert error.value.code == "radio-absent"


@pytest.fixture
def damaged_keys(keys: Path) -> Path:
    keys.parent.mkdir()
    keys.write_text("not a bond file")
    return keys


async def test_a_bond_file_that_is_none(air, damaged_keys: Path) -> None:
    with pytest.raises(StorageError) as error:
        async with open_radio(air.address, damaged_keys):
            pass
    assert error.value.code == "bond-file"


async def test_a_device_that_is_not_there(air, keys: Path) -> None:
    async with open_radio(air.address, keys) as radio:
        with pytest.raises(DeviceError) as error:
            await radio.find(BloodPressureCuff.service, timeout_s=0.2)
    assert error.value.code == "device-not-found"


async def test_a_device_is_found_by_service_name_or_address(air, cuff, meter, keys: Path) -> None:
    async with open_radio(air.address, keys) as radio:
        by_service = await radio.find(BloodPressureCuff.service, timeout_s=10)
        assert (by_service.name, by_service.address) == ("TEST-BP", "F0:00:00:00:18:10")
        assert by_service.services == {sig_uuid(0x1810)}
        by_address = await radio.find(BloodPressureCuff.service, timeout_s=10, address="f0:00:00:00:18:08")
        assert by_address.name == "TEST-GLU"
        with pytest.raises(DeviceError):
            await radio.find(BloodPressureCuff.service, timeout_s=0.2, name="TEST-GLU")


async def test_a_device_that_went_away_before_the_connection(air, cuff, keys: Path) -> None:
    async with open_radio(air.address, keys) as radio:
        found = await radio.find(BloodPressureCuff.service, timeout_s=10)
        await cuff.device.stop_advertising()
        with pytest.raises(DeviceError) as error:
            async with radio.connect(found, timeout_s=0.3):
                pass
    assert error.value.code == "connect-failed"


async def test_a_device_that_goes_while_it_is_asked(air, cuff, keys: Path) -> None:
    """bumble cancels what waits for the device; to the driver that is a lost link, not its own cancellation."""
    async with open_radio(air.address, keys) as radio:
        found = await radio.find(BloodPressureCuff.service, timeout_s=10)
        async with radio.connect(found) as link:
            cuff.device.gatt_server.on_att_read_request = lambda *_: None  # it heard, and never answers
            reading = asyncio.create_task(link.read(sig_uuid(0x2A49)))
            await asyncio.sleep(0)
            await cuff.connection.disconnect()
            with pytest.raises(DeviceError) as error:
                await reading
            assert error.value.code == "link-lost"
            assert not link.connected
            with pytest.raises(DeviceError, match="link-lost"):
                await link.read(sig_uuid(0x2A49))


async def test_our_own_cancellation_stays_one(air, cuff, keys: Path) -> None:
    async with open_radio(air.address, keys) as radio:
        found = await radio.find(BloodPressureCuff.service, timeout_s=10)
        async with radio.connect(found) as link:
            cuff.device.gatt_server.on_att_read_request = lambda *_: None
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await link.read(sig_uuid(0x2A49))
            assert link.connected


async def test_a_characteristic_that_is_missing(air, cuff, keys: Path) -> None:
    async with open_radio(air.address, keys) as radio:
        found = await radio.find(BloodPressureCuff.service, timeout_s=10)
        async with radio.connect(found) as link:
            assert link.has(sig_uuid(0x2A35))
            assert not link.has(sig_uuid(0x2A18))
            with pytest.raises(DeviceError, match="gatt-missing"):
                await link.read(sig_uuid(0x2A18))


def test_drivers_start_fast() -> None:
    """Nothing heavy is imported before a device is used."""
    modules = (
        "zhenbao.drivers.bp.driver, zhenbao.drivers.glucose.driver, zhenbao.drivers.ecg.driver, "
        "zhenbao.drivers.spirometer.driver, zhenbao.drivers.links.ble, zhenbao.drivers.links.serial, "
        "zhenbao.drivers.frontend.assemble"
    )
    heavy = "{'bleak', 'bumble', 'serial', 'numpy', 'scipy', 'sqlite_utils', 'paho', 'fastapi', 'sqlalchemy'}"
    program = f"import sys, {modules}; print(sorted({heavy} & sys.modules.keys()))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
