"""The tablet is stolen, or restarted: what its disk shows, what opens, and what a patient in danger still gets."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from bedside import PASSPHRASE, RESIDENT, Ended, KitCommand, set_up
from store_key import raw
from traces import Secrets, found

from zhenbao.agent.emergency import spool
from zhenbao.agent.keys import pin_hub, set_up_keys
from zhenbao.agent.vault import unlocked
from zhenbao.demo.devices import ecg_source
from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.front_end import FrontEnd
from zhenbao.model.emergency import Emergency
from zhenbao.sync.envelope import Envelope, unpack
from zhenbao.sync.keys import Card, OwnKeys, card_of, make_keys
from zhenbao.sync.messages import decode
from zhenbao.sync.packet import MOST_SEALED_BYTES, Kind, read_packet

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CONFIRM = ("--confirm", "0019")
REASON, NOTE, PHONE = "上楼时胸口发闷", "在卫生室门口晕倒的老人", "13900001234"


@pytest.fixture(autouse=True)
def own_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    folder = Path(os.environ["XDG_RUNTIME_DIR"]) / tmp_path.name
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    shutil.rmtree(folder)


def restart() -> None:
    """What a power cut does to memory."""
    folder = unlocked.runtime_folder()
    assert folder.is_relative_to(os.environ["XDG_RUNTIME_DIR"])
    shutil.rmtree(folder)


def introduced(kit: KitCommand) -> tuple[OwnKeys, Card]:
    """The technician's part, which needs no PIN: the hub's keys, and the kit's card."""
    hub = make_keys("hub", 1)
    card = set_up_keys(kit.home, "kit-test", 1)
    pin_hub(kit.home, card_of(hub).text)
    return hub, card


def opened(packet: bytes, hub: OwnKeys, kit: Card) -> tuple[bytes, Emergency]:
    """As the hub does: the signature by the kit's emergency key, then the seal."""
    read = read_packet(packet, MOST_SEALED_BYTES)
    assert kit.emergency is not None
    read.verify(kit.emergency)
    assert (read.header.sender, read.header.kind) == ("kit-test", Kind.EMERGENCY)
    plain = read.open(hub.newest.seal_key)
    (envelope,) = decode(plain, "kit-test", "hub", None)
    assert isinstance(envelope, Envelope)
    value = unpack(envelope.kind, envelope.body)
    assert isinstance(value, Emergency)
    return envelope.body, value


def typed(kit: KitCommand, words: str, *arguments: str) -> Ended:
    command = [sys.executable, "-m", "zhenbao", "--home", str(kit.home), *arguments]
    environment = {**os.environ, "ZHENBAO_LANG": "zh_CN"}
    done = subprocess.run(command, input=words, capture_output=True, text=True, env=environment, check=False, cwd=ROOT)
    return Ended(done.returncode, [], done.stdout + done.stderr)


