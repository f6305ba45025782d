"""How a link asks for the digits that a device shows while it is paired."""

from collections.abc import Awaitable, Callable

Passkey = Callable[[], Awaitable[int | None]]
"""Asks the technician for the six digits that the device shows; None gives up."""
