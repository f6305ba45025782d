"""One kit, opened: its settings, store, clock and screen, handed to whatever the doctor asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zhenbao.agent.screen import Screen
from zhenbao.agent.settings import KitSettings, load_settings
from zhenbao.agent.store import KitStore
from zhenbao.agent.vault.ask import unlock_at_terminal
from zhenbao.model.time import Clock

BONDS = "bonds.json"
"""Keys of the paired Bluetooth devices, in the kit's folder, readable by its owner only."""


@dataclass(frozen=True, slots=True)
class Kit:
    """Everything a doctor's command needs."""

    home: Path
    settings: KitSettings
    store: KitStore
    clock: Clock
    screen: Screen


@contextmanager
def open_kit(home: Path, clock: Clock, screen: Screen) -> Iterator[Kit]:
    """Open the kit in ``home``; asks for the PIN where it is locked and somebody sits at the terminal.

    Says what the store has to say (a damaged database set aside, little space left).
    """
    settings = load_settings(home)
    unlock_at_terminal(home, settings, clock, screen)
    store = KitStore.open(home, kit_id=settings.kit_id, clock=clock)
    try:
        for notice in store.notices:
            screen.trouble(notice)
        yield Kit(home, settings, store, clock, screen)
    finally:
        store.close()
