"""When may an oximeter's number be written down? Pure decisions; numbers from ``protocols.toml``."""

from collections.abc import Sequence
from typing import NamedTuple

from zhenbao.agent.protocols import protocol
from zhenbao.drivers.oximeter.reading import Oximetry

WEAK = "weak-perfusion"
"""The kit's own reason: the pulse amplitude is too small for the number to be judged (rule OX09)."""
UNSETTLED = "not-settled"


class Moment(NamedTuple):
    """A message of the oximeter's stream, and when it came."""

    at_s: float
    reading: Oximetry


def unusable(reading: Oximetry) -> str | None:
    """Why this one message must not be used: a key of the ``quarantine`` words; None if it may be."""
    if reading.reason is not None:
        return reading.reason
    weak = reading.perfusion is not None and reading.perfusion.value < protocol("spo2")["weak_below_percent"]
    return WEAK if weak else None


def settled(stream: Sequence[Moment]) -> Oximetry | None:
    """The last message, once the number has stood still for long enough; None before that.

    The finger must have been in place for ``in_place_s``, and the saturation, as whole per cent, be the same in every
    message of the last ``unchanged_s`` (in ``least_messages`` at least). One message without a usable number begins the
    wait anew; a finger taken out begins everything anew.

    Args:
        stream: the messages so far, oldest first.
    """
    numbers = protocol("spo2")
    run: list[Moment] = []
    placed_s: float | None = None
    for moment in stream:
        if moment.reading.finger_out:
            placed_s = None
        elif placed_s is None:
            placed_s = moment.at_s
        if unusable(moment.reading) is not None:
            run.clear()
        elif run and _whole_percent(run[-1].reading) != _whole_percent(moment.reading):
            run = [moment]
        else:
            run.append(moment)
    if placed_s is None or len(run) < numbers["least_messages"]:
        return None
    now_s = run[-1].at_s
    stands = now_s - run[0].at_s >= numbers["unchanged_s"] and now_s - placed_s >= numbers["in_place_s"]
    return run[-1].reading if stands else None


def _whole_percent(reading: Oximetry) -> int | None:
    return None if reading.spo2 is None else round(reading.spo2.value)


def altitude_band(altitude_m: int | None) -> str | None:
    """The band of the rules' fact ``altitude`` in which a place lies; None where nobody has said how high it is.

    Raises:
        ValueError: above the highest band; there is no reference.
    """
    if altitude_m is None:
        return None
    for name, below_m in protocol("spo2")["altitude_below_m"].items():
        if altitude_m < below_m:
            return str(name)
    raise ValueError(f"no reference for {altitude_m} m")
