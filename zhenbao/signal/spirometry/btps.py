"""From the volume that the sensor saw to the volume in the lungs (BTPS)."""

import math

_MMHG_PER_KPA = 7.500616827
_BODY_C = 37.0
_BODY_VAPOUR_MMHG = 47.07
_SEA_LEVEL_KPA = 101.325
_EARTH_M = 6_356_766.0
_ALTITUDES_M = (-500.0, 7000.0)


def pressure_kpa_at(altitude_m: float) -> float:
    """Barometric pressure of the standard atmosphere (ISO 2533:1975, troposphere) at an altitude.

    89.88 kPa at 1,000 m, 70.12 kPa at 3,000 m. Weather moves the real pressure by about ±3 %, and BTPS by less than
    0.2 %.

    Raises:
        ValueError: not between -500 and 7,000 m.
    """
    if not _ALTITUDES_M[0] <= altitude_m <= _ALTITUDES_M[1]:
        raise ValueError(f"nobody lives at {altitude_m} m")
    # The standard's own height is geopotential. 288.15 K at sea level, 6.5 K less each kilometre;
    # the exponent is g M / (R * 0.0065 K/m).
    geopotential_m = altitude_m * _EARTH_M / (_EARTH_M + altitude_m)
    return float(_SEA_LEVEL_KPA * (1 - 0.0065 * geopotential_m / 288.15) ** 5.25588)


def btps_factor(temperature_c: float, pressure_kpa: float | None = None, *, altitude_m: float | None = None) -> float:
    """Factor from ambient, saturated (ATPS) to body temperature, ambient pressure, saturated (BTPS).

    BTPS = (PB - PH2O(T)) / (PB - 47.07 mmHg) * 310.15 / (273.15 + T); PH2O by the Antoine equation of water
    (8.07131, 1730.63, 233.426; mmHg, 1 to 100 °C). 1.102 at 20 °C and 1.000 at 37 °C at sea level.

    Args:
        temperature_c: of the gas at the sensor, in °C.
        pressure_kpa: barometric pressure as measured; best of all.
        altitude_m: of the place, in metres above the sea, where no pressure was measured; see :func:`pressure_kpa_at`.
            With neither, sea level.

    Raises:
        ValueError: pressure and altitude both, or no gas that a person could have breathed out (outside 0 to 50 °C,
            40 to 120 kPa, or -500 to 7,000 m).
    """
    if pressure_kpa is not None and altitude_m is not None:
        raise ValueError("a measured pressure or an altitude, not both")
    if pressure_kpa is None:
        pressure_kpa = pressure_kpa_at(0.0 if altitude_m is None else altitude_m)
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
