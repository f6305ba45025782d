"""Any bytes to any decoder: a value or an error that says what is wrong, for as long as one likes.

    .venv/bin/python tests/fuzz/decoders.py [--minutes 10] [--seed N] [NAME ...]

Bytes are drawn by hypothesis: at random, and from the vectors of other projects with bytes changed, cut, repeated and
put in. Whatever else a decoder raises is printed with the shortest bytes that do it, and the program ends with 1.
A script, not a test; ``make fuzz`` runs it.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path

import cbor2
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from zhenbao.drivers.bp import codec as bp
from zhenbao.drivers.bp_beurer import codec as beurer
from zhenbao.drivers.contec import codec as contec
from zhenbao.drivers.contec import frame as contec_frame
from zhenbao.drivers.frontend.frame import Decoder, Frame
from zhenbao.drivers.frontend.messages import decode as front_end_message
from zhenbao.drivers.frontend.settings import decode_block
from zhenbao.drivers.gatt_time import decode_current_time, decode_date_time
from zhenbao.drivers.glucose import codec as glucose
from zhenbao.drivers.glucose.context import decode_context
from zhenbao.drivers.glucose.contour import records as contour
from zhenbao.drivers.glucose.contour.receiver import Receiver
from zhenbao.drivers.glucose.onetouch import codec as onetouch
from zhenbao.drivers.glucose.racp import decode_response
from zhenbao.drivers.healthypi import frame as healthypi
from zhenbao.drivers.oximeter import cms50d_plus, nonin, plx
from zhenbao.drivers.polar import codec as polar
from zhenbao.drivers.polar.heart_rate import decode_heart_rate
from zhenbao.drivers.scale import codec as scale
from zhenbao.drivers.thermometer import codec as thermometer
from zhenbao.formats.bp_csv import parse_bp_series
from zhenbao.formats.flow_table import read_flow_table
from zhenbao.formats.gdt import read_gdt
from zhenbao.formats.ndd_xml import read_ndd
from zhenbao.formats.read_summary import read_summaries
from zhenbao.formats.spirometry_csv import read_spirometry_csv
from zhenbao.formats.spirometry_export import read_spirometry_export
from zhenbao.formats.xeek_json import read_xeek
from zhenbao.model.errors import FrameError, ZhenbaoError
from zhenbao.sync.keys import make_keys, read_card
from zhenbao.sync.messages import decode
from zhenbao.sync.packet import read_packet
from zhenbao.sync.parts import decode_part
from zhenbao.sync.squeeze import unsqueeze
from zhenbao.sync.uplink import at as modem_at

VECTORS = Path(__file__).parents[1] / "vectors"
EXPECTED = (FrameError, ZhenbaoError)
ROUND = 500
"""Examples of a decoder before the next has its turn."""


def front_end(data: bytes) -> object:
    """A byte stream, and the same bytes as the payload of a frame whose sum is right."""
    frames = [*Decoder().feed(data), Frame(data[0] if data else 0, 0, 0, data[1:])]
    return [front_end_message(frame) for frame in frames]


_KEY = make_keys("kit-1", 1).newest.public


def messages(data: bytes) -> object:
    """What is inside a packet, once it is open."""
    return decode(data, "kit-1", "hub", _KEY)


def squeezed(data: bytes) -> object:
    """What is inside a packet, before it is unpacked."""
    return unsqueeze(b"\x28\xb5\x2f\xfd" + data, 1, 1 << 16)


def part(data: bytes) -> object:
    """A part whose sum is right, whatever it holds."""
    return decode_part(cbor2.dumps([2, 9, data[:8], 0, 1, zlib.crc32(data[8:]).to_bytes(4, "big") + data[8:]]))


def spirometer(data: bytes) -> object:
    """A byte stream, and the same bytes as frames whose sum is right."""
    if data:
        body = bytes(byte & 0x7F for byte in data[1:])
        for decode, kind in (
            (contec.decode_count, contec_frame.COUNT),
            (contec.decode_record, contec_frame.RECORD),
            (contec.decode_wave, contec_frame.WAVE),
        ):
            told(decode, contec_frame.summed(kind, *body))
    return [told(contec.decode_record, frame) for frame in contec_frame.Decoder().feed(data)]


def told(decode: Callable[[bytes], object], data: bytes) -> object:
    """What it gives, or None where it refuses, so that a second decoder has its turn with the same bytes."""
    try:
        return decode(data)
    except EXPECTED:
        return None


def one_touch(data: bytes) -> object:
    """A line as it is, and with the right sum."""
    answers = (
        onetouch.decode_serial,
        onetouch.decode_version,
        onetouch.decode_unit,
        onetouch.decode_clock,
        onetouch.decode_header,
        onetouch.decode_record,
    )
    with_sum = data + f" {sum(data) & 0xFFFF:04X}".encode("ascii")
    return [told(decode, line) for decode in answers for line in (data, with_sum)]


def contour_link(data: bytes) -> object:
    """The other end of the line says anything, and falls silent in between."""
    receiver = Receiver()
    for at in range(0, len(data), 16):
        receiver.receive(data[at : at + 16])
        receiver.silence()
    return receiver.take_records()


CONTOUR_HEADER = (
    rb"H|\^&||x|Bayer7390^01.24\01.04^7390-1234567|A=1^C=63^G=1^I=0200^U=0^V=10600|31||||||P|1|201501010000"
)
"""As the format has it; the meter is made up."""


def contour_record(data: bytes) -> object:
    """A header, and a result after a good header."""
    header = contour.decode_header(CONTOUR_HEADER)
    return told(contour.decode_header, data), contour.decode_result(data, header)


def oximeter_stream(data: bytes) -> object:
    """A byte stream, and what a second of it would say."""
    packets = list(cms50d_plus.Decoder().feed(data))
    return cms50d_plus.reading(packets) if packets else None


def board(data: bytes) -> object:
    """A byte stream, and the same bytes as a payload."""
    pieces = list(healthypi.Decoder().feed(data))
    return pieces, healthypi.decode_payload(data[0] & 7, data[1:]) if data else None


def strap(data: bytes) -> object:
    """Everything a chest strap may notify or let be read."""
    decoders = (polar.decode_features, polar.decode_answer, polar.decode_settings, polar.decode_ecg)
    return [told(decode, data) for decode in decoders], decode_heart_rate(data)


def series(data: bytes) -> object:
    """A table as it is, and with told columns."""
    return told(parse_bp_series, data), parse_bp_series(data, columns="time,systolic,diastolic", unit="mmHg")


def modem(data: bytes) -> object:
    """A modem's answer, and its lines to every reader, whatever was asked."""
    answer = modem_at.Dialogue('AT+QENG="servingcell"').feed(data + b"\r\nOK\r\n") or modem_at.Answer()
    lines = (*answer.lines, *answer.unsolicited)
    readers: tuple[Callable[[tuple[str, ...]], object], ...] = (
        modem_at.serving_cell,
        modem_at.registration,
        modem_at.operator,
        modem_at.rssi_dbm,
        modem_at.extended_signal,
        modem_at.network,
        modem_at.has_address,
    )
    return modem_at.sim(answer), [told(lambda _, read=read: read(lines), data) for read in readers]  # type: ignore[misc]


