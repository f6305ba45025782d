"""Five hundred kits thrown off by one power cut of the broker: how they come back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub.county import County
from zhenbao.sync.links.backoff import Backoff

pytestmark = pytest.mark.slow
KITS = 500
SLICE_S = 0.25


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if min(4096, hard) < 2 * KITS:
        pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    made = County(tmp_path)
    yield made
    made.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect_packet(client_id: str) -> bytes:
    """MQTT 5.0, section 3.1: clean start, keep-alive 60 s, no properties."""
    name = client_id.encode()
    body = b"\x00\x04MQTT\x05\x02\x00\x3c\x00" + len(name).to_bytes(2, "big") + name
    return bytes([0x10, len(body)]) + body


class Crowd:
    """Raw clients: TLS, CONNECT, CONNACK, and then only wait; they come back by the pauses they are given."""

    def __init__(self, port: int, tls: ssl.SSLContext, pauses: Callable[[int], Backoff]) -> None:
        self.port, self.tls, self.pauses = port, tls, pauses
        self.tried: list[float] = []
        self.here: dict[int, float] = {}

    async def kit(self, number: int) -> None:
        backoff = self.pauses(number)
        while True:
            writer = None
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                self.tried.append(time.monotonic())
                async with asyncio.timeout(10):
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", self.port, ssl=self.tls, server_hostname="localhost"
                    )
                    writer.write(connect_packet(f"storm-{number:04d}"))
                    head = await reader.readexactly(2)
                    answer = await reader.readexactly(head[1])
                if answer[1] == 0:
                    backoff.succeeded()
                    self.here[number] = time.monotonic()
                    await reader.read()
            self.here.pop(number, None)
            if writer is not None:
                writer.transport.abort()
            await asyncio.sleep(backoff.next_s())


async def power_cut(county: County, crowd: Crowd) -> tuple[float, int, int]:
    """Seconds until everybody is back, the largest number of attempts in a quarter of a second, and all attempts."""
    kits = []
    for number in range(KITS):
        kits.append(asyncio.create_task(crowd.kit(number)))
        if number % 20 == 0:
            await asyncio.sleep(0.05)
    try:
        async with asyncio.timeout(60):
            while len(crowd.here) < KITS:  # noqa: ASYNC110 - a count, looked at now and then
                await asyncio.sleep(0.1)
        crowd.tried.clear()
        crowd.here.clear()
        county.stop()
        county.start()
        began_s = time.monotonic()
        async with asyncio.timeout(120):
            while len(crowd.here) < KITS:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        slices = Counter(int((at - began_s) / SLICE_S) for at in crowd.tried)
        return max(crowd.here.values()) - began_s, max(slices.values()), len(crowd.tried)
    finally:
        for kit in kits:
            kit.cancel()
        await asyncio.gather(*kits, return_exceptions=True)


async def test_five_hundred_kits_come_back_spread_out(county: County) -> None:
    county.enrol("kit-0001")
    county.start()
    tls = county.context("kit-0001")
    crowd = Crowd(county.port, tls, lambda number: Backoff(rng=random.Random(number)))
    back_s, peak, attempts = await power_cut(county, crowd)
    # The control: what coming back within a tenth of a second does to the same broker.
    herd = Crowd(county.port, tls, lambda number: Backoff(0.1, 0.5, random.Random(number)))
    herd_s, herd_peak, herd_attempts = await power_cut(county, herd)
    print(f"spread: all back in {back_s:.1f} s, at most {peak} attempts in {SLICE_S} s, {attempts} in all")
    print(f"herd:   all back in {herd_s:.1f} s, at most {herd_peak} attempts in {SLICE_S} s, {herd_attempts} in all")
    assert back_s < 30
    # Evenly, 500 over 4 s are 31 in a quarter of a second; 500 clients in one busy process clump a little.
    assert peak < KITS / 4
    assert herd_peak > 1.5 * peak
    # Nobody was turned away and had to come twice.
    assert attempts < 1.2 * KITS
