"""Answers of a modem to AT commands, as values. Bytes in, values or ``FrameError`` out; chunking never matters.

Sources: 3GPP TS 27.007 (final results and +CME ERROR 9.2, +COPS 7.3, +CSQ 8.5, +CEREG 10.1.22, +C5GREG 10.1.47,
+CESQ 8.69, +CPIN 8.3); ITU-T V.250 (framing); Quectel RG50xQ & RM5xxQ Series AT Commands Manual (+QENG, +QNWINFO),
read together with answers that owners of such modems have published (tests/vectors/modem_quectel.toml).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from zhenbao.model.errors import FrameError
from zhenbao.sync.uplink.state import Radio, Registration, Signal, Sim

_LONGEST_LINE_BYTES = 1024
"""No answer that is asked for here has a longer line; what is longer is noise on the port."""
_RSRP_DBM, _RSRQ_DB, _SINR_DB = (-156.0, -31.0), (-43.0, 20.0), (-23.0, 40.0)
"""The ends of what is reported (3GPP TS 38.133 10.1.6, 10.1.11, 10.1.16; LTE's ranges lie inside). Modems write -32768,
-3276, 99, 255 or ``-`` for "not measured": all of that lies outside, and is None."""
_FINAL = re.compile(r"OK|ERROR|\+CM[ES] ERROR: ?(.*)|NO CARRIER|NO ANSWER|NO DIALTONE|BUSY")
_REGISTRATION = {
    0: Registration.NONE,
    1: Registration.HOME,
    2: Registration.SEARCHING,
    3: Registration.DENIED,
    5: Registration.ROAMING,
    8: Registration.LIMITED,
    11: Registration.LIMITED,
}
"""4 is "unknown" by the standard, and so it stays; 6, 7, 9, 10 are not for data."""
_ACCESS = dict.fromkeys((0, 1, 2, 3, 4, 5, 6, 8), Radio.OLDER) | {
    7: Radio.LTE,
    10: Radio.LTE,
    11: Radio.SA,
    12: Radio.SA,
    13: Radio.NSA,
}
"""<AcT> of +COPS and +CEREG: 7 E-UTRAN, 10 E-UTRA on a 5G core, 11 NR on a 5G core, 12 NG-RAN, 13 EN-DC."""
_SIM_MISSING, _SIM_LOCKED, _SIM_FAULT = {10}, {5, 6, 7, 11, 12, 17, 18}, {13, 14, 15}
"""Codes of +CME ERROR (TS 27.007, 9.2.1); 14, busy, is no readiness either."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a modem answered to one command."""

    lines: tuple[str, ...] = ()
    """Those that belong to the command, in order."""
    error: str | None = None
    """None after OK; otherwise the final line, for instance ``+CME ERROR: 10``."""
    unsolicited: tuple[str, ...] = ()
    """What the modem said of itself in between."""

    @property
    def cme(self) -> int | None:
        """The number of a ``+CME ERROR``."""
        found = re.fullmatch(r"\+CME ERROR: ?(\d{1,5})", self.error or "")
        return int(found[1]) if found else None


@dataclass(slots=True)
class Dialogue:
    """One command under way: feed it what arrives until it gives the answer.

    Args:
        command: as it was sent, ``AT+CSQ``. Lines that begin with its name are its answer, an echo is dropped, and
            anything else is unsolicited.
    """

    command: str
    _buffer: bytearray = field(default_factory=bytearray)
    _lines: list[str] = field(default_factory=list)
    _unsolicited: list[str] = field(default_factory=list)

    def feed(self, chunk: bytes) -> Answer | None:
        """Add received bytes; the answer once it is complete. What follows a complete answer is left unread.

        Raises:
            FrameError: a line longer than any answer.
        """
        self._buffer += chunk
        while 0 <= (end := _line_end(self._buffer)) <= _LONGEST_LINE_BYTES:
            line = bytes(self._buffer[:end]).decode("ascii", "replace").strip()
            del self._buffer[: end + 1]
            if not line or line == self.command:
                continue
            final = _FINAL.fullmatch(line)
            if final:
                return Answer(tuple(self._lines), None if line == "OK" else line, tuple(self._unsolicited))
            (self._lines if self._is_answer(line) else self._unsolicited).append(line)
        if len(self._buffer) > _LONGEST_LINE_BYTES:
            raise FrameError(bytes(self._buffer), _LONGEST_LINE_BYTES, "the end of a line")
        return None

    def _is_answer(self, line: str) -> bool:
        name = re.split(r"[=?]", self.command.removeprefix("AT"), maxsplit=1)[0]
        said, colon, _ = line.partition(":")
        return bool(name and colon) and said.rstrip() == name


def _line_end(buffer: bytearray) -> int:
    found = [at for at in (buffer.find(b"\r"), buffer.find(b"\n")) if at >= 0]
    return min(found, default=-1)


@dataclass(frozen=True, slots=True)
class ServingCell:
    """``AT+QENG="servingcell"``."""

    state: str
    """``SEARCH``, ``LIMSRV``, ``NOCONN`` (registered and idle: no outage) or ``CONNECT``."""
    radio: Radio | None = None
    plmn: str = ""
    band: str = ""
    signal: Signal | None = None
    nr_signal: Signal | None = None


def serving_cell(lines: Sequence[str]) -> ServingCell:
    """The cell that serves, from the one (LTE, SA) or three lines (NSA) of the answer.

    Fields by position. SA: state, "NR5G-SA", duplex, MCC, MNC, cell, PCI, TAC, ARFCN, band, bandwidth, RSRP, RSRQ,
    SINR. LTE: state, "LTE", duplex, MCC, MNC, cell, PCI, EARFCN, band, two bandwidths, TAC, RSRP, RSRQ, RSSI, SINR; the
    same without the state where it is the anchor of NSA. NSA: MCC, MNC, PCI, RSRP, SINR, RSRQ (another order), ARFCN,
    band; firmware differs in what follows.

    Raises:
        FrameError: no serving cell in these lines, or one cut short.
    """
    state, radio, plmn, band = "", None, "", ""
    signal: Signal | None = None
    nr_signal: Signal | None = None
    for fields in (_fields(line, "+QENG") for line in lines):
        match fields:
            case ["servingcell", str(state)]:
                pass
            case ["servingcell", str(state), "NR5G-SA", _, mcc, mnc, _, _, _, _, number, _, rsrp, rsrq, sinr, *_]:
                radio, plmn, band = Radio.SA, _plmn(mcc, mnc), _band("n", number)
                signal = _signal(rsrp, rsrq, sinr)
            case ["servingcell", str(state), "LTE", _, mcc, mnc, _, _, _, number, _, _, _, rsrp, rsrq, _, sinr, *_]:
                radio, plmn, band = Radio.LTE, _plmn(mcc, mnc), _band("B", number)
                signal = _signal(rsrp, rsrq, sinr)
            case ["servingcell", str(state), "WCDMA" | "GSM" | "TDSCDMA", mcc, mnc, *_]:
                radio, plmn = Radio.OLDER, _plmn(mcc, mnc)
            case ["LTE", _, mcc, mnc, _, _, _, number, _, _, _, rsrp, rsrq, _, sinr, *_]:
                radio, plmn = radio or Radio.LTE, _plmn(mcc, mnc)
                band = band or _band("B", number)
                signal = _signal(rsrp, rsrq, sinr)
            case ["NR5G-NSA", mcc, mnc, _, rsrp, sinr, rsrq, _, number, *_]:
                # The line is there as soon as the anchor offers 5G; without a measured cell it is LTE that serves.
                nr_signal = _signal(rsrp, rsrq, sinr)
                if nr_signal != Signal():
                    radio, plmn, band = Radio.NSA, plmn or _plmn(mcc, mnc), _band("n", number)
                else:
                    nr_signal = None
            case _:
                raise _wrong(lines, "a serving cell of LTE, NSA or SA")
    if not state:
        raise _wrong(lines, "the state of the serving cell")
    return ServingCell(state, radio, plmn, band, signal, nr_signal)


def registration(lines: Sequence[str]) -> tuple[Registration | None, Radio | None]:
    """``+CEREG: n,stat,...``, ``+C5GREG``: what the network says, and the technology where the line tells.

    A line of the modem's own accord lacks ``n``; it is newer than the answer, and is read as well. The last one counts.

    Raises:
        FrameError: no such line.
    """
    found: tuple[Registration | None, Radio | None] | None = None
    for line in lines:
        fields = _fields(line, "+CEREG", "+C5GREG", "+CGREG", "+CREG")
        # An answer's second field is a bare digit; the second of an unsolicited one is a quoted area code, or absent.
        if re.fullmatch(r"[^:]*: ?\d ?, ?\d{1,2}( ?,.*)?", line):
            fields = fields[1:]
        if not fields or (stat := _integer(fields[0])) is None:
            raise _wrong(lines, "a registration state")
        access = _integer(fields[3]) if len(fields) > 3 else None
        found = _REGISTRATION.get(stat), None if access is None else _ACCESS.get(access)
    if found is None:
        raise _wrong(lines, "a registration state")
    return found


def operator(lines: Sequence[str]) -> tuple[str, Radio | None]:
    """``+COPS: mode,format,"name",AcT``: the name as the modem has it (empty while there is none), the technology.

    Raises:
        FrameError: no such line.
    """
    match [_fields(line, "+COPS") for line in lines]:
        case [[_, _, name, access, *_]]:
            number = _integer(access)
            return name, None if number is None else _ACCESS.get(number)
        case [[_, _, name]]:
            return name, None
        case [[_]]:
            return "", None
        case _:
            raise _wrong(lines, "an operator")


def rssi_dbm(lines: Sequence[str]) -> float | None:
    """``+CSQ: rssi,ber``: dBm from -113 to -51; 99 is unknown. It means nothing on 5G.

    Raises:
        FrameError: no such line.
    """
    match [_fields(line, "+CSQ") for line in lines]:
        case [[rssi, _]]:
            number = _integer(rssi)
            return None if number is None or not 0 <= number <= 31 else -113.0 + 2 * number
        case _:
            raise _wrong(lines, "a signal quality")


def extended_signal(lines: Sequence[str]) -> tuple[Signal, Signal]:
    """``+CESQ``: the LTE cell and the 5G cell (Release 15), each step's lower edge; 255 and 99 are unknown.

    Raises:
        FrameError: no such line.
    """
    match [_fields(line, "+CESQ") for line in lines]:
        case [[_, _, _, _, rsrq, rsrp, *nr]] if len(nr) in (0, 3):
            lte = Signal(_step(rsrp, 97, -141.0, 1.0), _step(rsrq, 34, -20.0, 0.5))
            if not nr:
                return lte, Signal()
            ss_rsrq, ss_rsrp, ss_sinr = nr
            return lte, Signal(
                _step(ss_rsrp, 126, -157.0, 1.0), _step(ss_rsrq, 126, -43.5, 0.5), _step(ss_sinr, 127, -23.5, 0.5)
            )
        case _:
            raise _wrong(lines, "an extended signal quality")


def network(lines: Sequence[str]) -> tuple[str, str]:
    """``+QNWINFO: "TDD NR5G","46000","NR5G BAND 78",640320``: PLMN and band, empty where there is no service.

    Raises:
        FrameError: no such line.
    """
    match [_fields(line, "+QNWINFO") for line in lines]:
        case [[act, plmn, band, *_]] if act != "NONE" and re.fullmatch(r"\d{5,6}", plmn):
            number = band.rpartition(" ")[2]
            return plmn, _band("n" if "NR5G" in band else "B" if "LTE" in band else "", number)
        case [[_, *_]]:
            return "", ""
        case _:
            raise _wrong(lines, "a network")


def sim(answer: Answer) -> Sim | None:
    """The answer to ``AT+CPIN?``; None where it tells nothing of the SIM."""
    if answer.error is not None:
        code = answer.cme
        if code in _SIM_MISSING or "SIM not inserted" in answer.error:
            return Sim.MISSING
        if code in _SIM_LOCKED:
            return Sim.LOCKED
        return Sim.FAULT if code in _SIM_FAULT else None
    match [line.partition(":")[2].strip() for line in answer.lines]:
        case ["READY"]:
            return Sim.READY
        case ["NOT INSERTED" | "NOT READY" as said]:
            return Sim.MISSING if said == "NOT INSERTED" else Sim.FAULT
        case [said] if said.endswith(("PIN", "PUK", "PIN2", "PUK2")):
            return Sim.LOCKED
        case _:
            return None


def has_address(lines: Sequence[str]) -> bool:
    """``+CGPADDR``: whether any context has an address.

    Raises:
        FrameError: a line that is none.
    """
    return any(
        address not in ("", "0.0.0.0", "::", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0")  # noqa: S104 - an answer, not a bind
        for line in lines
        for address in _fields(line, "+CGPADDR")[1:]
    )


def _fields(line: str, *names: str) -> list[str]:
    """What follows the name, cut at commas outside quotes, without quotes and blanks.

    Raises:
        FrameError: another name.
    """
    name, colon, rest = line.partition(":")
    if not colon or name.strip() not in names:
        raise _wrong([line], f"a line of {names[0]}")
    return list(_cut(rest))


def _cut(text: str) -> Iterator[str]:
    piece, quoted = "", False
    for character in text:
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            yield piece.strip()
            piece = ""
        else:
            piece += character
    yield piece.strip()


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,9}", text) else None


def _within(text: str, ends: tuple[float, float]) -> float | None:
    number = _integer(text)
    return float(number) if number is not None and ends[0] <= number <= ends[1] else None


def _step(text: str, most: int, zero: float, step: float) -> float | None:
    """Step 0 is "below the scale", which is no measurement either."""
    number = _integer(text)
    return zero + step * number if number is not None and 1 <= number <= most else None


def _signal(rsrp: str, rsrq: str, sinr: str) -> Signal:
    return Signal(_within(rsrp, _RSRP_DBM), _within(rsrq, _RSRQ_DB), _within(sinr, _SINR_DB))


def _plmn(mcc: str, mnc: str) -> str:
    if not (re.fullmatch(r"[0-9]{3}", mcc) and re.fullmatch(r"[0-9]{1,3}", mnc)):
        return ""
    return mcc + mnc.zfill(2)


def _band(letter: str, number: str) -> str:
    return f"{letter}{number}" if letter and re.fullmatch(r"[0-9]{1,3}", number) else ""


def _wrong(lines: Sequence[str], expected: str) -> FrameError:
    return FrameError("\n".join(lines).encode("ascii", "replace"), 0, expected)
