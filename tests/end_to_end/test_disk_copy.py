"""A thief has a copy of a locked kit's folder, and a county's real roads before him: Mosquitto and HTTPS, TLS on both.

Everything in the folder that can be read as a key is tried for everything that the kit may do.
"""

from __future__ import annotations

import base64
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest
from bedside import PASSPHRASE, give_pin

from tests.hub.conftest import HandClock, KitVoice
from tests.hub.county import County
from zhenbao.agent.emergency import spool
from zhenbao.agent.keys import for_emergencies, pin_hub, put_inside, set_up_keys
from zhenbao.agent.own_keys import load_own
from zhenbao.agent.roads import open_emergency_roads, open_roads
from zhenbao.agent.service import run_service
from zhenbao.agent.settings import KitSettings, save_settings
from zhenbao.agent.store import KitStore
from zhenbao.agent.vault.unlocked import forget, unlocked_key
from zhenbao.agent.vault.vault import unlock
from zhenbao.hub.presence import heard
from zhenbao.hub.server import Hub
from zhenbao.hub.store import outbox
from zhenbao.hub.worklist import Worklist
from zhenbao.model.emergency import Emergency
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.time import SystemClock
from zhenbao.sync.envelope import pack
from zhenbao.sync.keys import OwnKeys, load_keys
from zhenbao.sync.links.http_wire import DOWN_PATH, EMERGENCY_PATH, UP_PATH, pack_batch
from zhenbao.sync.links.identity import load_key, mailbox_in
from zhenbao.sync.links.mqtt import MqttLink
from zhenbao.sync.links.signed_request import Request, Signed, sign
from zhenbao.sync.links.tls import client_context
from zhenbao.sync.sealing import seal_to

pytestmark = pytest.mark.slow
KIT = "kit-001"
CLOCK = SystemClock()


def until(what: str, happened: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.05)


@dataclass
class Scene:
    county: County
    hub: Hub
    home: Path
    settings: KitSettings
    voice: KitVoice
    before: Path
    """A copy of the folder from before the first PIN entry."""

    def run(self, stop: threading.Event) -> threading.Thread:
        """The kit's service, as it runs on the tablet."""
        thread = threading.Thread(
            target=run_service,
            args=(self.home, KIT),
            kwargs={
                "make_roads": lambda key: open_roads(self.home, self.settings, key),
                "make_emergency_roads": lambda: open_emergency_roads(self.home, self.settings),
                "clock": CLOCK,
                "stop": stop,
            },
        )
        thread.start()
        return thread

    def record(self, finding: str = "EM01", urgency: Urgency = Urgency.ORANGE) -> Emergency:
        """What the emergency command leaves in the spool."""
        patient = replace(self.voice.patient(number=None), name="")
        encounter = self.voice.encounter(patient)
        reading, recording = self.voice.ecg(encounter)
        reading = replace(reading, findings=(Finding(finding, urgency, source="a source"),))
        value = Emergency(reading.id, patient, encounter, reading, (recording,))
        hub, key = for_emergencies(self.home)
        spool.put(self.home, value.id, lambda: seal_to(hub, key, "emergency", pack(value)))
        return value


