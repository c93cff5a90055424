"""The words of the pages in Swedish and English, from one table each; both have the same keys."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from starlette.requests import Request

LANGUAGES: Final = ("sv", "en")
"""Swedish first: it is what is shown when nobody has chosen."""
COOKIE: Final = "samsyn_language"

Words: TypeAlias = Callable[..., str]
"""words("timeline.title") or words("relation.until", time="23:59")."""


class Languages:
    """The tables, read once at start. ValueError when one lacks a key that the other has."""

    def __init__(self, folder: Path) -> None:
        tables = {language: _table(folder / f"{language}.toml") for language in LANGUAGES}
        missing = set(tables["sv"]) ^ set(tables["en"])
        if missing:
            raise ValueError(f"only in one language: {', '.join(sorted(missing))}")
        self._tables = MappingProxyType(tables)

    def words(self, language: str) -> Words:
        """The look-up for one language. KeyError for an unknown key: a page never shows a key."""
        table = self._tables[language]

        def look_up(key: str, **values: object) -> str:
            text = table[key]
            return text.format(**values) if values else text

        return look_up

    def has(self, key: str) -> bool:
        """Whether there is such a text; for tables that come from outside, such as modalities."""
        return key in self._tables["sv"]


def chosen(request: Request) -> str:
    """The language that this browser has chosen, Swedish otherwise."""
    language = request.cookies.get(COOKIE, "")
    return language if language in LANGUAGES else LANGUAGES[0]


def _table(path: Path) -> dict[str, str]:
    flat: dict[str, str] = {}
    for section, texts in tomllib.loads(path.read_text(encoding="utf-8")).items():
        for key, text in texts.items():
            flat[f"{section}.{key}"] = str(text)
    return flat
