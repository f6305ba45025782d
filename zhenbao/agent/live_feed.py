"""A running trace from the measurement to the service: datagrams within this machine, dropped where nobody listens.

The measurement never waits for it, and nothing of it is written anywhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from zhenbao.agent.vault.unlocked import runtime_folder
from zhenbao.drivers.frontend.assemble import LEADS_OF_ELECTRODE
from zhenbao.drivers.frontend.messages import EcgSamples, End, Stream, StreamHead
from zhenbao.model.ecg import LEADS
from zhenbao.model.errors import StorageError
from zhenbao.model.recording import NO_VALUE
from zhenbao.model.time import Clock
from zhenbao.sync.live.chunk import MOST_BYTES, STREAM_BYTES, Chunk, to_bytes
from zhenbao.sync.live.rules import LiveRules, live_rules

_log = logging.getLogger(__name__)
_LISTEN_S = 0.5


class LiveFeed:
    """Hears the events of one recording and hands on a thinned trace. Use ``feeding``."""

    def __init__(
        self, send: Callable[[bytes], None], clock: Clock, encounter_id: UUID, rules: LiveRules | None = None
    ) -> None:
        self._send = send
        self._clock = clock
        self._encounter_id = encounter_id
        self._rules = rules or live_rules()
        self._stream = secrets.token_bytes(STREAM_BYTES)
        self._head: StreamHead | None = None
        self._step = 1
        self._rows: dict[int, list[tuple[int, ...]]] = {}
        """Samples of one step of the thinned trace, until the step is whole."""
        self._first: int | None = None
        self._thin: list[tuple[int, ...]] = []
        self._next = 0

    def hear(self, event: object) -> None:
        """One event of the recording; anything but its head, samples and end is ignored."""
        if isinstance(event, StreamHead) and event.stream is Stream.ECG:
            self._head, self._step = event, max(1, round(event.fs_hz / self._rules.rate_hz))
        elif isinstance(event, EcgSamples) and self._head is not None:
            self._take(event)
        elif isinstance(event, End) and self._head is not None:
            self.end()

    def end(self) -> None:
        """The recording is over, however."""
        if self._head is not None:
            self._flush(ended=True)
            self._head = None

    def _take(self, event: EcgSamples) -> None:
        silent = event.absent.union(*(LEADS_OF_ELECTRODE[electrode] for electrode in event.electrode_off))
        wanted = [None if lead in silent else LEADS.index(lead) for lead in self._rules.leads]
        for n, row in enumerate(struct.iter_unpack(f"<{len(LEADS)}h", event.samples)):
            place, within = divmod(event.first_sample + n, self._step)
            picked = tuple(NO_VALUE if i is None else row[i] for i in wanted)
            self._rows.setdefault(place, []).append(picked)
            if within == self._step - 1:
                self._add(place, self._rows.pop(place))
                self._rows.clear()

    def _add(self, place: int, rows: list[tuple[int, ...]]) -> None:
        if len(rows) < self._step:
            return  # a lost frame: the step is missing, never made up
        if self._first is None or place != self._first + len(self._thin):
            self._flush()
            self._first = place
        self._thin.append(tuple(_mean(values) for values in zip(*rows, strict=True)))
        if len(self._thin) >= self._rules.chunk_s * self._rules.rate_hz:
            self._flush()

    def _flush(self, *, ended: bool = False) -> None:
        assert self._head is not None
        if self._thin or ended:
            first = self._first if self._first is not None and self._thin else self._next
            samples = b"".join(struct.pack(f"<{len(row)}h", *row) for row in self._thin)
            rate_hz = round(self._head.fs_hz / self._step)
            chunk = Chunk(
                self._stream,
                self._encounter_id,
                rate_hz,
                self._rules.leads,
                self._head.lsb,
                first,
                samples,
                self._clock.now_ms(),
                ended,
            )
            self._send(to_bytes(chunk))
            self._next = first + len(self._thin)
        self._thin, self._first = [], None


@contextmanager
def feeding(home: Path, clock: Clock, encounter_id: UUID) -> Iterator[LiveFeed]:
    """A feed to the service of this kit, while one recording runs. Where no service listens, it goes nowhere."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.setblocking(False)
        place = _place(home)

        def send(data: bytes) -> None:
            # Nobody there, a full queue, a folder that is gone: the recording itself is not touched by any of it.
            if place is not None:
                with contextlib.suppress(OSError):
                    out.sendto(data, str(place))

        feed = LiveFeed(send, clock, encounter_id)
        try:
            yield feed
        finally:
            feed.end()


@contextmanager
def listening(home: Path, offer: Callable[[bytes], object]) -> Iterator[None]:
    """While inside, what measurements of this kit feed is offered on a thread of its own.

    Args:
        offer: is given each chunk in the clear; see ``sync.live.pump.Pump``.
    """
    place = _place(home)
    if place is None:
        yield
        return
    place.unlink(missing_ok=True)
    over = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(place))
        place.chmod(0o600)
        ear.settimeout(_LISTEN_S)

        def hear() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    offer(ear.recv(MOST_BYTES))

        thread = threading.Thread(target=hear, name="live", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            place.unlink(missing_ok=True)


def _mean(values: tuple[int, ...]) -> int:
    """Of one step; one value that is missing leaves it empty."""
    return NO_VALUE if NO_VALUE in values else round(sum(values) / len(values))


def _place(home: Path) -> Path | None:
    """In memory, of this kit alone; None where there is no such folder."""
    try:
        name = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]
        return runtime_folder() / f"live-{name}"
    except StorageError:
        return None
