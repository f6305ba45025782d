"""The two ends of ``two_links.py`` as processes in their namespaces, and the county's certificates between them.

python -m reliability.two_links_ends hub FOLDER
python -m reliability.two_links_ends kit FOLDER [quick]   obeys lines: save READINGS TRACES CRITICAL FILES, look
"""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from reliability import rig

HUB = "10.98.0.1"
MQTT_PORT, WEB_PORT = 8883, 8443
FREE, PAID = "wifi0", "wwan0"
_NOON_CHINA_UTC_H = 4


class End:
    """One of them, seen from the tool that started it."""

    def __init__(self, prefix: Sequence[str], *arguments: object) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "reliability.two_links_ends", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._facts: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            with self._changed:
                self._facts.append(json.loads(line))
                self._changed.notify_all()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def ask(self, line: str, what: str) -> dict[str, Any]:
        """Tell it something, and wait for the fact that it answers with."""
        count = len(self.of(what))
        self.tell(line)
        assert self.wait(what, count + 1, 60), f"no answer to {line}"
        return self.of(what)[-1]

    def save(self, line: str) -> list[str]:
        """What was said to be kept."""
        return list(self.ask(line, "saved")["subjects"])

    def of(self, what: str) -> list[dict[str, Any]]:
        with self._changed:
            return [fact for fact in self._facts if fact["what"] == what]

    def wait(self, what: str, count: int, seconds: float) -> bool:
        """Until so many facts of a kind were told."""
        with self._changed:
            return self._changed.wait_for(lambda: sum(f["what"] == what for f in self._facts) >= count, seconds)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)


_SAYING = threading.Lock()


def _say(what: str, **facts: object) -> None:
    with _SAYING:
        print(json.dumps({"what": what, **facts}), flush=True)


def set_up_county(folder: Path) -> Path:
    """CA, certificates and keys of a hub in ``folder`` and a kit in ``folder/kit``; the broker's configuration."""
    from zhenbao.agent.keys import set_up_keys
    from zhenbao.hub.broker_config import CONFIGURATION, write_broker_config
    from zhenbao.hub.ca import init_ca, issue_server, sign_kit
    from zhenbao.sync.links.identity import make_request, requests_in

    now_ms, ca, kit = _now_ms(), folder / "ca", folder / "kit"
    init_ca(ca, "演示县", now_ms)
    issue_server(ca, [HUB], now_ms)
    kit.mkdir()
    _, request = make_request(kit)
    for one, file in zip(requests_in(request.read_bytes()), ("road.pem", "emergency.pem"), strict=True):
        (kit / file).write_bytes(sign_kit(ca, one, rig.KIT_ID, now_ms, 1095))
    (kit / "county-ca.pem").write_bytes((ca / "ca.pem").read_bytes())
    (folder / "kit.card").write_text(set_up_keys(kit, rig.KIT_ID, now_ms).text)
    write_broker_config(ca, folder / "mosquitto", port=MQTT_PORT, address=HUB, user=getpass.getuser())
    return folder / "mosquitto" / CONFIGURATION


def hub(folder: Path) -> None:
    from zhenbao.hub.server import Hub

    tls = (folder / "ca" / "server.pem", folder / "ca" / "server.key")
    serving = Hub(
        folder, broker=f"mqtts://{HUB}:{MQTT_PORT}", web_host=HUB, web_port=WEB_PORT, web_tls=tls, hosts=[HUB]
    )
    serving.start()
    serving.add_kit((folder / "kit.card").read_text())
    _say("opened", card=serving.keyring.card.text)
    sys.stdin.read()


