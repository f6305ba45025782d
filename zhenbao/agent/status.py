"""The kit tells the hub of itself: battery, queue, calibration, certificate. Once an hour, and nothing of a patient."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zhenbao import __version__
from zhenbao.agent.battery import battery
from zhenbao.agent.roads import has_certificate
from zhenbao.agent.settings import KitSettings, load_settings
from zhenbao.agent.store import KitStore
from zhenbao.agent.store.care import TAKES
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.fleet import KitStatus, SensorState
from zhenbao.model.ids import uuid7
from zhenbao.model.time import Clock

_log = logging.getLogger(__name__)
_FIRST_S = 30.0
"""After a start, what waits for the hub goes first."""
_LOOK_S = 300.0


def status(home: Path, settings: KitSettings, store: KitStore, now_ms: int) -> KitStatus:
    """One look at this kit."""
    power, queue = battery(), store.queue()
    sensors = {check.sensor: check for check in store.syringe_checks()}
    return KitStatus(
        id=uuid7(now_ms),
        made_ms=now_ms,
        version=__version__,
        takes=TAKES,
        battery_percent=power.percent,
        on_mains=power.on_mains,
        waiting={lane.name.lower(): count for lane, count in queue.waiting.items() if count},
        oldest_ms=queue.oldest_ms,
        refused=queue.quarantined,
        last_receipt_ms=queue.last_receipt_ms,
        certificate_until_ms=_certificate_until_ms(home, settings),
        free_mb=store.room().free_bytes >> 20,
        sensors=tuple(SensorState(name, check.at_ms, check.check.verdict) for name, check in sensors.items()),
    )


@contextmanager
def telling(
    home: Path, store: KitStore, clock: Clock, stop: threading.Event, *, first_s: float = _FIRST_S
) -> Iterator[None]:
    """Tell on a thread of its own until the block is left or ``stop`` is set."""
    ended = threading.Event()

    def stopped() -> bool:
        return stop.is_set() or ended.is_set()

    thread = threading.Thread(
        target=_run, args=(home, store, clock, ended, stopped, first_s), name="zhenbao-status", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _run(
    home: Path, store: KitStore, clock: Clock, ended: threading.Event, stopped: Callable[[], bool], first_s: float
) -> None:
    next_s = first_s
    while not ended.wait(next_s) and not stopped():
        next_s = _LOOK_S
        try:
            settings = load_settings(home)
            store.post_status(lambda: status(home, settings, store, clock.now_ms()))  # noqa: B023 - called at once
        except (InputError, StorageError) as error:
            # The service's own loop meets the same trouble and answers it.
            _log.warning("the kit could not tell of itself: %s", error.code)


def _certificate_until_ms(home: Path, settings: KitSettings) -> int | None:
    if not has_certificate(settings):
        return None
    from zhenbao.sync.links.tls import valid_until_ms

    try:
        return valid_until_ms(home / settings.hub_certificate)
    except InputError as error:
        _log.warning("the certificate could not be read: %s", error.code)
        return None