DECODERS: dict[str, Callable[[bytes], object]] = {
    "blood pressure": bp.decode,
    "cuff pressure": bp.decode_cuff_pressure,
    "glucose": glucose.decode_measurement,
    "glucose feature": glucose.decode_feature,
    "glucose context": decode_context,
    "record access": decode_response,
    "date and time": decode_date_time,
    "current time": decode_current_time,
    "cuff on a cable": beurer.decode,
    "OneTouch": one_touch,
    "Contour, line": contour_link,
    "Contour, records": contour_record,
    "oximeter, spot": plx.decode_spot,
    "oximeter, continuous": plx.decode_continuous,
    "oximeter features": plx.decode_features,
    "oximeter, Nonin": nonin.decode,
    "oximeter on a cable": oximeter_stream,
    "thermometer": thermometer.decode,
    "thermometer site": thermometer.decode_site,
    "scale": scale.decode,
    "chest strap": strap,
    "HealthyPi": board,
    "Contec spirometer": spirometer,
    "modem": modem,
    "table of blood pressures": series,
    "front-end": front_end,
    "front-end settings": decode_block,
    "packet": read_packet,
    "packet, squeezed": squeezed,
    "packet, open": messages,
    "part": part,
    "card": read_card,
    "summaries": read_summaries,
    "Xeek": read_xeek,
    "ndd": read_ndd,
    "GDT": read_gdt,
    "table of blows": lambda data: read_spirometry_csv(data, columns="time_s,flow_l_s"),
    "export of blows": read_spirometry_export,
    "table of strokes": read_flow_table,
}


def known_bytes() -> list[bytes]:
    """Frames and files of other projects."""
    found = [file.read_bytes()[:4000] for file in VECTORS.iterdir() if file.suffix in (".json", ".xml", ".csv")]
    for file in VECTORS.glob("*.toml"):
        for text in re.findall(r'"((?:[0-9a-fA-F]{2}[ ]?){2,})"', file.read_text("utf-8")):
            found.append(bytes.fromhex(text))
        found += [line.encode() for line in re.findall(r"'([+][A-Z0-9]+:.*)'", file.read_text("utf-8"))]
    return found


def bytes_like(known: list[bytes]) -> st.SearchStrategy[bytes]:
    """Random bytes, and known ones that something has happened to."""

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(st.sampled_from(known)))
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(data)))
            what = draw(st.sampled_from(("put", "cut", "change", "twice")))
            if what == "put":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            elif what == "cut":
                del data[at : at + draw(st.integers(1, 8))]
            elif what == "twice":
                data[at:at] = data[max(0, at - 16) : at]
            elif at < len(data):
                data[at] = draw(st.integers(0, 255))
        return bytes(data)

    return st.one_of(st.binary(max_size=256), changed())


def one_round(decode: Callable[[bytes], object], source: st.SearchStrategy[bytes], number: int) -> None:
    """Some hundred examples, other ones each time; raises what the decoder must not."""

    @seed(number)
    @settings(
        max_examples=ROUND,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(source)
    def run(data: bytes) -> None:
        try:
            decode(data)
        except EXPECTED:
            return

    run()


def main() -> int:
    """Round after round until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(DECODERS))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(DECODERS):
        parser.error(f"no decoder {', '.join(sorted(unknown))}; there are {', '.join(DECODERS)}")
    source = bytes_like(known_bytes())
    stop, rounds, failed = time.monotonic() + 60 * chosen.minutes, 0, set[str]()
    while time.monotonic() < stop:
        for name in chosen.names:
            if name in failed:
                continue
            try:
                one_round(DECODERS[name], source, chosen.seed + rounds)
            except Exception:
                failed.add(name)
                print(f"{name}:\n{traceback.format_exc()}", flush=True)
        rounds += 1
        if sys.stdout.isatty():
            print(f"\r{rounds} rounds, {len(failed)} failed", end="", flush=True)
    print(f"{len(chosen.names)} decoders, {rounds * ROUND} examples each, seed {chosen.seed}: {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
