"""Folding of names for search: case and accents are ignored, å ä ö included (PS3.4 C.2.2.2.1)."""

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=4_096)
def folded(name: str) -> str:
    """Lower case without accents; component separators kept, runs of spaces made one."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(plain.split()).rstrip("^= ")
