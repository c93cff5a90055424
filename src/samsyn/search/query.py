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
class Matching:
    """What a search asks for beyond the baseline; a C-FIND agrees on each first (PS3.4 C.5.1.1)."""

    combined: bool = False
    """A date and its time are one range, not two (C.2.2.2.5)."""
    offset_minutes: int | None = None
    """Dates and times are told and wanted at this distance from UTC; None = in Swedish time."""
    empty: bool = False
    """The value `""` finds what has no value (C.2.2.2.7)."""


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
    matching: Matching = Matching()
    items: dict[tuple[int, int], str] = field(default_factory=dict)
    """(sequence, attribute of its item) -> matching text."""
