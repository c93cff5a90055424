"""Words of a reader looked for in texts (fritextsökning): inflections and compound words count as the same word.

Pure: whoever asks has already read the texts through a View.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import snowballstemmer

_WORD: Final = re.compile(r"\w+")
_DROPPED: Final = re.compile(r"e([lnr])$")
_LIKE: Final = str.maketrans({"é": "e", "è": "e", "ê": "e", "ë": "e", "á": "a", "à": "a", "ü": "u", "ï": "i"})
"""Letters of names and loan words that readers type without accent. Å, ä and ö are letters of their own."""
_LEAST_PART: Final = 4
"""Letters from which on a word may be a part inside a compound, or the beginning of an inflection."""
_SNIPPET_CHARACTERS: Final = 240


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, and whether it is what was looked for."""

    text: str
    is_hit: bool


class TextQuery:
    """What a reader typed, ready to be looked for in many texts. At most 100 characters are meant."""

    def __init__(self, typed: str) -> None:
        self._stemmer = snowballstemmer.stemmer("swedish")
        self._stems: dict[str, frozenset[str]] = {}
        self._words = tuple(dict.fromkeys(_WORD.findall(_folded(typed))))

    def matches(self, texts: Iterable[str]) -> bool:
        """Whether every word occurs in some of the texts; nothing typed matches everything."""
        left = set(self._words)
        for text in texts:
            if not left:
                break
            tokens = set(_WORD.findall(_folded(text)))
            left -= {word for word in left if any(self._is_hit(token, word) for token in tokens)}
        return not left

    def snippet(self, text: str) -> tuple[Piece, ...]:
        """The text around its first hit, about 240 characters, hits marked; empty when there is none."""
        plain = " ".join(text.split())
        hits = [
            found.span()
            for found in _WORD.finditer(_folded(plain))
            if any(self._is_hit(found.group(), word) for word in self._words)
        ]
        if not hits:
            return ()
        begin = max(0, hits[0][0] - _SNIPPET_CHARACTERS // 3)
        begin = plain.rfind(" ", 0, begin) + 1
        end = min(len(plain), begin + _SNIPPET_CHARACTERS)
        end = plain.find(" ", end) if " " in plain[end:] else len(plain)
        pieces: list[Piece] = [Piece("… ", False)] if begin else []
        at = begin
        for start, stop in hits:
            if start >= end:
                break
            pieces += [Piece(plain[at:start], False), Piece(plain[start:stop], True)]
            at = stop
        pieces.append(Piece(plain[at:end] + (" …" if end < len(plain) else ""), False))
        return tuple(piece for piece in pieces if piece.text)

    def _is_hit(self, token: str, word: str) -> bool:
        """Same word, its beginning, another inflection, or a part of a compound (lungröntgen, röntgen)."""
        if token.startswith(word):
            return True
        if len(word) < _LEAST_PART or word.isdecimal():
            return False
        if word in token:
            return True
        mine, others = self._stem(word), self._stem(token)
        return any(_akin(stem, other) for stem in mine for other in others)

    def _stem(self, word: str) -> frozenset[str]:
        """The stem, and the one without the vowel that Swedish drops before an ending (körtel, körtlar)."""
        known = self._stems.get(word)
        if known is None:
            stem = self._stemmer.stemWord(word)
            known = self._stems[word] = frozenset({stem, _DROPPED.sub(r"\1", stem)})
        return known


def _akin(stem: str, other: str) -> bool:
    if min(len(stem), len(other)) < _LEAST_PART:
        return stem == other
    return other.startswith(stem) or stem.startswith(other) or stem in other


def _folded(text: str) -> str:
    """Lower case without foreign accents, letter for letter, so that places stay the same."""
    lowered = text.lower()
    return (lowered if len(lowered) == len(text) else text).translate(_LIKE)
