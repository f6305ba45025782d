"""``zhenbao link`` and the service's gate: a real hub, a modem on its port, and a page that pretends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
from bedside import KitCommand, enrol, set_up
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from zhenbao.agent.settings import load_settings, save_settings
from zhenbao.agent.store import KitStore
from zhenbao.firmware_sim.modem import Modem
from zhenbao.hub.keys import renew
from zhenbao.hub.server import Hub
from zhenbao.model.observation import Device, Observation
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.time import SystemClock

pytestmark = pytest.mark.slow
STRANGER = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()


@pytest.fixture(autouse=True)
def no_bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's own network must not matter."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    running = Hub(tmp_path / "hub")
    running.start()
    yield running
    running.close()


def kit_with(
    home: Path, *, hub: Hub | None = None, hub_port: int = 1, probe_url: str = "", modem_port: str = ""
) -> KitCommand:
    """The hub is known by its pinned card alone."""
    kit = set_up(home, None, hub_port=hub_port)
    enrol(home, hub)
    save_settings(home, replace(load_settings(home), probe_url=probe_url, modem_port=modem_port))
    return kit


@contextmanager
def captive_portal() -> Iterator[str]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>welcome, please log in</html>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def test_online_is_an_answer_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    with Modem("sa") as modem:
        kit = kit_with(tmp_path / "kit", hub=hub, probe_url=hub.web_url, modem_port=modem.port)
        ended = kit("link")
        # It is known by its card: another hub's card, and the same answer is nobody's.
        stranger = kit_with(tmp_path / "kit-2", probe_url=hub.web_url, modem_port=modem.port)("link")
        renew(hub.store, tmp_path / "hub")
        after = kit("link")
    assert stranger.of("link")[0]["answered"] is False
    assert after.of("link")[0]["answered"] is True, "the hub answers by the key that this kit knows"
    (link,) = ended.of("link")
    assert (link["answered"], link["chosen"]) == (True, "cellular")
    assert link["roads"][0]["uplink"]["signal"]["rsrp_dbm"] == -92
    assert {row["lane"]: row["allowed"] for row in ended.of("waiting")} == {"results": True}


def test_a_full_signal_before_a_login_page_is_not_online(tmp_path: Path) -> None:
    with Modem("sa") as modem, captive_portal() as url:
        ended = kit_with(tmp_path / "kit", probe_url=url, modem_port=modem.port)("link")
    (link,) = ended.of("link")
    assert (link["answered"], link["roads"][0]["miss"]) == (False, "other")
    # Small things are tried all the same: only a receipt ends them.
    assert [(row["lane"], row["allowed"]) for row in ended.of("waiting")] == [("results", True)]


def test_without_the_hubs_address_nothing_is_asked_and_nothing_claimed(tmp_path: Path) -> None:
    ended = kit_with(tmp_path / "kit", modem_port=str(tmp_path / "none"))("link")
    (link,) = ended.of("link")
    assert link["answered"] is None
    assert link["trouble"] == ["bus-absent", "modem-absent"]
    assert "modem-absent" in {trouble["code"] for trouble in ended.of("trouble")}


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    kit = kit_with(tmp_path / "kit", probe_url="http://127.0.0.1:1")
    (kit.home / "hub.card").unlink()
    assert "probe-key" in kit("link").said
    save_settings(kit.home, replace(load_settings(kit.home), probe_key=STRANGER))
    assert kit("link").code == 0
    save_settings(kit.home, replace(load_settings(kit.home), probe_key="abc"))
    ended = kit("link")
    assert (ended.code, "probe-key" in ended.said) == (2, True)


def record(home: Path) -> None:
    """An ECG with its waveform, as a measurement saves it."""
    with KitStore.open(home, kit_id="kit-test", clock=SystemClock()) as store:
        (patient,) = store.patients("0019")
        encounter = store.last_encounter()
        assert encounter is not None
        observation = Observation(
            uuid4(), patient.id, encounter.id, "kit-test", "ecg", "preliminary", SystemClock().now_ms(),
            Device("front-end"), {"ecg_heart_rate": Quantity(72.0, "/min")},
        )  # fmt: skip
        recording = Recording(
            uuid4(), observation.id, "ecg", 500.0, ("I",), "mV", 0.001, observation.effective_ms, bytes(20_000)
        )
        store.save_observation(observation, [recording])


def test_the_service_holds_a_waveform_back_at_the_cells_edge_and_says_why(hub: Hub, tmp_path: Path) -> None:
    with Modem("weak") as modem:
        kit = kit_with(tmp_path / "kit", hub=hub, hub_port=hub.mqtt_port, probe_url=hub.web_url, modem_port=modem.port)
        enrol(kit.home, hub)
        record(kit.home)
        service = kit.start("service")
        try:
            waits = until(kit, lambda rows: [row["lane"] for row in rows] == ["waveforms"])
            assert waits == [{"event": "waiting", "lane": "waveforms", "count": 1, "allowed": False,
                              "reason": "weak-signal"}]  # fmt: skip
            modem.scenario = "sa"
            assert until(kit, lambda rows: rows == [], seconds=60) == []
        finally:
            service.terminate()
            service.communicate(timeout=30)


def until(
    kit: KitCommand, right: Callable[[list[dict[str, object]]], bool], seconds: float = 40
) -> list[dict[str, object]]:
    """What the queue says waits, once it is right and the queue has nothing else."""
    end_s = time.monotonic() + seconds
    rows: list[dict[str, object]] = []
    while time.monotonic() < end_s:
        ended = kit("queue")
        rows = [dict(row) for row in ended.of("waiting")]
        (queue,) = ended.of("queue")
        if right(rows) and queue["waiting"] == sum(int(str(row["count"])) for row in rows):
            return rows
        time.sleep(1)
    pytest.fail(f"still {rows}")
