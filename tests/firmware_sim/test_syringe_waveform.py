"""The simulated syringe holds what it says, whatever the sensor makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from zhenbao.firmware_sim import console
from zhenbao.firmware_sim.waveforms.spirometry import btps_factor
from zhenbao.firmware_sim.waveforms.syringe import SyringeStrokes
from zhenbao.model.errors import InputError


@pytest.mark.parametrize("rate_hz", [50, 100, 200])
def test_each_stroke_holds_the_syringe_at_ambient(rate_hz: int) -> None:
    syringe = SyringeStrokes()
    flow = syringe.flow_l_s(rate_hz) / btps_factor(22.0, 101_325)
    assert len(flow) == round(syringe.duration_s * rate_hz)
    assert np.trapezoid(np.clip(flow, 0, None)) / rate_hz == pytest.approx(9.0, rel=2e-3)
    assert np.trapezoid(np.clip(flow, None, 0)) / rate_hz == pytest.approx(-9.0, rel=2e-3)


def test_the_button() -> None:
    assert console.parse("syringe") == console.SyringeAtSensor(1.0)
    assert console.parse("SYRINGE 0.97") == console.SyringeAtSensor(0.97)
    for line in ("syringe 9", "syringe x", "syringe 1 2", "syringe nan"):
        with pytest.raises(InputError):
            console.parse(line)
