"""The synthetic ECG against the laws of the leads and its own truth, measured on the samples."""

import numpy as np
import pytest

from zhenbao.firmware_sim.waveforms.ecg import (
    INDEPENDENT,
    J_S,
    LEADS,
    EcgModel,
    EcgNoise,
    EcgSource,
    EcgTruth,
    P,
    T,
    inferior_elevation,
    third_degree_block,
)

FS = 500.0
LOUD = EcgNoise(baseline_wander_mv=0.3, mains_mv=0.1, muscle_mv=0.05, white_mv=0.02)


def lead(source: EcgSource, name: str) -> np.ndarray:
    return source.mv[LEADS.index(name)]


def truth(source: EcgSource) -> EcgTruth:
    assert source.truth is not None
    return source.truth


@pytest.mark.parametrize("model", [EcgModel(), EcgModel(noise=LOUD), inferior_elevation(), third_degree_block()])
def test_einthoven_and_goldberger(model: EcgModel) -> None:
    source = model.render(5.0)
    one, two = lead(source, "I"), lead(source, "II")
    for name, expected in {
        "III": two - one,
        "aVR": -(one + two) / 2,
        "aVL": one - two / 2,
        "aVF": two - one / 2,
    }.items():
        np.testing.assert_allclose(lead(source, name), expected, atol=1e-12)


@pytest.mark.parametrize("rate", [32.0, 72.0, 150.0])
def test_r_peaks_lie_where_the_truth_says(rate: float) -> None:
    source = EcgModel(rate_bpm=rate, seed=3).render(20.0)
    told = truth(source).beats
    two = lead(source, "II")
    assert len(told) == pytest.approx(20 * rate / 60, abs=2)
    for beat in told[1:-1]:
        assert abs(int(np.argmax(two[beat - 60 : beat + 60])) - 60) <= 1
    above = two > 0.5 * two.max()
    assert np.count_nonzero(above[1:] & ~above[:-1]) == len(told)
    assert truth(source).rate_bpm == pytest.approx(rate, rel=0.03)


def test_rate_is_exact_without_variability() -> None:
    told = truth(EcgModel(rate_bpm=75, rr_sd=0, respiratory=0).render(10.0))
    assert told.rate_bpm == pytest.approx(75.0)
    np.testing.assert_allclose(told.rr_s, 0.8)


def test_the_same_seed_gives_the_same_signal() -> None:
    model = EcgModel(noise=LOUD, seed=9)
    np.testing.assert_array_equal(model.render(3.0).mv, model.render(3.0).mv)
    assert not np.array_equal(model.render(3.0).mv, EcgModel(noise=LOUD, seed=10).render(3.0).mv)


def test_chest_leads_progress_from_rs_to_qr() -> None:
    source = EcgModel(rr_sd=0, respiratory=0).render(3.0)
    beat = int(truth(source).beats[1])
    qrs = {name: lead(source, name)[beat - 25 : beat + 25] for name in LEADS}
    assert qrs["V1"].max() < 0.4 < 0.6 < -qrs["V1"].min(), "V1: small r, deep S"
    r_over_s = [qrs[f"V{i}"].max() / -qrs[f"V{i}"].min() for i in range(1, 6)]
    assert r_over_s == sorted(r_over_s), "R grows against S from V1 to V5"
    assert r_over_s[1] < 1 < r_over_s[3], "the transition lies about V3"
    assert qrs["aVR"].sum() < 0
    assert all(lead(source, name)[beat + 100 : beat + 170].max() > 0.1 for name in ("II", "V3", "V4", "V5", "V6"))


@pytest.mark.parametrize(
    "model", [EcgModel(), inferior_elevation(), EcgModel(rate_bpm=140, st_mm={"V2": 3.5}, amplitude=1.5)]
)
def test_st_is_exact_at_the_j_point(model: EcgModel) -> None:
    # At 10 kHz the nearest sample to J lies within 50 us of it.
    source = model.render(6.0, 10_000.0)
    told = truth(source)
    j = np.round((told.beat_times_s[1:-1] + J_S) * 10_000).astype(int)
    before_q = np.round((told.beat_times_s[1:-1] - 0.06) * 10_000).astype(int)
    for name in LEADS:
        level = 10 * (lead(source, name)[j] - lead(source, name)[before_q])
        np.testing.assert_allclose(level, told.st_mm[name], atol=0.05, err_msg=name)
    assert {name: told.st_mm[name] for name in INDEPENDENT} == {
        name: model.st_mm.get(name, 0.0) for name in INDEPENDENT
    }


def test_st_of_a_lead_that_follows_is_refused() -> None:
    with pytest.raises(ValueError, match="follows from I and II"):
        EcgModel(st_mm={"III": 2.0})


def test_inferior_elevation_by_the_laws_of_the_leads() -> None:
    told = truth(inferior_elevation().render(3.0)).st_mm
    assert (told["III"], told["aVF"], told["aVL"], told["aVR"]) == (3.0, 2.5, -2.0, -0.5)


def test_a_pause() -> None:
    told = truth(EcgModel(rate_bpm=60, rr_sd=0, respiratory=0, pauses=((4.0, 2.5),)).render(12.0))
    assert sorted(np.round(told.rr_s, 3))[-2:] == [1.0, 3.5]
    assert np.count_nonzero(told.rr_s > 3) == 1


