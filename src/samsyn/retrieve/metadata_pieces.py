"""Metadata of series as one JSON array, sent from where its documents are kept."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor

from samsyn.store.marked import WINDOW_BYTES as WINDOW_BYTES
from samsyn.store.marked import Marked


class MetadataInPieces:
    """One answer: so many bytes, in order, each time that `pieces` is called."""

    def __init__(
        self,
        documents: Sequence[Marked],
        base: bytes,
        executor: Executor,
        still_shown: Callable[[], Awaitable[None]],
    ) -> None:
        """`base` goes where the documents are marked; `still_shown` is asked between the windows, and raises."""
        self._documents = documents
        self._base = base
        self._executor = executor
        self._still_shown = still_shown
        commas_and_brackets = len(documents) + 1
        self.made_of = tuple(each.made_of for each in documents)
        """`documents.identity_of` the instances of each series."""
        self.length = sum(each.length_with(base) for each in documents) + commas_and_brackets

    async def pieces(self) -> AsyncIterator[Sequence[bytes | memoryview]]:
        """The array in order, several pieces at a time. DamagedData, NotFound: the rest may not be given; what has left
        is no whole array."""
        for number, document in enumerate(self._documents):
            yield (b"," if number else b"[",)
            async for pieces in document.pieces(self._base, self._executor):
                yield pieces
                await self._still_shown()
        yield (b"]",)
