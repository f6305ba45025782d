"""What a person's name is found by: the name, its pinyin, its initials, also from the given name on. Pure.

Readings come from pypinyin; those that a character has only as a surname from ``surnames.toml``. Where a character can
be read in several ways, all of the first few count: a search that finds one person too many costs a look, one that
finds nobody costs a patient.
"""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import islice, product

VERSION = "1"
"""Of these keys: another one makes the hub's index anew."""
_READINGS = 3
_COMBINATIONS = 24
_LONGEST = 100
_DOTS = "·•．‧・･˙"
"""Written between the parts of Uyghur, Kazakh and Tibetan names (U+00B7, and what keyboards give instead)."""
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")


def keys_of(name: str, resident_number: str | None) -> frozenset[str]:
    """The keys of a person: ``n:`` and the name, ``p:`` pinyin, ``i:`` initials, ``t:`` the number's last four."""
    keys = {f"t:{resident_number[-4:].upper()}"} if resident_number else set()
    for part in _parts(plain(name)):
        keys.add(f"n:{part}")
        for syllables in _readings(part):
            keys |= {f"p:{''.join(syllables)}", f"i:{''.join(s[0] for s in syllables)}"}
    return frozenset(key[:_LONGEST] for key in keys)


def plain(text: str) -> str:
    """A name without spaces and dots between its parts but one: as it is compared."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    for dot in _DOTS:
        folded = folded.replace(dot, "·")
    return re.sub(r"[\s·]*·[\s·]*", "·", " ".join(folded.split())).strip("· ")


def pinyin_typed(text: str) -> str:
    """Letters as somebody types pinyin: without tones, spaces and apostrophes; ``ü`` is ``v``, as on a keyboard."""
    folded = unicodedata.normalize("NFD", text.casefold().replace("ü", "v"))
    return re.sub(r"[^a-z]", "", folded.replace("u\u0308", "v"))


def is_name(text: str) -> bool:
    """Whether it holds a Chinese character."""
    return _HAN.search(text) is not None


def _parts(name: str) -> Iterator[str]:
    """The whole name, and it from each later part on: the given name, what follows a dot or a space."""
    yield name
    if "·" in name or " " in name:
        for match in re.finditer(r"[· ]", name):
            yield name[match.end() :]
    elif _HAN.match(name) and len(name) > 1:
        yield name[2 if name[:2] in _surnames()[1] and len(name) > 2 else 1 :]


def _readings(part: str) -> Iterator[tuple[str, ...]]:
    """The ways to read a part, syllable by syllable; letters stand for themselves, a word a syllable."""
    choices: list[Sequence[str]] = []
    one, two = _surnames()
    rest = part
    if part[:2] in two:
        choices += [[syllable] for syllable in two[part[:2]]]
        rest = part[2:]
    for number, piece in enumerate(re.findall(r"[^\W\d_]", rest) if is_name(rest) else re.findall(r"\w+", rest)):
        ways = _of_character(piece)
        if number == 0 and rest == part and piece in one:
            ways = [*one[piece], *(way for way in ways if way not in one[piece])]
        if ways:
            choices.append(ways)
    if choices:
        yield from islice(product(*choices), _COMBINATIONS)


@functools.lru_cache(maxsize=4096)
def _of_character(piece: str) -> list[str]:
    if not is_name(piece):
        letters = pinyin_typed(piece)
        return [letters] if letters else []
    from pypinyin import Style, pinyin

    ways: list[str] = []
    for way in pinyin(piece, style=Style.NORMAL, heteronym=True)[0][:_READINGS]:
        letters = pinyin_typed(way)
        # 吕 is typed lv on a keyboard and printed Lyu or Lu on papers.
        ways += [letters] if "v" not in letters else [letters, letters.replace("v", "u"), letters.replace("v", "yu")]
    return [way for way in dict.fromkeys(ways) if way]


@functools.cache
def _surnames() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    raw = tomllib.loads(files("zhenbao.hub").joinpath("surnames.toml").read_text(encoding="utf-8"))
    return tuple({name: said.split() for name, said in raw[size].items()} for size in ("one", "two"))  # type: ignore[return-value]  # two dictionaries
