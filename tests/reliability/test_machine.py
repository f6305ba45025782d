"""Stories of everything that can happen; two hundred and more are ``make reliability-machine``."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis.stateful import run_state_machine_as_test
from reliability.machine import Side, Story, Watched, story_settings

pytestmark = pytest.mark.slow


def _tell(stories: int = 12, steps: int = 30, seed: int = 20261127, *, shrink: bool = True) -> None:
    Story._hypothesis_internal_use_seed = seed  # type: ignore[attr-defined]
    run_state_machine_as_test(Story, settings=story_settings(stories, steps, shrink=shrink))  # type: ignore[no-untyped-call]


def test_whatever_happens_what_was_saved_arrives_once() -> None:
    delivered = Story.delivered
    _tell()
    assert Story.delivered > delivered + 50


class _WithoutLanes(Watched):
    def due(self, now_ms: int, limit: int) -> list[Any]:
        return sorted(super().due(now_ms, limit), key=lambda item: -int(item.lane))


class _ReceiptsTooEarly(Watched):
    """Says that it has committed what it has not: as a hub would that answers before its transaction ends."""

    count = 0

    def accept(self, envelopes: Any, now_ms: int) -> Any:
        from zhenbao.model.report import Receipt

        receipts = []
        for envelope in envelopes:
            _ReceiptsTooEarly.count += 1
            if self._store.name == "hub" and _ReceiptsTooEarly.count % 5 == 0:
                receipts.append(Receipt(envelope.id, envelope.body_sha256, self._store.epoch, now_ms))
            else:
                receipts += self._store.accept([envelope], now_ms)
        return receipts


class _Forgets(Watched):
    """Takes any receipt for a receipt of everything: items that never arrived leave the outbox."""

    def receipted(self, receipts: Any, proof: bytes = b"") -> Any:
        from dataclasses import replace

        settled = self._store.receipted(receipts, proof)
        if any(settled) and self._store.name != "hub":
            for other in self._store.due(1 << 62, 1):
                told = replace(receipts[0], envelope_id=other.id, body_sha256=other.body_sha256)
                self._store.receipted([told], proof)
        return settled


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        (_WithoutLanes, "critical items wait|lanes went out of order"),
        (_ReceiptsTooEarly, "receipted-but-not-there"),
        (_Forgets, "receipted-but-not-there"),
    ],
)
def test_a_broken_part_is_found(broken: type[Watched], found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positive controls: three mistakes that an engine or a store could make."""
    monkeypatch.setattr("reliability.machine.Watched", broken)
    assert Side.start.__globals__["Watched"] is broken
    with pytest.raises(AssertionError, match=found):
        _tell(40, shrink=False)
