"""A session with a device is recorded as it runs, and gives its driver the same values when it is played back."""

from __future__ import annotations

import asyncio
import json
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from bedside import KitCommand, pair, set_up
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.drivers.links.tap import read_session
from zhenbao.firmware_sim.bench import Bench
from zhenbao.model.errors import InputError
from zhenbao.technician.sessions import replay

HEAD = {"zhenbao-session": 1, "link": "gatt", "driver": "bp-gatt", "device": "F0:00:00:00:00:01"}
MEASUREMENT = "00002a35-0000-1000-8000-00805f9b34fb"


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def said(kit: KitCommand, *arguments: str) -> str:
    process = kit.start(*arguments)
    out, err = process.communicate(timeout=90)
    return out + err


@pytest.mark.slow
def test_a_cuff_in_the_field_becomes_a_test_at_the_desk(tmp_path: Path) -> None:
    file = tmp_path / "cuff.jsonl"
    with Bench() as bench:
        kit = set_up(tmp_path / "kit", bench)
        pair(kit, bench, "bp", "glucose")
        bench.press_start(bench.measured(148, 92, 110, 76), seconds=0.2)
        assert "bp-gatt" in said(kit, "tech", "scan", "--seconds", "3")
        assert str(file) in said(kit, "tech", "capture", "bp-gatt", str(file))
        bench.test_blood(7.8)
        bench.test_blood(5.6)
        meter = tmp_path / "meter.jsonl"
        assert str(meter) in said(kit, "tech", "capture", "glucose-gatt", str(meter))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = said(kit, "tech", "replay", str(file))
    assert "148" in again and "92" in again and "正常" in again
    driver, values, ended = asyncio.run(replay(meter))
    assert (driver, ended) == ("glucose-gatt", "")
    assert len(values) > 1
    assert len({reading.sequence for reading in values}) == len(values)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_front_end_over_a_cable(tmp_path: Path) -> None:
    with Bench() as bench:
        kit = set_up(tmp_path / "kit", bench)
        file = tmp_path / "blow.jsonl"
        assert str(file) in said(kit, "tech", "capture", "spirometer-front-end", str(file), "--port", bench.serial_port)
    session = read_session(file)
    assert session.link == "serial" and {step.operation for step in session.steps} == {"in", "out"}
    driver, values, ended = asyncio.run(replay(file))
    assert (driver, ended) == ("spirometer-front-end", "")
    samples = sum(getattr(value, "n_samples", 0) for value in values if hasattr(value, "samples"))
    assert samples > 500


def test_a_cut_last_line_is_a_crash_and_is_left_out(tmp_path: Path) -> None:
    step = {"t": 0.1, "op": "heard", "uuid": MEASUREMENT, "hex": "00 7800 5000 5d00"}
    file = written(tmp_path / "s.jsonl", HEAD, step, '{"t": 0.2, "op": "he')
    assert [s.value.hex() for s in read_session(file).steps] == ["00780050005d00"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((), "session-unknown"),
        (("no json",), "session-unknown"),
        (({**HEAD, "zhenbao-session": 2},), "session-unknown"),
        ((HEAD, {"t": 0, "op": "eject"}, {"t": 0, "op": "heard"}), "session-damaged"),
        ((HEAD, {"t": 0, "op": "heard", "hex": "0"}, {"t": 0, "op": "heard"}), "session-damaged"),
        ((HEAD, "[1]", {"t": 0, "op": "heard"}), "session-damaged"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, lines: tuple[object, ...], code: str) -> None:
    with pytest.raises(InputError, match=code):
        read_session(written(tmp_path / "s.jsonl", *lines))
    with pytest.raises(InputError, match="session-absent"):
        read_session(tmp_path / "nowhere")


def test_an_unknown_driver_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="driver-unknown"):
        asyncio.run(replay(written(tmp_path / "s.jsonl", {**HEAD, "driver": "other"})))


def test_a_device_that_hung_up_hangs_up_again(tmp_path: Path) -> None:
    file = written(tmp_path / "s.jsonl", HEAD, {"t": 0, "op": "subscribe", "uuid": MEASUREMENT}, {"t": 1, "op": "gone"})
    assert asyncio.run(replay(file)) == ("bp-gatt", [], "cuff-silent")


@given(st.binary(max_size=300))
def test_any_file_is_a_session_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.jsonl"
    file.write_bytes(json.dumps(HEAD).encode() + b"\n" + raw)
    with suppress(InputError):
        assert read_session(file).driver == "bp-gatt"
