"""Folding of person names for search: case and accents are ignored, å ä ö included (PS3.4 C.2.2.2.1)."""

import unicodedata
from functools import lru_cache

_BASE_LETTERS = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"}
)
"""Letters that Unicode does not take apart into a base letter and a mark."""


@lru_cache(maxsize=4_096)
def folded(name: str) -> str:
    """Lower case without accents; separators kept, runs of spaces made one, empty trailing components dropped.

    Each component group (`=`) is folded by itself, so that it can be compared by itself.
    """
    decomposed = unicodedata.normalize("NFKD", name.casefold().translate(_BASE_LETTERS))
    plain = "".join([character for character in decomposed if not unicodedata.combining(character)])
    groups = [" ".join(group.split()).rstrip("^ ") for group in plain.split("=")]
    return "=".join(groups).rstrip("=")
