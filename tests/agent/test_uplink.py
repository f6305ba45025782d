"""The gate of the service, as the kit's settings make it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from zhenbao.agent.settings import KitSettings
from zhenbao.agent.uplink import asker, gate
from zhenbao.model.errors import InputError
from zhenbao.sync.envelope import Envelope, Lane
from zhenbao.sync.uplink.look import View
from zhenbao.sync.uplink.picture import FRESH_MS
from zhenbao.sync.uplink.state import Kind, Miss, Outcome, Uplink
from zhenbao.sync.uplink.watch import Watch


@dataclass
class HandClock:
    at_ms: int = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1000

    def sleep(self, seconds: float) -> None:
        self.at_ms += round(1000 * seconds)

    def wait_s(self, seconds: float) -> float:
        return seconds


ITEM = Envelope(uuid4(), "kit-1", "hub", "boot", 1, "recording", Lane.WAVEFORMS, uuid4(), 1, b"")


def test_the_gate_follows_the_watch_and_opens_when_the_watch_has_stopped(tmp_path: Path) -> None:
    clock, outcomes = HandClock(), [Outcome(miss=Miss.SILENT), Outcome(0.1)]
    watch = Watch(lambda: View((Uplink(Kind.WIFI, "wlan0"),)), lambda _: outcomes.pop(0), clock, tmp_path)
    may_go = gate(watch, clock)
    watch.step()
    assert not may_go(ITEM)
    assert may_go(replace(ITEM, lane=Lane.RESULTS))
    clock.at_ms += FRESH_MS + 1
    assert may_go(ITEM)
    watch.step()
    assert watch.picture.answered is True
    assert may_go(ITEM)


def test_a_kit_without_the_hubs_address_asks_nobody(tmp_path: Path) -> None:
    assert asker(KitSettings("kit-1"), tmp_path) is None


@pytest.mark.parametrize(
    ("url", "key", "code"),
    [
        ("https://hub.example", "", "probe-key"),
        ("https://hub.example", "12" * 31, "probe-key"),
        ("https://hub.example", "zz" * 32, "probe-key"),
        ("", "12" * 32, "link-address"),
        ("hub.example", "12" * 32, "link-address"),
    ],
)
def test_half_an_address_is_refused(url: str, key: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        asker(KitSettings("kit-1", probe_url=url, probe_key=key), tmp_path)
    assert refused.value.code == code
