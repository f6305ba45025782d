"""Results that a device indicates by itself once somebody listens, until it hangs up or falls silent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, TypeVar

from zhenbao.model.errors import DeviceError, FrameError

if TYPE_CHECKING:
    from zhenbao.drivers.links.gatt import Notification, Notifications

T = TypeVar("T")
QUIET_S = 2.0
"""After a result: how long further stored results are awaited."""


async def results(
    received: Notifications,
    decode: Callable[[bytes], T],
    *,
    timeout_s: float,
    quiet_s: float = QUIET_S,
    silent: DeviceError,
) -> AsyncGenerator[T, None]:
    """Yield each result in the order of arrival; a wrong frame takes no good result away.

    Args:
        received: what is subscribed.
        decode: bytes to a result; raises ``FrameError``.
        timeout_s: how long the first result is awaited.
        quiet_s: how long each further one is.
        silent: raised where nothing came at all.

    Raises:
        DeviceError: ``silent``.
        FrameError: the first wrong frame, after all good results were yielded.
    """
    refused: FrameError | None = None
    notification = await _next(received, timeout_s)
    if notification is None:
        raise silent
    while notification is not None:
        try:
            result = decode(notification.value)
        except FrameError as error:
            refused = refused or error
        else:
            yield result
        notification = await _next(received, quiet_s)
    if refused is not None:
        raise refused


async def _next(received: Notifications, timeout_s: float) -> Notification | None:
    """The next notification; None after silence, or once the device has hung up (both are a normal end)."""
    try:
        return await received.next(timeout_s)
    except TimeoutError:
        return None
