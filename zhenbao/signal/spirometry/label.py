"""A device's conclusion, read word by word; what holds an unknown word stays unread."""

from __future__ import annotations

import re
from functools import cache

from zhenbao.model.spirometry_summary import DeviceLabel
from zhenbao.signal.spirometry.tables import settings

_Word = tuple[str, str, str]
"""Spelling, what it decides (``class severity small_airway filler``), and the value."""


def read_label(text: str | None) -> DeviceLabel:
    """Class, severity and small-airway tag of a conclusion in Chinese or English.

    Args:
        text: as sent; a line for each sentence.

    Returns:
        Only what is said without doubt: a sentence with an unknown word is in ``unread`` and decides nothing; two
        different classes, or two severities of one class, decide nothing either.
    """
    classes: list[str] = []
    severities: list[str] = []
    small_airway = False
    unread: list[str] = []
    for sentence in _split(_folded(text or ""), "between_sentences"):
        parts = [_words_of(part) for part in _split(sentence, "between_parts")]
        if None in parts:
            # A "no" before a list covers all of the list: nothing of this sentence is taken.
            unread.append(sentence.strip())
            continue
        for words in filter(None, parts):
            said = {kind: [value for k, value in words if k == kind] for kind in ("class", "severity", "small_airway")}
            classes += said["class"]
            small_airway = small_airway or bool(said["small_airway"])
            # "Mild small-airway dysfunction" grades the tag, not a class.
            if said["class"] or not said["small_airway"]:
                severities += said["severity"]
    found = set(classes)
    if len(found) > 1:
        return DeviceLabel(None, None, small_airway, (*unread, (text or "").strip()))
    if small_airway and (found == {"normal"} or not (found or unread)):
        found = {"small-airway"}
    graded = set(severities)
    severity = graded.pop() if len(graded) == 1 and found else None
    return DeviceLabel(found.pop() if found else None, severity, small_airway, tuple(unread))


def _folded(text: str) -> str:
    return re.sub(r"[ \t\u3000-]+", " ", text.replace("\r", "\n").lower())


def _split(text: str, marks: str) -> list[str]:
    pattern = "|".join(re.escape(mark) for mark in settings("labels")[marks])
    return [part for part in re.split(pattern, text) if part.strip()]


def _words_of(part: str) -> list[tuple[str, str]] | None:
    """What the words of a part decide, or None where one is not known."""
    found: list[tuple[str, str]] = []
    rest = part.strip()
    while rest:
        for spelling, kind, value in _vocabulary():
            if rest.startswith(spelling) and not _cuts_a_word(spelling, rest):
                found.append((kind, value))
                rest = rest[len(spelling) :].strip()
                break
        else:
            return None
    return found


def _cuts_a_word(spelling: str, rest: str) -> bool:
    """Whether an English word goes on behind the spelling (``normal`` in ``normalised``)."""
    after = rest[len(spelling) : len(spelling) + 1]
    return spelling[-1].isascii() and spelling[-1].isalnum() and after.isascii() and after.isalnum()


@cache
def _vocabulary() -> tuple[_Word, ...]:
    """Every known spelling, the longest first."""
    table = settings("labels")
    words: list[_Word] = [(s, "class", v) for s, v in table["class"].items()]
    words += [(s, "severity", v) for s, v in table["severity"].items()]
    words += [(s, "small_airway", "yes") for s in table["small_airway"]["words"]]
    words += [(s, "filler", "") for s in table["filler"]["words"]]
    return tuple(sorted(words, key=lambda word: -len(word[0])))
