"""Synthetic blows: their truth against closed forms, and each disturbance against its definition."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from zhenbao.firmware_sim.waveforms.spirometry import BlowModel, FlowSensor, btps_factor, demo_blows


def closed_form(model: BlowModel) -> dict[str, float]:
    """FVC, FEV1, PEF, BEV and t0 of an undisturbed blow from the exponentials themselves."""
    parts = model._compartments
    rise = model.rise_s

    def flow(t: float) -> float:
        return sum(v * (math.exp(-t / tau) - math.exp(-t / rise)) / (tau - rise) for v, tau in parts)

    def volume(t: float) -> float:
        return sum(
            v * (tau * (1 - math.exp(-t / tau)) - rise * (1 - math.exp(-t / rise))) / (tau - rise) for v, tau in parts
        )

    def slope(t: float) -> float:
        return sum(v * (-math.exp(-t / tau) / tau + math.exp(-t / rise) / rise) / (tau - rise) for v, tau in parts)

    low, high = 0.0, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    t0 = low - volume(low) / flow(low)
    return {
        "fvc_l": volume(model.expiration_s),
        "fev1_l": volume(t0 + 1),
        "pef_l_s": flow(low),
        "bev_l": volume(t0),
        "t0_s": model.start_s + t0,
    }


@pytest.mark.parametrize(
    "model",
    [
        BlowModel(),
        BlowModel(fvc_l=2.1, fev1_fvc=0.55, fast_share=0.3, fast_tau_s=0.15, expiration_s=12),
        BlowModel(fvc_l=5.6, fev1_fvc=0.86, rise_s=0.05, fast_share=0.6, fast_tau_s=0.3),
        BlowModel(rise_s=0.15),
    ],
)
def test_truth_is_the_closed_form(model: BlowModel) -> None:
    for name, value in closed_form(model).items():
        assert getattr(model.truth, name) == pytest.approx(value, abs=5e-5), name
    assert model.truth.fvc_l == pytest.approx(model.fvc_l, abs=1e-5)
    assert model.truth.fev1_l == pytest.approx(model.fev1_fvc * model.fvc_l, abs=2e-4)


def test_a_single_exponential_has_textbook_flows() -> None:
    """One compartment, instant rise: flow falls in a straight line with volume, FEF at x % is FVC (1 - x) / tau."""
    tau = 0.5
    model = BlowModel(fvc_l=4.0, fev1_fvc=0.8647, rise_s=1e-4, fast_share=1e-9, fast_tau_s=0.25, expiration_s=10)
    truth = model.truth
    assert truth.fef25_l_s == pytest.approx(0.75 * 4.0 / tau, rel=2e-3)
    assert truth.fef50_l_s == pytest.approx(0.50 * 4.0 / tau, rel=2e-3)
    assert truth.fef75_l_s == pytest.approx(0.25 * 4.0 / tau, rel=2e-3)
    # From 25 % to 75 % of the volume takes tau ln 3.
    assert truth.fef2575_l_s == pytest.approx(2.0 / (tau * math.log(3)), rel=2e-3)
    assert truth.fev05_l == pytest.approx(4.0 * (1 - math.exp(-1)), rel=2e-3)


@pytest.mark.parametrize("rate_hz", [50, 100, 200])
def test_the_samples_carry_the_true_volume(rate_hz: int) -> None:
    model = BlowModel()
    assert model.flow_l_s(rate_hz).sum() / rate_hz == pytest.approx(model.truth.fvc_l, abs=0.02)


def test_hesitation_shows_in_the_back_extrapolated_volume() -> None:
    plain, slow = BlowModel(), BlowModel(hesitation_s=1.0, hesitation_l=0.30)
    assert plain.truth.bev_l < 0.05
    assert slow.truth.bev_l > 0.2
    assert slow.truth.fvc_l == pytest.approx(plain.truth.fvc_l + 0.30, abs=1e-4)


def test_an_early_stop_cuts_the_volume_and_the_late_indices() -> None:
    truth = BlowModel(stops_at_s=1.5).truth
    assert truth.fev1_l == pytest.approx(BlowModel().truth.fev1_l, abs=1e-6)
    assert truth.fvc_l < BlowModel().truth.fvc_l - 0.2
    assert truth.fev3_l is None
    assert truth.fet_s == pytest.approx(1.6 - (truth.t0_s - 1.0), abs=1e-3)


def test_a_closed_glottis_stops_the_flow_within_10_ms() -> None:
    model = BlowModel(glottis_at_s=0.8, glottis_for_s=0.4)
    at = 1.0 + np.array([0.79, 0.8, 0.811, 1.19, 1.211])
    flow, plain = model.true_flow_l_s(at), BlowModel().true_flow_l_s(at)
    np.testing.assert_allclose(flow[[0, 1, 4]], plain[[0, 1, 4]])
    np.testing.assert_allclose(flow[[2, 3]], 0.0, atol=1e-12)
    forever = BlowModel(glottis_at_s=0.8).truth
    assert forever.fvc_l == pytest.approx(forever.fev1_l)


def test_a_cough_stops_the_flow_twice_and_spares_the_rest() -> None:
    model, plain = BlowModel(cough_at_s=0.5), BlowModel()
    t = np.arange(0, 6, 1e-3)
    share = model.true_flow_l_s(t)[1100:4000] / plain.true_flow_l_s(t)[1100:4000]
    shut = share < 0.01
    assert np.count_nonzero(shut[1:] & ~shut[:-1]) == 2
    assert share.max() == pytest.approx(1.6, abs=0.01)
    np.testing.assert_allclose(share[:390], 1.0)
    np.testing.assert_allclose(share[900:], 1.0)
    assert model.truth.pef_l_s == plain.truth.pef_l_s


def test_a_leak_takes_its_share_of_everything_but_the_inspiration() -> None:
    plain, leaking = BlowModel(fivc_l=3.4).truth, BlowModel(fivc_l=3.4, leak_share=0.1).truth
    assert leaking.fvc_l == pytest.approx(0.9 * plain.fvc_l)
    assert leaking.pef_l_s == pytest.approx(0.9 * plain.pef_l_s)
    assert leaking.fivc_l == plain.fivc_l == 3.4


def test_inspirations_have_their_volumes() -> None:
    model = BlowModel(inspiration_before_l=2.5, fivc_l=3.1)
    t = np.arange(0, model.duration_s, 1e-4)
    flow = model.true_flow_l_s(t)
    assert -flow[flow < 0].sum() * 1e-4 == pytest.approx(2.5 + 3.1, abs=1e-3)
    assert model.truth.fvc_l == pytest.approx(3.4, abs=1e-4)
    # Before START's quiet second is over, and after everything, nobody breathes.
    assert flow[:10_000].max() == flow[-10_000:].min() == 0.0


def test_sensor_faults() -> None:
    clean = BlowModel().flow_l_s(100)
    n = len(clean)
    offset = BlowModel(sensor=FlowSensor(zero_offset_l_s=0.05)).flow_l_s(100)
    np.testing.assert_allclose(offset - clean, 0.05)
    step = 28 / 256
    coarse = BlowModel(sensor=FlowSensor(step_l_s=step)).flow_l_s(100)
    np.testing.assert_allclose(np.abs(coarse / step - np.round(coarse / step)), 0, atol=1e-9)
    assert np.abs(coarse - clean).max() <= step / 2 + 1e-12
    lost = BlowModel(sensor=FlowSensor(lost_fraction=0.1)).flow_l_s(100)
    assert 0.05 * n < np.isnan(lost).sum() < 0.16 * n
    noisy = BlowModel(sensor=FlowSensor(noise_l_s=0.02)).flow_l_s(100)
    assert (noisy - clean).std() == pytest.approx(0.02, rel=0.15)
    jitter = BlowModel(sensor=FlowSensor(jitter_s=0.002)).flow_l_s(100)
    assert 0.0 < np.abs(jitter - clean).max() < 1.5
    assert BlowModel(sensor=FlowSensor(zero_offset_l_s=0.05)).truth == BlowModel().truth


def test_an_impossible_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="fast_share"):
        _ = BlowModel(fev1_fvc=0.3, fast_share=0.6).truth


def test_the_demonstration_is_three_repeatable_blows_and_one_spoiled() -> None:
    first, cough, third, fourth = demo_blows()
    good = [blow.truth for blow in (first, third, fourth)]
    for name in ("fvc_l", "fev1_l"):
        values = [getattr(truth, name) for truth in good]
        assert max(values) - min(values) < 0.06
    assert all(truth.fev1_l / truth.fvc_l < 0.70 for truth in good)
    assert all(truth.bev_l < 0.100 for truth in good)
    assert cough.cough_at_s is not None
    assert cough.cough_at_s < 1.0
    for blow in (first, third, fourth):
        end = blow._blast_s + blow.expiration_s
        last_second = blow.true_flow_l_s(np.linspace(end - 1, end, 1001)).mean()
        assert last_second < 0.025, "end of forced expiration by the plateau"


def test_btps_factor_against_computed_vectors(shared_data: Path) -> None:
    table = shared_data / "spirometry" / "vectors_btps.csv"
    if not table.exists():
        pytest.skip(f"no {table}")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 48
    for row in rows:
        made = btps_factor(float(row["T_C"]), round(float(row["PB_mmHg"]) * 133.322))
        assert made == pytest.approx(float(row["BTPS"]), abs=2e-4)


@pytest.mark.parametrize(("celsius", "factor"), [(20, 1.102), (25, 1.075), (37, 1.000)])
def test_btps_factor_against_the_printed_table(celsius: float, factor: float) -> None:
    """ATS/ERS conversion factors at 760 mmHg, three decimals."""
    assert btps_factor(celsius, 101_325) == pytest.approx(factor, abs=1.5e-3)