def test_a_busy_visit_and_a_crash_leave_nothing_that_can_be_read(tmp_path: Path) -> None:
    with Bench(front_end=FrontEnd(ecg_source(None), speed=5)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        kit("patient", "add", "--temporary", "--sex", "male", "--name", "演示患者乙", "--phone", PHONE)
        assert kit("visit", "start", "0019", "--reason", REASON, "--chest-pain", "yes").code == 0
        assert kit("measure", "bp", *CONFIRM, "--typed", "187/104", "--sure").code == 0
        assert kit("measure", "ecg", *CONFIRM).code == 0
        process = kit.start("measure", "ecg", *CONFIRM)
        for line in process.stdout or ():
            if '"recording"' in line:
                break
        threading.Event().wait(1.0)  # into the recording
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    copy = tmp_path / "copy.sqlite3"
    with raw(kit.home, None) as file:
        (samples,) = file.execute("select body from recordings limit 1").fetchone()
        assert file.execute("select count(*) from capture_parts").fetchone()[0] > 0, "killed in the middle"
        file.execute("attach ? as plain key ''", (str(copy),))
        file.execute("select sqlcipher_export('plain')").fetchall()
    secrets = Secrets(
        ("演示患者甲", "演示患者乙", REASON, "bp_systolic"),
        (RESIDENT, PHONE, "19560229"),
        (samples[2000:2064],),
        ({"bp_systolic": (187.0, "mm[Hg]"), "bp_diastolic": (104.0, "mm[Hg]")},),
    )
    control = found_in(copy, secrets)
    assert {"演示患者甲 utf-8", f"{RESIDENT} utf-8", f"{PHONE} utf-8", "187.0 CBOR", "samples 0"} <= set(control)
    assert found(kit.home, secrets) == {}
    assert {f.name for f in kit.home.iterdir()} <= {
        *("kit.sqlite3", "kit.sqlite3-wal", "kit.sqlite3-shm", "kit.toml", "kit.lock", "kit.keyed", "kit.checked"),
        *("measuring.lock", "ballast", "vault.json", "vault.backup.json", "vault.tries.json", "bonds.json"),
    }
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(kit.home / "kit.sqlite3").execute("select * from patients")


def found_in(file: Path, secrets: Secrets) -> list[str]:
    folder = file.parent / "control"
    folder.mkdir()
    shutil.move(file, folder)
    return found(folder, secrets)[file.name]


def test_after_a_restart_nothing_opens_before_the_pin(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    assert kit("queue").code == 0
    restart()
    for command in (("queue",), ("patient", "find", "0019"), ("inbox", "list"), ("measure", "bp", *CONFIRM), ()):
        refused = kit(*command)
        assert refused.code != 0
        assert "vault-locked" in refused.said
        assert "zhenbao unlock" in refused.said
        assert refused.events == []
    assert "pin-wrong" in typed(kit, "0000 1111 2222 9999\n", "unlock", "--stdin").said
    assert "已解锁" in typed(kit, PASSPHRASE + "\n", "unlock", "--stdin").said
    assert kit("patient", "find", "0019").code == 0
    assert typed(kit, "", "lock").code == 0
    assert "vault-locked" in kit("queue").said


def test_the_service_waits_for_the_pin_then_runs_and_stops_at_a_lock(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    introduced(kit)
    restart()
    service = kit.start("service")
    assert service.stdout is not None
    try:
        said = iter(service.stdout)
        assert "service-started" in next(said)
        assert "vault-locked" in next(said)
        assert typed(kit, PASSPHRASE + "\n", "unlock", "--stdin").code == 0
        assert "service-unlocked" in next(line for line in said if "unlocked" in line)
        assert _holds_store(service.pid, kit.home, wanted=True)
        assert typed(kit, "", "lock").code == 0
        assert "vault-locked" in next(line for line in said if "locked" in line)
        assert _holds_store(service.pid, kit.home, wanted=False)
    finally:
        service.terminate()
        service.communicate(timeout=30)
    assert service.returncode == 0


def _holds_store(pid: int, home: Path, *, wanted: bool) -> bool:
    """Whether, within ten seconds, the process has the store open or not, as wanted."""
    for _ in range(100):
        links = [os.readlink(f) for f in Path(f"/proc/{pid}/fd").iterdir() if f.is_symlink()]
        if (str(home / "kit.sqlite3") in links) == wanted:
            return True
        threading.Event().wait(0.1)
    return False


def test_a_locked_kit_records_alarms_and_seals_for_the_hub_alone(tmp_path: Path) -> None:
    with Bench(front_end=FrontEnd(ecg_source(None), speed=20)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        hub, card = introduced(kit)
        restart()
        assert "vault-locked" in kit("queue").said
        ended = kit("emergency", "ecg", "--sex", "male", "--chest-pain", "yes", "--note", NOTE)
        assert ended.code == 0, ended.said
        assert "vault-locked" in kit("queue").said, "it opened nothing"
    assert len(ended.of("alarm")) == 1
    assert [e["observation"]["code"] for e in ended.of("observation")] == ["ecg", "ecg-rhythm"]
    assert ended.of("sealed") == [{"event": "sealed", "readings": 2, "waiting": 2}]
    # What the hub reads.
    packets = [spool.packet(kit.home, id_) or b"" for id_ in spool.waiting(kit.home)]
    (body, first), (_, second) = (opened(packet, hub, card) for packet in packets)
    assert first.patient == second.patient
    assert first.encounter == second.encounter
    assert (first.observation.urgency.name, second.observation.code) == ("RED", "ecg-rhythm")
    assert all(value.observation.findings[-1].rule_id == "EM01" for value in (first, second))
    (recording,) = first.recordings
    assert recording.observation_id == first.observation.id == first.id
    # What a thief reads: nothing of it, on the disk or in what is left in memory.
    secrets = Secrets((NOTE, "应急患者"), (), (recording.samples[2000:2064],))
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "body").write_bytes(body)
    assert {f"{NOTE} utf-8", "samples 0"} <= set(found(tmp_path / "control", secrets)["body"])
    assert found(kit.home, secrets) == {}
    assert [f for f in unlocked.runtime_folder().rglob("*") if f.is_file()] == []


def test_a_killed_emergency_recording_is_sealed_by_the_next(tmp_path: Path) -> None:
    with Bench(front_end=FrontEnd(ecg_source(None), speed=5)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        introduced(kit)
        restart()
        process = kit.start("emergency", "ecg")
        for line in process.stdout or ():
            if '"ecg-rhythm"' in line:
                break
        os.kill(process.pid, signal.SIGSTOP)
        # A second one beside it is refused, and takes nothing of the first.
        second = kit("emergency", "ecg")
        assert second.code != 0
        assert "measuring" in second.said
        assert second.of("sealed") == []
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert spool.waiting(kit.home) == []
        (status,) = kit("emergency", "status").of("emergency")
        assert (status["waiting"], status["unsealed"]) == (0, True)
        ended = kit("emergency", "ecg")
    assert ended.code == 0, ended.said
    assert [e["readings"] for e in ended.of("sealed")] == [1, 2]
    assert len(spool.waiting(kit.home)) == 3


def test_without_emergency_keys_the_doctor_is_still_alarmed(tmp_path: Path) -> None:
    with Bench(front_end=FrontEnd(ecg_source(None), speed=20)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        restart()
        ended = kit("emergency", "ecg", "--chest-pain", "yes")
    assert ended.code == 0, ended.said
    assert len(ended.of("alarm")) == 1
    assert {e["code"] for e in ended.of("trouble")} >= {"emergency-unset"}
    assert ended.of("sealed") == []


def test_a_forgotten_pin_through_the_commands_of_kit_and_hub(tmp_path: Path) -> None:
    from zhenbao.agent.settings import load_settings, save_settings
    from zhenbao.hub.cli import app

    typer_testing = pytest.importorskip("typer.testing")

    def hub(*arguments: str) -> Any:
        return typer_testing.CliRunner().invoke(app, [*arguments, "--dir", str(tmp_path / "hub")])

    kit = set_up(tmp_path / "kit", None)
    from dataclasses import replace

    public = hub("recovery-key").stdout.split()[0]
    assert hub("recovery-key").stdout.split()[0] == public, "one pair for good"
    save_settings(kit.home, replace(load_settings(kit.home), recovery_key=public))
    assert "恢复密钥" in typed(kit, PASSPHRASE + "\n", "unlock", "--stdin").said, "the slot is made at the next unlock"
    restart()
    typed(kit, "", "recover", "request", "--file", str(tmp_path / "request.txt"))
    request = (tmp_path / "request.txt").read_text().strip()
    nobody = hub("recover", request, "--technician", " ", "--reason", "忘记密码")
    assert getattr(nobody.exception, "code", "") == "recovery-who"
    answered = hub("recover", str(tmp_path / "request.txt"), "--technician", "技术员丙", "--reason", "忘记密码，已核实")
    answer = answered.stdout.split()[0]
    assert "技术员丙" in hub("audit").stdout
    assert "kit:kit-test" in hub("audit").stdout
    for place in (tmp_path / "hub").iterdir():
        assert b"\xe6\xbc\x94\xe7\xa4\xba" not in place.read_bytes(), "no patient at the hub"
    new = "7719 3026 8854 1903"
    assert "新密码已设置" in typed(kit, new + "\n", "recover", "finish", answer, "--stdin").said
    assert "pin-wrong" in typed(kit, PASSPHRASE + "\n", "unlock", "--stdin").said
    assert "已解锁" in typed(kit, new + "\n", "unlock", "--stdin").said
    assert kit("patient", "find", "0019").code == 0


def test_an_update_from_a_version_without_encryption(tmp_path: Path) -> None:
    """The doctor starts the new program, is told to set a PIN, sets one, and finds everything."""
    kit = set_up(tmp_path / "kit", None)
    plain = tmp_path / "plain.sqlite3"
    with raw(kit.home, None) as file:
        file.execute("attach ? as plain key ''", (str(plain),))
        file.execute("select sqlcipher_export('plain')").fetchall()
        (version,) = file.execute("pragma user_version").fetchone()
        file.execute(f"pragma plain.user_version = {version}")
    for old in kit.home.glob("*"):
        if old.name != "kit.toml":
            old.unlink()
    shutil.move(plain, kit.home / "kit.sqlite3")
    secrets = Secrets(("演示患者甲",), (RESIDENT,))
    assert found(kit.home, secrets) != {}
    refused = kit("queue")
    assert "vault-missing" in refused.said
    assert "zhenbao pin set" in refused.said
    short = typed(kit, "482915\n", "pin", "set", "--stdin")
    assert "pin-short-no-tpm" in short.said
    assert typed(kit, PASSPHRASE + "\n", "pin", "set", "--stdin").code == 0
    assert kit("patient", "find", "0019").code == 0
    assert found(kit.home, secrets) == {}
