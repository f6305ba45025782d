"""WFDB records, written by hand from the format's description and by the library's own writer."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zhenbao.formats.wfdb_files import FileFormatError, read_wfdb
from zhenbao.words import Words

wfdb = pytest.importorskip("wfdb", reason="needs the extra 'formats'")

LIKE_A_HEADER = r"x [0-9]{1,2} [0-9]{1,4} [0-9]{1,4}\nx\.dat [0-9]{1,3} [0-9]{1,3}"


def by_hand(place: Path) -> Path:
    """Format 16, two leads, four samples; -32768 is the format's mark of an invalid sample."""
    lines = [
        "hand 2 360 4",
        "hand.dat 16 200(0)/mV 16 0 0 0 0 MLII",
        "hand.dat 16 2(100)/uV 16 0 0 0 0 V1",
        "# comment that may name a patient",
    ]
    (place / "hand.hea").write_text("\n".join(lines) + "\n", encoding="ascii")
    samples = np.array([[200, 100], [-100, 102], [-32768, 98], [0, -32768]], "<i2")
    (place / "hand.dat").write_bytes(samples.tobytes())
    return place / "hand"


def test_by_hand(tmp_path: Path) -> None:
    record = read_wfdb(by_hand(tmp_path))
    nan = np.nan
    np.testing.assert_allclose(record.ecg_mv, [[1.0, -0.5, nan, 0.0], [0.0, 0.001, -0.001, nan]], atol=1e-12)
    assert record.fs_hz == 360
    assert record.lead_names == ("MLII", "V1")
    assert record.units == ("mV", "uV")
    assert record.ecg_mv.flags.c_contiguous
    assert "patient" not in repr(record)


@pytest.mark.parametrize("ending", ["", ".hea", ".dat"])
def test_any_ending(tmp_path: Path, ending: str) -> None:
    by_hand(tmp_path)
    assert read_wfdb(str(tmp_path / f"hand{ending}")).ecg_mv.shape == (2, 4)


def test_other_channels_are_left_out(tmp_path: Path) -> None:
    signal = np.column_stack([np.sin(np.arange(500) / 20), np.linspace(60, 120, 500), np.cos(np.arange(500) / 20)])
    wfdb.wrsamp("mixed", fs=250, units=["mV", "mmHg", "mV"], sig_name=["II", "ART", "V5"], p_signal=signal,
                fmt=["16"] * 3, write_dir=str(tmp_path))  # fmt: skip
    record = read_wfdb(tmp_path / "mixed")
    assert record.lead_names == ("II", "V5")
    np.testing.assert_allclose(record.ecg_mv, signal[:, [0, 2]].T, atol=1e-4)


def test_absent_damaged_and_empty_files_have_words(tmp_path: Path) -> None:
    by_hand(tmp_path)
    (tmp_path / "hand.dat").unlink()
    (tmp_path / "none.hea").write_text("")
    (tmp_path / "pressure.hea").write_text("pressure 1 250 2\npressure.dat 16 10/mmHg 16 0 0 0 0 ART\n")
    (tmp_path / "pressure.dat").write_bytes(bytes(4))
    for name in ("absent", "hand", "none", "pressure"):
        with pytest.raises(FileFormatError) as caught:
            read_wfdb(tmp_path / name)
        assert caught.value.code == "wfdb-file"
        assert str(tmp_path) not in str(caught.value)
        for language in ("zh_CN", "en"):
            assert all(Words(language).error(caught.value))


def test_a_missing_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = by_hand(tmp_path)
    monkeypatch.setitem(sys.modules, "wfdb", None)
    with pytest.raises(FileFormatError) as caught:
        read_wfdb(place)
    assert caught.value.code == "wfdb-missing"
    assert all(Words("zh_CN").error(caught.value))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.one_of(st.text(max_size=80), st.from_regex(LIKE_A_HEADER, fullmatch=True)))
def test_any_header_reads_or_is_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "x.hea").write_text(header, encoding="utf-8")
    (tmp_path / "x.dat").write_bytes(bytes(range(256)))
    with contextlib.suppress(FileFormatError):
        record = read_wfdb(tmp_path / "x")
        assert record.ecg_mv.shape[0] == len(record.lead_names)
