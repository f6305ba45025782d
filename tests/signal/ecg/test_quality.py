"""A bad recording is named bad, with the lead and the reason."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from zhenbao.model.ecg import LEADS
from zhenbao.signal.ecg import assess_quality

Signal = NDArray[np.float64]
T = np.arange(5000) / 500
GAINS = (0.6, 1.0, 0.4, -0.8, 0.2, 0.7, -0.5, 0.6, 0.9, 1.3, 1.2, 0.9)


@pytest.fixture
def leads(make_ecg: Callable[..., Signal]) -> Signal:
    one = make_ecg(np.arange(0.4, 9.9, 0.8), 500, 10)
    noise = np.random.default_rng(3).standard_normal((12, 5000))
    return np.array([gain * one for gain in GAINS]) + 0.005 * noise


def test_a_clean_recording_is_acceptable(leads: Signal) -> None:
    quality = assess_quality(leads, 500, LEADS)
    assert quality.acceptable
    assert quality.reasons == ()
    assert quality.score == 1
    assert quality.usable == dict.fromkeys(LEADS, ((0, 5000),))


def flat(lead: Signal) -> Signal:
    return np.full_like(lead, 0.3)


def lost(lead: Signal) -> Signal:
    return np.full_like(lead, np.nan)


def half_lost(lead: Signal) -> Signal:
    return np.where(T < 5, lead, np.nan)


def railed(lead: Signal) -> Signal:
    return np.where((T > 3) & (T < 5), 5.0, lead)


def muscle(lead: Signal) -> Signal:
    return lead + 0.25 * np.random.default_rng(5).standard_normal(5000)


def hum(lead: Signal) -> Signal:
    return lead + 0.25 * np.sin(2 * np.pi * 50 * T)


def hum60(lead: Signal) -> Signal:
    return lead + 0.25 * np.sin(2 * np.pi * 60 * T)


def wander(lead: Signal) -> Signal:
    return lead + 3 * np.sin(2 * np.pi * 0.17 * T)


def jumps(lead: Signal) -> Signal:
    return lead + 12.0 * (np.sin(2 * np.pi * 0.9 * T) > 0)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(flat, "electrode-off"), (lost, "electrode-off"), (half_lost, "electrode-off"), (railed, "electrode-off"),
     (muscle, "muscle-noise"), (hum, "mains-hum"), (hum60, "mains-hum"), (wander, "baseline-wander"),
     (jumps, "artefact")],
)  # fmt: skip
def test_one_spoiled_lead_is_named(leads: Signal, spoil: Callable[[Signal], Signal], reason: str) -> None:
    leads[7] = spoil(leads[7])
    quality = assess_quality(leads, 500, LEADS)
    assert not quality.acceptable
    assert quality.reasons == (f"{reason}:V2",)
    assert 0.9 < quality.score < 1
    usable = sum(stop - start for start, stop in quality.usable["V2"])
    # Beats stand out of hum as before: nothing is thrown away, but the lead is named and the recording repeated.
    assert usable == 5000 if reason == "mains-hum" else usable < 4000
    assert quality.usable["V1"] == ((0, 5000),)


def test_lost_half_is_not_usable_and_the_other_is(leads: Signal) -> None:
    leads[7] = half_lost(leads[7])
    assert assess_quality(leads, 500, LEADS).usable["V2"] == ((0, 2500),)


def test_no_electrode_at_all() -> None:
    quality = assess_quality(np.zeros((12, 5000)), 500, LEADS)
    assert quality.reasons[0] == "no-signal"
    assert quality.score == 0


GAPS = {
    "a frame": ((1000, 1025),),
    "a frame here and there": tuple((at, at + 25) for at in range(300, 5000, 325)),
    "a second": ((1250, 1750),),
    "half": ((2500, 5000),),
    "the beginning": ((0, 1200),),
    "all but two seconds": ((0, 4000),),
    "everything": ((0, 5000),),
}


@pytest.mark.parametrize("gaps", GAPS.values(), ids=GAPS)
def test_lost_data_is_no_matter_of_electrodes(leads: Signal, gaps: tuple[tuple[int, int], ...]) -> None:
    for start, stop in gaps:
        leads[:, start:stop] = np.nan
    quality = assess_quality(leads, 500, LEADS, lost=gaps)
    assert quality.reasons in ((), ("data-lost",))
    assert quality.acceptable == (gaps == GAPS["a frame"])
    assert quality.lost == gaps
    for name, usable in quality.usable.items():
        # What is missing is looked at nowhere: a second that lacks a twentieth or more counts for nothing.
        inside = [
            (a, b) for a, b in usable for start, stop in gaps if a < start + 25 and stop - 25 < b and stop - start > 25
        ]
        assert not inside, name


def test_without_a_word_about_gaps_missing_samples_are_electrodes(leads: Signal) -> None:
    leads[:, 2500:] = np.nan
    assert set(assess_quality(leads, 500, LEADS).reasons) == {f"electrode-off:{lead}" for lead in LEADS}


def test_a_gap_excuses_no_electrode(leads: Signal) -> None:
    """V2 hangs loose beside the gap, and through it; V4 lies flat; the others only lack what the cable lost."""
    leads[:, 1000:2000] = np.nan
    leads[7] = np.nan
    leads[9, :] = 0.3
    reasons = assess_quality(leads, 500, LEADS, lost=((1000, 2000),)).reasons
    assert reasons == ("data-lost", "electrode-off:V2", "electrode-off:V4")


def test_a_step_over_a_gap_is_no_wander(leads: Signal) -> None:
    """The baseline that is found behind a gap is another one: the value that stands in for it says nothing."""
    leads[:, 1500:2500] = np.nan
    leads[:, 2500:] += 3.0
    assert assess_quality(leads, 500, LEADS, lost=((1500, 2500),)).reasons == ("data-lost",)


@pytest.mark.parametrize("n", [0, 1, 900])
def test_too_short(n: int) -> None:
    assert assess_quality(np.zeros((2, n)), 500, ("I", "II")).reasons == ("too-short",)


def test_names_must_match() -> None:
    with pytest.raises(ValueError, match="2 names for 1 leads"):
        assess_quality(np.zeros(5000), 500, ("I", "II"))


@pytest.mark.parametrize("fs_hz", [100, 250, 1000])
def test_other_rates(make_ecg: Callable[..., Signal], fs_hz: float) -> None:
    one = make_ecg(np.arange(0.4, 9.9, 0.8), fs_hz, 10)
    assert assess_quality(one, fs_hz, ("I",)).acceptable
    assert assess_quality(np.zeros_like(one), fs_hz, ("I",)).reasons == ("no-signal", "electrode-off:I")


def test_phone_recordings_judged_by_people(shared_data: object) -> None:
    """CinC 2011 set a: most that people refused are refused, most that they took are taken."""
    from pathlib import Path

    place = Path(str(shared_data)) / "ecg" / "data" / "cinc2011" / "cinc2011.npz"
    if not place.is_file():
        pytest.skip(f"no recordings at {place}")
    data = np.load(place)
    samples, people, names = data["ecg_lsb"][:120], data["acceptable"][:120], [str(n) for n in data["leads"]]
    ours = np.array([assess_quality(one * 0.005, 500, names).acceptable for one in samples])
    assert (~ours[~people]).mean() >= 0.75
    assert ours[people].mean() >= 0.80
