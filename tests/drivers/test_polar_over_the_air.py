"""A simulated strap over real Bluetooth protocol: bleak's client on a virtual controller."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from zhenbao.drivers.ecg.strip import StripEnd, StripHead, StripSamples, assemble_strip
from zhenbao.drivers.links.ble import Radio, open_radio
from zhenbao.drivers.polar.driver import PolarEvent, PolarH10
from zhenbao.drivers.polar.heart_rate import StrapBeats
from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.chest_strap import RATE_HZ, ChestStrap, StrapFaults
from zhenbao.firmware_sim.waveforms.ecg import LEADS, EcgModel
from zhenbao.model.errors import DeviceError
from zhenbao.model.recording import NO_VALUE, Recording

SPEED = 20.0


def strap(**faults: object) -> ChestStrap:
    source = EcgModel(rate_bpm=72).render(60, RATE_HZ)
    microvolts = np.round(source.mv[LEADS.index("V4")] * 1000).astype(np.int64)
    assert source.truth is not None
    return ChestStrap(microvolts, source.truth.beats.tolist(), speed=SPEED, faults=StrapFaults(**faults))  # type: ignore[arg-type]


@asynccontextmanager
async def near(device: ChestStrap, keys: Path) -> AsyncIterator[Radio]:
    async with SimulatedAir([device]) as air, open_radio(air.hci, keys) as radio:
        yield radio


async def record(radio: Radio, driver: PolarH10, seconds: float, into: list[PolarEvent]) -> None:
    found = await radio.find(PolarH10.service, timeout_s=10)
    async with radio.connect(found) as link:
        async for event in driver.read(link, duration_s=seconds):
            into.append(event)


def together(events: list[PolarEvent]) -> Recording:
    (head,) = [e for e in events if isinstance(e, StripHead)]
    pieces = [e for e in events if isinstance(e, StripSamples)]
    end = next((e for e in events if isinstance(e, StripEnd)), None)
    return assemble_strip(head, pieces, end, id=UUID(int=1), observation_id=UUID(int=2), started_ms=0)


def truth(device: ChestStrap, recording: Recording) -> np.ndarray:
    """What the strap's electrodes saw over the recording; NaN nowhere."""
    return device.microvolts(device.sent[0][0], recording.n_samples) / 1000


@pytest.mark.slow
async def test_a_strip_arrives_whole_and_right(tmp_path: Path) -> None:
    device, events, driver = strap(rate_error=0.0013), [], PolarH10()
    async with near(device, tmp_path / "bonds.json") as radio:
        await record(radio, driver, 12, events)
    recording = together(events)
    assert (recording.fs_hz, recording.channels, recording.kind) == (130.0, ("chest-strap",), "ecg-rhythm")
    assert recording.complete
    assert recording.n_samples == 12 * 130
    assert np.allclose(recording.values()[0], truth(device, recording), rtol=0, atol=1e-9)
    assert (driver.device.maker, driver.device.model, driver.device.serial) == ("Polar Electro Oy", "H10", "SIM00001")
    rates = [e.rate_bpm for e in events if isinstance(e, StrapBeats) and e.rate_bpm]
    assert np.median(rates) == pytest.approx(72, abs=3)
    # Asked, started, and stopped when it was over.
    assert [r[:2].hex() for r in device.requests] == ["0100", "0200", "0300"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({"lose_every": 4}, id="lost notifications"),
        pytest.param({"cut_every": 5}, id="a byte too few"),
        pytest.param({"drop_link_at": (6, 11)}, id="two broken links"),
        pytest.param({"lose_every": 7, "drop_link_at": (5,), "rate_error": -0.0013}, id="both"),
    ],
)
async def test_what_is_lost_is_a_gap_and_the_rest_stands_in_its_place(
    tmp_path: Path, faults: dict[str, object]
) -> None:
    device, events, driver = strap(**faults), [], PolarH10()
    async with near(device, tmp_path / "bonds.json") as radio:
        for _ in range(4):
            with suppress(DeviceError):
                await record(radio, driver, 20, events)
                break
    recording = together(events)
    values, wanted = recording.values()[0], truth(device, recording)
    there = ~np.isnan(values)
    assert not recording.complete
    assert 0.4 < there.mean() < 0.95
    if "rate_error" in faults:
        # The place of what follows a gap is as exact as the strap's crystal.
        shifted = [np.abs(values[10:-10] - np.roll(wanted, k)[10:-10])[there[10:-10]] for k in (-1, 0, 1)]
        assert float(np.min(shifted, axis=0).max()) < 1e-9
    else:
        assert np.allclose(values[there], wanted[there], rtol=0, atol=1e-9)


async def test_a_frame_that_comes_twice_counts_once(tmp_path: Path) -> None:
    device, events, driver = strap(repeat_every=3), [], PolarH10()
    async with near(device, tmp_path / "bonds.json") as radio:
        await record(radio, driver, 10, events)
    recording = together(events)
    assert recording.complete
    assert np.allclose(recording.values()[0], truth(device, recording), rtol=0, atol=1e-9)
    assert driver.refused >= 5


async def test_without_skin_contact_there_is_no_value(tmp_path: Path) -> None:
    device, events, driver = strap(no_contact_s=(0.0, 1e9)), [], PolarH10()
    async with near(device, tmp_path / "bonds.json") as radio:
        await record(radio, driver, 8, events)
    samples = np.frombuffer(together(events).samples, "<i2")
    assert (samples[3 * RATE_HZ :] == NO_VALUE).all()
    assert all(e.rate_bpm is None for e in events if isinstance(e, StrapBeats))


async def test_an_earlier_recording_is_stopped_first(tmp_path: Path) -> None:
    device, events = strap(refuses_first_start=True), []
    async with near(device, tmp_path / "bonds.json") as radio:
        await record(radio, PolarH10(), 3, events)
    assert [r[:1].hex() for r in device.requests] == ["01", "02", "03", "02", "03"]
    assert together(events).complete


@pytest.mark.parametrize(
    ("faults", "code"),
    [({"small_mtu": True}, "strap-mtu"), ({"silent_after": 3}, "strap-silent")],
    ids=["MTU", "silence"],
)
async def test_what_cannot_go_on_says_why(tmp_path: Path, faults: dict[str, object], code: str) -> None:
    device, events, driver = strap(**faults), [], PolarH10()
    driver.SILENCE_S = 0.5  # type: ignore[misc]
    async with near(device, tmp_path / "bonds.json") as radio:
        with pytest.raises(DeviceError) as ended:
            await record(radio, driver, 10, events)
    assert ended.value.code == code


async def test_closing_early_stops_the_strap(tmp_path: Path) -> None:
    device = strap()
    async with near(device, tmp_path / "bonds.json") as radio:
        found = await radio.find(PolarH10.service, timeout_s=10)
        async with radio.connect(found) as link:
            reading = PolarH10().read(link, duration_s=60)
            async for event in reading:
                if isinstance(event, StripSamples):
                    break
            await reading.aclose()
            assert device.requests[-1] == bytes.fromhex("0300")
