"""One door for every file of blows: which format it is, its bytes tell."""

from __future__ import annotations

from pathlib import Path

from zhenbao.formats.ecg_file import FileFormatError
from zhenbao.formats.spirometry_csv import read_spirometry_csv
from zhenbao.formats.spirometry_export import read_spirometry_export
from zhenbao.formats.spirometry_file import SpirometryFile, check_blows

LARGEST_BYTES = 64 << 20
"""Twenty blows of a minute at 1000 Hz are a third of it."""


def read_spirometry(path: Path | str, *, columns: str | None = None, restarts: bool = False) -> SpirometryFile:
    """Read the kit's own export, or a table; see :func:`read_spirometry_csv` for ``columns`` and ``restarts``.

    Raises:
        FileFormatError: its code says why.
    """
    place = Path(path)
    if not place.is_file():
        raise FileFormatError("spirometry-file-absent")
    try:
        size = place.stat().st_size
        if size > LARGEST_BYTES:
            raise FileFormatError("spirometry-file-large", megabytes=size >> 20, most=LARGEST_BYTES >> 20)
        data = place.read_bytes()
    except OSError:
        raise FileFormatError("spirometry-file-absent") from None
    if not data.strip():
        raise FileFormatError("spirometry-file-none")
    if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":
        if columns is not None or restarts:
            raise FileFormatError("spirometry-columns-export")
        told = read_spirometry_export(data.removeprefix(b"\xef\xbb\xbf"))
    else:
        told = read_spirometry_csv(data, columns=columns, restarts=restarts)
    check_blows(told.blows, told.measured)
    return told
