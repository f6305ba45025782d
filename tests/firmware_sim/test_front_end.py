"""The front-end over its serial port, read byte by byte as the document says."""

import os
import struct
import time
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from zhenbao.firmware_sim.front_end import FrontEnd, FrontEndFaults, LineFaults, Step
from zhenbao.firmware_sim.front_end.device import Air, BoardIdentity
from zhenbao.firmware_sim.front_end.frames import Answer
from zhenbao.firmware_sim.waveforms.ecg import EcgModel, EcgSource
from zhenbao.firmware_sim.waveforms.spirometry import BlowModel

IDENTIFY, START, STOP, CONFIGURE, COMMIT, READ_CONFIG = range(0x81, 0x87)
IDENTITY, STREAM, ECG, FLOW, END, ACK, CONFIG, STATUS = range(1, 9)
FAST = 60.0


def start(stream: int, milliseconds: int) -> bytes:
    return struct.pack("<BI", stream, milliseconds)


def block(
    mains: int = 50, ecg: int = 500, flow: int = 100, language: bytes = b"zh-CN", code: bytes = b"341881100201"
) -> bytes:
    """A settings block by the table of section 5, by hand."""
    body = struct.pack("<BBHH", 1, mains, ecg, flow) + language.ljust(8, b"\0") + code.ljust(12, b"\0")
    body += "演示村".encode().ljust(54, b"\0")
    return body + struct.pack("<I", zlib.crc32(body))


def samples(frames, channels: int) -> dict[int, tuple[int, ...]]:
    """Every sample received, by its index."""
    got: dict[int, tuple[int, ...]] = {}
    for frame in frames:
        if frame.type in (ECG, FLOW):
            first, n = struct.unpack_from("<IB", frame.payload)
            head = 9 if frame.type == ECG else 5
            assert len(frame.payload) == head + 2 * channels * n
            values = struct.unpack_from(f"<{n * channels}h", frame.payload, head)
            for i in range(n):
                got[first + i] = values[i * channels : (i + 1) * channels]
    return got


@pytest.fixture(scope="module")
def sinus() -> EcgSource:
    return EcgModel().render(12.0)


def test_identify(open_port) -> None:
    with FrontEnd(identity=BoardIdentity("maker", "model", "serial", "fw"), speed=FAST) as board:
        host = open_port(board.port)
        assert host.ask(IDENTIFY) == 0
        identity = host.collect(IDENTITY)[-1].payload
    assert identity[:2] == bytes([1, 2]), "no ECG source: flow only"
    assert identity[2:] == b"".join(text.ljust(16, b"\0") for text in (b"maker", b"model", b"serial", b"fw"))


def test_an_ecg_of_ten_seconds(open_port, sinus: EcgSource) -> None:
    with FrontEnd(sinus, speed=FAST) as board:
        host = open_port(board.port)
        host.send(START, start(1, 10_000))
        frames = host.collect(END)
    assert [frame.type for frame in frames[:3]] == [ACK, STREAM, ECG]
    assert frames[1].payload == bytes.fromhex("01 f401 0c e8030000 3200 9600")
    assert frames[-1].payload == struct.pack("<BBI", 1, 0, 5000)
    got = samples(frames, 12)
    assert sorted(got) == list(range(5000))
    received = np.array([got[i] for i in range(5000)]).T * 1e-3
    assert np.abs(received - sinus.mv[:, :5000]).max() <= 0.5e-3 + 1e-9
    # The sequence counts every frame; time_us is the first sample's, 2 ms apart.
    assert [b.sequence - a.sequence for a, b in pairwise(frames)] == [1] * (len(frames) - 1)
    ecg = [frame for frame in frames if frame.type == ECG]
    zero = ecg[0].time_us
    assert all(frame.time_us == zero + 2000 * struct.unpack_from("<I", frame.payload)[0] for frame in ecg)
    assert all(struct.unpack_from("<HH", frame.payload, 5) == (0, 0) for frame in ecg)


