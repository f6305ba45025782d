"""Every error, status and reason of the drivers has its words, in every language."""

import ast
from pathlib import Path

import pytest

import zhenbao.drivers
from zhenbao.drivers.bp.codec import decode
from zhenbao.drivers.frontend.messages import EndReason
from zhenbao.drivers.glucose.codec import SERIAL_STATUS, STATUS_BITS
from zhenbao.drivers.links.serial import _CODES
from zhenbao.drivers.oximeter.reading import REASONS, TOLD
from zhenbao.words import LANGUAGES, Words, catalogue

FOLDER = Path(zhenbao.drivers.__file__).parent


def raised() -> set[tuple[str, frozenset[str]]]:
    """Code and facts of each error that the drivers raise."""
    found = {("settings-not-stored", frozenset({"result"})), *((code, frozenset({"port"})) for code in _CODES.values())}
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("DeviceError", "InputError", "StorageError")
                and isinstance(node.args[0], ast.Constant)
            ):
                facts = frozenset(keyword.arg for keyword in node.keywords if keyword.arg)
                found.add((str(node.args[0].value), facts))
    return found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("code", "facts"), sorted(raised(), key=lambda item: (item[0], len(item[1]))))
def test_every_error_says_what_happened_and_what_to_do(language: str, code: str, facts: frozenset[str]) -> None:
    texts = catalogue(language)
    values = dict.fromkeys(facts, "X")
    assert texts[f"error.{code}.what"].format_map(values)
    assert texts[f"error.{code}.do"].format_map(values)


def test_many_errors_are_looked_at() -> None:
    assert len({code for code, _ in raised()}) > 25


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_status_and_reason_has_words(language: str) -> None:
    words = Words(language)
    every = (
        decode(bytes.fromhex("10 7800 5000 5d00 2f00")).status | decode(bytes.fromhex("10 7800 5000 5d00 5000")).status
    )
    assert len(every) == 7
    reasons = {s for s in STATUS_BITS if s not in ("battery-low", "too-high", "too-low")}
    reasons |= set(SERIAL_STATUS)
    reasons |= {"control-solution", "not-blood", "no-concentration", "high-without-limit", "low-without-limit"}
    assert all(f"cuff_status.{status}" in words for status in every)
    reasons |= {*REASONS, "measurement-ongoing", "no-saturation", "no-pulse", "out-of-range"}
    assert all(f"cuff_status.{status}" in words and f"note.cuff:{status}" in words for status in every)
    aside = ("unstable", "short", "misplaced", "impossible")
    assert all(f"cuff_set_aside.{reason}" in words for reason in aside)
    assert all(f"quarantine.{reason}" in words for reason in reasons)
    assert all(f"note.oximeter:{told}" in words for told in TOLD)
    assert all(f"end_reason.{reason.name.lower().replace('_', '-')}" in words for reason in EndReason)
