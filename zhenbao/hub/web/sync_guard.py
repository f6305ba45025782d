"""Who may use the sync endpoint: signed requests of known kits, each once, at the right time, and not too many."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zhenbao.model.errors import Rejected
from zhenbao.model.time import Clock
from zhenbao.sync.links.signed_request import Request, key_id, verify

CLOCK_S = 300
"""A request's time may differ by so much from the hub's; within it, nonces are remembered."""
PER_S, BURST = 10.0, 60.0
"""Requests of one kit: a busy one makes three or four a second."""


@dataclass(slots=True)
class _Kit:
    tokens: float = BURST
    at_s: float = 0.0
    nonces: dict[str, int] = field(default_factory=dict)


class SyncGuard:
    """Safe from any thread.

    Args:
        key_of: the raw Ed25519 key of a mailbox name; None for a stranger. Any registry of keys will do.
        clock: the hub's time.
    """

    def __init__(self, key_of: Callable[[str], bytes | None], clock: Clock) -> None:
        self._key_of = key_of
        self._clock = clock
        self._kits: dict[str, _Kit] = {}
        self._lock = threading.Lock()

    def check_known(self, headers: Mapping[str, str]) -> None:
        """Raises Rejected, ``sync-unsigned`` or ``sync-stranger``, where no known kit even claims to have signed."""
        if self._key_of(key_id(headers)) is None:
            raise Rejected("sync-stranger")

    def admit(self, request: Request, headers: Mapping[str, str]) -> str:
        """The mailbox name of the kit whose request this is.

        Raises:
            Rejected: ``sync-unsigned``, ``sync-stranger``, ``sync-signature``, ``sync-clock``, ``sync-replayed`` or
                ``sync-rate``.
        """
        signed = verify(request, headers, self._key_of)
        now_s = self._clock.now_ms() // 1000
        if abs(now_s - signed.created_s) > CLOCK_S:
            raise Rejected("sync-clock")
        with self._lock:
            # Only kits with a key get here: their number bounds this memory.
            kit = self._kits.setdefault(signed.key_id, _Kit())
            kit.nonces = {nonce: until_s for nonce, until_s in kit.nonces.items() if until_s >= now_s}
            if signed.nonce in kit.nonces:
                raise Rejected("sync-replayed")
            mono_s = self._clock.monotonic_s()
            kit.tokens = min(BURST, kit.tokens + (mono_s - kit.at_s) * PER_S)
            kit.at_s = mono_s
            if kit.tokens < 1:
                raise Rejected("sync-rate")
            kit.tokens -= 1
            kit.nonces[signed.nonce] = signed.created_s + CLOCK_S
        return signed.key_id
