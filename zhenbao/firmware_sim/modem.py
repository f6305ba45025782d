"""A simulated Quectel RM5xx modem on a pseudo-terminal: its AT port, as V.250 and the maker's manual describe it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from zhenbao.firmware_sim.serial_meters.cable import CablePulled, SerialMeter

_NO_SERVICE: dict[str, tuple[str, ...]] = {
    "AT+CPIN?": ("+CPIN: READY",),
    "AT+CSQ": ("+CSQ: 99,99",),
    "AT+COPS?": ("+COPS: 0",),
    "AT+CREG?": ("+CREG: 0,2",),
    "AT+CEREG?": ("+CEREG: 0,2",),
    "AT+C5GREG?": ("+C5GREG: 0,2",),
    "AT+QNWINFO": ("+QNWINFO: No Service",),
    'AT+QENG="servingcell"': ('+QENG: "servingcell","SEARCH"',),
    "AT+CGPADDR": ('+CGPADDR: 1,"0.0.0.0"',),
    "AT+CGPADDR=1": ('+CGPADDR: 1,"0.0.0.0"',),
}
_ATTACHED: dict[str, tuple[str, ...]] = {
    "AT+CGPADDR": ('+CGPADDR: 1,"10.8.0.2"',),
    "AT+CGPADDR=1": ('+CGPADDR: 1,"10.8.0.2"',),
}


def _sa(rsrp: int, rsrq: int, sinr: int, *, stat: int = 1) -> dict[str, tuple[str, ...]]:
    return {
        **_NO_SERVICE,
        **_ATTACHED,
        "AT+COPS?": ('+COPS: 0,0,"CHINA MOBILE",11',),
        "AT+C5GREG?": (f"+C5GREG: 0,{stat}",),
        "AT+CEREG?": ("+CEREG: 0,0",),
        "AT+QNWINFO": ('+QNWINFO: "TDD NR5G","46000","NR5G BAND 41",504990',),
        'AT+QENG="servingcell"': (
            '+QENG: "servingcell","NOCONN","NR5G-SA","TDD",460,00,A0117F003,287,1000D7,504990,41,12,'
            f"{rsrp},{rsrq},{sinr},1,20",
        ),
    }


def _lte(
    rsrp: int, rsrq: int, sinr: int, *, mcc: str = "460", mnc: str = "00", stat: int = 1
) -> dict[str, tuple[str, ...]]:
    return {
        **_NO_SERVICE,
        **_ATTACHED,
        "AT+CSQ": ("+CSQ: 19,99",),
        "AT+COPS?": ('+COPS: 0,0,"CHINA MOBILE",7',),
        "AT+CEREG?": (f"+CEREG: 0,{stat}",),
        "AT+C5GREG?": ("+C5GREG: 0,0",),
        "AT+QNWINFO": (f'+QNWINFO: "FDD LTE","{mcc}{mnc}","LTE BAND 3",1350',),
        'AT+QENG="servingcell"': (
            f'+QENG: "servingcell","CONNECT","LTE","FDD",{mcc},{mnc},4940206,427,1350,3,5,5,BFF,'
            f"{rsrp},{rsrq},-61,{sinr},7,50,-",
        ),
    }


def _nsa(anchor: tuple[int, int, int], cell: tuple[int, int, int]) -> dict[str, tuple[str, ...]]:
    """RSRP, RSRQ, SINR of each; the 5G line has them in another order."""
    (rsrp, rsrq, sinr), (nr_rsrp, nr_rsrq, nr_sinr) = anchor, cell
    return {
        **_lte(rsrp, rsrq, sinr),
        "AT+COPS?": ('+COPS: 0,0,"CHINA MOBILE",13',),
        'AT+QENG="servingcell"': (
            '+QENG: "servingcell","NOCONN"',
            f'+QENG: "LTE","FDD",460,00,328261F,280,1350,3,4,4,BE3,{rsrp},{rsrq},-66,{sinr},4,30,-',
            f'+QENG: "NR5G-NSA",460,00,920,{nr_rsrp},{nr_sinr},{nr_rsrq},648768,78,10,1',
        ),
    }


_NO_SIM_ERROR: dict[str, tuple[str, ...]] = dict.fromkeys(("AT+CPIN?", "AT+COPS?"), ("+CME ERROR: 10",))

SCENARIOS: dict[str, dict[str, tuple[str, ...]]] = {
    "sa": _sa(-92, -11, 18),
    "nsa": _nsa((-99, -14, 7), (-96, -10, 18)),
    "nsa-unmeasured": _nsa((-99, -14, 7), (-32768, -32768, -32768)),
    "lte": _lte(-93, -11, 11),
    "weak": _lte(-121, -18, -6),
    "no-service": _NO_SERVICE,
    "no-sim": {**_NO_SERVICE, **_NO_SIM_ERROR},
    "locked": {**_NO_SERVICE, "AT+CPIN?": ("+CPIN: SIM PIN",)},
    "denied": {**_NO_SERVICE, "AT+CEREG?": ("+CEREG: 0,3",), "AT+C5GREG?": ("+C5GREG: 0,3",)},
    "roaming": _lte(-97, -12, 8, mcc="457", mnc="01", stat=5),
    "roaming-home-country": _sa(-101, -12, 9, stat=5),
    "detached": {**_lte(-93, -11, 11), **{name: _NO_SERVICE[name] for name in _ATTACHED}},
}
"""What the modem answers, by scenario: registered in each way, or not; ``roaming`` is abroad (457, Laos),
``roaming-home-country`` is the net of another operator of the same country; ``detached`` is registered without an
address."""


@dataclass(frozen=True, slots=True)
class ModemFaults:
    """What may be wrong with the modem or its port."""

    silent: bool = False
    """It answers nothing, as a modem whose firmware hangs."""
    garbage: bytes = b""
    """Comes before each answer."""
    answer_s: float = 0.0
    """How long it thinks."""
    vanishes_at: str = ""
    """The port is gone when this command comes: a modem that resets itself drops off the bus."""
    chatty: bool = True
    """It tells of its signal in the middle of answers, as the maker's firmware does by default."""
    chunk_bytes: int = 64
    unknown: frozenset[str] = field(default_factory=frozenset)
    """Commands that this firmware does not know."""


