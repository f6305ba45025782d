"""Files that a visit takes over as they are: pictures, clips, documents. What it is, its bytes tell; never its name.

A DICOM file is read far enough to know that it holds pictures which are whole, and whose it says it is (PS3.3 C.7.1.1).
Errors never quote what a file says of a patient.
"""

from __future__ import annotations

import io
import logging
import re
import unicodedata
import warnings
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from zhenbao.formats.ecg_file import FileFormatError
from zhenbao.model.attachment import MediaType

_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
_PHOTOMETRIC = {"MONOCHROME1", "MONOCHROME2", "RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a file names; None where it does not say, or not in a way that a record can be compared with."""

    name: str | None = None
    """In characters; letters (pinyin) are left out, for nobody can say whose they are."""
    number: str | None = None
    """18 characters, where the patient's id looks like a resident number."""
    birth_date: date | None = None
    sex: str | None = None
    """``male`` or ``female``."""


@dataclass(frozen=True, slots=True)
class AttachmentFile:
    """A file that was looked at."""

    media_type: MediaType
    content: bytes
    frames: int = 1
    person: Person = Person()
    device_time: str | None = None
    """The device's own local time, ``2026-11-22T10:30:00``, or its date alone."""
    shown: bool = True
    """Whether a page can draw it; a clip in MPEG-4 can only be fetched."""


def read_attachment(path: Path, *, most_bytes: int, most_pixels: int) -> AttachmentFile:
    """Read a DICOM picture or clip, a JPEG, a PNG or a PDF.

    Args:
        most_bytes: a larger file is refused before it is loaded.
        most_pixels: of one picture; more is refused before it is decoded.

    Raises:
        FileFormatError: ``attachment-absent attachment-empty attachment-large attachment-type attachment-damaged
            attachment-no-picture`` or ``library-missing``.
    """
    try:
        if not path.is_file():
            raise FileFormatError("attachment-absent")
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError:
        raise FileFormatError("attachment-absent") from None
    if not content:
        raise FileFormatError("attachment-empty")
    if len(content) > most_bytes:
        raise FileFormatError("attachment-large", mb=path.stat().st_size / 1e6, most_mb=most_bytes / 1e6)
    kind = media_type(content)
    if kind is None:
        raise FileFormatError("attachment-type")
    if kind is MediaType.PDF:
        if b"%%EOF" not in content[-2048:]:
            raise FileFormatError("attachment-damaged")
        return AttachmentFile(kind, content, shown=False)
    with warnings.catch_warnings():
        # What the libraries warn of may quote the file.
        warnings.simplefilter("ignore")
        return _dicom(content, most_pixels) if kind is MediaType.DICOM else _picture(kind, content, most_pixels)


def media_type(content: bytes) -> MediaType | None:
    """What the bytes are, by their beginning; None: nothing that is taken over."""
    if content[128:132] == b"DICM":
        return MediaType.DICOM
    if content.startswith(b"\xff\xd8\xff"):
        return MediaType.JPEG
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return MediaType.PNG
    return MediaType.PDF if content.startswith(b"%PDF-") else None


def _picture(kind: MediaType, content: bytes, most_pixels: int) -> AttachmentFile:
    try:
        from PIL import Image
    except ImportError:
        raise FileFormatError("library-missing", library="pillow") from None
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as picture:
            if picture.width * picture.height > most_pixels:
                raise FileFormatError("attachment-pixels", most=most_pixels // 1_000_000)
            picture.load()
    except FileFormatError:
        raise
    except Exception:
        # Pillow lets through whatever its decoders raise on damage.
        raise FileFormatError("attachment-damaged") from None
    return AttachmentFile(kind, content)


def _dicom(content: bytes, most_pixels: int) -> AttachmentFile:
    try:
        import pydicom
        from pydicom.pixels import pixel_array
    except ImportError:
        raise FileFormatError("library-missing", library="pydicom") from None
    # It logs what it cannot decode, on the doctor's screen where nobody else listens.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    try:
        dataset = pydicom.dcmread(io.BytesIO(content))
        if "PixelData" not in dataset or str(dataset.get("PhotometricInterpretation", "")) not in _PHOTOMETRIC:
            raise FileFormatError("attachment-no-picture")
        frames = int(dataset.get("NumberOfFrames", 1) or 1)
        if frames < 1 or int(dataset.Rows) * int(dataset.Columns) > most_pixels:
            raise FileFormatError("attachment-pixels", most=most_pixels // 1_000_000)
        shown = _can_be_drawn(dataset.file_meta.TransferSyntaxUID)
        if shown:
            # The first and the last: a file that was cut off fails here and not before the specialist.
            for index in {0, frames - 1}:
                pixel_array(dataset, index=index)
        return AttachmentFile(MediaType.DICOM, content, frames, _person(dataset), _time(dataset), shown)
    except FileFormatError:
        raise
    except Exception:
        # Elements are decoded when they are asked for, and damage raises whatever the decoding of that kind raises.
        raise FileFormatError("attachment-damaged") from None


def _can_be_drawn(syntax: Any) -> bool:
    """Whether pictures in this compression can be unpacked here, and so on the hub's page."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGExtended12Bit

    try:
        # Pillow says that it can, and fails at 12 bits, for which alone it is used.
        return syntax != JPEGExtended12Bit and bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _person(dataset: Any) -> Person:
    # Groups of one name: alphabetic, ideographic, phonetic (PS3.5 6.2). Some devices write characters into the first.
    groups = unicodedata.normalize("NFKC", str(dataset.get("PatientName", "") or "")).split("=")
    name = next((han for group in groups if (han := "".join(_HAN.findall(group)))), None)
    number = re.sub(r"\s", "", str(dataset.get("PatientID", "") or "")).upper()
    return Person(
        name=name,
        number=number if re.fullmatch(r"\d{17}[\dX]", number) else None,
        birth_date=_date(str(dataset.get("PatientBirthDate", "") or "")),
        sex={"M": "male", "F": "female"}.get(str(dataset.get("PatientSex", "") or "")),
    )


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text[:8], "%Y%m%d").date()  # noqa: DTZ007 - a date, not an instant
    except ValueError:
        return None


def _time(dataset: Any) -> str | None:
    """When the picture was taken, else when it was made, else when the examination began."""
    stamp = str(dataset.get("AcquisitionDateTime", "") or "")
    pairs = [(stamp[:8], stamp[8:])] + [
        (str(dataset.get(f"{part}Date", "") or ""), str(dataset.get(f"{part}Time", "") or ""))
        for part in ("Acquisition", "Content", "Study")
    ]
    for day_text, clock_text in pairs:
        if (day := _date(day_text)) is not None:
            clock = re.match(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)", clock_text)
            return f"{day.isoformat()}T{':'.join(clock.groups())}" if clock else day.isoformat()
    return None
