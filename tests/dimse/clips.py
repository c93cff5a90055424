"""Ultrasound clips of any length whose every frame can be told from the others, made as they are sent."""

import struct
from collections.abc import AsyncIterator, Iterator

import pytest

from samsyn import limits
from samsyn.endpoints.dicomweb.storing import part as stow_part
from samsyn.model.streamed import StreamedData
from samsyn.wire import assembly
from tests.dimse.stage import encoded, image

ULTRASOUND = "1.2.840.10008.5.1.4.1.1.3.1"
FRAME = 1 * limits.MIB


def head(frames: int, **changes: object) -> bytes:
    """Everything before the pixels of a clip of 1024 x 1024 bytes."""
    size = {"NumberOfFrames": frames, "Rows": 1024, "Columns": 1024, "PixelData": None}
    made = image(
        **{"SOPClassUID": ULTRASOUND, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, **size, **changes}
    )
    return encoded(made) + struct.pack("<HH2sxxI", 0x7FE0, 0x10, b"OW", frames * FRAME)


def frame(number: int) -> bytes:
    return struct.pack("<I", number * 0x01010101 % 0xFFFFFFFF) * (FRAME // 4)


def pieces(frames: int, **changes: object) -> Iterator[bytes]:
    yield head(frames, **changes)
    yield from (frame(number) for number in range(1, frames + 1))


def streamed(frames: int, **changes: object) -> StreamedData:
    async def made() -> AsyncIterator[bytes]:
        for piece in pieces(frames, **changes):
            yield piece

    return StreamedData(len(head(frames, **changes)) + frames * FRAME, made)


def clip(**changes: object) -> bytes:
    return b"".join(pieces(3, **{"SOPInstanceUID": "2.25.100", **changes}))


def large_begins_at(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything above `size` bytes goes the way of large objects, in and out."""
    monkeypatch.setattr(assembly, "SPOOLED_ABOVE_BYTES", size)
    monkeypatch.setattr(stow_part, "SPOOLED_ABOVE_BYTES", size)
    monkeypatch.setattr(limits, "STREAMED_ABOVE_BYTES", size)
    monkeypatch.setattr(limits, "SPOOL_PIECE_BYTES", size // 4)
