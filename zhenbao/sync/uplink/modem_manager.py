"""What ModemManager knows of the modems (D-Bus API of ModemManager 1.x; 5G signal since 1.16)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zhenbao.sync.uplink.bus import call, listed, number, properties, text
from zhenbao.sync.uplink.state import Kind, Radio, Registration, Signal, Sim, Uplink

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

SERVICE = "org.freedesktop.ModemManager1"
_ROOT = "/org/freedesktop/ModemManager1"
_MODEM = f"{SERVICE}.Modem"
_3GPP = f"{_MODEM}.Modem3gpp"
_SIGNAL = f"{_MODEM}.Signal"
_BEARER = f"{SERVICE}.Bearer"
_LTE, _5G = 1 << 14 | 1 << 16 | 1 << 17, 1 << 15
"""MMModemAccessTechnology: LTE, LTE-M, NB-IoT; 5GNR. Both at once is NSA."""
_OLDER = sum(1 << bit for bit in range(1, 14))
_FAILED, _LOCKED, _SEARCHING = -1, 2, 7
_CONNECTED = 11
"""MMModemState."""
_SIM_MISSING, _SIM_ERROR = 2, 3
"""MMModemStateFailedReason."""
_REGISTRATION = {
    0: Registration.NONE,
    1: Registration.HOME,
    2: Registration.SEARCHING,
    3: Registration.DENIED,
    5: Registration.ROAMING,
    8: Registration.LIMITED,
    9: Registration.HOME,
    10: Registration.ROAMING,
    11: Registration.LIMITED,
}
"""MMModem3gppRegistrationState; 4 is unknown, 6 and 7 are for short messages only."""
_RATE_S = 30
"""How often ModemManager is asked to measure. It measures nothing unless asked, and asking needs a permission (polkit:
``org.freedesktop.ModemManager1.Device.Control``); without it the signal stays unknown."""


async def read_modems(bus: MessageBus) -> dict[str, Uplink] | None:
    """Every modem by its object path; None without a ModemManager.

    Raises:
        DeviceError: ``bus-silent``.
    """
    found = await call(bus, SERVICE, _ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    if found is None:
        return None
    return {path: await _uplink(bus, path, parts) for path, parts in found[0].items() if _MODEM in parts}


async def _uplink(bus: MessageBus, path: str, parts: dict[str, dict[str, Any]]) -> Uplink:
    modem, network, measured = (parts.get(name, {}) for name in (_MODEM, _3GPP, _SIGNAL))
    if measured and not number(measured.get("Rate")):
        await call(bus, SERVICE, path, _SIGNAL, "Setup", "u", _RATE_S)
        measured = await properties(bus, SERVICE, path, _SIGNAL)
    radio = _radio(number(modem.get("AccessTechnologies")) or 0)
    lte, nr = _signal(measured.get("Lte")), _signal(measured.get("Nr5g"))
    state = number(modem.get("State"))
    registration = _REGISTRATION.get(code) if (code := number(network.get("RegistrationState"))) is not None else None
    if registration is None and state == _SEARCHING:
        registration = Registration.SEARCHING
    plmn = text(network.get("OperatorCode"))
    return Uplink(
        Kind.CELLULAR,
        await _interface(bus, listed(modem.get("Bearers"))),
        up=None if state is None else state == _CONNECTED,
        radio=radio,
        registration=registration,
        sim=_sim(state, number(modem.get("StateFailedReason"))),
        plmn=plmn if plmn.isdecimal() else "",
        signal=nr if radio is Radio.SA else lte,
        nr_signal=nr if radio is Radio.NSA else None,
    )


async def _interface(bus: MessageBus, bearers: list[Any]) -> str:
    """The network interface of the bearer that is connected."""
    for path in bearers:
        bearer = await properties(bus, SERVICE, path, _BEARER)
        if bearer.get("Connected") is True:
            return text(bearer.get("Interface"))
    return ""


def _radio(technologies: int) -> Radio | None:
    if technologies & _5G:
        return Radio.NSA if technologies & _LTE else Radio.SA
    if technologies & _LTE:
        return Radio.LTE
    return Radio.OLDER if technologies & _OLDER else None


def _sim(state: int | None, reason: int | None) -> Sim | None:
    if state is None:
        return None
    if state == _FAILED:
        return {_SIM_MISSING: Sim.MISSING, _SIM_ERROR: Sim.FAULT}.get(reason or 0)
    return Sim.LOCKED if state == _LOCKED else Sim.READY if state > _LOCKED else None


def _signal(found: object) -> Signal | None:
    """A dictionary of doubles, empty while nothing is measured."""
    if not isinstance(found, dict):
        return None
    signal = Signal(*(_real(found.get(name)) for name in ("rsrp", "rsrq", "snr")))
    return None if signal == Signal() else signal


def _real(value: object) -> float | None:
    return value if isinstance(value, float) and math.isfinite(value) and value > -1000 else None