@pytest.fixture(autouse=True)
def own_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    folder = Path(os.environ["XDG_RUNTIME_DIR"]) / tmp_path.name
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield
    shutil.rmtree(folder)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A kit that an older version left open, registered, and then given its PIN; now it is locked."""
    county = County(tmp_path)
    home = county.enrol(KIT)
    county.start()
    hub = county.hub()
    hub.add_kit(set_up_keys(home, KIT, CLOCK.now_ms()).text)
    pin_hub(home, hub.keyring.card.text)
    web = int(hub.web_url.rpartition(":")[2])
    settings = KitSettings(KIT, "", "localhost", county.port, hub_tls=True, hub_https=f"https://localhost:{web}")
    save_settings(home, settings)
    before = tmp_path / "before"
    shutil.copytree(home, before)
    give_pin(home, KIT)
    put_inside(home, settings, unlocked_key(home), CLOCK.now_ms())
    voice = KitVoice(hub.store, HandClock(CLOCK.now_ms()), KIT)
    with KitStore.open(home, kit_id=KIT, clock=CLOCK, ballast_bytes=1 << 20) as store:
        store.save_patient(voice.patient(number=None))  # something that waits
    forget(home)
    yield Scene(county, hub, home, settings, voice, before)
    hub.close()
    county.close()


def spellings(secret: bytes) -> list[bytes]:
    """A secret as it may stand in a file: raw, hexadecimal, base64 and PEM at any of three offsets."""
    shifted = [base64.b64encode(bytes(n) + secret)[4 * ((n + 2) // 3) : -4][:36] for n in range(3)]
    return [secret, secret[::-1], secret.hex().encode(), secret.hex().upper().encode(), *shifted]


def secrets_of(own: OwnKeys | None, folder: Path) -> dict[str, bytes]:
    assert own is not None
    found = {"road": load_key(folder / "road.key").private_bytes_raw()}
    for pair in own.pairs:
        found |= {f"sign {pair.number}": pair.sign_secret, f"seal {pair.number}": pair.seal_secret}
    return found


def lying_in(folder: Path, secrets: dict[str, bytes]) -> set[str]:
    content = b"\0".join(place.read_bytes() for place in folder.rglob("*") if place.is_file())
    return {name for name, secret in secrets.items() if any(spelt in content for spelt in spellings(secret))}


def test_no_private_key_but_the_emergency_sides_lies_in_a_locked_kits_folder(scene: Scene, tmp_path: Path) -> None:
    secrets = secrets_of(load_keys(scene.before), scene.before)
    assert lying_in(scene.before, secrets) == set(secrets), "the search finds them where they lie open"
    key = unlock(scene.home, PASSPHRASE, CLOCK)
    own = load_own(scene.home, key)
    assert own is not None and own.emergency is not None
    secrets |= secrets_of(own, scene.before)
    forget(scene.home)
    shutil.copytree(scene.home, tmp_path / "copy")
    assert lying_in(tmp_path / "copy", secrets) == set()
    spare = {"em": own.emergency.secret, "em road": load_key(scene.home / "emergency.key").private_bytes_raw()}
    assert lying_in(tmp_path / "copy", spare) == set(spare)
    with pytest.raises(StorageError, match="vault-locked"):
        open_roads(tmp_path / "copy", scene.settings)


def test_nobody_poses_as_the_kit_with_a_copy_of_its_disk(scene: Scene, tmp_path: Path) -> None:
    import httpx

    copy = tmp_path / "copy"
    shutil.copytree(scene.home, copy)
    # A report waits at the hub for this kit.
    patient = scene.voice.patient()
    encounter = scene.voice.encounter(patient)
    reading = scene.voice.observation(encounter)
    from tests.sync.conftest import Ward

    ward = Ward(KIT)
    ward.patient, ward.encounter = patient, encounter
    report = ward.report(reading)
    with scene.hub.store.writing() as connection:
        outbox.post(connection, scene.hub.store.sender, report, report.id, KIT, CLOCK.now_ms())
    # The certificate does not help: its key is encrypted, and no other key is this certificate's.
    keys = {place.name: place for place in copy.glob("*.key")}
    assert set(keys) == {"road.key", "emergency.key"}
    for place in keys.values():
        with pytest.raises(InputError, match="tls-file"):
            client_context(copy / "county-ca.pem", copy / "road.pem", place)
    with pytest.raises(InputError, match="tls-file"):
        load_key(keys["road.key"])
    spare = load_key(keys["emergency.key"])
    mailbox, own = mailbox_in(copy / "road.pem"), mailbox_in(copy / "emergency.pem")
    # MQTT with the emergency certificate: under the kit's own name, and under the emergency side's.
    tls = client_context(copy / "county-ca.pem", copy / "emergency.pem", copy / "emergency.key")
    heard_by_thief: list[bytes] = []
    accepted, refused = scene.hub.counters.accepted, []
    links = [
        MqttLink("localhost", scene.county.port, name, tls=tls, emergency=emergency, first_wait_s=0.1, last_wait_s=0.3)
        for name, emergency in ((mailbox, False), (own, False), (own, True))
    ]
    for link in links:
        link.on_message = lambda _sender, data: heard_by_thief.append(data)
        link.start()
    until("the emergency side's road", lambda: links[2].connected)
    links[2].send("hub", b"not an emergency at all")
    # HTTPS with everything that signs.
    with httpx.Client(verify=client_context(copy / "county-ca.pem"), trust_env=False, timeout=20) as client:

        def ask(method: str, path: str, name: str, query: str = "", body: bytes = b"") -> str:
            signed = Signed(name, CLOCK.now_ms() // 1000, uuid4().hex)
            headers = sign(Request(method, path, query, body), spare.sign, signed)
            got = client.request(method, f"{scene.hub.web_url}{path}?{query}", content=body, headers=headers)
            assert report.conclusion.encode() not in got.content
            return f"{got.status_code} {got.headers.get('zhenbao-refused', '')}".strip()

        body, query = pack_batch([b"anything"]), "after=0&epoch=&wait=0"
        refused = [
            ask("GET", DOWN_PATH, mailbox, query),
            ask("POST", UP_PATH, mailbox, body=body),
            ask("GET", DOWN_PATH, own, query),
            ask("POST", UP_PATH, own, body=body),
            ask("GET", DOWN_PATH, KIT, query),
        ]
        assert ask("POST", EMERGENCY_PATH, own, body=body) == "200"
    assert refused == [
        "401 sync-signature",
        "401 sync-signature",
        "403 sync-emergency-only",
        "403 sync-emergency-only",
        "401 sync-stranger",
    ]
    time.sleep(2.0)
    for link in links:
        link.stop()
    assert [link.connected for link in links[:2]] == [False, False]
    assert heard_by_thief == []
    assert scene.hub.counters.accepted == accepted
    assert [w.subject_id for w in scene.hub.store.due(1 << 60, 9)] == [report.id], "it still waits for the kit"


def test_a_locked_kit_brings_its_emergency_by_either_road_and_it_is_urgent(scene: Scene) -> None:
    """Not once is anything unlocked; the machine has found nothing, and somebody pressed the key."""
    stop = threading.Event()
    scene.record()
    thread = scene.run(stop)
    try:
        until("received by MQTT", lambda: spool.account(scene.home).received == 1)
        (row,) = Worklist(scene.hub.store).rows()
        assert row.item.urgency <= Urgency.ORANGE
        assert (row.item.route_id, row.item.specialty) == ("R65", "emergency")
        assert {(p.kit_id, p.road) for p in scene.hub.presence} == {(f"{KIT}~em", "mqtt")}
        assert scene.hub.counters.accepted == 1, "of the locked store nothing has gone"
        scene.county.stop()
        scene.record("EC19", Urgency.RED)
        until("received by HTTPS", lambda: spool.account(scene.home).received == 2)
        assert [row.item.urgency for row in Worklist(scene.hub.store).rows()] == [Urgency.RED, Urgency.ORANGE]
        with pytest.raises(StorageError, match="vault-locked"):
            unlocked_key(scene.home)
        # Unlocked, the kit itself speaks, with its own certificate and its own name.
        scene.county.start()
        unlock(scene.home, PASSPHRASE, CLOCK)
        until("the kit itself", lambda: KIT in {p.kit_id for p in scene.hub.presence})
        until("its new keys are known", lambda: _generation(scene) == 2)
    finally:
        stop.set()
        thread.join(40)
        assert not thread.is_alive()
    scene.hub.stop()
    assert {name: seen.road for name, seen in heard(scene.hub.store).items()}[f"{KIT}~em"] == "https"


def _generation(scene: Scene) -> int:
    peer = scene.hub.keyring.peer(KIT)
    return peer.card.newest.number if peer is not None else 0


def test_without_a_certificate_for_emergencies_it_is_said_and_nothing_is_lost(scene: Scene) -> None:
    (scene.home / "emergency.pem").unlink()
    scene.record()
    with pytest.raises(InputError, match="emergency-road"):
        open_emergency_roads(scene.home, scene.settings)
    stop, told = threading.Event(), []
    thread = threading.Thread(
        target=run_service,
        args=(scene.home, KIT),
        kwargs={
            "make_roads": lambda key: open_roads(scene.home, scene.settings, key),
            "make_emergency_roads": lambda: open_emergency_roads(scene.home, scene.settings),
            "clock": CLOCK,
            "stop": stop,
            "on_store": lambda error: told.append(error.code),
        },
    )
    thread.start()
    try:
        time.sleep(2.0)
        assert told == ["vault-locked", "emergency-road"], "each once"
        assert spool.account(scene.home).waiting == 1
        unlock(scene.home, PASSPHRASE, CLOCK)
        until("through the store", lambda: spool.account(scene.home).received == 1)
    finally:
        stop.set()
        thread.join(40)
