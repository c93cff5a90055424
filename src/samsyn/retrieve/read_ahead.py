"""Many instances on their way out, in order: read in groups, the next group while the one before is being sent.

Who sends one by one, and is waited for in between, reads each just before it is framed while it lies in memory: that
costs neither a task nor a thread. From the first that does not, it goes by groups.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from samsyn import limits
from samsyn.access.view import View
from samsyn.model.imaging import StoredInstance
from samsyn.model.streamed import StreamedData
from samsyn.retrieve.look import Look
from samsyn.retrieve.retrieve import AT_ONCE_BYTES, Given, Retriever
from samsyn.store.large import is_large
from samsyn.tasks import ended

GROUP_BYTES: Final = AT_ONCE_BYTES
"""Work that is worth its turn, and not more than a slow reader may leave in memory."""
LARGE_BYTES: Final = limits.STREAMED_ABOVE_BYTES
"""Larger objects are read when it is their turn: the time is in sending them anyway."""

_Group = Sequence[StoredInstance]


class ReadAhead:
    """Verified data sets of the given instances, asked for in their order; some may be left out.

    Holds at most two groups of GROUP_BYTES, or of one larger object each, in memory; objects over `large_bytes`
    are not read ahead. What the View shows is looked at again for each group, and the registers for each object.
    """

    def __init__(
        self,
        retriever: Retriever,
        view: View,
        instances: Sequence[StoredInstance],
        large_bytes: int = LARGE_BYTES,
    ) -> None:
        self._large_bytes = large_bytes
        self._retriever = retriever
        self._view = view
        self._looked: dict[str, Look] = {}
        self.groups: Sequence[_Group] = _grouped(instances)
        self._place = {each.sop_instance_uid: at for at, group in enumerate(self.groups) for each in group}
        self._current = -1
        self._read: dict[str, Given] = {}
        self._reading: tuple[int, asyncio.Task[list[Given]]] | None = None

    async def __aenter__(self) -> "ReadAhead":
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drops what was read for nobody."""
        self._read.clear()
        if self._reading is not None:
            await ended(self._reading[1])
            self._reading = None

    async def data_of(self, instance: StoredInstance) -> memoryview:
        """The data set byte for byte as received; DamagedData or NotFound when it can not be given (any more)."""
        at = self._place[instance.sop_instance_uid]
        if at != self._current:
            await self._turn_to(at)
        data = self._read[instance.sop_instance_uid]
        if not isinstance(data, memoryview):
            raise data
        await self._retriever.still_given(self._view, instance, self._looked)
        return data

    async def leaving(self, instance: StoredInstance) -> memoryview | StreamedData:
        """The data set for whoever sends it on: in memory, or in pieces when it is large, its hash proved."""
        if is_large(instance):
            return await self._retriever.streamed(self._view, instance)
        at = self._place[instance.sop_instance_uid]
        if at != self._current and self._reading is None:
            # The group is begun without reading it: each of it may lie in memory when it is its turn.
            self._read.clear()
            self._current = at
            await self._retriever.look(self._view, self.groups[at], self._looked)
        if at == self._current and instance.sop_instance_uid not in self._read:
            data = await self._retriever.at_hand(self._view, instance, self._looked)
            if data is not None:
                return data
            self._current = -1  # from here on by groups
        return await self.data_of(instance)

    async def _turn_to(self, at: int) -> None:
        if self._reading is not None and self._reading[0] == at:
            task = self._reading[1]
        else:
            await self.__aexit__()
            task = self._start(at)
        self._reading = None
        self._read.clear()
        found = await task
        self._read = {each.sop_instance_uid: data for each, data in zip(self.groups[at], found, strict=True)}
        self._current = at
        if at + 1 < len(self.groups) and self.groups[at + 1][0].location.length <= self._large_bytes:
            self._reading = (at + 1, self._start(at + 1))

    def _start(self, at: int) -> "asyncio.Task[list[Given]]":
        return asyncio.ensure_future(self._retriever.data_sets(self._view, self.groups[at], self._looked))


def _grouped(instances: Sequence[StoredInstance]) -> list[list[StoredInstance]]:
    groups: list[list[StoredInstance]] = []
    room = 0
    for instance in instances:
        length = instance.location.length
        if length > room:
            groups.append([])
            room = GROUP_BYTES
        groups[-1].append(instance)
        room -= length
    return groups
