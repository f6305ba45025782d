"""The crash journal of a measurement: what has arrived is on disk before the next thing happens (ADR 3)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast
from uuid import UUID

import cbor2
import msgspec

from zhenbao.agent.store import KitStore
from zhenbao.model.errors import InputError

T = TypeVar("T")
LOCK = "measuring.lock"
_VALUES = "values"


@contextmanager
def only_measurement(home: Path) -> Iterator[None]:
    """Hold the kit's measuring lock. The kernel drops it with the process, however that ends.

    Raises:
        InputError: ``measuring``, another measurement is going on.
    """
    descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError("measuring") from None
        yield
    finally:
        os.close(descriptor)


class Journal:
    """The parts of one measurement. Use inside ``only_measurement``."""

    def __init__(self, store: KitStore, encounter_id: UUID, code: str) -> None:
        """Begin a new capture, or take up the open one of this encounter."""
        orphans = [c for c in store.open_captures(encounter_id) if c.code == code]
        self._store = store
        self.id = orphans[0].id if orphans else store.begin_capture(encounter_id, code, {})

    def add(self, *values: object) -> None:
        """Keep values; they are on disk, all of them, when this returns."""
        named = [[type(v).__name__, msgspec.to_builtins(v, builtin_types=(bytes,))] for v in values]
        self._store.add_part(self.id, _VALUES, cbor2.dumps(named))

    def kept(self, type_: type[T]) -> list[T]:
        """All kept values of a type, in order."""
        return list(values_of(self._store, self.id, type_))


def values_of(store: KitStore, capture_id: UUID, type_: type[T]) -> Iterator[T]:
    """The kept values of one type in a capture, in order."""
    for value in all_values(store, capture_id, (type_,)):
        yield cast(T, value)


def all_values(store: KitStore, capture_id: UUID, types: tuple[type, ...]) -> Iterator[object]:
    """The kept values of several types in a capture, in order."""
    by_name = {type_.__name__: type_ for type_ in types}
    for _, body in store.parts(capture_id):
        for name, value in cbor2.loads(body):
            if name in by_name:
                yield msgspec.convert(value, by_name[name], builtin_types=(bytes,))
