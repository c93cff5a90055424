"""Names as people look them up: any words, in any order; case, accents, noble particles, W and V, double names.

DICOM matching, where wild cards stand for letters of the whole name, is another thing (`dicom.names`).
"""

import re
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from samsyn.dicom.names import folded

_PARTICLES: Final = frozenset(
    ("af", "av", "da", "de", "del", "den", "der", "di", "du", "la", "le", "ten", "ter", "van", "von", "zu")
)
"""Words before a family name that people leave out or put in: von Essen, af Klint, de Geer."""
_ALIKE: Final = MappingProxyType({ord("w"): "v"})
"""Letters that are heard alike."""
_COMPONENTS: Final = re.compile(r"[\^=]")
_DOUBLES: Final = re.compile(r"[^\s]+(?:-[^\s]+)+")
_APART: Final = re.compile(r"[^\w]+|_+")
_APOSTROPHES: Final = re.compile("['\u2019\u00b4`]")


def sought_words(text: str) -> tuple[str, ...]:
    """The words of a name that somebody typed, each in the form in which it is kept; particles left out."""
    return tuple(dict.fromkeys(_simple(text)))


def name_words(name: str) -> frozenset[str]:
    """Every word under which a name (DICOM PN or plain) is found; the parts of a double name also as one word.

    Anna-Karin is found as Anna, Karin and Annakarin; von Essen as Essen; Wallin as Vallin; Aasa and Åsa as Asa.
    """
    words: list[str] = []
    telling: list[str] = []
    found: set[str] = set()
    for component in _COMPONENTS.split(name):
        all_words, telling_words, joined = _component_words(component)
        words += all_words
        telling += telling_words
        found.update(joined)
    found.update(telling or words)
    return frozenset(found)


@lru_cache(maxsize=4_096)
def _component_words(component: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """All words of a component, those of them that are no particle, and what it is found as in one word: the same
    family and given names come again and again."""
    words = _words(component)
    telling = tuple(word for word in words if word not in _PARTICLES)
    joined: list[str] = []
    if not component.isalpha():  # else one word, which is found already
        if "-" in component:
            joined = ["".join(_simple(double)) for double in _DOUBLES.findall(component)]
        given = telling or words
        if 1 < len(given) <= 3:
            joined.append("".join(given))
    return words, telling, tuple(word for word in joined if word)


def _simple(text: str) -> tuple[str, ...]:
    words = _words(text)
    return tuple(word for word in words if word not in _PARTICLES) or words


def _words(text: str) -> tuple[str, ...]:
    plain = folded(_APOSTROPHES.sub("", text)).translate(_ALIKE).replace("aa", "a").replace("ae", "a")
    return tuple(word for word in _APART.split(plain) if word)
