"""The simulated modem against what others' modems sent, and its command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import serial

from zhenbao.firmware_sim.modem import SCENARIOS, Modem

ROOT = Path(__file__).resolve().parents[2]
QENG = tomllib.loads((ROOT / "tests" / "vectors" / "modem_quectel.toml").read_text("utf-8"))["qeng"]


def shape(line: str) -> tuple[str, ...]:
    """The words of a line, and how many fields it has; numbers do not matter."""
    fields = line.replace("+QENG:", "").split(",")
    return (str(len(fields)), *(field.strip() for field in fields if field.strip().startswith('"')))


def test_each_serving_cell_has_the_shape_of_a_real_modems() -> None:
    real = {shape(line) for vector in QENG for line in vector["lines"]}
    real |= {(count, name, '"CONNECT"', *rest) for count, name, state, *rest in (s for s in real if len(s) > 2)
             if state == '"NOCONN"'}  # fmt: skip
    said = {shape(line) for answers in SCENARIOS.values() for line in answers['AT+QENG="servingcell"']}
    assert said <= real


def ask(port: serial.Serial, command: bytes, end: bytes) -> bytes:
    port.write(command + b"\r")
    heard: bytes = port.read_until(end)
    return heard


def test_echo_errors_and_identity() -> None:
    with Modem("no-sim") as modem, serial.Serial(modem.port, timeout=2) as port:
        assert ask(port, b"AT", b"OK\r\n") == b"AT\r\r\nOK\r\n"
        assert ask(port, b"ATE0", b"OK\r\n") == b"ATE0\r\r\nOK\r\n"
        assert ask(port, b"AT", b"OK\r\n") == b"\r\nOK\r\n"
        assert b"RM500Q" in ask(port, b"ATI", b"OK\r\n")
        assert ask(port, b"AT+CPIN?", b"10\r\n").endswith(b"+CME ERROR: 10\r\n")
        assert ask(port, b"AT+NOPE", b"ERROR\r\n").endswith(b"\r\nERROR\r\n")


@pytest.mark.slow
def test_the_command_takes_another_state(tmp_path: Path) -> None:
    link = str(tmp_path / "modem")
    started = subprocess.Popen(
        [sys.executable, "-m", "zhenbao", "sim", "modem", "sa", "--json", "--link", link],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "ZHENBAO_LANG": "en"},
    )  # fmt: skip
    assert started.stdout and started.stdin
    try:
        assert json.loads(started.stdout.readline()) == {"modem": link}
        started.stdin.write("no-service\n")
        started.stdin.flush()
        assert started.stdout.readline() == "Pressed.\n"
        with serial.Serial(link, timeout=2) as port:
            assert b'"SEARCH"' in ask(port, b'AT+QENG="servingcell"', b"OK\r\n")
    finally:
        started.send_signal(signal.SIGINT)
        started.communicate(timeout=10)
