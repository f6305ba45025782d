"""The meters that are read over a serial cable, by the name that a technician gives them."""

from zhenbao.drivers.glucose.contour.driver import ContourMeter
from zhenbao.drivers.glucose.onetouch.driver import OneTouchUltra2

SERIAL_METERS: dict[str, type[OneTouchUltra2 | ContourMeter]] = {"onetouch": OneTouchUltra2, "contour": ContourMeter}
