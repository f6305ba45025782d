"""The front-end's settings block, 84 bytes (docs/devices/front-end.md, section 5). It holds no patient data."""

import struct
import zlib
from dataclasses import dataclass

from zhenbao.model.errors import FrameError, InputError

BLOCK_BYTES = 84
LAYOUT = 1
_BODY = struct.Struct("<BBHH8s12s54s")
MAINS_HZ = (50, 60)
ECG_RATES_HZ = (250, 500, 1000)
FLOW_RATES_HZ = (50, 100, 200)


@dataclass(frozen=True, slots=True)
class SettingsBlock:
    """What a technician writes into the front-end."""

    mains_hz: int
    """Notch filter, 50 or 60."""
    ecg_rate_hz: int
    """250, 500 or 1000."""
    flow_rate_hz: int
    """50, 100 or 200."""
    language: str
    """BCP 47, for instance ``zh-CN``; at most 8 bytes."""
    village_code: str
    """12 digits: GB/T 2260 county, GB/T 10114 town, village."""
    village_name: str
    """At most 54 bytes of UTF-8 (18 Chinese characters)."""

    def encode(self) -> bytes:
        """The block for the wire, with its CRC.

        Raises:
            InputError: code ``settings-value`` with the field's name: a value outside of the layout's table.
        """
        _allow("mains_hz", self.mains_hz in MAINS_HZ)
        _allow("ecg_rate_hz", self.ecg_rate_hz in ECG_RATES_HZ)
        _allow("flow_rate_hz", self.flow_rate_hz in FLOW_RATES_HZ)
        _allow(
            "village_code", len(self.village_code) == 12 and self.village_code.isascii() and self.village_code.isdigit()
        )
        _allow("language", bool(self.language) and self.language.isascii())
        body = _BODY.pack(
            LAYOUT,
            self.mains_hz,
            self.ecg_rate_hz,
            self.flow_rate_hz,
            _padded("language", self.language, 8),
            self.village_code.encode("ascii"),
            _padded("village_name", self.village_name, 54),
        )
        return body + struct.pack("<I", zlib.crc32(body))

    @property
    def crc(self) -> int:
        """What COMMIT names."""
        return int.from_bytes(self.encode()[-4:], "little")


def decode_block(block: bytes) -> SettingsBlock:
    """Read a settings block, strictly.

    Raises:
        FrameError: a wrong length, layout or CRC, or a value outside of the layout's table.
    """
    if len(block) != BLOCK_BYTES:
        raise FrameError(block, min(len(block), BLOCK_BYTES), f"a settings block of {BLOCK_BYTES} bytes")
    if zlib.crc32(block[: _BODY.size]) != int.from_bytes(block[_BODY.size :], "little"):
        raise FrameError(block, _BODY.size, "the CRC-32 of the settings")
    layout, mains, ecg_rate, flow_rate, language, code, name = _BODY.unpack_from(block)
    if layout != LAYOUT:
        raise FrameError(block, 0, f"settings of layout {LAYOUT}")
    try:
        settings = SettingsBlock(
            mains, ecg_rate, flow_rate, _text(block, 6, language), code.decode("ascii"), _text(block, 26, name)
        )
        settings.encode()
    except (InputError, UnicodeDecodeError):
        raise FrameError(block, 1, "settings inside of their table") from None
    return settings


def _allow(field: str, allowed: bool) -> None:
    if not allowed:
        raise InputError("settings-value", field=field)


def _padded(field: str, text: str, size: int) -> bytes:
    data = text.encode("utf-8")
    _allow(field, len(data) <= size and "\0" not in text)
    return data.ljust(size, b"\0")


def _text(block: bytes, offset: int, padded: bytes) -> str:
    text, _, rest = padded.partition(b"\0")
    if rest.strip(b"\0"):
        raise FrameError(block, offset + len(text), "NUL to the end of the text")
    return text.decode("utf-8")
