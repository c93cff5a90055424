"""Objects on their way out: in which form, and read while the one before is being sent."""

import asyncio
from collections.abc import Collection, Sequence
from itertools import pairwise

from samsyn import limits
from samsyn.access.view import View
from samsyn.dicom.recoding import RECODABLE, RECODED, recode
from samsyn.model.imaging import StoredInstance
from samsyn.retrieve.retrieve import Retriever

_READ_AHEAD_BYTES = 32 * limits.MIB
"""Larger objects are read when it is their turn: the time is in sending them anyway."""


def form_for(instance: StoredInstance, taken: Collection[tuple[str, str]]) -> str | None:
    """The transfer syntax in which an object is sent: as it is stored, else another uncompressed one, else None.

    `taken`: (SOP class, transfer syntax) pairs that the receiver accepted.
    """
    if (instance.sop_class_uid, instance.transfer_syntax_uid) in taken:
        return instance.transfer_syntax_uid
    if instance.transfer_syntax_uid in RECODABLE:
        for form in RECODED:
            if (instance.sop_class_uid, form) in taken:
                return form
    return None


class ReadAhead:
    """Reads the next object while the one before is on its way."""

    def __init__(self, retriever: Retriever, view: View, instances: Sequence[StoredInstance]) -> None:
        self._retriever = retriever
        self._view = view
        self._next = {instance.sop_instance_uid: following for instance, following in pairwise(instances)}
        self._reading: tuple[str, asyncio.Task[bytes]] | None = None

    async def __aenter__(self) -> "ReadAhead":
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drops what was read for nobody."""
        if self._reading is not None:
            self._reading[1].cancel()
            await asyncio.gather(self._reading[1], return_exceptions=True)

    async def data_of(self, instance: StoredInstance, transfer_syntax: str) -> bytes:
        """The data set in this form; DamagedData, NotFound or BadInput when it can not be given."""
        if self._reading is not None and self._reading[0] == instance.sop_instance_uid:
            task = self._reading[1]
        else:
            await self.__aexit__()
            task = self._start(instance)
        try:
            data = await task
        finally:
            self._reading = None
            following = self._next.get(instance.sop_instance_uid)
            if following is not None and following.location.length <= _READ_AHEAD_BYTES:
                self._reading = (following.sop_instance_uid, self._start(following))
        if transfer_syntax == instance.transfer_syntax_uid:
            return data
        return await asyncio.to_thread(recode, data, instance.transfer_syntax_uid, transfer_syntax)

    def _start(self, instance: StoredInstance) -> asyncio.Task[bytes]:
        return asyncio.ensure_future(self._retriever.data_set(self._view, instance))
