"""The simulated meters on a cable, heard by a bare file descriptor and judged by other people's bytes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tomllib
from datetime import datetime
from pathlib import Path

import pytest

from zhenbao.firmware_sim.serial_meters import contour, onetouch
from zhenbao.firmware_sim.serial_meters.cable import SerialMeter

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"


class Host:
    """Opens the port as a program that knows nothing of the meter."""

    def __init__(self, meter: SerialMeter) -> None:
        self.fd = os.open(meter.port, os.O_RDWR | os.O_NOCTTY)

    def ask(self, data: bytes, until: bytes) -> bytes:
        os.write(self.fd, data)
        heard = b""
        while not heard.endswith(until):
            assert select.select([self.fd], [], [], 5)[0], heard
            heard += os.read(self.fd, 4096)
        return heard


def test_a_onetouch_sends_what_a_real_one_sent() -> None:
    """The memory of the meter behind the outside vectors gives its very lines."""
    lines = [v["line"] for v in tomllib.loads((VECTORS / "onetouch_ultra2.toml").read_text())["vector"][:4]]
    records = [
        onetouch.Stored(datetime(2015, 3, 21, 16, 39, 46), 176, comment=2),
        onetouch.Stored(datetime(2015, 3, 21, 16, 42, 11), 105, meal="B", comment=2),
        onetouch.Stored(datetime(2015, 3, 21, 16, 45, 24), 81, comment=3),
    ]
    with onetouch.OneTouchUltra2(records, serial="GMF600DCY") as meter:
        heard = Host(meter).ask(b"\x11\rDMP\r", b"09C1\r\n")
    assert heard.decode().split("\r\n") == [*lines, ""]


def test_a_contour_sends_what_a_real_one_sent() -> None:
    """Patient, result and end as the Contour USB behind the outside vectors sent them, sums and all."""
    pieces = tomllib.loads((VECTORS / "contour_astm.toml").read_text())["transfer"]["pieces"]
    controls = {"STX": "\x02", "ETX": "\x03", "CR": "\r", "LF": "\n", "ETB": "\x17"}
    real = []
    for piece in pieces[2:5]:
        for name, character in controls.items():
            piece = piece.replace(f"<{name}>", character)
        real.append(piece.encode())
    with contour.ContourMeter([contour.Stored(datetime(2015, 4, 17, 11, 54), "10.9", "A")], mmol=True) as meter:
        host = Host(meter)
        assert host.ask(b"\x04", b"\x05") == b"\x05"
        assert host.ask(b"\x06", b"\n").startswith(b"\x021H|\\^&||")
        assert [host.ask(b"\x06", b"\n") for _ in real] == real
        assert host.ask(b"\x06", b"\x04") == b"\x04"


def test_what_is_refused_is_sent_again() -> None:
    with contour.ContourMeter() as meter:
        host = Host(meter)
        host.ask(b"\x04", b"\x05")
        header = host.ask(b"\x06", b"\n")
        assert host.ask(b"\x15", b"\n") == header
        for _ in range(4):
            host.ask(b"\x15", b"\n")
        assert host.ask(b"\x15", b"\x04") == b"\x04"  # given up after six


@pytest.mark.slow
def test_the_command_takes_a_drop_of_blood(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "zhenbao", "sim", "meter", "onetouch", "--json", "--link", str(tmp_path / "meter")]
    started = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "ZHENBAO_LANG": "en"},
    )
    assert started.stdout and started.stdin
    try:
        assert json.loads(started.stdout.readline()) == {"meter": str(tmp_path / "meter")}
        started.stdin.write("glu 5.6\n")
        started.stdin.flush()
        assert started.stdout.readline() == "Pressed.\n"
        fd = os.open(tmp_path / "meter", os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b"\x11\rDMP\r")
        heard = b""
        while heard.count(b"\n") < 2:
            heard += os.read(fd, 4096)
        assert b'"  101 "' in heard
    finally:
        started.send_signal(signal.SIGINT)
        started.wait(10)
