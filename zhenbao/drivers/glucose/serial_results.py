"""Results of meters on a cable: their memory tells no number that lasts, so equal records are counted."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from zhenbao.drivers.glucose.codec import GlucoseReading
from zhenbao.model.observation import Device


def numbered(readings: Iterable[GlucoseReading], device: Device) -> Iterator[GlucoseReading]:
    """The readings of one memory with their device, their place in it, and what names each for ever.

    Places change when the oldest record is overwritten, so the bytes name a result. Two results with the same bytes
    (the same value in the same minute, where a meter tells no seconds) are told apart by their count.
    """
    seen: Counter[bytes] = Counter()
    for place, reading in enumerate(readings):
        lasting = reading.lasting
        before = seen[lasting]
        seen[lasting] += 1
        yield replace(reading, sequence=place, device=device, lasting=lasting + b"#%d" % before if before else lasting)
