"""Files as other programs write them, and files that are damaged, cut off, or something else."""

from __future__ import annotations

import os
import struct
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhenbao.formats.ecg_file import FileFormatError, standard_lead
from zhenbao.formats.read import read_ecg
from zhenbao.model.ecg import LEADS

pydicom = pytest.importorskip("pydicom", reason="needs the extra 'formats'")
edfio = pytest.importorskip("edfio", reason="needs the extra 'formats'")

DICOM = Path(pydicom.__file__).parent / "data" / "test_files" / "waveform_ecg.dcm"
"""A 12-lead ECG that comes with pydicom."""


def code_of(path: Path, **asked: object) -> str:
    with pytest.raises(FileFormatError) as caught:
        read_ecg(path, **asked)  # type: ignore[arg-type]
    return caught.value.code


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("II", "II"), ("avr", "aVR"), ("Lead II", "II"), ("ECG V3", "V3"), ("EKG aVL", "aVL"), ("ecg_I", "I"),
        ("MDC_ECG_LEAD_V6", "V6"), ("Lead I (Einthoven)", "I"), ("MLII", "MLII"), ("Resp chest", "Resp chest"),
    ],
)  # fmt: skip
def test_names_of_leads(name: str, expected: str) -> None:
    assert standard_lead(name) == expected


def test_dicom_as_another_library_scales_it() -> None:
    told = read_ecg(DICOM)
    assert told.format == "dicom" and told.lead_names == LEADS
    assert (told.fs_hz, told.highpass_hz, told.lowpass_hz) == (1000, 0.05, 300)
    dataset = pydicom.dcmread(DICOM)
    expected = dataset.waveform_array(0).T / 1000  # the library scales to the file's microvolts
    np.testing.assert_allclose(told.ecg_mv, expected, atol=1e-12)
    assert told.sex == {"M": "male", "F": "female"}[dataset.PatientSex]


def test_rate_and_unit_are_for_tables_only() -> None:
    assert code_of(DICOM, fs_hz=500) == "rate-told"
    assert code_of(DICOM, unit="mV") == "rate-told"


