"""Speed of the devices' path: a reading from its advertisement to the disk, 500 glucose records, 24 h of a 12-lead ECG.

    .venv/bin/python tests/benchmarks/devices.py

On the virtual link (bumble over TCP) and on a pty; both ends run on this machine, in this process for the radio and in
a process of its own for the ECG, so that its CPU time is the host's alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import resource
import statistics
import struct
import sys
import tempfile
import threading
import time
import tty
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from zhenbao.agent.capture import Journal
from zhenbao.agent.measure.bp import _reading
from zhenbao.agent.store import KitStore
from zhenbao.drivers.bp.driver import BloodPressureCuff
from zhenbao.drivers.frontend.frame import Decoder
from zhenbao.drivers.frontend.messages import EcgSamples, decode
from zhenbao.drivers.glucose.driver import GlucoseMeter
from zhenbao.drivers.links.ble import open_radio
from zhenbao.drivers.links.serial import open_serial
from zhenbao.firmware_sim import glucose_meter
from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.cuff import BloodPressureMeter
from zhenbao.model.ids import uuid7
from zhenbao.model.time import SystemClock

READINGS = 10
RECORDS = 500
HOURS = 24.0
FS_HZ, LEADS, PER_FRAME = 500, 12, 25
_PIECE_BYTES = 4096


async def readings(folder: Path) -> list[float]:
    """Seconds from the first advertisement that the kit hears to the reading on the disk."""
    cuff, took_s = BloodPressureMeter(), []
    clock = SystemClock()
    async with SimulatedAir([cuff]) as air, open_radio(air.hci, folder / "bonds.json") as radio:
        cuff.pairing_mode = True
        await radio.pair(await radio.find(BloodPressureCuff.service, timeout_s=20), BloodPressureCuff.protected)
        cuff.pairing_mode = False
        with KitStore.open(folder / "kit", kit_id="kit-bench", clock=clock) as store:
            journal = Journal(store, uuid7(clock.now_ms()), "bp")
            for n in range(READINGS):
                cuff.measure(120 + n, 80, 93, 70, datetime(2026, 11, 22, 10, n))
                found = await radio.find(BloodPressureCuff.service, timeout_s=20, own=True)
                began_s = time.monotonic()
                async with radio.connect(found) as link:
                    async for measured in BloodPressureCuff(clock).read(link, timeout_s=10):
                        reading = _reading(measured, clock.now_ms())
                        assert reading is not None
                        journal.add(reading)
                        took_s.append(time.monotonic() - began_s)
    assert len(took_s) == READINGS
    return took_s


async def records(folder: Path) -> float:
    """Seconds for all records of a full meter, from the connection to the last one."""
    since = datetime(2026, 1, 1)
    full = [glucose_meter.GlucoseRecord.mmol_l(n, since + timedelta(hours=n), 5.0) for n in range(1, RECORDS + 1)]
    meter = glucose_meter.GlucoseMeter(full)
    async with SimulatedAir([meter]) as air, open_radio(air.hci, folder / "meter-bonds.json") as radio:
        meter.pairing_mode = True
        await radio.pair(await radio.find(GlucoseMeter.service, timeout_s=20), GlucoseMeter.protected)
        meter.pairing_mode = False
        found = await radio.find(GlucoseMeter.service, timeout_s=20, own=True)
        began_s = time.monotonic()
        async with radio.connect(found) as link:
            got = [reading async for reading in GlucoseMeter(SystemClock()).read(link)]
        took_s = time.monotonic() - began_s
    assert [r.sequence for r in got] == list(range(1, RECORDS + 1)), "every record once, in order"
    return took_s


def frames(count: int) -> Iterator[bytes]:
    """ECG frames by docs/devices/front-end.md: A5 5A, type, length, sequence, time, payload, CRC-32."""
    values = struct.pack(f"<{PER_FRAME * LEADS}h", *range(PER_FRAME * LEADS))
    for number in range(count):
        first = number * PER_FRAME
        payload = struct.pack("<IBHH", first & 0xFFFFFFFF, PER_FRAME, 0, 0) + values
        head = struct.pack("<BHHQ", 3, len(payload), number & 0xFFFF, first * 1_000_000 // FS_HZ) + payload
        yield b"\xa5\x5a" + head + struct.pack("<I", zlib.crc32(head))


def feed(master: int, count: int) -> None:
    """What the board sends, as fast as the host takes it."""
    held = bytearray()
    for frame in frames(count):
        held += frame
        while len(held) >= _PIECE_BYTES:
            del held[: os.write(master, held[:_PIECE_BYTES])]
    while held:
        del held[: os.write(master, held)]


async def _host(port: str, count: int, opened: Callable[[], None]) -> dict[str, float]:
    """Read, check and decode every frame through the kit's own serial link."""
    decoder, samples, next_sample, lost = Decoder(), 0, 0, 0
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s, began_s = used.ru_utime + used.ru_stime, time.monotonic()
    async with open_serial(port) as link:
        opened()  # opening a port throws away what lay on it
        while samples + lost < count * PER_FRAME:
            data = await link.read(10.0)
            if not data:
                break
            for frame in decoder.feed(data):
                message = decode(frame)
                if isinstance(message, EcgSamples):
                    lost += message.first_sample - next_sample
                    next_sample = message.first_sample + PER_FRAME
                    samples += PER_FRAME
    used = resource.getrusage(resource.RUSAGE_SELF)
    took = {"cpu_s": used.ru_utime + used.ru_stime - cpu_s, "wall_s": time.monotonic() - began_s}
    return {**took, "samples": samples, "lost": lost + count * PER_FRAME - next_sample}


def host(port: str, count: int, told: Connection) -> None:
    told.send(asyncio.run(_host(port, count, lambda: told.send("open"))))


def ecg(hours: float) -> dict[str, float]:
    """So many hours of a 12-lead ECG at 500 Hz through a pty, accelerated."""
    count = round(hours * 3600 * FS_HZ / PER_FRAME)
    master, slave = os.openpty()
    tty.setraw(slave)
    mine, theirs = multiprocessing.Pipe()
    reader = multiprocessing.get_context("spawn").Process(target=host, args=(os.ttyname(slave), count, theirs))
    reader.start()
    mine.recv()
    sender = threading.Thread(target=feed, args=(master, count), daemon=True)
    sender.start()
    result: dict[str, float] = mine.recv()
    reader.join()
    sender.join(timeout=10)
    return result | {"share_of_a_core": result["cpu_s"] / (hours * 3600)}


def main() -> int:
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else HOURS
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        took_s = asyncio.run(readings(Path(folder)))
        fetched_s = asyncio.run(records(Path(folder)))
    streamed = ecg(hours)
    print("| what | measured | wanted |\n|---|---|---|")
    print(
        f"| advertisement to reading on disk, virtual link, {READINGS} readings | "
        f"median {statistics.median(took_s):.3f} s, worst {max(took_s):.3f} s | < 1 s |"
    )
    print(f"| {RECORDS} glucose records by record access | {fetched_s:.2f} s, every one once | all |")
    print(
        f"| ECG {FS_HZ} Hz x {LEADS} leads, {hours:g} h played in {streamed['wall_s']:.0f} s | "
        f"{streamed['lost']:.0f} samples lost, {100 * streamed['share_of_a_core']:.2f} % of a core | 0 lost, < 10 % |"
    )
    good = max(took_s) < 1.0 and streamed["lost"] == 0 and streamed["share_of_a_core"] < 0.1
    print(json.dumps({"agrees": good, "ecg": streamed}), file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
