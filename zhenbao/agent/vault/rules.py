"""The numbers of ``rules.toml``, and whether a PIN may be used."""

from __future__ import annotations

import secrets
import tomllib
import unicodedata
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from zhenbao.agent.vault.file import Cost
from zhenbao.model.errors import InputError


@cache
def rules() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "rules.toml").read_text(encoding="utf-8"))


def cost() -> Cost:
    """Of a new slot; an old one keeps its own."""
    numbers = rules()["cost"]
    return Cost(numbers["memory_kib"], numbers["iterations"], numbers["lanes"])


def normal(pin: str) -> str:
    """As it is hashed: what a Chinese keyboard types full-width is the same PIN, and so are groups with spaces."""
    return "".join(unicodedata.normalize("NFKC", pin).split())


def check_pin(pin: str, *, tpm: bool) -> None:
    """Whether this may become the PIN (with a TPM) or passphrase (without one).

    Raises:
        InputError: ``pin-short``, ``pin-short-no-tpm``, ``pin-simple``.
    """
    least = rules()["with_tpm" if tpm else "without_tpm"]
    pin = normal(pin)
    if len(pin) < least["least_digits" if pin.isdigit() else "least_characters"]:
        code = "pin-short" if tpm else "pin-short-no-tpm"
        raise InputError(code, digits=least["least_digits"], characters=least["least_characters"])
    steps = {ord(b) - ord(a) for a, b in pairwise(pin)}
    if len(steps) == 1 or len(set(pin)) < 3:
        raise InputError("pin-simple")


def suggestion() -> str:
    """So many random digits as a passphrase without a TPM needs, in groups that can be read aloud."""
    digits = [str(secrets.randbelow(10)) for _ in range(rules()["without_tpm"]["least_digits"])]
    return " ".join("".join(digits[i : i + 4]) for i in range(0, len(digits), 4))


def wait_s(wrong: int) -> float:
    """How long after the last of so many wrong tries in a row the next may be made."""
    numbers = rules()["tries"]
    over = wrong - numbers["free"]
    return 0.0 if over <= 0 else float(numbers["wait_s"][min(over, len(numbers["wait_s"])) - 1])
