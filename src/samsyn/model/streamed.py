"""A data set that leaves in pieces, because it is too large to be held in memory."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamedData:
    """So many bytes, in order, each time that `pieces` is called.

    `pieces` raises DamagedData or NotFound where the rest may not be given (any more); what has left then is no whole
    data set and must not be made to look like one.
    """

    length: int
    pieces: Callable[[], AsyncIterator[bytes]]

    def __len__(self) -> int:
        """Bytes of the whole data set."""
        return self.length
