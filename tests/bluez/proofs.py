"""What is proved against the real BlueZ. Run by ``guest.sh``, as root, in the virtual machine; nowhere else.

The meters are ``zhenbao.firmware_sim`` on bumble; the other side is bluetoothd, through bleak as it is installed. One
line a proof: what was seen, and how long it took. The exit code is 1 if a proof failed.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from adapter import bluez_adapter, bond_file, device_path, forget
from bedside import KitCommand, set_up
from bleak import BleakClient
from bumble.link import LocalLink
from dbus_fast.aio import MessageBus

from zhenbao.drivers.bp.codec import BloodPressure
from zhenbao.drivers.bp.driver import BloodPressureCuff
from zhenbao.drivers.glucose.driver import GlucoseMeter
from zhenbao.drivers.links.ble import open_radio
from zhenbao.drivers.links.bluez import pairing_agent
from zhenbao.firmware_sim import cuff as sim_cuff
from zhenbao.firmware_sim import glucose_meter as sim_meter
from zhenbao.firmware_sim.peripheral import Peripheral
from zhenbao.model.errors import DeviceError
from zhenbao.words import Words

HOME = Path("/tmp/kit")  # noqa: S108 - the machine is thrown away
AT = datetime(2026, 11, 27, 9, 30)
RECORDS = 200
PROOF_S = 240.0
FIND_S = 20.0
SILENT_S = 6.0
"""How long our driver waits for a cuff in a proof."""
SETTLE_S = 2.0
"""How long a late program dawdles between connecting and subscribing."""
COMMAND_S = 150.0
JUST_WORKS, WITH_DIGITS = "Authenticated=2", "Authenticated=3"
"""How BlueZ notes a key of LE Secure Connections: without, and with protection against somebody in between."""
WORDS = Words("zh_CN")


@dataclass(frozen=True, slots=True)
class Table:
    """What lies on it. The meters live in this process's event loop."""

    cuff: sim_cuff.BloodPressureMeter
    meter: sim_meter.GlucoseMeter
    stranger: sim_cuff.BloodPressureMeter
    """A cuff that no technician has paired."""
    kit: KitCommand
    bus: MessageBus


async def just_works(table: Table) -> str:
    table.cuff.measure(128, 82, 97, 71, AT)
    table.cuff.pairing_mode = True
    code, said = await tech_pair("bp")
    table.cuff.pairing_mode = False
    assert code == 0, said
    assert table.cuff.bonded_hosts == 1
    assert len(table.cuff.waiting) == 1, "pairing took the stored reading"
    key = kept_for_root(table.cuff, JUST_WORKS)
    return f"zhenbao tech pair bp: bonded, the stored reading is still in the cuff; {key}"


async def wrong_digits(table: Table) -> str:
    table.meter.pairing_mode = True
    code, said = await tech_pair("glucose", table.meter, lambda digits: (digits + 1) % 1_000_000)
    assert code == 1 and "pairing-failed" in said, said
    assert table.meter.bonded_hosts == 0 and bond_file(table.meter.address) is None
    return "zhenbao tech pair glucose with one digit wrong: pairing-failed, no bond on either side"


async def right_digits(table: Table) -> str:
    code, said = await tech_pair("glucose", table.meter, lambda digits: digits)
    table.meter.pairing_mode = False
    assert code == 0, said
    assert table.meter.bonded_hosts == 1
    key = kept_for_root(table.meter, WITH_DIGITS)
    return f"zhenbao tech pair glucose, digits typed from its display: bonded; {key}"


async def reconnect(table: Table) -> str:
    first = await read_cuff(table.cuff)
    table.cuff.measure(141, 90, 107, 80, AT + timedelta(minutes=1))
    second = await read_cuff(table.cuff)
    assert (first.told, second.told) == ([(128, 82, 97, 71)], [(141, 90, 107, 80)]), (first, second)
    assert table.cuff.bonded_hosts == 1
    times = [f"{session.connect_s:.1f} s to connect, {session.read_s:.1f} s to read" for session in (first, second)]
    return f"bonded cuff read twice, no new pairing: {'; '.join(times)}"


async def trap(table: Table) -> str:
    cuff = table.cuff
    cuff.measure(150, 95, 113, 82, AT + timedelta(minutes=2))
    heard = await foreign_program(cuff, dawdles_s=SETTLE_S)
    assert len(heard) == 1, "after our driver nothing is sent before the program subscribes, however late"
    # That program left its subscription standing. The cuff measures again:
    lost = cuff.measure(182, 112, 135, 88, AT + timedelta(minutes=3))
    heard = await foreign_program(cuff, dawdles_s=SETTLE_S)
    assert cuff.delivered[-1] == lost and not cuff.waiting, "the cuff has sent it and forgotten it"
    assert heard == [], "the trap is gone: BlueZ no longer swallows the early indication"
    return (
        "subscription left standing, then subscribed late: BlueZ confirmed 182/112, the cuff deleted it, nobody got it"
    )