def test_a_blow_a_start_then_nobody_blows(open_port) -> None:
    blow = BlowModel(start_s=0.2)
    with FrontEnd(blows=[blow], speed=FAST) as board:
        host = open_port(board.port)
        host.send(START, start(2, 9_500))
        frames = host.collect(END)
        host.send(START, start(2, 1_000))
        quiet = host.collect(END)
    got = samples(frames, 1)
    assert len(got) == 950
    flow = np.array([got[i][0] for i in range(950)]) * 1e-3
    expected = blow.flow_l_s(100)
    assert np.abs(flow[: len(expected)] - expected).max() <= 0.5e-3 + 1e-9
    assert flow.sum() * 0.01 == pytest.approx(blow.truth.fvc_l, abs=0.01)
    assert set(samples(quiet, 1).values()) == {(0,)}
    assert len(samples(quiet, 1)) == 100


def test_flow_before_conversion_is_smaller_by_the_btps_factor(open_port) -> None:
    blow = BlowModel(start_s=0.2)
    air = Air(btps=False, temperature_c=20.0, pressure_pa=101_325)
    with FrontEnd(blows=[blow], air=air, speed=FAST) as board:
        host = open_port(board.port)
        host.send(START, start(2, 9_500))
        frames = host.collect(END)
    assert frames[1].payload[12:] == struct.pack("<BhIH", 0, 2000, 101_325, 4500)
    volume = sum(value for (value,) in samples(frames, 1).values()) * 1e-3 * 0.01
    # ATS/ERS table: 1.102 at 20 degrees Celsius and 760 mmHg.
    assert blow.truth.fvc_l / volume == pytest.approx(1.102, abs=0.005)


def test_one_stream_at_a_time_and_stop(open_port, sinus: EcgSource) -> None:
    with FrontEnd(sinus, speed=1.0) as board:
        host = open_port(board.port)
        assert host.ask(START, start(1, 0)) == 0
        assert host.ask(START, start(2, 1000)) == 3, "busy"
        host.collect(ECG)
        assert host.ask(STOP) == 0
        end = host.collect(END)[-1]
        assert host.ask(STOP) == 0, "done also when nothing runs"
    stream, reason, n = struct.unpack("<BBI", end.payload)
    assert (stream, reason) == (1, 1)
    assert 25 <= n < 5000


def test_until_stop_ends_by_itself_after_a_minute(open_port) -> None:
    with FrontEnd(speed=600.0) as board:
        host = open_port(board.port)
        host.send(START, start(2, 0))
        assert host.collect(END)[-1].payload == struct.pack("<BBI", 2, 0, 6000)


@pytest.mark.parametrize(
    ("payload", "result"),
    [
        pytest.param(start(1, 1000), 2, id="no ECG fitted"),
        pytest.param(start(3, 1000), 2, id="no such stream"),
        pytest.param(b"\x02", 2, id="no duration"),
    ],
)
def test_start_is_refused(open_port, payload: bytes, result: int) -> None:
    with FrontEnd() as board:
        assert open_port(board.port).ask(START, payload) == result


def test_unknown_commands_are_answered_and_damaged_ones_are_not(open_port) -> None:
    with FrontEnd() as board:
        host = open_port(board.port)
        os.write(host.fd, bytes.fromhex("A5 5A 81 00 00 00 00 00 00 00 00 00 00 00 00 10 BA 88 73"))
        host.send(0x8F)
        answer = host.next()
    assert (answer.type, answer.sequence, answer.payload) == (ACK, 0, b"\0\0\x8f\x01"), "the device's first frame"


def test_status_comes_every_two_seconds_while_idle(open_port) -> None:
    with FrontEnd(speed=FAST, battery_percent=80) as board:
        host = open_port(board.port)
        first, second = host.collect(STATUS)[-1], host.collect(STATUS)[-1]
    assert first.payload == bytes([80, 0, 0])
    assert second.time_us - first.time_us >= 2_000_000


def test_a_source_that_is_too_short_ends_early_as_a_fault(open_port) -> None:
    with FrontEnd(EcgModel().render(2.5), speed=FAST) as board:
        host = open_port(board.port)
        host.send(START, start(1, 10_000))
        frames = host.collect(END)
    assert frames[-1].payload == struct.pack("<BBI", 1, 2, 1250)
    assert len(samples(frames, 12)) == 1250


