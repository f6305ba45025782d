"""Kits with a vault, and a TPM in software."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


class HandClock:
    def __init__(self) -> None:
        self.wall_ms = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.wall_ms / 1000

    def sleep(self, seconds: float) -> None:
        self.wall_ms += round(1000 * seconds)

    def wait_s(self, seconds: float) -> float:
        return seconds


@pytest.fixture(autouse=True)
def own_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder in memory for each test, so that a restart can be played without harm to others."""
    with tempfile.TemporaryDirectory(dir=os.environ["XDG_RUNTIME_DIR"]) as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "kit"


@pytest.fixture
def software_tpm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TPM 2.0 of its own (swtpm), as ``tpm2-tools`` reaches it; its state lies in the folder given."""
    if shutil.which("swtpm") is None or shutil.which("tpm2_unseal") is None:
        pytest.skip("needs the packages swtpm and tpm2-tools")
    state = tmp_path / "tpm"
    state.mkdir()
    chip = start_tpm(state, monkeypatch)
    yield state
    chip.terminate()
    chip.wait(10)


def start_tpm(state: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[bytes]:
    server, control = _free_pair()
    chip = subprocess.Popen(
        [
            "swtpm",
            "socket",
            "--tpm2",
            "--tpmstate",
            f"dir={state}",
            "--server",
            f"type=tcp,port={server}",
            "--ctrl",
            f"type=tcp,port={control}",
            "--flags",
            "not-need-init,startup-clear",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", control)) == 0:
                break
        time.sleep(0.05)
    monkeypatch.setenv("TPM2TOOLS_TCTI", f"swtpm:host=127.0.0.1,port={server}")
    return chip


def _free_pair() -> tuple[int, int]:
    """Two ports side by side: tpm2-tools expects the control port to follow the server's."""
    for _ in range(50):
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port, port + 1
    raise RuntimeError("no two free ports side by side")