async def cure(table: Table) -> str:
    cuff = table.cuff
    cuff.measure(160, 100, 120, 84, AT + timedelta(minutes=4))
    try:
        after_trap = f"read {(await read_cuff(cuff)).told}"
    except DeviceError as error:
        after_trap = error.code
    wanted = [(130 + n, 80 + n, 97 + n, 70 + n) for n in range(5)]
    told = []
    for minute, reading in enumerate(wanted, start=5):
        cuff.measure(*reading, AT + timedelta(minutes=minute))
        await asyncio.sleep(0.2)
        told += (await read_cuff(cuff)).told
    assert told == wanted, told
    return (
        f"our driver after that program: first session {after_trap}; from then on {len(told)} of {len(wanted)} readings"
    )


async def records(table: Table) -> str:
    truth = {record.sequence: record for record in table.meter.records}
    async with open_radio(None, HOME / "bonds.json") as radio:
        found = await radio.find(GlucoseMeter.service, timeout_s=FIND_S)
        async with radio.connect(found) as link:
            began = time.monotonic()
            readings = [reading async for reading in GlucoseMeter().read(link)]
            took_s = time.monotonic() - began
    assert len(readings) == RECORDS
    for reading in readings:
        assert reading.concentration is not None and reading.concentration.unit == "mmol/L"
        assert abs(reading.concentration.value - mmol_l(reading.sequence)) < 1e-9, reading
        assert reading.base_time == truth[reading.sequence].base_time.isoformat(), reading
    assert [reading.sequence for reading in readings] == list(truth)
    return f"{RECORDS} records over RACP, every number and time right, in order: {took_s:.1f} s"


async def doctor_never_pairs(table: Table) -> str:
    """The stranger is in its pairing mode and an agent of the desktop says yes: a pairing would succeed."""
    table.stranger.pairing_mode = True
    table.stranger.measure(150, 90, 110, 70, AT)
    async with pairing_agent(device_path(table.stranger.address), None):
        ended = await asyncio.to_thread(table.kit, "measure", "bp", "--confirm", "0019")
    assert ended.code == 1, ended.said
    assert WORDS("error.not-paired.what") in ended.said and WORDS("error.not-paired.do") in ended.said, ended.said
    assert table.stranger.bonded_hosts == 0 and bond_file(table.stranger.address) is None
    assert len(table.stranger.waiting) == 1
    return f"zhenbao measure bp: “{WORDS('error.not-paired.what')}” No pairing began, the reading stays in the cuff"


async def guard(table: Table) -> str:
    """The counter-proof: were it not for our own check, BlueZ would have paired."""
    async with pairing_agent(device_path(table.stranger.address), None):
        heard = await foreign_program(table.stranger, dawdles_s=0.0)
    assert len(heard) == 1 and table.stranger.bonded_hosts == 1, "BlueZ did not pair by itself"
    table.stranger.pairing_mode = False
    await forget(table.bus, table.stranger.address)
    return "the same cuff read with bleak alone: BlueZ pairs by itself, so our check is what held it back"


async def forgotten(table: Table) -> str:
    """The cuff has lost its bond (a reset), BlueZ has not. Its pairing mode is on: a pairing would succeed."""
    table.cuff.forget_hosts()
    table.cuff.pairing_mode = True
    table.cuff.measure(135, 85, 102, 75, AT + timedelta(minutes=20))
    try:
        await read_cuff(table.cuff)
    except DeviceError as error:
        refused = error.code
    else:
        raise AssertionError("it was read without a bond")
    assert table.cuff.bonded_hosts == 0, "a reading made a bond"
    code, said = await tech_pair("bp")
    assert code == 0, said
    table.cuff.pairing_mode = False
    told = (await read_cuff(table.cuff)).told
    assert told == [(135, 85, 102, 75)], told
    return f"a cuff that lost its bond: {refused}; paired again by the technician it gives the reading that waited"


PROOFS: tuple[tuple[str, Callable[[Table], Awaitable[str]]], ...] = (
    ("1a pairing without digits", just_works),
    ("1b pairing, wrong digits", wrong_digits),
    ("1c pairing with digits", right_digits),
    ("2  bonded reconnect", reconnect),
    ("3a the trap", trap),
    ("3b its cure", cure),
    ("4  stored records", records),
    ("5a a doctor's reading", doctor_never_pairs),
    ("5b what held BlueZ back", guard),
    ("6  a lost bond", forgotten),
)


@dataclass(frozen=True, slots=True)
class CuffSession:
    """What one connection of our driver gave."""

    told: list[tuple[float | None, ...]]
    """Systolic, diastolic, mean, pulse."""
    connect_s: float
    read_s: float
    """From the connection to the first reading."""