class Modem(SerialMeter):
    """The modem; ``with Modem("nsa") as modem``, the host opens ``modem.port``.

    Args:
        scenario: a key of ``SCENARIOS``; may be changed while it runs.
        link: symbolic link to its port, for a name that stays.
    """

    def __init__(self, scenario: str = "sa", *, faults: ModemFaults = ModemFaults(), link: Path | None = None) -> None:
        super().__init__(link=link)
        self.scenario = scenario
        self.faults = faults
        self.commands: list[str] = []
        """What it was asked, in order."""
        self._echo = True
        self._line = bytearray()

    def hear(self, data: bytes) -> None:
        for byte in data:
            if self._echo:
                self._put(bytes([byte]))
            if byte == 0x0D:
                command = self._line.decode("ascii", "replace").strip()
                self._line.clear()
                if command:
                    self._answer(command)
            else:
                self._line.append(byte)

    def _answer(self, command: str) -> None:
        self.commands.append(command)
        if command == self.faults.vanishes_at:
            raise CablePulled
        if self.faults.silent:
            return
        time.sleep(self.faults.answer_s)
        lines, final = self._result(command)
        told = list(lines)
        if self.faults.chatty and command.startswith("AT+"):
            told.insert(len(told) // 2, '+QIND: "csq",23,99')
        self._put(self.faults.garbage + b"".join(f"\r\n{line}\r\n".encode() for line in (*told, final)))

    def _result(self, command: str) -> tuple[tuple[str, ...], str]:
        name = command.upper() if command.upper().startswith(("ATE", "ATI")) else command
        if name in ("AT", "ATE0", "ATE1"):
            self._echo = name != "ATE0" and (self._echo or name == "ATE1")
            return (), "OK"
        if name == "ATI":
            return ("Quectel", "RM500Q-GL", "Revision: RM500QGLABR11A06M4G"), "OK"
        known = SCENARIOS[self.scenario]
        if not name.startswith("AT") or name not in known or name in self.faults.unknown:
            return (), "ERROR"
        lines = known[name]
        if lines and lines[-1].startswith("+CME ERROR"):
            return lines[:-1], lines[-1]
        return lines, "OK"

    def _put(self, data: bytes) -> None:
        """In pieces: USB serial hands over what it has, not lines."""
        self.sent += data
        for start in range(0, len(data), self.faults.chunk_bytes):
            piece = data[start : start + self.faults.chunk_bytes]
            while piece:
                piece = piece[os.write(self._master, piece) :]
