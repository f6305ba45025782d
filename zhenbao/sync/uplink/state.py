"""What is known of one way out of this machine. What nobody has said is None, and stays None."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What carries it."""

    ETHERNET = "ethernet"
    WIFI = "wifi"
    CELLULAR = "cellular"
    OTHER = "other"


class Radio(StrEnum):
    """The mobile network's technology."""

    OLDER = "older"
    """2G or 3G."""
    LTE = "lte"
    NSA = "nsa"
    """5G carried by an LTE anchor (EN-DC, 3GPP TS 37.340): without the anchor there is no 5G."""
    SA = "sa"
    """5G on its own core."""


class Registration(StrEnum):
    """What the mobile network says of this SIM (3GPP TS 27.007, +CEREG and +C5GREG)."""

    HOME = "home"
    ROAMING = "roaming"
    SEARCHING = "searching"
    DENIED = "denied"
    LIMITED = "limited"
    """Emergency calls only."""
    NONE = "none"

    @property
    def carries_data(self) -> bool:
        return self in (Registration.HOME, Registration.ROAMING)


class Sim(StrEnum):
    READY = "ready"
    MISSING = "missing"
    LOCKED = "locked"
    """It wants a PIN or PUK."""
    FAULT = "fault"


class Reach(StrEnum):
    """How far the operating system believes one gets (NetworkManager's NMConnectivityState). A belief, not a proof."""

    NONE = "none"
    PORTAL = "portal"
    LIMITED = "limited"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Signal:
    """A cell as it is received. For 5G these are SS-RSRP, SS-RSRQ and SS-SINR (3GPP TS 38.215)."""

    rsrp_dbm: float | None = None
    rsrq_db: float | None = None
    sinr_db: float | None = None


@dataclass(frozen=True, slots=True)
class Uplink:
    """One way out of this machine, as the operating system or the modem tells of it.

    None of this says that the hub can be reached: only an answered probe does.
    """

    kind: Kind
    interface: str = ""
    """``wwan0``; empty where it is not known."""
    up: bool | None = None
    """Whether it has an address and may be tried."""
    metered: bool | None = None
    """Whether every byte costs."""
    reach: Reach | None = None
    radio: Radio | None = None
    registration: Registration | None = None
    sim: Sim | None = None
    plmn: str = ""
    """Country and network code as digits, ``46000``; empty where it is not known."""
    band: str = ""
    """``B3`` (LTE) or ``n78`` (5G)."""
    signal: Signal | None = None
    """Of the cell that the connection hangs on; in NSA that is the LTE anchor."""
    nr_signal: Signal | None = None
    """In NSA: of the 5G cell beside the anchor."""

    @property
    def mcc(self) -> str:
        """The mobile country code: 460 is China."""
        return self.plmn[:3]


class Miss(StrEnum):
    """Why there was no answer of the hub."""

    NO_NAME = "no-name"
    """The hub's name is not known to the network's name server."""
    NO_ROUTE = "no-route"
    """Nobody is there: refused, unreachable, or the interface is gone."""
    SILENT = "silent"
    """Nothing within the time limit."""
    OTHER = "other"
    """Somebody else answered: a captive portal, a proxy, another certificate."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one probe: a round trip, or why there was none."""

    round_trip_s: float | None = None
    """From connecting to the last byte of the answer."""
    miss: Miss | None = None
