"""Another kit's device of the same name and service: never read, and told; the kit's own is found beside it."""

from pathlib import Path

import pytest

from zhenbao.drivers.bp.driver import BloodPressureCuff
from zhenbao.drivers.links.ble import open_radio
from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.cuff import BloodPressureMeter
from zhenbao.model.errors import DeviceError

OURS, THEIRS = "F0:00:00:00:18:10", "F0:00:00:00:18:99"


def cuff(address: str) -> BloodPressureMeter:
    cuff = BloodPressureMeter(name="A&D_UA-651BLE", address=address)
    cuff.measure(150, 90, 110, 70, None)
    return cuff


async def pair(air: SimulatedAir, keys: Path, ours: BloodPressureMeter) -> None:
    ours.pairing_mode = True
    async with open_radio(air.hci, keys) as radio:
        await radio.pair(await radio.find(timeout_s=10, address=OURS), BloodPressureCuff.protected)
    ours.pairing_mode = False


@pytest.mark.slow
async def test_only_the_kits_own_cuff_is_read_of_two_with_one_name(keys: Path) -> None:
    ours, theirs = cuff(OURS), cuff(THEIRS)
    async with SimulatedAir([theirs, ours]) as air:
        await pair(air, keys, ours)
        async with open_radio(air.hci, keys) as radio:
            for _ in range(5):
                found = await radio.find(BloodPressureCuff.service, timeout_s=10, own=True)
                assert (found.name, found.address) == ("A&D_UA-651BLE", OURS)


@pytest.mark.slow
async def test_another_kits_cuff_alone_is_told_by_its_name_and_keeps_its_reading(keys: Path) -> None:
    ours, theirs = cuff(OURS), cuff(THEIRS)
    async with SimulatedAir([theirs, ours]) as air:
        await pair(air, keys, ours)
        ours.never_advertises = True
        ours.changed()
        async with open_radio(air.hci, keys) as radio:
            with pytest.raises(DeviceError) as error:
                await radio.find(BloodPressureCuff.service, timeout_s=30, own=True)
    assert (error.value.code, error.value.facts["device"]) == ("device-other", "A&D_UA-651BLE")
    assert len(theirs.waiting) == 1


@pytest.mark.slow
async def test_a_kit_without_any_bond_asks_for_the_technician(keys: Path) -> None:
    async with SimulatedAir([cuff(THEIRS)]) as air, open_radio(air.hci, keys) as radio:
        with pytest.raises(DeviceError) as error:
            await radio.find(BloodPressureCuff.service, timeout_s=30, own=True)
    assert error.value.code == "not-paired"
