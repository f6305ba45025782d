"""One door for results that devices computed themselves: which format it is, its bytes tell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.formats.summary_text import LARGEST_BYTES
from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from zhenbao.model.spirometry_summary import SpirometrySummary

_GDT = re.compile(rb"0\d\d8000")


def read_summaries(data: bytes) -> tuple[SpirometrySummary, ...]:
    """Xeek JSON, ndd XML or GDT: a summary for each test in it.

    Names, numbers, addresses and birth dates are not kept: sex, height and the age at the test are, since predicted
    values need them.

    Raises:
        InputError: its code says why.
    """
    if len(data) > LARGEST_BYTES:
        raise InputError("summary-large", megabytes=len(data) >> 20, most=LARGEST_BYTES >> 20)
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:16]
    if not start:
        raise InputError("summary-blank")
    if start[:1] in (b"{", b'"'):
        from zhenbao.formats.xeek_json import read_xeek

        return read_xeek(data)
    if start[:1] == b"<" or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        from zhenbao.formats.ndd_xml import read_ndd

        return read_ndd(data.lstrip(b" \t\r\n") if start[:1] == b"<" else data)
    if _GDT.match(start):
        from zhenbao.formats.gdt import read_gdt

        return read_gdt(data.lstrip(b"\xef\xbb\xbf \t\r\n"))
    raise InputError("summary-unknown")


def read_summary_file(path: Path) -> tuple[SpirometrySummary, ...]:
    """The summaries of a file.

    Raises:
        InputError: as :func:`read_summaries`; ``summary-absent``.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError("summary-large", megabytes=path.stat().st_size >> 20, most=LARGEST_BYTES >> 20)
        data = path.read_bytes()
    except OSError as error:
        raise InputError("summary-absent", reason=error.strerror or "") from None
    return read_summaries(data)