async def read_cuff(cuff: sim_cuff.BloodPressureMeter) -> CuffSession:
    """Read as the kit does: our radio, our driver."""
    async with open_radio(None, HOME / "bonds.json") as radio:
        found = await radio.find(BloodPressureCuff.service, timeout_s=FIND_S, address=cuff.address)
        began = time.monotonic()
        async with radio.connect(found) as link:
            connect_s = time.monotonic() - began
            told, read_s = [], 0.0
            async for reading in BloodPressureCuff().read(link, timeout_s=SILENT_S):
                read_s = read_s or time.monotonic() - began - connect_s
                told.append(numbers(reading))
    return CuffSession(told, connect_s, read_s)


async def foreign_program(cuff: sim_cuff.BloodPressureMeter, *, dawdles_s: float) -> list[bytes]:
    """Another program, on bleak alone: connects, dawdles, subscribes, hangs up without clearing; what it heard."""
    heard: list[bytes] = []
    async with open_radio(None, HOME / "bonds.json") as radio:
        found = await radio.find(BloodPressureCuff.service, timeout_s=FIND_S, address=cuff.address)
    async with BleakClient(found.handle) as client:
        await asyncio.sleep(dawdles_s)
        await client.start_notify(BloodPressureCuff.MEASUREMENT, lambda _, value: heard.append(bytes(value)))
        await asyncio.sleep(SETTLE_S)
    return heard


def numbers(reading: BloodPressure) -> tuple[float | None, ...]:
    quantities = (reading.systolic, reading.diastolic, reading.mean, reading.pulse)
    return tuple(None if quantity is None else quantity.value for quantity in quantities)


async def tech_pair(
    device: str, meter: Peripheral | None = None, typed: Callable[[int], int] = lambda digits: digits
) -> tuple[int, str]:
    """The technician's command as a process, with the digits that the meter shows typed into it; how it ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "zhenbao", "--home", str(HOME), "tech", "pair", device, "--seconds", str(FIND_S)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "ZHENBAO_LANG": "zh_CN"},
    )
    assert process.stdin is not None and process.stdout is not None
    said = ""
    async with asyncio.timeout(COMMAND_S):
        while line := (await process.stdout.readline()).decode():
            said += line
            if meter is not None and line.strip() == WORDS("tech.passkey"):
                while meter.digits is None:  # noqa: ASYNC110 - a display tells nobody
                    await asyncio.sleep(0.02)
                process.stdin.write(f"{typed(meter.digits):06d}\n".encode())
        return await process.wait(), said


def kept_for_root(meter: Peripheral, how: str) -> str:
    """BlueZ's bond file lies there for root alone, and notes how the key was made."""
    info = bond_file(meter.address)
    assert info is not None, "BlueZ kept no bond"
    mode = stat.S_IMODE(info.stat().st_mode)
    assert mode == 0o600, oct(mode)
    assert how in info.read_text(encoding="utf-8"), info.read_text(encoding="utf-8")
    return f"BlueZ's key {how}, file mode {mode:04o}"


def mmol_l(sequence: int) -> float:
    """What the simulated meter holds under a number: 3.0 to 22.9 mmol/L."""
    return round(2.9 + sequence * 0.1, 1)


@asynccontextmanager
async def laid_table() -> AsyncIterator[Table]:
    link = LocalLink()
    stored = [
        sim_meter.GlucoseRecord.mmol_l(number, AT - timedelta(hours=RECORDS - number), mmol_l(number))
        for number in range(1, RECORDS + 1)
    ]
    cuff = sim_cuff.BloodPressureMeter(name="ZB-BP")
    stranger = sim_cuff.BloodPressureMeter(name="ZB-BP-2", address="F0:00:00:00:18:11")
    meter = sim_meter.GlucoseMeter(stored, name="ZB-GLU")
    meter.shows_digits = True
    for peripheral in (cuff, meter, stranger):
        await peripheral.power_on(link)
    async with bluez_adapter(link) as bus:
        print("hci0 is on; setting the kit up", flush=True)
        kit = await asyncio.to_thread(set_up, HOME, None)
        yield Table(cuff, meter, stranger, kit, bus)


async def main() -> int:
    failed = 0
    async with laid_table() as table:
        for name, proof in PROOFS:
            began = time.monotonic()
            try:
                async with asyncio.timeout(PROOF_S):
                    seen = await proof(table)
                mark = "ok    "
            except Exception as error:
                failed, mark, seen = failed + 1, "FAILED", f"{type(error).__name__}: {error}"
                traceback.print_exc()
            print(f"{mark} {time.monotonic() - began:5.1f} s  {name}: {seen}", flush=True)
    print(f"{len(PROOFS) - failed} of {len(PROOFS)} proofs held", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
