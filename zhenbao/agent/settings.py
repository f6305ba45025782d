"""What a technician sets on a kit once: who it is, where the hub and the devices are, whom to phone.

One TOML file, ``kit.toml``, in the kit's folder; free of patient data.
"""

import os
import re
import tomllib
import typing
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path

from zhenbao.model.errors import InputError
from zhenbao.model.spirometry import EQUATIONS, FLOW_EQUATIONS, GLI2012_GROUPS
from zhenbao.sync.links.address import check_url
from zhenbao.sync.recovery import public_from

FILE = "kit.toml"
_LOWEST_M, _HIGHEST_M = -200, 4500
"""From the Turpan basin to the top of the highest band that has a reference (rule OX08)."""
SERIAL_GLUCOSE_METERS = ("onetouch", "contour")
_LONGEST_LOCK_MIN = 24 * 60
_KIT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


ECG_DEVICES = ("front-end", "polar-h10", "healthypi5")
SPIROMETERS = ("front-end", "contec-sp10")


@dataclass(frozen=True, slots=True)
class KitSettings:
    """The settings of one kit."""

    kit_id: str
    village: str = ""
    hub_host: str = "127.0.0.1"
    """The hub's MQTT broker; empty: this kit uses HTTPS alone."""
    hub_port: int = 1883
    bluetooth: str = ""
    """Empty: the tablet's own Bluetooth. Otherwise an HCI address (``hci:tcp-client:127.0.0.1:9001``)."""
    front_end_port: str = ""
    """Serial port of the sensor front-end, best as ``/dev/serial/by-id/...``."""
    oximeter_port: str = ""
    """Serial port of a serial pulse oximeter; empty: the oximeter is a Bluetooth one."""
    altitude_m: int | None = None
    """Height of the village above the sea; None: nobody has said, and saturation is judged as below 1500 m."""
    glucose_meter: str = ""
    """Empty: by Bluetooth. Otherwise what hangs on ``glucose_port``: ``onetouch`` or ``contour``."""
    glucose_port: str = ""
    recovery_key: str = ""
    """The hub's public recovery key; empty: a forgotten PIN cannot be helped."""
    lock_after_min: int = 0
    """Minutes without a command after which the kit locks itself, and sends nothing until unlocked; 0: never."""
    emergency_phone: str = "120"
    hub_phone: str = ""
    chest_pain_phone: str = ""
    spirometry_equation: str = ""
    """The county's choice: ``gli2012``, ``gli2022`` or ``jian2017``. Empty: not chosen; every result then says so."""
    spirometry_flows: str = ""
    """The county's choice for FEF25, FEF50 and FEF75: ``eccs1993``. Empty: what hangs on them is not judged."""
    spirometry_group: str = ""
    """The county's choice of a group, only for ``gli2012``: ``NEAsia SEAsia Caucasian AfrAm Other``."""
    ecg_device: str = ""
    """What ``measure ecg`` uses where the doctor names none: one of ``ECG_DEVICES``; empty is the front-end."""
    ecg_strap: str = ""
    """Bluetooth address of this kit's chest strap; another one in the room may be on another person."""
    healthypi_port: str = ""
    """Serial port of the HealthyPi board."""
    healthypi_rate_hz: int = 0
    """Its samples per second (its documents say 125 and 128); 0: not set, and nothing is recorded."""
    healthypi_nv_per_count: int = 0
    """Nanovolts of one count, from a 1 mV calibrator; 0: not set, and nothing is recorded."""
    probe_url: str = ""
    """Where the hub is asked whether it answers (``https://hub.example``); empty: it is never asked."""
    probe_key: str = ""
    """An Ed25519 key by which an answer is known as the hub's, 64 hexadecimal digits, besides those on its card."""
    modem_port: str = ""
    """AT port of a 5G modem that no ModemManager has, best as ``/dev/serial/by-id/...``."""
    glucose_serial: str = ""
    """Serial number of the meter enrolled on ``glucose_port``; another one there is told. Empty: not looked at."""
    cuff_port: str = ""
    """Serial port of a Beurer BM65 on its cable; empty: the cuff is a Bluetooth one."""
    spirometer_port: str = ""
    """Serial port of a Contec SP10, whose stored tests ``measure spirometry`` then takes; empty: the front-end."""

    @property
    def spirometer(self) -> str:
        """What ``measure spirometry`` uses where the doctor names nothing: one of ``SPIROMETERS``."""
        return "contec-sp10" if self.spirometer_port else "front-end"

    hub_tls: bool = False
    """MQTT over TLS 1.3, with the kit's certificate (port 8883)."""
    hub_https: str = ""
    """The hub's web server as a second road, or the only one: ``https://host[:port]``. Empty: not used."""
    hub_ca: str = "county-ca.pem"
    """The county's CA, the only one that is believed; this and the next two lie in the kit's folder."""
    hub_certificate: str = "road.pem"
    hub_key: str = "road.key"


def kit_home(chosen: Path | None) -> Path:
    """The kit's folder: as chosen, else ZHENBAO_HOME, else the user's data folder."""
    if chosen is not None:
        return chosen
    if named := os.environ.get("ZHENBAO_HOME"):
        return Path(named)
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "zhenbao"