def test_complete_block_has_its_p_waves_at_their_own_rate() -> None:
    source = third_degree_block(rate_bpm=32).render(30.0)
    told = truth(source)
    assert told.rate_bpm == pytest.approx(32, rel=0.02)
    assert told.pr_ms is None
    np.testing.assert_allclose(np.diff(told.p_times_s), 60 / 85)
    distances = [float(np.min(told.beat_times_s[told.beat_times_s > p] - p)) for p in told.p_times_s[:-3]]
    assert np.std(distances) > 0.2, "no P wave leads its beat"
    alone = next(p for p in told.p_times_s[1:] if np.abs(told.beat_times_s - p).min() > 0.6)
    at = round(float(alone) * FS)
    assert lead(source, "II")[at] > 0.1


def test_fibrillation_is_irregular_and_has_no_p() -> None:
    told = truth(EcgModel(rate_bpm=110, rhythm="atrial-fibrillation").render(60.0))
    assert len(told.p_times_s) == 0
    assert told.pr_ms is None
    assert 0.15 < np.std(told.rr_s) / np.mean(told.rr_s) < 0.25


def test_ectopic_beats_come_early_wide_and_with_a_pause() -> None:
    source = EcgModel(rate_bpm=60, rr_sd=0, respiratory=0, ectopics=(4,)).render(10.0)
    told = truth(source)
    assert told.classes == ("N",) * 4 + ("V",) + ("N",) * (len(told.beats) - 5)
    np.testing.assert_allclose(told.rr_s[3:5], [0.7, 1.3])

    def width(beat: int) -> int:
        around = np.abs(lead(source, "II")[beat - 40 : beat + 40])
        return int(np.count_nonzero(around > 0.5 * around.max()))

    assert width(int(told.beats[4])) > 2 * width(int(told.beats[3]))


def test_intervals_follow_from_the_gaussians() -> None:
    told = truth(EcgModel(rate_bpm=60, rr_sd=0, respiratory=0).render(10.0))
    # Q begins 24 + 2 * 7.5 ms before R and S ends 26 + 2 * 9 ms after it; P begins 165 + 2 * 20 ms before R;
    # at 60/min T peaks at 290 ms and ends 2 * 45 ms later.
    assert told.qrs_ms == pytest.approx(39 + 44)
    assert told.pr_ms == pytest.approx(205 - 39)
    assert told.qt_ms == pytest.approx(290 + 90 + 39)
    assert (P.centre_s, T.centre_s) == (-0.165, 0.290)


def test_the_tangent_to_t_meets_the_baseline_where_the_truth_says() -> None:
    source = EcgModel(rate_bpm=60, rr_sd=0, respiratory=0).render(4.0, 10_000.0)
    told = truth(source)
    start = float(told.beat_times_s[1])
    trace = lead(source, "V4")
    window = slice(round((start + 0.30) * 1e4), round((start + 0.45) * 1e4))
    slope = np.gradient(trace[window], 1e-4)
    steepest = int(np.argmin(slope))
    end = (window.start + steepest) / 1e4 - trace[window][steepest] / slope[steepest]
    assert end - start == pytest.approx(0.290 + 0.090, abs=0.002)


def test_mains_is_where_it_should_be() -> None:
    quiet = EcgModel(seed=4).render(10.0)
    noisy = EcgModel(seed=4, noise=EcgNoise(mains_mv=0.1, mains_hz=60.0)).render(10.0)
    spectrum = np.abs(np.fft.rfft(noisy.mv[1] - quiet.mv[1]))
    assert np.argmax(spectrum) == 600, "60 Hz in bins of 0.1 Hz"
    assert spectrum[600] > 100 * np.delete(spectrum, 600).max()


def test_muscle_noise_lies_in_its_band() -> None:
    noise = EcgModel(seed=4, noise=EcgNoise(muscle_mv=0.05)).render(10.0).mv[1] - EcgModel(seed=4).render(10.0).mv[1]
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(len(noise), 1 / FS)
    assert power[(frequency >= 19.9) & (frequency <= 150.1)].sum() > 0.999 * power.sum()
    # Two electrodes of 0.05 mV each.
    assert noise.std() == pytest.approx(0.05 * 2**0.5, rel=0.05)


def test_a_patient_who_moves_and_an_amplifier_that_saturates() -> None:
    quiet = EcgModel(seed=3).render(10).mv
    moving = EcgModel(seed=3, noise=EcgNoise(motion_mv=4.0)).render(10).mv
    jerks = np.abs(moving - quiet).max(axis=0)
    assert 2.0 < jerks.max() <= 8.0
    assert 0.2 < np.mean(jerks > 0.01) < 0.6, "0.4 s of every second"
    cut = EcgModel(seed=3, noise=EcgNoise(motion_mv=4.0, saturates_mv=2.5)).render(10)
    assert np.abs(cut.mv).max() == 2.5
    assert cut.truth is not None
    assert len(cut.truth.beats) > 8, "the truth is of the heart, whatever the amplifier shows"
