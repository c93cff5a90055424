"""A search as both query protocols mean it: level, matching keys, page (PS3.4 C.4.1, PS3.18 8.3.4)."""

from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """Query/Retrieve level (0008,0052)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


@dataclass(frozen=True, slots=True)
class Query:
    """One search.

    `keys`: tag -> matching text in DICOM's own form (`*` and `?` wild cards, `-` ranges, `\\` lists, empty =
    universal). A key that search does not index raises NotSupported at a door that must not ignore it.
    """

    level: Level
    keys: dict[int, str] = field(default_factory=dict)
    limit: int = 1_000
    offset: int = 0
    fuzzy: bool = False
    """Names match by the beginnings of their words in any order."""
