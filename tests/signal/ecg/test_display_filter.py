"""The filter for looking: what it lets through, what it takes away, and that nothing moves or is invented."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest

from zhenbao.model.recording import NO_VALUE, Recording
from zhenbao.signal.ecg.display_filter import lowpass_for_display

LSB = 0.001


def of(channel_mv: np.ndarray, fs_hz: float = 500.0) -> Recording:
    raw = np.where(np.isnan(channel_mv), NO_VALUE, np.round(channel_mv / LSB)).astype("<i2")
    return Recording(uuid4(), uuid4(), "ecg", fs_hz, ("II",), "mV", LSB, 0, raw.tobytes())


def gain_at(hz: float, fs_hz: float) -> float:
    t = np.arange(round(10 * fs_hz)) / fs_hz
    shown = lowpass_for_display(of(np.sin(2 * np.pi * hz * t), fs_hz), 40).values()[0]
    middle = slice(round(fs_hz), round(9 * fs_hz))
    return float(np.ptp(shown[middle]) / 2)


@pytest.mark.parametrize("fs_hz", [250.0, 500.0, 1000.0])
def test_what_passes_and_what_does_not(fs_hz: float) -> None:
    assert gain_at(1, fs_hz) == pytest.approx(1, abs=0.01)
    assert gain_at(10, fs_hz) == pytest.approx(1, abs=0.02)
    assert gain_at(25, fs_hz) == pytest.approx(1, abs=0.1)
    assert gain_at(40, fs_hz) == pytest.approx(0.5, abs=0.05)
    assert gain_at(60, fs_hz) < 0.02
    assert gain_at(100, fs_hz) < 0.01


def test_a_level_stays_a_level_up_to_both_ends() -> None:
    shown = lowpass_for_display(of(np.full(300, 0.25)), 40).values()[0]
    assert np.abs(shown - 0.25).max() <= LSB


def test_a_peak_stays_in_its_place() -> None:
    t = np.arange(2000) / 500
    spike = np.exp(-(((t - 2) / 0.012) ** 2))
    assert int(lowpass_for_display(of(spike), 40).values()[0].argmax()) == int(spike.argmax())


def test_lost_samples_stay_lost_and_touch_nobody() -> None:
    wave = np.full(1000, 0.1)
    wave[400:420] = np.nan
    wave[500] = np.nan
    wave[501:] = 0.9
    shown = lowpass_for_display(of(wave), 40).values()[0]
    assert np.isnan(shown[400:420]).all()
    assert np.isnan(shown[500])
    assert np.abs(shown[420:500] - 0.1).max() <= LSB, "what lies behind the gap is not smeared over it"
    assert np.abs(shown[501:] - 0.9).max() <= LSB


def test_it_says_that_it_was_filtered() -> None:
    plain = of(np.zeros(100))
    assert lowpass_for_display(plain, 40).lowpass_hz == 40
    assert lowpass_for_display(replace(plain, lowpass_hz=150.0), 40).lowpass_hz == 40
    assert lowpass_for_display(replace(plain, lowpass_hz=25.0), 40).lowpass_hz == 25
    with pytest.raises(ValueError, match="low-pass"):
        lowpass_for_display(replace(plain, fs_hz=60.0), 40)
