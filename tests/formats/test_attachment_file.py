"""What a visit takes over: told by its bytes, whole, and whose it says it is."""

from __future__ import annotations

import contextlib
import random
import struct
import zlib
from datetime import date
from pathlib import Path

import pytest

pytest.importorskip("pydicom")

import pictures

from zhenbao.formats.attachment_file import AttachmentFile, Person, media_type, read_attachment
from zhenbao.formats.ecg_file import FileFormatError
from zhenbao.model.attachment import MediaType
from zhenbao.words import Words

MOST = 2_000_000


def read(path: Path, *, most_bytes: int = MOST, most_pixels: int = 1_000_000) -> AttachmentFile:
    return read_attachment(path, most_bytes=most_bytes, most_pixels=most_pixels)


def refused(path: Path, code: str, **limits: int) -> None:
    with pytest.raises(FileFormatError) as raised:
        read(path, **limits)
    assert raised.value.code == code
    for language in ("zh_CN", "en"):
        assert all(Words(language).error(raised.value))


def test_a_still_and_a_clip(tmp_path: Path) -> None:
    still = read(pictures.dicom(tmp_path / "a", StudyDate="20261122", StudyTime="103000.123"))
    assert (still.media_type, still.frames, still.shown) == (MediaType.DICOM, 1, True)
    assert still.content == (tmp_path / "a").read_bytes()
    assert still.device_time == "2026-11-22T10:30:00"
    clip = read(pictures.dicom(tmp_path / "b", frames=12, jpeg=True, AcquisitionDateTime="20261121090807.5+0800"))
    assert (clip.frames, clip.device_time) == (12, "2026-11-21T09:08:07")


@pytest.mark.parametrize(
    ("header", "person"),
    [
        pytest.param({}, Person(), id="names nobody"),
        pytest.param({"PatientName": "张^三"}, Person("张三"), id="characters in the alphabetic group"),
        pytest.param({"PatientName": "Zhang^San=张^三=zhang^san"}, Person("张三"), id="three groups"),
        pytest.param({"PatientName": "张三=张三"}, Person("张三"), id="the same twice"),
        pytest.param({"PatientName": "ZHANG^SAN"}, Person(), id="letters cannot be compared"),
        pytest.param({"PatientName": "买买提·吐尔逊"}, Person("买买提吐尔逊"), id="a dot between the parts"),
        pytest.param({"PatientID": "99999919560229001x"}, Person(number="99999919560229001X"), id="a resident number"),
        pytest.param({"PatientID": "US-0042"}, Person(), id="the device's own number"),
        pytest.param({"PatientBirthDate": "19560229"}, Person(birth_date=date(1956, 2, 29)), id="a birthday"),
        pytest.param({"PatientBirthDate": "19570229"}, Person(), id="no such day"),
        pytest.param({"PatientSex": "F"}, Person(sex="female"), id="a sex"),
        pytest.param({"PatientSex": "O"}, Person(), id="another sex"),
    ],
)
def test_whom_a_file_names(tmp_path: Path, header: dict[str, str], person: Person) -> None:
    assert read(pictures.dicom(tmp_path / "a", **header)).person == person


@pytest.mark.parametrize(
    "name",
    [
        "examples_rgb_color.dcm",  # an ultrasound of a real device
        "examples_ybr_color.dcm",  # 30 frames
        "examples_palette.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_rle_2frame.dcm",
        "JPEG2000.dcm",
        "MR_small_bigendian.dcm",
    ],
)
def test_files_of_other_writers_are_read(name: str) -> None:
    file = read(pictures.samples_of_others() / name)
    assert file.media_type is MediaType.DICOM
    assert file.frames >= 1


