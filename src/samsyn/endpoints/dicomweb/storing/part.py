"""One file of a STOW-RS request while it arrives: in memory, or on disk when it turns out to be large."""

import asyncio

from samsyn.dicom.part10 import Part10, split_part10
from samsyn.ingest.arriving import LargeArrival
from samsyn.ingest.receive import Intake
from samsyn.limits import SPOOLED_ABOVE_BYTES


class PartContent:
    """Takes the bytes of a DICOM file. Whoever makes one drops it, or hands it to who does."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._content = bytearray()
        self._found: Part10 | None = None
        self._large: LargeArrival | None = None
        self._has_room = asyncio.Event()

    def __len__(self) -> int:
        """Bytes that are in memory for longer than a moment."""
        return len(self._content)

    async def add(self, data: bytes | bytearray | memoryview) -> None:
        """Takes the next bytes, as fast as the disk does. BadInput: the file's beginning is none."""
        if self._large is None:
            self._content += data
            if len(self._content) > SPOOLED_ABOVE_BYTES:
                self.split()
                self._large = self._intake.large(self._has_room.set)
                begun, self._content = self._content, bytearray()
                self._large.take(begun)  # given away, so that it is there once
        else:
            self._large.take(data)
        while self._large is not None and self._large.is_behind:
            self._has_room.clear()
            await self._has_room.wait()

    def split(self) -> Part10:
        """What stands before the data set, once the file is whole. BadInput: it is no DICOM file."""
        if self._found is None:
            self._found = split_part10(memoryview(self._content))
            del self._content[: self._found.dataset_offset]
        return self._found

    @property
    def large(self) -> LargeArrival | None:
        """The data set, when it is large."""
        return self._large

    @property
    def data(self) -> bytearray:
        """The data set after `split`, when it is not."""
        return self._content

    def drop(self) -> None:
        """Lets go of it."""
        self._content = bytearray()
        if self._large is not None:
            self._large.drop()