class _NoonClock(rig.SystemClock):
    """Begins at noon: at night old files may go over a paid link."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self._ahead_ms = round((now.replace(hour=_NOON_CHINA_UTC_H, minute=0) - now).total_seconds() * 1000)

    def now_ms(self) -> int:
        return super().now_ms() + self._ahead_ms


def kit(folder: Path, *, quick: bool) -> None:
    from zhenbao.agent.keys import KitKeyring, pin_hub
    from zhenbao.agent.roads import open_roads
    from zhenbao.agent.settings import KitSettings
    from zhenbao.agent.uplink import asker, follow, gate
    from zhenbao.model.report import DeliveryState
    from zhenbao.sync.engine import Engine
    from zhenbao.sync.uplink.picture import Picture
    from zhenbao.sync.uplink.policy import policy
    from zhenbao.sync.uplink.watch import Watch

    home, web = folder / "kit", f"https://{HUB}:{WEB_PORT}"
    pin_hub(home, (folder / "hub.card").read_text())
    settings = KitSettings(rig.KIT_ID, "", HUB, MQTT_PORT, hub_tls=True, hub_https=web, probe_url=web)
    clock, table = _NoonClock(), policy()
    if quick:
        table = replace(table, look_s=3, settle_s=5, probe_first_retry_s=2, probe_last_retry_s=8)
    ask = asker(settings, home)
    assert ask is not None
    watch = Watch(_look, ask, clock, home, table=table)
    roads = follow(watch, open_roads(home, settings))
    lead = watch.on_change

    def turned(picture: Picture) -> None:
        assert lead is not None
        lead(picture)
        _say("via", interface=picture.interface)

    watch.on_change = turned
    store = rig.open_kit(home / "store", rig.SystemClock())
    engine = Engine(
        store,
        roads,
        rig.SystemClock(),
        KitKeyring(home, rig.KIT_ID),
        may_go=gate(watch, clock),
        # As the service does.
        on_event=lambda event: watch.wake() if event.name == "down" else None,
    )
    tracked: list[UUID] = []
    stop = threading.Event()
    threading.Thread(target=watch.run, args=(stop,), daemon=True).start()
    threading.Thread(target=engine.run, args=(stop,), daemon=True).start()
    for line in sys.stdin:
        match line.split():
            case ["save", *counts]:
                kept = _save(store, *map(int, counts))
                if counts[0] == "0":
                    tracked.append(kept[-1])
                _say("saved", subjects=[str(id_) for id_ in kept])
                engine.wake()
            case ["look"]:
                got = [str(id_) for id_ in tracked if DeliveryState.RECEIVED in store.delivery(id_)]
                _say("waiting", items=store.queue().total, received=got)


def _look() -> Any:
    """What NetworkManager would tell of the two, from the kernel's flags; no daemon runs in a namespace."""
    from zhenbao.sync.uplink.look import View
    from zhenbao.sync.uplink.state import Kind, Signal, Uplink

    def up(interface: str) -> bool:
        return bool(int(Path(f"/sys/class/net/{interface}/flags").read_text(), 16) & 1)

    strong = Signal(-85.0, -10.0, 15.0)
    return View(
        (
            Uplink(Kind.WIFI, FREE, up=up(FREE), metered=False),
            Uplink(Kind.CELLULAR, PAID, up=up(PAID), metered=True, plmn="46000", signal=strong),
        )
    )


def _save(store: rig.KitStore, readings: int, traces: int, critical: int, files: int) -> list[UUID]:
    visit = rig.Visit(rig.KIT_ID, at_ms=_now_ms())
    kept = visit.begin(store) if readings + critical + files else []
    for n in range(readings):
        reading = visit.reading(at_ms=_now_ms())
        kept += visit.save(store, reading, *([visit.trace(reading, rig.samples(n))] if n < traces else []))
    for _ in range(critical):
        kept += visit.save(store, visit.reading(critical=True, at_ms=_now_ms()))
    for _ in range(files):
        old = visit.reading(at_ms=_now_ms())
        store.save_observation(old, (), lane=rig.Lane.BULK)
        kept.append(old.id)
    return kept


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    if sys.argv[1] == "hub":
        hub(Path(sys.argv[2]))
    else:
        kit(Path(sys.argv[2]), quick="quick" in sys.argv[3:])