def load_settings(home: Path) -> KitSettings:
    """Read and check ``kit.toml``.

    Raises:
        InputError: ``settings-missing``, ``settings-syntax``, ``settings-key`` (with the nearest valid key),
            ``settings-type``, ``settings-kit-id``, ``choice`` (ECG device), ``lock-after``, ``recovery-key``, or as
            :func:`check_spirometry` and :func:`check_glucose`.
    """
    path = home / FILE
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("settings-missing", path=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("settings-syntax", path=path, reason=error) from None
    known = {field.name: (typing.get_args(field.type) or (field.type,))[0] for field in fields(KitSettings)}
    for key, value in table.items():
        if key not in known:
            raise InputError("settings-key", key=key, nearest=(get_close_matches(key, known, 1) or ["?"])[0])
        if type(value) is not known[key]:
            raise InputError("settings-type", key=key, expected=getattr(known[key], "__name__", known[key]))
    check_kit_id(table.get("kit_id", ""))
    check_altitude(table.get("altitude_m"))
    check_lock_after(table.get("lock_after_min", 0))
    checked_recovery_key(table.get("recovery_key", ""))
    check_ecg_device(table.get("ecg_device", ""))
    check_spirometry(
        table.get("spirometry_equation", ""), table.get("spirometry_group", ""), table.get("spirometry_flows", "")
    )
    check_glucose(table.get("glucose_meter", ""), table.get("glucose_port", ""))
    check_roads(table.get("hub_host", "127.0.0.1"), table.get("hub_port", 1883), table.get("hub_https", ""))
    return KitSettings(**table)


def check_spirometry(equation: str, group: str, flows: str) -> None:
    """Whether this is a choice of reference values; empty is none.

    Checked when the kit is set up and started: a patient who has blown eight times must not learn of a typing error.

    Raises:
        InputError: ``reference-equation``, ``settings-group-alone`` or ``reference-ethnicity``.
    """
    if equation and equation not in EQUATIONS:
        raise InputError("reference-equation", equation=equation[:32], known=", ".join(EQUATIONS))
    if flows and flows not in FLOW_EQUATIONS:
        raise InputError("reference-equation", equation=flows[:32], known=", ".join(FLOW_EQUATIONS))
    if group and equation != "gli2012":
        raise InputError("settings-group-alone")
    if group and group not in GLI2012_GROUPS:
        raise InputError("reference-ethnicity", known=", ".join(GLI2012_GROUPS))


def check_altitude(altitude_m: int | None) -> None:
    """Whether saturation can be judged at this height; None is "not known".

    Raises:
        InputError: ``altitude-range``.
    """
    if altitude_m is not None and not _LOWEST_M <= altitude_m <= _HIGHEST_M:
        raise InputError("altitude-range", altitude=altitude_m, lowest=_LOWEST_M, highest=_HIGHEST_M)


def check_lock_after(minutes: int) -> int:
    """The minutes as given, if they are a time after which a kit may lock itself.

    Raises:
        InputError: ``lock-after``.
    """
    if not 0 <= minutes <= _LONGEST_LOCK_MIN:
        raise InputError("lock-after", minutes=minutes, longest=_LONGEST_LOCK_MIN)
    return minutes


def checked_recovery_key(text: str) -> str:
    """The hub's public recovery key as given, if it is one; empty is none.

    Raises:
        InputError: ``recovery-key``.
    """
    if text:
        public_from(text)
    return text


def check_ecg_device(device: str) -> str:
    """The device as given, if it can record an ECG; empty is none chosen.

    Raises:
        InputError: ``choice``.
    """
    if device and device not in ECG_DEVICES:
        raise InputError("choice", value=device[:32], choices=", ".join(ECG_DEVICES))
    return device


def check_spirometer(device: str) -> str:
    """The device as given, if it measures the breath; empty is none chosen.

    Raises:
        InputError: ``choice``.
    """
    if device and device not in SPIROMETERS:
        raise InputError("choice", value=device[:32], choices=", ".join(SPIROMETERS))
    return device


def check_glucose(meter: str, port: str) -> None:
    """Whether meter and port are both named, or neither.

    Raises:
        InputError: ``settings-glucose``.
    """
    if (meter and meter not in SERIAL_GLUCOSE_METERS) or bool(meter) != bool(port):
        raise InputError("settings-glucose", known=", ".join(SERIAL_GLUCOSE_METERS))


def check_kit_id(kit_id: str) -> str:
    """The id as given, if it is one.

    Raises:
        InputError: ``settings-kit-id``.
    """
    if not _KIT_ID.fullmatch(kit_id):
        raise InputError("settings-kit-id")
    return kit_id


def check_roads(host: str, port: int, https: str) -> None:
    """Whether there is a road to the hub at all, and each is one.

    Raises:
        InputError: ``link-address`` or ``link-url``.
    """
    if not (host or https) or (host and not 0 < port < 1 << 16):
        raise InputError("link-address")
    if https:
        check_url(https)


def save_settings(home: Path, settings: KitSettings) -> None:
    """Write ``kit.toml`` whole or not at all."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [f"{key} = {_toml(value)}\n" for key, value in asdict(settings).items() if value is not None]
    draft = home / f".{FILE}.new"
    with draft.open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(home / FILE)


def _toml(value: str | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    escaped = "".join(c if c >= " " and c not in '"\\' else f"\\u{ord(c):04x}" for c in value)
    return f'"{escaped}"'