@pytest.mark.parametrize("name", ["JPEGLSNearLossless_08.dcm", "JPGExtended.dcm"])
def test_a_compression_that_no_page_can_draw_is_taken_and_said(name: str) -> None:
    file = read(pictures.samples_of_others() / name)
    assert not file.shown


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("waveform_ecg.dcm", "attachment-no-picture"),
        ("test-SR.dcm", "attachment-no-picture"),
        ("rtplan.dcm", "attachment-no-picture"),
        ("MR_truncated.dcm", "attachment-damaged"),
        ("rtplan_truncated.dcm", "attachment-no-picture"),
        ("ExplVR_LitEndNoMeta.dcm", "attachment-type"),
    ],
)
def test_dicom_without_a_whole_picture_is_refused(name: str, code: str) -> None:
    refused(pictures.samples_of_others() / name, code)


def test_pictures_and_documents(tmp_path: Path) -> None:
    for name, content, kind in (
        ("a.dcm", pictures.jpeg_bytes(), MediaType.JPEG),  # the name does not matter
        ("b", pictures.jpeg_bytes(format_="PNG"), MediaType.PNG),
        ("c.jpg", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer<<>>\n%%EOF\n", MediaType.PDF),
    ):
        (tmp_path / name).write_bytes(content)
        assert read(tmp_path / name).media_type is kind


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"", "attachment-empty", id="empty"),
        pytest.param(b"GIF89a" + bytes(100), "attachment-type", id="a GIF"),
        pytest.param(b"<html><script>alert(1)</script>", "attachment-type", id="a page"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "attachment-type", id="an SVG"),
        pytest.param(b"PK\x03\x04" + bytes(100), "attachment-type", id="an archive"),
        pytest.param(pictures.jpeg_bytes()[:-400], "attachment-damaged", id="a JPEG cut off"),
        pytest.param(b"\xff\xd8\xff\xe0" + bytes(500), "attachment-damaged", id="a JPEG of nothing"),
        pytest.param(pictures.jpeg_bytes(format_="PNG")[:-60], "attachment-damaged", id="a PNG cut off"),
        pytest.param(b"%PDF-1.7\nhalf of a", "attachment-damaged", id="a PDF cut off"),
        pytest.param(bytes(128) + b"DICM" + bytes(50), "attachment-no-picture", id="a DICOM of nothing"),
        pytest.param(bytes(3_000_000), "attachment-large", id="too large"),
    ],
)
def test_what_is_not_taken_says_why(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "file").write_bytes(content)
    refused(tmp_path / "file", code)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "attachment-absent")
    refused(tmp_path, "attachment-absent")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A PNG of a few hundred bytes that would unpack to 30 gigapixels; a DICOM that claims as much."""
    header = struct.pack(">IIBBBBB", 180_000, 170_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + bytes(100))
    with pytest.raises(FileFormatError) as raised:
        read(tmp_path / "bomb.png")
    assert raised.value.code in ("attachment-pixels", "attachment-damaged")
    refused(pictures.dicom(tmp_path / "bomb.dcm", Rows=60_000, Columns=60_000), "attachment-pixels")
    refused(pictures.dicom(tmp_path / "frames.dcm", NumberOfFrames=900_000), "attachment-damaged")


def test_a_clip_that_was_cut_off_is_noticed_by_its_last_frame(tmp_path: Path) -> None:
    whole = pictures.dicom(tmp_path / "clip", frames=20)
    whole.write_bytes(whole.read_bytes()[: -48 * 64 * 3])
    refused(whole, "attachment-damaged")


@pytest.mark.slow
def test_no_damage_ends_in_another_error(tmp_path: Path) -> None:
    rng = random.Random(7)
    seeds = [
        pictures.dicom(tmp_path / "a", frames=3, jpeg=True, PatientName="张^三").read_bytes(),
        pictures.dicom(tmp_path / "b").read_bytes(),
        pictures.jpeg_bytes(),
        pictures.jpeg_bytes(format_="PNG"),
    ]
    place = tmp_path / "damaged"
    for n in range(400):
        content = bytearray(seeds[n % len(seeds)])
        for _ in range(rng.randrange(1, 12)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        if rng.random() < 0.3:
            del content[rng.randrange(len(content)) :]
        place.write_bytes(content)
        with contextlib.suppress(FileFormatError):
            read(place)


def test_the_beginning_tells() -> None:
    assert media_type(b"") is None
    assert media_type(bytes(128) + b"DICM") is MediaType.DICOM
