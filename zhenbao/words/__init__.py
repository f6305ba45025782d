"""What people read, in every language: one folder a language, one file a room, the same keys in all.

Chinese is the default and is never missing a word; a test holds the languages to the same keys and placeholders.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from zhenbao.model.errors import ZhenbaoError

LANGUAGES = ("zh_CN", "en")
DEFAULT = "zh_CN"


class Words:
    """The catalogue of one language: ``words("agent.wait", seconds=60)``.

    Args:
        language: ``zh_CN``, ``en``, or a locale name that starts like one (``en_GB.UTF-8``); otherwise Chinese.
    """

    def __init__(self, language: str = DEFAULT) -> None:
        self.language = next((known for known in LANGUAGES if language.lower()[:2] == known[:2]), DEFAULT)
        self._texts = catalogue(self.language)

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of ``key`` with its placeholders filled.

        Raises:
            KeyError: no such key in the catalogue, or a placeholder without a value: a mistake of ours.
        """
        return self._texts[key].format_map(values)

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin so."""
        return [key for key in self._texts if key.startswith(prefix)]

    def lead(self, name: str) -> str:
        """A lead as people read it: standard leads have one name everywhere, others have words."""
        return self._texts.get(f"ecg_lead.{name}", name)

    def error(self, error: ZhenbaoError) -> tuple[str, str]:
        """What happened, and what to do."""
        return (
            self._texts[f"error.{error.code}.what"].format_map(error.facts),
            self._texts[f"error.{error.code}.do"].format_map(error.facts),
        )


@cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of a language by dotted key."""
    texts: dict[str, str] = {}
    folder = files(__name__).joinpath(language)
    for file in sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name):
        _flatten(tomllib.loads(file.read_text(encoding="utf-8")), "", texts)
    return texts


def _flatten(table: dict[str, Any], prefix: str, into: dict[str, str]) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{key}.", into)
        elif f"{prefix}{key}" in into:
            raise ValueError(f"the word {prefix}{key} stands in two files")
        else:
            into[f"{prefix}{key}"] = value
