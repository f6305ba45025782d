"""From the volume that the sensor saw to the volume in the lungs (BTPS)."""

import math

_MMHG_PER_KPA = 7.500616827
_BODY_C = 37.0
_BODY_VAPOUR_MMHG = 47.07


def btps_factor(temperature_c: float, pressure_kpa: float = 101.325) -> float:
    """Factor from ambient, saturated (ATPS) to body temperature, ambient pressure, saturated (BTPS).

    BTPS = (PB - PH2O(T)) / (PB - 47.07 mmHg) * 310.15 / (273.15 + T); PH2O by the Antoine equation of water
    (8.07131, 1730.63, 233.426; mmHg, 1 to 100 °C). 1.102 at 20 °C and 1.000 at 37 °C at sea level. High up, pass the
    real pressure: at 2,600 m it is about 74 kPa.

    Args:
        temperature_c: of the gas at the sensor, in °C.
        pressure_kpa: barometric pressure.

    Raises:
        ValueError: no gas that a person could have breathed out (outside 0 to 50 °C or 40 to 120 kPa).
    """
    if not (0 <= temperature_c <= 50 and 40 <= pressure_kpa <= 120):
        raise ValueError(f"no BTPS at {temperature_c} °C and {pressure_kpa} kPa")
    pressure_mmhg = pressure_kpa * _MMHG_PER_KPA
    vapour_mmhg = math.pow(10.0, 8.07131 - 1730.63 / (233.426 + temperature_c))
    return (
        (pressure_mmhg - vapour_mmhg)
        / (pressure_mmhg - _BODY_VAPOUR_MMHG)
        * (273.15 + _BODY_C)
        / (273.15 + temperature_c)
    )
