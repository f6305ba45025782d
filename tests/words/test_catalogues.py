"""Chinese first, English complete; and no key in the program without words."""

import re
import string
from pathlib import Path

import pytest

from zhenbao.model.errors import InputError
from zhenbao.words import LANGUAGES, Words, catalogue

PACKAGE = Path(__file__).resolve().parents[2] / "zhenbao"
CHINESE, ENGLISH = (catalogue(language) for language in LANGUAGES)


def placeholders(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def test_both_languages_have_the_same_keys() -> None:
    assert set(CHINESE) == set(ENGLISH)


@pytest.mark.parametrize("key", sorted(CHINESE))
def test_both_languages_take_the_same_values(key: str) -> None:
    assert placeholders(CHINESE[key]) == placeholders(ENGLISH[key])


def test_every_error_says_what_happened_and_what_to_do() -> None:
    codes = {key.rsplit(".", 1)[0] for key in CHINESE if key.startswith("error.")}
    assert {f"{code}.{part}" for code in codes for part in ("what", "do")} <= set(CHINESE)


def test_every_error_code_in_the_program_has_words() -> None:
    raised = re.compile(r"(?:DeviceError|InputError|StorageError|LinkDown|Rejected)\(\s*\"([a-z0-9-]+)\"")
    codes = {
        (code, path.relative_to(PACKAGE).as_posix())
        for path in PACKAGE.rglob("*.py")
        for code in raised.findall(path.read_text(encoding="utf-8"))
    }
    assert len(codes) > 30
    assert {(code, path) for code, path in codes if f"error.{code}.what" not in CHINESE} == set()


def test_every_key_that_the_program_says_exists() -> None:
    said = re.compile(r"(?:\bsay|\bwords|_words|\bnarrate)\(\s*\"([a-z_]+\.[a-zA-Z0-9_.-]+)\"")
    keys = {key for path in PACKAGE.rglob("*.py") for key in said.findall(path.read_text(encoding="utf-8"))}
    assert len(keys) > 50
    assert keys - set(CHINESE) == set()


def test_an_error_in_words() -> None:
    what, do = Words("zh_CN").error(InputError("id-length", length=17))
    assert "17" in what
    assert "身份证" in do


@pytest.mark.parametrize(
    ("asked", "given"),
    [("", "zh_CN"), ("zh", "zh_CN"), ("en_GB.UTF-8", "en"), ("EN", "en"), ("ug_CN", "zh_CN"), ("C", "zh_CN")],
)
def test_a_language_that_is_not_there_is_chinese(asked: str, given: str) -> None:
    assert Words(asked).language == given
