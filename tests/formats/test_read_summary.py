"""Results that other devices computed: what they sent is what is read, and nothing of it is a traceback or a name."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.formats.gdt import read_gdt
from zhenbao.formats.read_summary import read_summaries, read_summary_file
from zhenbao.formats.summary_text import LARGEST_BYTES
from zhenbao.model.errors import InputError
from zhenbao.words import Words

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
XEEK, NDD = (VECTORS / "summary_xeek.json").read_bytes(), (VECTORS / "summary_ndd.xml").read_bytes()

# Lines as the standard's own example has them (blood pressure), then lung function in the same fields.
GDT_HEAD = [
    "01380006310",
    "014921802.10",
    "0178315PRAX_EDP",
    "0178316LZBD_SYS",
    "017310319101965",
    "01031102",
    "0123622166",
]
GDT_VALUES = [
    "0128410FVC",
    "01384202,46",
    "0108421l",
    "0138410FEV1",
    "01384201,51",
    "0108421l",
    "01384612.05",
    "017843224101998",
    "0158439163400",
]


def gdt(*lines: str, page: str = "cp437") -> bytes:
    return b"".join(line.encode(page) + b"\r\n" for line in lines)


def refused(data: bytes) -> InputError:
    with pytest.raises(InputError) as error:
        read_summaries(data)
    for language in ("zh_CN", "en"):
        assert all(Words(language).error(error.value))
    return error.value


def changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(XEEK), **fields}, ensure_ascii=False).encode()


def line(**fields: Any) -> bytes:
    """The Xeek file with one line that was changed."""
    told = json.loads(XEEK)
    told["details"][0] |= fields
    return json.dumps(told, ensure_ascii=False).encode()


def test_xeek_as_it_goes_to_a_platform() -> None:
    (summary,) = read_summaries(XEEK)
    assert summary.format == "xeek-json"
    fev1 = summary.values["FEV1"]
    assert (fev1.measured, fev1.unit, fev1.predicted, fev1.lln) == (0.920, "L", 1.978, 1.583)
    assert (fev1.percent_predicted, fev1.z, fev1.tries) == (46.5, -4.4, (0.920, 0.844, 0.879))
    assert summary.values["FEV1FVC"].measured == 0.536
    assert summary.values["BEV"].measured == 0.026
    assert summary.values["FET"].predicted is None
    assert summary.quality == {"fvc": "B", "fev1": "A", "session": "综合质控结果：B级"}
    assert summary.label == "轻度限制性通气功能障碍\n小气道功能障碍"
    assert summary.equation == "1"
    assert (summary.sex, summary.height_cm, summary.age_years) == ("female", 166, 69.42)
    assert summary.measured_at == "2024-09-01T09:00:00"
    assert summary.stage is None
    assert "MEP" in summary.left_out


def test_ndd_as_its_own_tester_sends_it() -> None:
    (summary,) = read_summaries(NDD)
    assert summary.format == "ndd-xml"
    assert summary.values["FVC"].measured == pytest.approx(3.7481629848480225)
    assert summary.values["FVC"].tries == (3.7481629848480225, 3.61)
    assert summary.values["FEV1FVC"].lln == pytest.approx(0.708)
    assert (summary.stage, summary.quality, summary.equation) == ("pre", {"session": "D1"}, "NHANES III")
    assert (summary.sex, summary.height_cm, summary.age_years) == ("female", 170.0, 39.0)
    assert (summary.device.model, summary.device.firmware) == ("SPIROSON_AS", "01.03.00.9999")
    assert summary.left_out == ("FEV1_VCmax",)


def test_gdt_fields_of_the_standard() -> None:
    (summary,) = read_summaries(gdt(*GDT_HEAD, *GDT_VALUES))
    assert summary.format == "gdt"
    assert (summary.values["FVC"].measured, summary.values["FVC"].unit) == (2.46, "l")
    assert (summary.values["FEV1"].lln, summary.values["FEV1"].predicted) == (2.05, None)
    assert summary.measured_at == "1998-10-24T16:34:00"
    assert (summary.sex, summary.height_cm, summary.age_years) == ("female", 166, 33.01)
    assert summary.equation is None


@pytest.mark.parametrize(
    ("page", "encoding"), [(None, "cp437"), ("2", "cp437"), ("3", "cp1252"), ("9", "utf-8")], ids=str
)
def test_gdt_code_pages_of_field_9206(page: str | None, encoding: str) -> None:
    text = "0286220Ventilationsstörung"
    size = len(text.encode(encoding)) + 2
    pages = [] if page is None else [f"0109206{page}"]
    (summary,) = read_summaries(gdt("01380006310", *pages, f"{size:03}{text[3:]}", *GDT_VALUES, page=encoding))
    assert summary.label == "Ventilationsstörung"


def test_gdt_3_has_its_time_in_fields_of_its_own() -> None:
    lines = [text for text in GDT_VALUES if text[3:7] not in ("8432", "8439")]
    (summary,) = read_summaries(gdt("01380006310", "014921803.01", "017727823101998", "0157279173510", *lines))
    assert summary.measured_at == "1998-10-23T17:35:10"


def test_european_names_count_what_is_left_in_the_lungs() -> None:
    (summary,) = read_summaries(gdt("01380006310", *GDT_VALUES, "0148410MEF25", "01384200,52", "0128421l/s"))
    assert summary.values["FEF75"].measured == 0.52


@pytest.mark.parametrize("data", [XEEK, NDD, gdt(*GDT_HEAD, "0153101Muster", *GDT_VALUES)], ids=["xeek", "ndd", "gdt"])
def test_no_name_number_or_birth_date_is_kept(data: bytes) -> None:
    (summary,) = read_summaries(data)
    kept = json.dumps(asdict(summary), ensure_ascii=False)
    assert not [word for word in ("演示", "Demo", "Muster", "19550401", "1972-01-27", "03101965") if word in kept]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"", "summary-blank", id="empty"),
        pytest.param(b"\x00\x01\x02", "summary-unknown", id="binary"),
        pytest.param(b"time,flow\n0,1\n", "summary-unknown", id="a table"),
        pytest.param(b"{" * 100_000, "summary-damaged", id="braces"),
        pytest.param(b'{"details":' + b"[" * 100_000, "summary-damaged", id="deep"),
        pytest.param(b'{"details": 5}', "summary-damaged", id="no lines"),
        pytest.param(b'{"details": []}', "summary-empty", id="no values"),
        pytest.param(b'{"details": [], "height": 1, "height": 2}', "summary-damaged", id="key twice"),
        pytest.param(changed(height=True), "summary-damaged", id="a truth value"),
        pytest.param(changed(height=10**400), "summary-number", id="huge number"),
        pytest.param(line(bestValue="1e308"), "summary-number", id="1e308"),
        pytest.param(line(bestValue="1" * 400), "summary-number", id="400 digits"),
        pytest.param(line(bestValue="Infinity"), "summary-number", id="infinity"),
        pytest.param(line(bestValue="1.7.1"), "summary-number", id="two points"),
        pytest.param(line(parameter="FEV1"), "summary-twice", id="FEV1 twice"),
        pytest.param(XEEK[:-300], "summary-damaged", id="cut JSON"),
        pytest.param(NDD[:-300], "summary-damaged", id="cut XML"),
        pytest.param(b"<spiro/>", "summary-unknown", id="another XML"),
        pytest.param(b"<ndd/>", "summary-empty", id="nobody"),
        pytest.param(b"<a>" * 1000, "summary-damaged", id="deep XML"),
        pytest.param(NDD.replace(b"3.6268749189330265", b"9e99"), "summary-number", id="number in XML"),
        pytest.param(NDD.replace(b'ID="PEF"', b'ID="FVC"'), "summary-twice", id="FVC twice"),
        pytest.param(gdt("01380006302", *GDT_VALUES), "gdt-set", id="a request"),
        pytest.param(gdt("01380006310", "0128420142", "0998410FVC"), "gdt-line", id="wrong length"),
        pytest.param(gdt("01380006310", "abc8410FVC"), "gdt-line", id="no length"),
        pytest.param(gdt("01380006310", "014810009999", *GDT_VALUES), "gdt-cut", id="cut"),
        pytest.param(gdt("01380006310", *GDT_VALUES, "0128410FVC", "01384202,99"), "summary-twice", id="which FVC"),
        pytest.param(gdt("01380006310", "0103000A", "0103000B", *GDT_VALUES), "summary-people", id="two people"),
        pytest.param(gdt("01380006310", "01092061", *[]) + b"0106220\xe9\r\n", "gdt-page", id="not ASCII"),
        pytest.param(gdt("01380006310", "0168410SYSMXTG", "0128420142", "0138421mmHg"), "summary-empty", id="a cuff"),
    ],
)
def test_what_cannot_be_right_is_refused(data: bytes, code: str) -> None:
    assert refused(data).code == code


def test_entity_bombs_and_outside_files_are_not_even_looked_at() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE ndd [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><ndd>&b;</ndd>'
    outside = b'<!DOCTYPE ndd SYSTEM "file:///etc/passwd"><ndd/>'
    assert refused(bomb).code == refused(outside).code == "xml-doctype"


def test_tests_of_two_patients_are_not_mixed() -> None:
    start, stop = NDD.index(b"    <Patient ID"), NDD.index(b"  </Patients>")
    assert refused(NDD[:stop] + NDD[start:stop] + NDD[stop:]).code == "summary-people"


def test_a_test_before_and_one_after_stay_two() -> None:
    start, stop = NDD.index(b"            <Test "), NDD.index(b"          </Tests>")
    after = NDD[start:stop].replace(b'StageType="Pre"', b'StageType="Post"')
    assert [s.stage for s in read_summaries(NDD[:stop] + after + NDD[stop:])] == ["pre", "post"]


def test_a_wrapped_object_and_a_byte_order_mark_are_read() -> None:
    assert read_summaries(json.dumps(XEEK.decode()).encode()) == read_summaries(b"\xef\xbb\xbf" + XEEK)


def test_control_characters_never_reach_a_screen() -> None:
    (summary,) = read_summaries(changed(doctorDiag="正常\x1b[2J\x07", deviceType="X" * 500))
    assert summary.label is not None and summary.label.isprintable()
    assert len(summary.device.model) <= 32


def test_files_that_are_absent_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="summary-absent"):
        read_summary_file(tmp_path / "none.json")
    large = tmp_path / "large.xml"
    with large.open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(InputError, match="summary-large"):
        read_summary_file(large)


@given(st.integers(0, len(XEEK) - 1), st.binary(max_size=6), st.sampled_from([XEEK, NDD, gdt(*GDT_HEAD, *GDT_VALUES)]))
def test_any_damage_gives_a_summary_or_an_error_of_ours(place: int, noise: bytes, whole: bytes) -> None:
    place %= len(whole)
    with contextlib.suppress(InputError):
        read_summaries(whole[:place] + noise + whole[place + len(noise) :])


@given(st.binary(max_size=200))
def test_any_bytes_after_a_gdt_head_give_a_summary_or_an_error_of_ours(noise: bytes) -> None:
    with contextlib.suppress(InputError):
        read_gdt(b"01380006310\r\n" + noise)
