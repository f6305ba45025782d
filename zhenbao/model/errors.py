"""One base for every error that a person may see.

An error carries a ``code`` and facts, never sentences: what happened and what to do are in the word
catalogues under ``[error.<code>]`` (keys ``what`` and ``do``), in every language. ``str()`` is for
logs and carries no patient data, so facts must not either.
"""

from typing import ClassVar, Literal

Fault = Literal["device", "link", "person", "storage", "peer"]


class ZhenbaoError(Exception):
    """Base of all expected errors.

    Args:
        code: key of the words in the catalogues.
        facts: values for the placeholders of those words; no names, no identity numbers.
    """

    fault: ClassVar[Fault] = "device"
    retry: ClassVar[bool] = False

    def __init__(self, code: str, **facts: object) -> None:
        self.code = code
        self.facts = facts
        listed = ", ".join(f"{key}={value}" for key, value in facts.items())
        super().__init__(f"{code}: {listed}" if listed else code)


class FrameError(ZhenbaoError):
    """The device sent bytes that its specification does not allow."""

    def __init__(self, frame: bytes, offset: int, expected: str) -> None:
        super().__init__("frame", frame=frame[:64].hex(" "), offset=offset, expected=expected)
        self.frame = frame
        self.offset = offset
        self.expected = expected


class DeviceError(ZhenbaoError):
    """The device is absent, refused, or stopped. The doctor can act and try again."""

    retry = True


class LinkDown(ZhenbaoError):
    """The hub cannot be reached now. Retrying later is correct."""

    fault = "link"
    retry = True


class Rejected(ZhenbaoError):
    """The other side will never accept this envelope. Retrying is wrong."""

    fault = "peer"


class InputError(ZhenbaoError):
    """A person typed something that cannot be right."""

    fault = "person"


class StorageError(ZhenbaoError):
    """The store cannot keep what it was given."""

    fault = "storage"
