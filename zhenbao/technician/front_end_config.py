"""The configuration document of a sensor front-end: TOML in, a checked settings block out. Free of patient data."""

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from zhenbao.drivers.frontend.settings import ECG_RATES_HZ, FLOW_RATES_HZ, MAINS_HZ, SettingsBlock
from zhenbao.model.errors import InputError

_CHOICES = {"mains_hz": MAINS_HZ, "ecg_rate_hz": ECG_RATES_HZ, "flow_rate_hz": FLOW_RATES_HZ}
_TEXT_BYTES = {"language": 8, "village_code": 12, "village_name": 54}
KEYS = (*_CHOICES, *_TEXT_BYTES)


def read_config(path: Path) -> SettingsBlock:
    """Read and check a configuration document; every key of ``KEYS`` is required, no other is allowed.

    Raises:
        InputError: ``config-file``, ``config-syntax``, ``config-key`` (with the nearest valid key),
            ``config-missing``, ``config-choice``, ``config-text`` or ``config-village-code``.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("config-file", path=path, reason=error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("config-syntax", path=path, reason=error) from None
    return check_config(table)


def check_config(table: dict[str, Any]) -> SettingsBlock:
    """The settings block that a configuration table describes. Raises as ``read_config``."""
    for key in table:
        if key not in KEYS:
            raise InputError("config-key", key=key, nearest=(get_close_matches(key, KEYS, 1) or [KEYS[0]])[0])
    for key in KEYS:
        if key not in table:
            raise InputError("config-missing", key=key)
    for key, choices in _CHOICES.items():
        if type(table[key]) is not int or table[key] not in choices:
            raise InputError("config-choice", key=key, value=table[key], choices=", ".join(map(str, choices)))
    for key, size in _TEXT_BYTES.items():
        value = table[key]
        if not isinstance(value, str) or not value or len(value.encode()) > size or "\0" in value:
            raise InputError("config-text", key=key, size=size)
    code = table["village_code"]
    if not (len(code) == 12 and code.isascii() and code.isdigit()):
        raise InputError("config-village-code")
    return SettingsBlock(**{key: table[key] for key in KEYS})
