"""Replay of WFDB records that the tests write byte by byte (format 16), and of a public one where it lies."""

from pathlib import Path

import numpy as np
import pytest

from zhenbao.firmware_sim.waveforms.ecg import LEADS
from zhenbao.firmware_sim.waveforms.replay import replay
from zhenbao.model.errors import InputError

GAIN = 1000
"""ADC units per mV."""


def write_record(folder: Path, names: list[str], samples: np.ndarray, fs: float) -> Path:
    """A header of https://physionet.org/physiotools/wag/header-5.htm and interleaved little-endian 16-bit samples."""
    lines = [f"rec {len(names)} {fs:g} {samples.shape[1]}"]
    lines += [
        f"rec.dat 16 {GAIN}(0)/mV 16 0 {int(row[0])} 0 0 {name}" for name, row in zip(names, samples, strict=True)
    ]
    (folder / "rec.hea").write_text("\n".join(lines) + "\n")
    (folder / "rec.dat").write_bytes(samples.T.astype("<i2").tobytes())
    return folder / "rec"


def sine(n: int, fs: float, hz: float = 3.0) -> np.ndarray:
    return np.round(GAIN * np.sin(2 * np.pi * hz * np.arange(n) / fs))


def test_leads_are_taken_by_name_and_the_rest_are_absent(tmp_path: Path) -> None:
    samples = np.vstack([sine(1000, 500), 2 * sine(1000, 500), 3 * sine(1000, 500)])
    source = replay(write_record(tmp_path, ["MLII", "v5", "RESP"], samples, 500))
    assert source.absent == tuple(lead for lead in LEADS if lead not in ("II", "V5"))
    assert source.notes == ("unused:RESP",)
    assert source.highpass_hz is None
    np.testing.assert_allclose(source.mv[LEADS.index("II")], samples[0] / GAIN)
    np.testing.assert_allclose(source.mv[LEADS.index("V5")], samples[1] / GAIN)
    assert np.isnan(source.mv[0]).all()


def test_the_second_of_two_leads_of_one_name_is_not_used(tmp_path: Path) -> None:
    samples = np.vstack([sine(1000, 500), 2 * sine(1000, 500)])
    source = replay(write_record(tmp_path, ["II", "MLII"], samples, 500))
    assert source.notes == ("unused:MLII",)
    np.testing.assert_allclose(source.mv[1], samples[0] / GAIN)


@pytest.mark.slow
@pytest.mark.parametrize("fs", [250, 257, 360, 1000])
def test_any_rate_becomes_500_hz(tmp_path: Path, fs: int) -> None:
    source = replay(write_record(tmp_path, ["II"], sine(4 * fs, fs)[np.newaxis], fs))
    assert source.mv.shape == (12, 2000)
    inner = slice(100, 1900)
    expected = np.sin(2 * np.pi * 3.0 * np.arange(2000) / 500)
    np.testing.assert_allclose(source.mv[1, inner], expected[inner], atol=0.01)


def test_start_and_duration(tmp_path: Path) -> None:
    record = write_record(tmp_path, ["II"], np.arange(5000.0)[np.newaxis], 500)
    source = replay(record, start_s=2.0, duration_s=3.0)
    np.testing.assert_allclose(source.mv[1] * GAIN, np.arange(1000, 2500))
    assert replay(record, start_s=8.0, duration_s=3.0).mv.shape == (12, 1000), "what there is"
    looped = replay(record, start_s=8.0, duration_s=5.0, loop=True)
    assert looped.mv.shape == (12, 2500)
    assert looped.notes == ("seam:1000", "seam:2000")
    np.testing.assert_allclose(looped.mv[1, 1000:1010] * GAIN, np.arange(4000, 4010))


def test_a_start_beyond_the_end_is_an_input_error(tmp_path: Path) -> None:
    record = write_record(tmp_path, ["II"], sine(1000, 500)[np.newaxis], 500)
    with pytest.raises(InputError) as error:
        replay(record, start_s=2.0)
    assert (error.value.code, error.value.facts) == ("sim-replay-start", {"start_s": 2.0, "length_s": 2.0})


def test_a_record_without_any_lead_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        replay(write_record(tmp_path, ["RESP"], sine(1000, 500)[np.newaxis], 500))
    assert error.value.code == "sim-replay-leads"


def test_holes_stay_holes_and_do_not_spread(tmp_path: Path) -> None:
    samples = sine(1000, 250)
    samples[500:600] = -32768
    source = replay(write_record(tmp_path, ["II"], samples[np.newaxis], 250))
    missing = np.flatnonzero(np.isnan(source.mv[1]))
    assert (missing[0], missing[-1], len(missing)) == (
        pytest.approx(1000, abs=1),
        pytest.approx(1199, abs=1),
        pytest.approx(200, abs=2),
    )


def test_a_public_record(shared_data: Path) -> None:
    header = shared_data / "ecg" / "data" / "mitdb" / "203.hea"
    if not header.exists():
        pytest.skip(f"no {header}")
    source = replay(header.with_suffix(""), start_s=60, duration_s=10)
    assert source.mv.shape == (12, 5000)
    assert "II" not in source.absent
    assert 0.2 < np.nanstd(source.mv[1]) < 2.0