def test_dicom_without_a_unit_is_refused(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(DICOM)
    channels = dataset.WaveformSequence[0].ChannelDefinitionSequence
    channels[3].ChannelSensitivityUnitsSequence[0].CodeValue = "mm[Hg]"
    dataset.save_as(tmp_path / "a.dcm")
    assert code_of(tmp_path / "a.dcm") == "ecg-file-unit"
    del dataset.WaveformSequence
    dataset.save_as(tmp_path / "b.dcm")
    assert code_of(tmp_path / "b.dcm") == "ecg-file-no-ecg"


def edf_bytes(reserved: bytes = b"", unit: bytes = b"uV", prefilter: bytes = b"HP:0.05Hz LP:150Hz") -> bytes:
    """Two hundredths of a second of two ECG signals and one of breathing, laid out by hand from the specification."""

    def fields(width: int, *values: bytes) -> bytes:
        return b"".join(value.ljust(width) for value in values)

    head = b"0".ljust(8) + b"X M 02-MAY-1951 X".ljust(80) + b"Startdate 02-MAR-2020 X X X".ljust(80)
    head += (
        b"02.03.2009.30.00" + b"1024".ljust(8) + reserved.ljust(44) + b"2".ljust(8) + b"0.01".ljust(8) + b"3".ljust(4)
    )
    head += fields(16, b"ECG II", b"EKG V1", b"Resp chest") + fields(80, b"", b"", b"")
    head += fields(8, unit, b"mV", b"mL") + fields(8, b"-3276.8", b"-5", b"-1") + fields(8, b"3276.7", b"5", b"1")
    head += fields(8, b"-32768", b"-32768", b"-32768") + fields(8, b"32767", b"32767", b"32767")
    head += fields(80, prefilter, prefilter, b"") + fields(8, b"4", b"4", b"2") + fields(32, b"", b"", b"")
    assert len(head) == 1024
    records = [((1000, -2000, 30, 4), (16384, 0, -1, 1), (0, 0)), ((5, 6, 7, 8), (0, 0, 0, 32767), (1, 1))]
    return head + b"".join(struct.pack(f"<{len(signal)}h", *signal) for record in records for signal in record)


def test_edf_by_its_specification(tmp_path: Path) -> None:
    file = tmp_path / "a.edf"
    file.write_bytes(edf_bytes())
    told = read_ecg(file)
    assert told.format == "edf" and told.lead_names == ("II", "V1") and told.fs_hz == 400
    np.testing.assert_allclose(told.ecg_mv[0] * 1000, [100, -200, 3, 0.4, 0.5, 0.6, 0.7, 0.8], atol=1e-6)
    assert told.ecg_mv[1, 0] == pytest.approx(-5 + (16384 + 32768) * 10 / 65535)
    assert (told.highpass_hz, told.lowpass_hz) == (0.05, 150)
    assert told.left_out == ("Resp chest",)


def test_edf_of_another_writer(tmp_path: Path) -> None:
    signal = 1000 * np.sin(np.arange(2500) / 40)
    written = edfio.EdfSignal(signal, 250, label="ECG I", physical_dimension="uV")
    edfio.Edf([written], patient=edfio.Patient(sex="F", birthdate=date(1950, 1, 2))).write(tmp_path / "b.edf")
    told = read_ecg(tmp_path / "b.edf")
    assert told.lead_names == ("I",) and told.sex == "female" and told.highpass_hz is None
    np.testing.assert_allclose(told.ecg_mv[0] * 1000, signal, atol=0.1)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (edf_bytes(b"EDF+D"), "edf-gaps"),
        (edf_bytes(unit=b""), "ecg-file-unit"),
        (edf_bytes()[:900], "ecg-file-damaged"),
        (edf_bytes().replace(b"ECG II", b"SpO2  ").replace(b"EKG V1", b"EEG V1"), "ecg-file-no-ecg"),
        (b"", "ecg-file-empty"),
        (b"\x12\x34\x00\x00\x10\x00" + b"\0" * 10 + b"SCPECG" + b"\0" * 100, "scp-ecg"),
        (b"\x7fELF\0\0\0", "ecg-file-unknown"),
    ],
)
def test_what_is_refused_says_why(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(content)
    assert code_of(file, fs_hz=500, unit="mV") == code


def test_no_file() -> None:
    assert code_of(Path("/nowhere/at/all.edf")) == "ecg-file-absent"


def test_a_table_is_asked_for_rate_and_unit(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("time,Lead I,ii,\n0,100,200,\n0.002,,210,\n0.004,120,nan,\n", encoding="utf-8")
    assert code_of(file) == "csv-rate"
    assert code_of(file, fs_hz=500) == "csv-unit"
    told = read_ecg(file, fs_hz=500, unit="uV")
    assert told.lead_names == ("I", "II") and told.fs_hz == 500
    assert "time" in told.left_out
    np.testing.assert_array_equal(told.ecg_mv, [[0.1, np.nan, 0.12], [0.2, 0.21, np.nan]])


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8-sig"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_tables_of_other_programs(tmp_path: Path, encoding: str, mark: str) -> None:
    file = tmp_path / "表.csv"
    point = "," if mark == ";" else "."
    rows = [mark.join(["时间(s)", "I", "V1"]), *(mark.join(["0", f"1{point}5", "-2"]) for _ in range(3))]
    file.write_bytes("\r\n".join(rows).encode(encoding))
    told = read_ecg(file, fs_hz=250, unit="mV")
    assert told.lead_names == ("I", "V1")
    np.testing.assert_array_equal(told.ecg_mv, [[1.5] * 3, [-2.0] * 3])


@pytest.mark.parametrize(
    "name", ["time_s", "Time [ms]", "'Elapsed time'", "sample #", "时间（秒）", "采样点", "counter"]
)
def test_a_column_of_time_is_never_a_lead(tmp_path: Path, name: str) -> None:
    rows = "\n".join(f"{i * 2},{(i * 7) % 5}" for i in range(30))
    (tmp_path / "t.csv").write_text(f"{name},II\n{rows}\n", encoding="utf-8")
    assert read_ecg(tmp_path / "t.csv", fs_hz=500, unit="mV").lead_names == ("II",)
    (tmp_path / "bare.csv").write_text(rows, encoding="utf-8")
    assert read_ecg(tmp_path / "bare.csv", fs_hz=500, unit="mV").lead_names == ("2",)


@pytest.mark.parametrize("text", ['I\n1\n"2\n3\n' + "4" * 140_000, "I\n1e999\n1\n"])
def test_hostile_cells_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="ascii")
    assert code_of(tmp_path / "t.csv", fs_hz=500, unit="mV") == "csv-cell"


@pytest.mark.parametrize("place", [".", "/", ""])
def test_a_folder_is_no_file(place: str) -> None:
    assert code_of(Path(place)) == "ecg-file-absent"


@pytest.mark.parametrize("rate", ["0", "-5", "1", "1e9"])
def test_an_impossible_rate_is_damage(tmp_path: Path, rate: str) -> None:
    dataset = pydicom.dcmread(DICOM)
    dataset.WaveformSequence[0].SamplingFrequency = rate
    dataset.save_as(tmp_path / "r.dcm")
    assert code_of(tmp_path / "r.dcm") == "ecg-file-damaged"


def test_numbers_without_names_are_one_lead(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("0.1\n0.2\n\n-0.3\n", encoding="ascii")
    told = read_ecg(tmp_path / "n.txt", fs_hz=100, unit="mV")
    np.testing.assert_array_equal(told.ecg_mv, [[0.1, 0.2, -0.3]])


@pytest.mark.parametrize(
    ("text", "code"),
    [("I,II\n1,2\n1\n", "csv-columns"), ("I\n1\nleads off\n", "csv-cell"), ("I,II\n", "ecg-file-no-ecg")],
)
def test_a_broken_table_names_the_row(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="ascii")
    assert code_of(tmp_path / "t.csv", fs_hz=500, unit="mV") == code


@pytest.mark.slow
@pytest.mark.parametrize("source", ["dicom", "edf"])
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_damage_is_an_error_of_ours_or_a_reading(
    tmp_path_factory: pytest.TempPathFactory, source: str, data: st.DataObject
) -> None:
    whole = bytearray(DICOM.read_bytes()[:60000] if source == "dicom" else edf_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        whole[data.draw(st.integers(0, min(len(whole), 3000) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(whole)))
    file = tmp_path_factory.getbasetemp() / f"{source}-{os.getpid()}"
    file.write_bytes(whole[:cut])
    try:
        told = read_ecg(file, fs_hz=500, unit="mV")
    except FileFormatError:
        return
    assert told.ecg_mv.shape[0] == len(told.lead_names)