def test_absent_leads(open_port, sinus: EcgSource) -> None:
    two = EcgSource(sinus.mv, sinus.fs_hz, absent=("V1", "V6"), highpass_hz=None)
    with FrontEnd(two, speed=FAST) as board:
        host = open_port(board.port)
        host.send(START, start(1, 200))
        frames = host.collect(END)
    assert frames[1].payload[8:10] == b"\xff\xff", "an unknown high-pass"
    assert struct.unpack_from("<HH", frames[2].payload, 5) == (0, 1 << 6 | 1 << 11)
    columns = np.array(list(samples(frames, 12).values())).T
    assert [i for i, column in enumerate(columns) if (column == -32768).any()] == [6, 11]


@pytest.mark.parametrize(
    ("electrode", "bit", "lost"),
    [
        ("RA", 0, [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("LA", 1, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("LL", 2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("RL", 3, list(range(12))),
        ("V2", 5, [7]),
    ],
)
def test_electrode_off_from_a_sample_on(
    open_port,
    sinus: EcgSource,
    electrode: str,
    bit: int,
    lost: list[int],
) -> None:
    faults = FrontEndFaults(electrode_off={electrode: (100, 10**9)})
    with FrontEnd(sinus, speed=FAST, faults=faults) as board:
        host = open_port(board.port)
        host.send(START, start(1, 400))
        frames = host.collect(END)
    bits = {
        struct.unpack_from("<IBH", frame.payload)[0]: struct.unpack_from("<IBH", frame.payload)[2]
        for frame in frames
        if frame.type == ECG
    }
    assert {off for first, off in bits.items() if first >= 100} == {1 << bit}
    assert {off for first, off in bits.items() if first < 100} == {0}
    got = samples(frames, 12)
    assert [i for i, value in enumerate(got[150]) if value == -32768] == lost
    assert -32768 not in got[99]


def test_amplifier_fault(open_port, sinus: EcgSource) -> None:
    with FrontEnd(sinus, speed=FAST, faults=FrontEndFaults(fault_at_sample=130)) as board:
        host = open_port(board.port)
        host.send(START, start(1, 10_000))
        frames = host.collect(END)
        status = host.collect(STATUS)[-1]
    assert frames[-1].payload == struct.pack("<BBI", 1, 2, 130)
    assert sorted(samples(frames, 12)) == list(range(130))
    assert status.payload[2] == 1


@pytest.mark.parametrize(
    ("faults", "lost_frames", "wrong"),
    [
        pytest.param(LineFaults(corrupt_every=3), 3, True, id="every third frame corrupt"),
        pytest.param(LineFaults(drop_every=4), 2, False, id="every fourth frame dropped"),
        pytest.param(LineFaults(garbage_every=2), 0, True, id="garbage before every second frame"),
        pytest.param(LineFaults(chunk_bytes=7), 0, False, id="seven bytes at a time"),
    ],
)
def test_line_faults(open_port, sinus: EcgSource, faults: LineFaults, lost_frames: int, wrong: bool) -> None:
    with FrontEnd(sinus, speed=FAST, faults=FrontEndFaults(line=faults)) as board:
        host = open_port(board.port)
        host.send(START, start(1, 500))
        frames = host.collect(END)
    assert frames[-1].payload == struct.pack("<BBI", 1, 0, 250)
    assert len(samples(frames, 12)) == 250 - 25 * lost_frames
    assert (host.wrong > 0) == wrong
    missing = sum(b.sequence - a.sequence - 1 for a, b in pairwise(frames))
    assert missing == lost_frames


def test_a_lost_acknowledgement_and_a_repeated_command(open_port) -> None:
    faults = FrontEndFaults(line=LineFaults(drop_types=(Answer.ACK,)))
    with FrontEnd(faults=faults) as board:
        host = open_port(board.port)
        host.send(IDENTIFY)
        assert host.collect(IDENTITY)[-1].sequence == 1, "frame 0, the ACK, was lost"
        assert host.ask(IDENTIFY) == 0


def test_the_cable_is_pulled_in_the_middle_of_a_frame(open_port, sinus: EcgSource) -> None:
    with FrontEnd(sinus, speed=FAST, faults=FrontEndFaults(line=LineFaults(pull_after=5))) as board:
        host = open_port(board.port)
        host.send(START, start(1, 10_000))
        frames = host.collect(END)
        assert host.gone
        assert host.held, "half a frame remained"
    assert not board.running
    assert sorted(samples(frames, 12)) == list(range(100))


@pytest.mark.slow
def test_a_host_that_does_not_read_does_not_stop_the_device(open_port, sinus: EcgSource) -> None:
    with FrontEnd(sinus, speed=200.0) as board:
        host = open_port(board.port)
        host.send(START, start(1, 10_000))
        # Nobody reads: the device waits two seconds, drops what waits, and goes on to the end of the duration.
        deadline = time.monotonic() + 20.0
        for recording in (True, False):
            while (board._recording is not None) != recording:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        frames = host.collect(STATUS)
        while not samples(frames, 12):  # STATUS may have come before START was read
            assert time.monotonic() < deadline
            frames += host.collect(STATUS)
    got = samples(frames, 12)
    assert 0 < len(got) < 5000
    assert sum(b.sequence - a.sequence - 1 for a, b in pairwise(frames)) > 0, "the gap shows"


def test_a_named_port_outlives_a_restart(open_port, tmp_path: Path, sinus: EcgSource) -> None:
    link = tmp_path / "ttyZB0"
    board = FrontEnd(sinus, speed=FAST, link=link)
    with board:
        assert board.port == str(link)
        assert open_port(board.port).ask(IDENTIFY) == 0
        board.stop()
        assert not link.is_symlink()
        board.start()
        assert open_port(board.port).ask(IDENTIFY) == 0


def test_a_host_may_close_the_port_and_another_open_it(open_port) -> None:
    with FrontEnd() as board:
        first = open_port(board.port)
        assert first.ask(IDENTIFY) == 0
        again = open_port(board.port)
        assert again.ask(IDENTIFY) == 0


# Settings


def in_force(host) -> tuple[int, bytes]:
    assert host.ask(READ_CONFIG) == 0
    payload = host.collect(CONFIG)[-1].payload
    assert len(payload) == 88
    return struct.unpack_from("<I", payload)[0], payload[4:]


def test_configure_commit_read_back_and_survive_a_restart(open_port, tmp_path: Path, sinus: EcgSource) -> None:
    wanted = block(mains=60, ecg=250, flow=50)
    board = FrontEnd(sinus, speed=FAST, settings_dir=tmp_path)
    with board:
        host = open_port(board.port)
        generation, factory = in_force(host)
        assert (generation, factory[:6]) == (0, struct.pack("<BBHH", 1, 50, 500, 100))
        assert host.ask(CONFIGURE, wanted) == 0
        assert in_force(host) == (0, factory), "staged only"
        assert host.ask(COMMIT, wanted[-4:]) == 0
        assert in_force(host) == (1, wanted)
        assert host.ask(COMMIT, wanted[-4:]) == 0, "repeated because its answer was lost"
        assert in_force(host) == (1, wanted)
        board.start()
        host = open_port(board.port)
        assert in_force(host) == (1, wanted)
        host.send(START, start(1, 1000))
        frames = host.collect(END)
        assert frames[1].payload[1:3] == struct.pack("<H", 250)
        assert frames[-1].payload == struct.pack("<BBI", 1, 0, 250)


@pytest.mark.slow
def test_resampled_to_the_rate_in_force_the_beats_stay_in_place(open_port, tmp_path: Path, sinus: EcgSource) -> None:
    wanted = block(ecg=1000)
    with FrontEnd(sinus, speed=FAST, settings_dir=tmp_path) as board:
        host = open_port(board.port)
        assert host.ask(CONFIGURE, wanted) == 0
        assert host.ask(COMMIT, wanted[-4:]) == 0
        host.send(START, start(1, 5_000))
        frames = host.collect(END)
    got = samples(frames, 12)
    assert max(len(frame.payload) for frame in frames) <= 9 + 40 * 24
    two = np.array([got[i][1] for i in range(5000)])
    assert sinus.truth is not None
    for time_s in sinus.truth.beat_times_s[1:4]:
        middle = round(time_s * 1000)
        assert abs(int(np.argmax(two[middle - 100 : middle + 100])) - 100) <= 2


@pytest.mark.parametrize(
    ("staged", "result"),
    [
        pytest.param(block()[:-1], 2, id="83 bytes"),
        pytest.param(block()[:-4] + b"\0\0\0\0", 4, id="wrong CRC"),
        pytest.param(block(mains=55), 2, id="mains 55 Hz"),
        pytest.param(block(ecg=400), 2, id="ECG 400 Hz"),
        pytest.param(block(flow=0), 2, id="flow 0 Hz"),
        pytest.param(block(code=b"34188110020x"), 2, id="a letter in the village code"),
        pytest.param(block(code=b"34188110"), 2, id="a short village code"),
        pytest.param(block(language=b"zh\0CN"), 2, id="NUL inside the language"),
        pytest.param(block(language=b"\xff\xfe"), 2, id="language not UTF-8"),
    ],
)
def test_the_device_refuses_bad_settings(open_port, staged: bytes, result: int) -> None:
    with FrontEnd() as board:
        host = open_port(board.port)
        assert host.ask(CONFIGURE, staged) == result
        assert host.ask(COMMIT, staged[-4:]) == 6, "nothing staged"
        assert in_force(host)[0] == 0


def test_commit_of_another_block_than_the_staged_one(open_port) -> None:
    with FrontEnd() as board:
        host = open_port(board.port)
        assert host.ask(CONFIGURE, block()) == 0
        assert host.ask(COMMIT, block(mains=60)[-4:]) == 2
        assert host.ask(COMMIT, b"\0") == 2
        assert in_force(host)[0] == 0


def test_worn_storage_keeps_the_old_settings(open_port, tmp_path: Path) -> None:
    with FrontEnd(speed=FAST, settings_dir=tmp_path, faults=FrontEndFaults(worn_storage=True)) as board:
        host = open_port(board.port)
        before = in_force(host)
        assert host.ask(CONFIGURE, block(mains=60)) == 0
        assert host.ask(COMMIT, block(mains=60)[-4:]) == 5
        assert in_force(host) == before
        assert host.collect(STATUS)[-1].payload[2] == 3


@pytest.mark.parametrize("commits_before", [0, 1, 2])
@pytest.mark.parametrize("step", list(Step), ids=lambda step: step.name)
def test_a_power_cut_leaves_the_old_or_the_new_settings_whole(
    open_port,
    tmp_path: Path,
    step: Step,
    commits_before: int,
) -> None:
    old, new = block(ecg=250), block(ecg=1000)
    with FrontEnd(settings_dir=tmp_path) as board:
        host = open_port(board.port)
        for _ in range(commits_before):
            assert host.ask(CONFIGURE, old) == 0
            assert host.ask(COMMIT, old[-4:]) == 0
        before = in_force(host)
    with FrontEnd(settings_dir=tmp_path, faults=FrontEndFaults(power_cut=step)) as board:
        host = open_port(board.port)
        assert host.ask(CONFIGURE, new) == 0
        host.send(COMMIT, new[-4:])
        assert host.next() is None, "no answer: the power is gone"
    with FrontEnd(settings_dir=tmp_path) as board:
        host = open_port(board.port)
        after = in_force(host)
        assert after == ((before[0] + 1, new) if step is Step.SWITCHED else before)
        assert host.ask(COMMIT, new[-4:]) == (0 if step is Step.SWITCHED else 6), "staging is lost"


def test_after_a_power_cut_the_same_board_starts_again_and_takes_the_settings(open_port) -> None:
    wanted = block(mains=60)
    with FrontEnd(faults=FrontEndFaults(power_cut=Step.HALF_WRITTEN)) as board:
        host = open_port(board.port)
        assert host.ask(CONFIGURE, wanted) == 0
        host.send(COMMIT, wanted[-4:])
        assert host.next() is None
        board.start()
        host = open_port(board.port)
        assert host.ask(CONFIGURE, wanted) == 0
        assert host.ask(COMMIT, wanted[-4:]) == 0
        assert in_force(host) == (1, wanted)
