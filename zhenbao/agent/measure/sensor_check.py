"""Before a spirometry measurement: is the flow sensor verified today, and does it drift?"""

from __future__ import annotations

from zhenbao.agent.kit import Kit
from zhenbao.drivers.frontend.session import ByteLink, FrontEnd


async def say_sensor_warnings(kit: Kit, link: ByteLink) -> None:
    """Tell what the log of this front-end's verifications warns of. A warning never stops a measurement.

    Raises:
        DeviceError: the front-end does not answer.
    """
    identity = await FrontEnd(link).identify()
    say_warnings_of(kit, identity.serial)


def say_warnings_of(kit: Kit, sensor: str) -> None:
    """Tell what the log of one sensor warns of."""
    from zhenbao.signal.spirometry.sensor_log import sensor_warnings

    for warning in sensor_warnings(kit.store.syringe_checks(sensor), kit.clock.now_ms()):
        kit.screen.say(f"sensor_warning.{warning.code}", **warning.numbers)
        kit.screen.event("sensor-warning", code=warning.code, sensor=sensor, numbers=warning.numbers)
