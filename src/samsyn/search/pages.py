"""Pages of a search, which go on behind a match and not behind a number of matches."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from samsyn.model.attributes import Attributes
from samsyn.search.query import Level
from samsyn.store.index import find_rows
from samsyn.store.index.find_rows import Place, place_of
from samsyn.store.index.port import Row

_ORDERS: Final = MappingProxyType(
    {
        Level.PATIENT: find_rows.PATIENT_ORDER,
        Level.STUDY: find_rows.STUDY_ORDER,
        Level.SERIES: find_rows.SERIES_ORDER,
        Level.IMAGE: find_rows.IMAGE_ORDER,
    }
)


@dataclass(frozen=True, slots=True)
class Page:
    """Some matches of a search, and how to go on behind them."""

    matches: list[Attributes]
    level: Level
    rows: list[Row]
    """One for each match, in the same order."""
    limit: int

    @property
    def end(self) -> Place | None:
        """The place behind which the next page begins; None = nothing is left."""
        return self.place(self.limit) if len(self.rows) == self.limit and self.rows else None

    def place(self, count: int) -> Place:
        """The place behind so many rows, 1 to all."""
        return place_of(self.rows[count - 1], _ORDERS[self.level])
