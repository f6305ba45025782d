"""Telling people outside the page: a file by default, text messages and WeCom through Apprise where the hub has it.

What leaves the hub carries a case code, which clock ran out and who is called. No name, number, finding or telephone.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.model.errors import InputError, StorageError
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.hub.watch import Call
    from zhenbao.model.time import Clock

_log = logging.getLogger(__name__)
FILE = "notices.jsonl"
FAMILY_FILE = "family.jsonl"


def notice(call: Call, words: Words) -> str:
    """What a third party may carry: ``【诊包】病例 7F3-K2QM：应答超时，请二线值班登录枢纽处理。``"""
    return words(
        "hub.notice.text", code=call.code, clock=words(f"hub.clock.{call.clock}"), to=words(f"hub.to.{call.to}")
    )


def to_file(path: Path, clock: Clock) -> Callable[[Call], None]:
    """A sink that adds a line of JSON for each call, for whatever the county sends messages with."""
    words = Words()

    def tell(call: Call) -> None:
        line = json.dumps(
            {"at_ms": clock.now_ms(), "code": call.code, "clock": call.clock, "to": call.to, "login": call.login,
             "text": notice(call, words)},
            ensure_ascii=False,
        )  # fmt: skip
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with open(descriptor, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            # The call itself stands in the database and on the page.
            _log.error("a notice could not be written: %s", type(error).__name__)

    return tell


def to_services(urls: Sequence[str]) -> Callable[[Call], None]:
    """A sink that sends by Apprise's addresses (text-message providers, WeCom, webhooks).

    Raises:
        InputError: ``notify-missing``, Apprise is not installed; ``notify-url``, an address that it does not know.
    """
    try:
        import apprise
    except ImportError:
        raise InputError("notify-missing") from None
    service = apprise.Apprise()
    for number, url in enumerate(urls, 1):
        if not service.add(url):
            # The address itself may hold a secret.
            raise InputError("notify-url", number=number)
    words = Words()

    def tell(call: Call) -> None:
        if not service.notify(body=notice(call, words)):
            _log.error("a notice could not be sent")

    return tell


def family_to_file(path: Path, clock: Clock) -> Callable[[str, str], None]:
    """A sink for messages to families: takes a case's code and a telephone, adds a line of JSON."""
    text = Words()("hub.family.text")

    def send(code: str, phone: str) -> None:
        line = json.dumps({"at_ms": clock.now_ms(), "code": code, "phone": phone, "text": text}, ensure_ascii=False)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with open(descriptor, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise StorageError("family-write", reason=type(error).__name__) from None

    return send


def all_of(*sinks: Callable[[Call], None]) -> Callable[[Call], None]:
    """One sink that tells each."""

    def tell(call: Call) -> None:
        for sink in sinks:
            sink(call)

    return tell
