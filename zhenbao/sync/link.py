"""What a road to the other side must do. It carries bytes; it remembers nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Link(Protocol):
    """One connection, kept up by itself.

    The three callbacks come on threads of the link and must return at once.
    """

    on_message: Callable[[str, bytes], None]
    """(sender, data): the sender is the one whom the road itself names."""
    on_up: Callable[[], None]
    """Ready in both directions."""
    on_down: Callable[[], None]

    @property
    def connected(self) -> bool:
        """Whether ``send`` may be tried."""

    @property
    def backlog_bytes(self) -> int:
        """Bytes handed over that have not left this machine's side of the road."""

    def start(self) -> None:
        """Begin to connect, and go on for ever."""

    def stop(self) -> None:
        """Disconnect and end the link's threads."""

    def send(self, recipient: str, data: bytes, *, urgent: bool = False) -> None:
        """Hand data over. Returning proves nothing.

        Args:
            urgent: it goes before all that is not, and however much of that is under way. Who sends knows the lane;
                a road cannot tell it from the size, as a backlog of readings is small as well.

        Raises:
            LinkDown: not connected.
            Rejected: this road will never carry it (too large, or to nobody).
        """
