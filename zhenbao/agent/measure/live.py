"""Whether a result that a meter sends was taken now, by its clock and by what was learned of it before."""

from zhenbao.agent.device_time import Timing, judge
from zhenbao.agent.kit import Kit
from zhenbao.agent.protocols import protocol
from zhenbao.model.observation import Device


def taken_now(
    kit: Kit,
    device: Device,
    device_time: str | None,
    received_ms: int,
    *,
    clock_offset_s: float | None,
    held: list[float],
) -> bool:
    """Judge one result; learns the offset of a wrong clock, and says so.

    Args:
        clock_offset_s: the device's clock minus the kit's, where that clock could be read.
        held: offsets of results of this device that were held a moment ago; a held one is added.
    """
    learned = kit.store.setting(_setting(device))
    known = (*held, *([float(learned)] if learned else ()), *([clock_offset_s] if clock_offset_s is not None else ()))
    judged = judge(device_time, received_ms, known_offsets_s=known)
    if judged.offset_s is None or abs(judged.offset_s) <= protocol("clock")["device_clock_warning_s"]:
        return True
    if judged.timing is Timing.HELD:
        held.append(judged.offset_s)
        return False
    kit.store.set_setting(_setting(device), str(judged.offset_s))
    kit.screen.say("agent.device_clock", minutes=abs(judged.offset_s) / 60)
    kit.screen.event("device-clock", driver=device.driver, offset_s=judged.offset_s)
    return True


def _setting(device: Device) -> str:
    return f"clock-offset:{device.driver}:{device.serial}"
