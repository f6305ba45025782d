"""A cuff over real Bluetooth protocol: bleak's client on a virtual controller, pairing and encryption included."""

import json
import stat
from pathlib import Path

import pytest

from zhenbao.drivers.bp.codec import BloodPressure
from zhenbao.drivers.bp.driver import BloodPressureCuff
from zhenbao.drivers.links.ble import Radio, open_radio
from zhenbao.model.errors import DeviceError, FrameError
from zhenbao.model.observation import Device
from zhenbao.model.quantity import Quantity

# derdilla/blood-pressure-monitor-fl: 124/86, mean 97, pulse 51, 2024-06-15 17:17:27
CAPTURED = bytes.fromhex("167c0056006100e807060f11111b33002700")
PLAIN = bytes.fromhex("00 7800 5000 5d00")


class At:
    """A clock that stands at 2026-11-22 10:30:00 in Beijing."""

    def now_ms(self) -> int:
        return 1795314600000

    def monotonic_s(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing sleeps here")


def of_file(path: Path) -> tuple[int, dict[str, object]]:
    """Permissions and content of the bond file."""
    return stat.S_IMODE(path.stat().st_mode), json.loads(path.read_text())


async def pair(radio: Radio) -> None:
    found = await radio.find(BloodPressureCuff.service, timeout_s=10)
    await radio.pair(found, BloodPressureCuff.protected)


async def read(radio: Radio, driver: BloodPressureCuff | None = None, *, timeout_s: float = 10) -> list[BloodPressure]:
    found = await radio.find(BloodPressureCuff.service, timeout_s=10)
    driver = driver or BloodPressureCuff()
    driver.QUIET_S = 0.2  # type: ignore[misc]
    async with radio.connect(found) as link:
        return [reading async for reading in driver.read(link, timeout_s=timeout_s)]


async def test_a_paired_cuff_is_read_with_its_device_and_clock(air, cuff, keys: Path) -> None:
    cuff.pending = [CAPTURED]
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        assert cuff.confirmed == []  # pairing takes no result away
        driver = BloodPressureCuff(At())
        (reading,) = await read(radio, driver)
    assert (reading.systolic, reading.diastolic) == (Quantity(124, "mm[Hg]"), Quantity(86, "mm[Hg]"))
    assert reading.device == driver.device == Device("bp-gatt", "Acme", "Cuff 1", "SN-0001", "1.2")
    assert reading.device_key is not None
    assert reading.device_key.startswith("SN-0001|2024-06-15T17:17:27|")
    assert driver.device_offset_s == 300.0
    assert cuff.confirmed == [CAPTURED]
    assert cuff.pairings == 1


async def test_the_bond_file_is_for_its_owner_alone_and_survives_the_program(air, cuff, keys: Path) -> None:
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        (bond,) = await radio.bonds()
    mode, stored = of_file(keys)
    assert mode == 0o600
    (own_address,) = stored
    assert int(own_address[:2], 16) & 0xC0 == 0xC0
    cuff.pending = [PLAIN]
    await air.free()
    async with open_radio(air.address, keys) as radio:
        assert await radio.bonds() == [bond]
        (reading,) = await read(radio)
    assert reading.raw == PLAIN
    assert cuff.pairings == 1
    assert of_file(keys)[1].keys() == {own_address}


async def test_reading_never_pairs(air, cuff, keys: Path) -> None:
    cuff.pending = [PLAIN]
    async with open_radio(air.address, keys) as radio:
        with pytest.raises(DeviceError) as error:
            await read(radio)
        assert error.value.code == "not-paired"
        assert await radio.bonds() == []
    assert cuff.pairings == 0
    assert cuff.pending == [PLAIN]


async def test_a_cuff_that_forgot_its_bond_is_not_paired(air, cuff, keys: Path) -> None:
    cuff.pending = [PLAIN]
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        await cuff.device.keystore.delete_all()
        with pytest.raises(DeviceError) as error:
            await read(radio)
        assert error.value.code == "not-paired"
        await pair(radio)
        (reading,) = await read(radio)
    assert reading.raw == PLAIN
    assert cuff.pairings == 2


async def test_a_silent_cuff_says_so(air, cuff, keys: Path) -> None:
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        with pytest.raises(DeviceError) as error:
            await read(radio, timeout_s=0.2)
    assert error.value.code == "cuff-silent"


async def test_a_cuff_that_hangs_up_after_sending_has_done_well(air, cuff, keys: Path) -> None:
    cuff.hang_up_after_send = True
    cuff.pending = [CAPTURED, PLAIN]
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        readings = await read(radio)
    assert [r.raw for r in readings] == [CAPTURED, PLAIN]


async def test_the_subscription_is_cleared_and_the_next_result_waits_for_a_listener(air, cuff, keys: Path) -> None:
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        cuff.pending = [PLAIN]
        await read(radio)
        assert cuff.subscription == 0
        cuff.pending = [CAPTURED]
        found = await radio.find(BloodPressureCuff.service, timeout_s=10)
        async with radio.connect(found) as link:  # somebody encrypts without listening
            await link.secure()
            assert cuff.pending == [CAPTURED]
        (reading,) = await read(radio)
    assert reading.raw == CAPTURED


async def test_a_result_sent_in_the_instant_of_encryption_is_heard(air, cuff, keys: Path) -> None:
    """The cuff hung up while subscribed, so its bond still holds the subscription and it sends without being asked."""
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        cuff.hang_up_after_send = True
        cuff.pending = [PLAIN]
        await read(radio)
        assert cuff.subscription == 2
        cuff.pending = [CAPTURED]
        (reading,) = await read(radio)
    assert reading.raw == CAPTURED


async def test_the_subscription_ends_with_the_reading_while_the_link_goes_on(air, cuff, keys: Path) -> None:
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        found = await radio.find(BloodPressureCuff.service, timeout_s=10)
        async with radio.connect(found) as link:
            async with link.notifications(BloodPressureCuff.MEASUREMENT):
                assert cuff.subscription == 2
            assert link.connected
            assert cuff.subscription == 0


async def test_a_reading_left_halfway_is_unsubscribed_before_the_link_ends(air, cuff, keys: Path) -> None:
    cuff.pending = [PLAIN]
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        found = await radio.find(BloodPressureCuff.service, timeout_s=10)
        async with radio.connect(found) as link:
            readings = BloodPressureCuff().read(link, timeout_s=10)
            assert (await anext(readings)).raw == PLAIN
        assert cuff.subscription == 0
        await readings.aclose()


async def test_pairing_again_clears_a_subscription_that_was_left_behind(air, cuff, keys: Path) -> None:
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        cuff.hang_up_after_send = True
        cuff.pending = [PLAIN]
        await read(radio)
        assert cuff.subscription == 2
        await pair(radio)
    assert cuff.subscription == 0
    assert cuff.pairings == 1


async def test_a_wrong_frame_takes_no_other_reading_away(air, cuff, keys: Path) -> None:
    cuff.pending = [PLAIN[:5], CAPTURED]
    received = []
    async with open_radio(air.address, keys) as radio:
        await pair(radio)
        found = await radio.find(BloodPressureCuff.service, timeout_s=10)
        driver = BloodPressureCuff()
        driver.QUIET_S = 0.2  # type: ignore[misc]
        async with radio.connect(found) as link:
            readings = driver.read(link, timeout_s=10)
            received.append((await anext(readings)).raw)
            with pytest.raises(FrameError):
                await anext(readings)
    assert received == [CAPTURED]
