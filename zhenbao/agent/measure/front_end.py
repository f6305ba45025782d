"""Recording from the kit's front-end into the journal, whatever happens to the cable."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from zhenbao.agent.capture import Journal
from zhenbao.agent.kit import Kit
from zhenbao.drivers.frontend.messages import EcgSamples, End, FlowSamples, StreamHead
from zhenbao.drivers.frontend.tracker import Gap
from zhenbao.model.errors import DeviceError, InputError

UNWRITTEN = 5
"""Frames that a crash may cost: a quarter of a second of ECG."""

Event = StreamHead | EcgSamples | FlowSamples | Gap | End


@dataclass(slots=True)
class Taken:
    """What arrived of one recording."""

    head: StreamHead | None = None
    ecg: list[EcgSamples] = field(default_factory=list)
    flow: list[FlowSamples] = field(default_factory=list)
    end: End | None = None
    started_s: float = 0.0
    """Monotonic time at which it began."""
    last_sample_s: float = 0.0
    """Monotonic time at which the last sample arrived."""
    error: DeviceError | None = None
    """What ended it early."""


def front_end_port(kit: Kit) -> str:
    """Where the front-end is.

    Raises:
        InputError: ``front-end-unset``, the technician has not said.
    """
    if not kit.settings.front_end_port:
        raise InputError("front-end-unset")
    return kit.settings.front_end_port


async def take(
    kit: Kit, events: AsyncGenerator[Event, None], journal: Journal, hear: Callable[[Event], None] | None = None
) -> Taken:
    """Record, and keep what arrives in the journal, at most ``UNWRITTEN`` frames behind. A lost device ends it.

    Args:
        hear: is told of every event once it is written or waits to be.
    """
    began_s = kit.clock.monotonic_s()
    taken = Taken(started_s=began_s, last_sample_s=began_s)
    unwritten: list[Event] = []
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, StreamHead):
                    taken.head = event
                elif isinstance(event, EcgSamples):
                    taken.ecg.append(event)
                    taken.last_sample_s = kit.clock.monotonic_s()
                elif isinstance(event, FlowSamples):
                    taken.flow.append(event)
                    taken.last_sample_s = kit.clock.monotonic_s()
                elif isinstance(event, End):
                    taken.end = event
                else:
                    continue  # a gap: the samples' own numbers show it again when the recording is put together
                unwritten.append(event)
                if len(unwritten) >= UNWRITTEN:
                    journal.add(*unwritten)
                    unwritten.clear()
                if hear is not None:
                    hear(event)
    except DeviceError as error:
        taken.error = error
    if unwritten:
        journal.add(*unwritten)
    return taken
