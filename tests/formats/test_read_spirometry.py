"""Files of blows: every byte here is written out by hand, none by our own writer but in the one round trip."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.formats.ecg_file import FileFormatError
from zhenbao.formats.read_spirometry import read_spirometry
from zhenbao.formats.spirometry_csv import read_spirometry_csv
from zhenbao.formats.spirometry_export import read_spirometry_export, spirometry_export
from zhenbao.formats.spirometry_file import SpirometryFile
from zhenbao.model.observation import Device, Observation
from zhenbao.model.recording import NO_VALUE, Recording
from zhenbao.words import Words

FLOWS = [0.0, 0.0, 2.5, 6.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.0]
SHARED = Path(os.environ.get("ZHENBAO_DATA", Path(__file__).resolve().parents[2] / ".." / "shared"))


def table(header: str = "time_s,flow_l_s", mark: str = ",", decimal: str = ".", blows: int = 0) -> str:
    """One blow without a number, or several with theirs in a third column; 0.1 s apart."""
    rows = [header] if header else []
    for blow in range(1, max(1, blows) + 1):
        for i, flow in enumerate(FLOWS):
            cells = [f"{i / 10:.1f}", f"{flow:.2f}"]
            cells = [cell.replace(".", decimal) for cell in cells] + ([str(blow)] if blows else [])
            rows.append(mark.join(cells))
    return "\n".join(rows) + "\n"


def read(tmp_path: Path, text: str | bytes, **options: object) -> SpirometryFile:
    file = tmp_path / "blows.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_spirometry(file, **options)  # type: ignore[arg-type]


def refused(tmp_path: Path, text: str | bytes, **options: object) -> FileFormatError:
    with pytest.raises(FileFormatError) as caught:
        read(tmp_path, text, **options)
    for language in ("zh_CN", "en"):
        what, do = Words(language).error(caught.value)
        assert what and do
    return caught.value


@pytest.mark.parametrize(
    ("header", "factor"),
    [
        ("time_s,flow_l_s", 1.0),
        ("Time (s),Flow (L/s)", 1.0),
        ("t [s],Flow Rate [L/min]", 1 / 60),
        ("时间(秒),流量(L/s)", 1.0),
        ("时间（s）,流量（升/秒）", 1.0),
        ("TIME_S,FLOW_ML_S", 1e-3),
        ("time_s,flow_btps_l_s", 1.0),
    ],
)
def test_names_with_units_are_understood(tmp_path: Path, header: str, factor: float) -> None:
    told = read(tmp_path, table(header))
    (blow,) = told.blows
    assert (told.format, told.measured, blow.number) == ("csv", "flow", 1)
    assert blow.time_s == pytest.approx([i / 10 for i in range(10)])
    assert blow.values == pytest.approx([flow * factor for flow in FLOWS])
    assert told.btps == ("yes" if "btps" in header else "unknown")


def test_milliseconds_and_millilitres(tmp_path: Path) -> None:
    told = read(tmp_path, "time_ms;volume_ml\n" + "\n".join(f"{i * 50};{i * i * 10},5" for i in range(12)))
    assert told.measured == "volume"
    assert told.blows[0].time_s[-1] == pytest.approx(0.55)
    assert told.blows[0].values[-1] == pytest.approx(1.2105)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (table("时间(s);流量(L/s)", ";", ","), "utf-8-sig"),
        (table("时间(s);流量(L/s)", ";", ","), "gbk"),
        (table("时间(s)\t流量(L/s)", "\t", ","), "utf-16"),
        (table("时间(s),流量(L/s)").replace("\n", "\r\n\r\n"), "utf-8"),
        ("sep=;\n" + table("时间(s);流量(L/s)", ";", ","), "utf-8"),
        ("# 备注，一行\n\n" + table("时间(s),流量(L/s)") + ",\n", "gb18030"),
    ],
)
def test_every_usual_way_to_write_a_table(tmp_path: Path, text: str, encoding: str) -> None:
    (blow,) = read(tmp_path, text.encode(encoding)).blows
    assert blow.values == pytest.approx(FLOWS)


def test_blows_told_apart_by_their_number(tmp_path: Path) -> None:
    told = read(tmp_path, table("time_s,flow_l_s,blow", blows=3))
    assert [blow.number for blow in told.blows] == [1, 2, 3]
    assert all(blow.values == pytest.approx(FLOWS) for blow in told.blows)


def test_blows_side_by_side_end_where_their_numbers_end(tmp_path: Path) -> None:
    rows = [f"{i / 10},{flow},{'' if i > 8 else flow * 2}" for i, flow in enumerate(FLOWS)]
    told = read(tmp_path, "\n".join(["时间(s),第2次流量(L/s),第1次流量(L/s)", *rows]))
    assert [blow.number for blow in told.blows] == [1, 2]
    assert [len(blow.values) for blow in told.blows] == [9, 10]
    assert told.blows[0].values[3] == pytest.approx(12.0)


@pytest.mark.parametrize(
    "pattern", ["flow_{}_l_s", "flow_l_s_{}", "Flow {} (L/s)", "blow {} flow [L/s]", "流量{}(L/s)"]
)
def test_the_number_of_a_blow_in_a_name(tmp_path: Path, pattern: str) -> None:
    rows = [f"{i / 10},{flow},{flow * 2}" for i, flow in enumerate(FLOWS)]
    told = read(tmp_path, "\n".join([f"time_s,{pattern.format(1)},{pattern.format(2)}", *rows]))
    assert [(blow.number, blow.values[3]) for blow in told.blows] == [(1, 6.0), (2, 12.0)]


def test_columns_that_somebody_tells(tmp_path: Path) -> None:
    rows = "\n".join(f"7;{i * 100};x;{flow * 60}" for i, flow in enumerate(FLOWS))
    told = read(tmp_path, rows, columns="-,time:ms,-,flow:L/min")
    assert told.blows[0].values == pytest.approx(FLOWS)
    with_names = read(tmp_path, table("a,b,c", blows=2), columns="time:s，flow：L/s，blow")
    assert [blow.number for blow in with_names.blows] == [1, 2]


def test_flow_goes_before_volume_and_what_is_left_out_is_named(tmp_path: Path) -> None:
    rows = [f"{i / 10},{flow},{flow / 2},ok" for i, flow in enumerate(FLOWS)]
    told = read(tmp_path, "\n".join(["time_s,flow_l_s,volume_l,remark", *rows]))
    assert (told.measured, told.left_out) == ("flow", ("volume_l", "remark"))


def test_an_empty_cell_is_a_lost_sample(tmp_path: Path) -> None:
    values = read(tmp_path, table().replace("0.3,6.00", "0.3,")).blows[0].values
    assert math.isnan(values[3]) and values[4] == 4.0


def test_time_that_goes_back_is_a_new_blow_only_when_somebody_says_so(tmp_path: Path) -> None:
    text = table() + table("")
    error = refused(tmp_path, text)
    assert error.code == "spirometry-file-blows" and error.facts["row"] == 12
    assert [blow.number for blow in read(tmp_path, text, restarts=True).blows] == [1, 2]


NUMBERED = table("time_s,flow_l_s,blow", blows=2)
MINUTES = "time_min,flow_l_s\n" + "\n".join(f"{i},{f}" for i, f in enumerate(FLOWS))
PER_MINUTE = "time_s,flow_l_s\n" + "\n".join(f"{i / 10},{f * 60}" for i, f in enumerate(FLOWS))


@pytest.mark.parametrize(
    ("text", "options", "code", "row"),
    [
        ("", {}, "spirometry-file-none", None),
        ("time_s,flow_l_s\n", {}, "spirometry-file-none", None),
        (table("time,flow_l_s"), {}, "spirometry-file-unit-missing", None),
        (table("time_s,flow"), {}, "spirometry-file-unit-missing", None),
        (table("time_s,flow (gal/s)"), {}, "spirometry-file-unit", None),
        (table("when,flow_l_s"), {}, "spirometry-file-no-time", None),
        (table("time_s,reading"), {}, "spirometry-file-no-values", None),
        (table(""), {}, "spirometry-file-no-names", None),
        (table(), {"columns": "time:s"}, "spirometry-columns-count", None),
        (table(), {"columns": "time,flow:L/s"}, "spirometry-columns-told", None),
        (table(), {"columns": "time:s,blow:3"}, "spirometry-file-no-values", None),
        (table("time_s,flow_l_s,flow_l_s", blows=1), {}, "spirometry-file-twice", None),
        (table().replace("0.3,6.00", "0.3,6.0O"), {}, "csv-cell", 5),
        (table().replace("0.3,6.00", "0.3,inf"), {}, "csv-cell", 5),
        (table().replace("0.3,6.00", ",6.00"), {}, "csv-cell", 5),
        (table().replace("0.3,6.00", "0.3,6.00,1"), {}, "csv-columns", 5),
        (table().replace("0.3,6.00", "0.3"), {}, "csv-columns", 5),
        (NUMBERED.replace("0.3,6.00,2", "0.3,6.00,"), {}, "spirometry-file-number", 15),
        (NUMBERED.replace("0.3,6.00,2", "0.3,6.00,1.5"), {}, "spirometry-file-number", 15),
        (NUMBERED.replace("0.3,6.00,2", "0.3,6.00,1"), {}, "spirometry-file-apart", 15),
        (NUMBERED.replace("0.3,6.00,2", "0.1,6.00,2"), {}, "spirometry-file-back", 15),
        (table("time_s;flow_l_s", ";").replace("6.00", "1.006,00"), {}, "spirometry-file-decimal", 5),
        (table().replace("0.3,6.00", '0.3,"6,00"'), {}, "spirometry-file-decimal", 5),
        (table("time_ms,flow_l_s"), {}, "spirometry-file-duration", None),
        (MINUTES, {}, "spirometry-file-duration", None),
        (PER_MINUTE, {}, "spirometry-file-size", None),
        ("time_s,flow_l_s\n0.0,1\n0.5,2\n", {}, "spirometry-file-short", None),
        ("\n".join(["time_s,flow_l_s,blow", *(f"0,1,{i}" for i in range(1, 30))]), {}, "spirometry-file-many", None),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\xff\xff", {}, "spirometry-file-unknown", None),
    ],
)  # fmt: skip
def test_what_is_missing_is_asked_for_and_damage_is_named(
    tmp_path: Path, text: str | bytes, options: dict[str, str], code: str, row: int | None
) -> None:
    error = refused(tmp_path, text, **options)
    assert error.code == code
    assert row is None or error.facts["row"] == row


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for place in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(FileFormatError, match="spirometry-file-absent"):
            read_spirometry(place)


def test_a_line_about_the_patient_is_not_quoted(tmp_path: Path) -> None:
    error = refused(tmp_path, "姓名,演示患者甲\n" + table())
    assert "演示患者甲" not in str(error)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for reader in (read_spirometry_csv, read_spirometry_export):
        with contextlib.suppress(FileFormatError):
            reader(data)


@given(
    st.lists(
        st.sampled_from([*"0123456789", ",", ";", ".", "\n", "-", "e", " ", '"', "time_s,flow_l_s\n"]), max_size=80
    )
)
def test_any_table_is_read_or_refused(parts: list[str]) -> None:
    try:
        told = read_spirometry_csv(("time_s,flow_l_s\n" + "".join(parts)).encode())
    except FileFormatError:
        return
    assert all(len(blow.time_s) == len(blow.values) for blow in told.blows)


def test_a_real_blow_of_another_project() -> None:
    file = SHARED / "spirometry" / "real_ukb3066_demo.csv"
    if not file.is_file():
        pytest.skip("public test data is not here: see docs/data.md")
    told = read_spirometry(file)
    with file.open(encoding="utf-8") as rows:
        volumes = [float(row["volume_L"]) for row in csv.DictReader(rows)]
    assert told.measured == "volume" and told.blows[0].values == pytest.approx(volumes)
    assert told.blows[0].time_s[-1] == pytest.approx(12.27)


EXPORT: dict[str, object] = {
    "format": "zhenbao-spirometry",
    "version": 1,
    "taken": "2026-11-27T01:30:00+00:00",
    "device": {"driver": "spirometer-front-end", "maker": "Zhenbao", "model": "FE-1", "serial": "0007"},
    "person": {"sex": "female", "age_years": 61, "height_cm": 158},
    "blows": [
        {
            "number": 1,
            "fs_hz": 20,
            "lsb_l_s": 0.001,
            "btps_factor": 1.1,
            "complete": True,
            "samples": [0, 0, 1000, 6000, None, 2000, 1000, 500, 250, 0],
        }
    ],
    "added_later": "passed over",
}


def exported(**changes: object) -> bytes:
    blow = {**EXPORT["blows"][0], **{k: v for k, v in changes.items() if k in EXPORT["blows"][0]}}  # type: ignore[index]
    return json.dumps({**EXPORT, "blows": [blow], **{k: v for k, v in changes.items() if k in EXPORT}}).encode()


def test_the_kits_own_export(tmp_path: Path) -> None:
    told = read(tmp_path, b"\xef\xbb\xbf" + exported())
    (blow,) = told.blows
    assert (told.format, told.measured, told.btps) == ("zhenbao", "flow", "yes")
    assert (told.sex, told.age_years, told.height_cm) == ("female", 61, 158)
    assert (told.device, told.taken) == ("Zhenbao FE-1 0007", "2026-11-27T01:30:00+00:00")
    assert blow.values[3] == pytest.approx(6.6) and math.isnan(blow.values[4])
    assert blow.time_s[-1] == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        (b'{"format": "zhenbao-spirometry"', "spirometry-export-damaged", "JSON"),
        (exported(fs_hz="fast"), "spirometry-export-damaged", "$.blows[0].fs_hz"),
        (exported(fs_hz=0), "spirometry-export-damaged", "$.blows[0].fs_hz"),
        (exported(btps_factor=11), "spirometry-export-damaged", "$.blows[0].btps_factor"),
        (exported(samples=[0, "x"]), "spirometry-export-damaged", "$.blows[0].samples[1]"),
        (exported(format="other"), "spirometry-export-damaged", "$.format"),
        (exported(version=2), "spirometry-export-version", None),
        (exported(complete=False), "spirometry-file-none", None),
        (exported(blows=[]), "spirometry-file-none", None),
    ],
)
def test_a_damaged_export_says_where(tmp_path: Path, data: bytes, code: str, field: str | None) -> None:
    error = refused(tmp_path, data)
    assert error.code == code and error.facts.get("field") == field


def test_columns_are_not_told_of_an_export(tmp_path: Path) -> None:
    assert refused(tmp_path, exported(), columns="time:s").code == "spirometry-columns-export"


def test_what_the_kit_writes_it_reads_and_nobody_is_named() -> None:
    samples = [0, 12, 3456, NO_VALUE, -20, *range(20)]
    raw = b"".join(value.to_bytes(2, "little", signed=True) for value in samples)
    recordings = [
        Recording(UUID(int=i), UUID(int=9), "flow", 100.0, ("flow",), "L/s", 0.001, 0, raw, complete=i != 2)
        for i in (1, 2, 3)
    ]
    observation = Observation(
        UUID(int=9), UUID(int=7), UUID(int=8), "kit-0007", "spirometry", "preliminary", 1795743000000,
        Device("spirometer-front-end", "Zhenbao", "FE-1"), {}, context={"btps_factor": "1.0892", "chest_pain": "no"},
    )  # fmt: skip
    data = spirometry_export(observation, recordings, sex="unknown", age_years=61, height_cm=None)
    assert str(UUID(int=7)) not in data.decode() and "kit-0007" not in data.decode()
    told = read_spirometry_export(data)
    assert [blow.number for blow in told.blows] == [1, 3] and told.incomplete == (2,)
    assert (told.sex, told.age_years, told.height_cm, told.taken) == (None, 61, None, "2026-11-27T01:30:00+00:00")
    assert told.blows[0].values[2] == pytest.approx(3.456 * 1.0892) and math.isnan(told.blows[0].values[3])
    with pytest.raises(ValueError, match="flow"):
        spirometry_export(
            observation,
            [Recording(UUID(int=1), UUID(int=9), "ecg", 500.0, ("I",), "mV", 0.002, 0, raw)],
            sex=None,
            age_years=None,
            height_cm=None,
        )
