"""The thinned trace of a recording: right, with its gaps, and no burden to the recording."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from uuid import UUID

from zhenbao.agent.live_feed import LiveFeed, feeding, listening
from zhenbao.drivers.frontend.messages import EcgSamples, End, EndReason, Stream, StreamHead
from zhenbao.model.ecg import LEADS
from zhenbao.model.recording import NO_VALUE
from zhenbao.model.time import SystemClock
from zhenbao.sync.live.chunk import Chunk, from_bytes

HEAD = StreamHead(Stream.ECG, 500, 12, 0.001, 0.05, 150.0)
ENCOUNTER = UUID(int=9)


def frame(first: int, n: int = 25, **more: object) -> EcgSamples:
    """Each lead shows the sample's number and its own, so that any mix-up would show."""
    rows = [[(first + k) % 2000 + 2000 * (lead % 3) for lead in range(12)] for k in range(n)]
    return EcgSamples(first, b"".join(struct.pack("<12h", *row) for row in rows), **more)  # type: ignore[arg-type]


def fed(*events: object) -> list[Chunk]:
    chunks: list[Chunk] = []
    feed = LiveFeed(lambda data: chunks.append(from_bytes(data)), SystemClock(), ENCOUNTER)
    for event in events:
        feed.hear(event)
    feed.end()
    return chunks


def column(chunk: Chunk, lead: str) -> list[int]:
    values = struct.unpack(f"<{len(chunk.samples) // 2}h", chunk.samples)
    return list(values[chunk.leads.index(lead) :: len(chunk.leads)])


def test_half_seconds_of_three_leads_at_a_quarter_of_the_rate() -> None:
    chunks = fed(HEAD, *(frame(n) for n in range(0, 1000, 25)), End(Stream.ECG, EndReason.FINISHED, 1000))
    assert [(c.first_sample, c.n_samples) for c in chunks] == [(0, 63), (63, 63), (126, 63), (189, 61)]
    assert [c.ended for c in chunks] == [False, False, False, True]
    assert {(c.rate_hz, c.leads, c.encounter_id) for c in chunks} == {(125, ("II", "V1", "V5"), ENCOUNTER)}
    assert len({c.stream for c in chunks}) == 1
    # The mean of samples 0 to 3 is 1.5 (rounded to even: 2); of lead II they are 2000 higher.
    assert column(chunks[0], "II")[:3] == [round(2000 * (LEADS.index("II") % 3) + m) for m in (1.5, 5.5, 9.5)]


def test_a_lost_frame_is_a_gap_and_never_bridged() -> None:
    frames = [frame(n) for n in range(0, 500, 25) if n != 100]
    chunks = [c for c in fed(HEAD, *frames) if c.samples]
    held = sorted(n for c in chunks for n in range(c.first_sample, c.first_sample + c.n_samples))
    # Samples 100 to 124 are missing: the steps 25 to 31 hold one of them.
    assert held == [n for n in range(125) if not 25 <= n <= 31]


def test_a_lead_without_its_electrode_has_no_value() -> None:
    (chunk, _) = fed(HEAD, *(frame(n, electrode_off=frozenset({"V1"})) for n in range(0, 300, 25)))
    assert set(column(chunk, "V1")) == {NO_VALUE}
    assert NO_VALUE not in column(chunk, "II")


def test_where_nobody_listens_the_recording_notices_nothing(tmp_path: Path) -> None:
    began_s = time.monotonic()
    with feeding(tmp_path, SystemClock(), ENCOUNTER) as feed:
        feed.hear(HEAD)
        for n in range(0, 5000, 25):
            feed.hear(frame(n))
    assert time.monotonic() - began_s < 2


def test_a_listener_that_is_stuck_holds_up_nothing(tmp_path: Path) -> None:
    import threading

    stuck = threading.Event()
    with listening(tmp_path, lambda _: stuck.wait(20)):
        began_s = time.monotonic()
        with feeding(tmp_path, SystemClock(), ENCOUNTER) as feed:
            feed.hear(HEAD)
            for n in range(0, 500_000, 25):
                feed.hear(EcgSamples(n, bytes(24 * 25)))
        took_s = time.monotonic() - began_s
        stuck.set()
    assert took_s < 10


def test_what_is_fed_is_offered(tmp_path: Path) -> None:
    offered: list[Chunk] = []
    with listening(tmp_path, lambda data: offered.append(from_bytes(data))):
        with feeding(tmp_path, SystemClock(), ENCOUNTER) as feed:
            feed.hear(HEAD)
            for n in range(0, 500, 25):
                feed.hear(frame(n))
        ends_s = time.monotonic() + 5
        while not (offered and offered[-1].ended) and time.monotonic() < ends_s:
            time.sleep(0.01)
    assert [c.first_sample for c in offered] == [0, 63]
    assert not list(tmp_path.iterdir()), "nothing of it lies on the disk"
