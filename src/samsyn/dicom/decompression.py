"""A compressed data set with its pixels native: everything else stays byte for byte, but for icons that are compressed
too (PS3.5 A.4, 8.1). Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from samsyn.dicom.recoding import without_coded_icons
from samsyn.dicom.structure import (
    EXPLICIT_LITTLE_ENCODING,
    PIXEL_DATA,
    UNDEFINED,
    read_header,
    skip_value,
)
from samsyn.errors import BadInput
from samsyn.limits import MAX_ELEMENTS

_ONLY_COMPRESSED: Final = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003})
"""Extended offset table, its lengths, and the total length: they speak of compressed frames."""
_MAX_VALUE: Final = 0xFFFFFFFE


def native_data_set(
    data: bytes | memoryview,
    frames: Sequence[bytes],
    bits_allocated: int,
    attributes: Mapping[int, tuple[bytes, bytes]],
) -> bytes:
    """The data set (explicit VR little endian, encapsulated) with these frames as native pixel data.

    `attributes`: tag -> VR of two length bytes and value of even length, which take the place of what was there or was
    not. BadInput: the data set has no encapsulated pixel data, is not well formed, or would be too long.
    """
    view, encoding = memoryview(data), EXPLICIT_LITTLE_ENCODING
    pieces: list[bytes | memoryview] = []
    position, end, left, found = 0, len(view), MAX_ELEMENTS, False
    due = sorted(attributes)
    while position < end:
        start = position
        tag, vr, begin, length = read_header(view, position, end, encoding)
        if tag >> 16 == 0xFFFE:
            raise BadInput("an item or delimiter stands outside a sequence")
        position, left = skip_value(view, tag, vr, begin, length, end, encoding, left - 1)
        while due and due[0] <= tag:
            pieces.append(_short(due[0], *attributes[due.pop(0)]))
        if tag == PIXEL_DATA:
            if length != UNDEFINED or found:
                raise BadInput("the pixel data are not encapsulated, or there are two")
            found = True
            pieces += _pixel_data(frames, bits_allocated)
        elif tag not in _ONLY_COMPRESSED and tag not in attributes:
            element = view[start:position]
            pieces.append(without_coded_icons(element) if vr in (b"SQ", b"UN") else element)
    if not found:
        raise BadInput("the data set has no pixel data")
    return b"".join(pieces)


def _short(tag: int, vr: bytes, value: bytes) -> bytes:
    return EXPLICIT_LITTLE_ENCODING.element.pack(tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def _pixel_data(frames: Sequence[bytes], bits_allocated: int) -> list[bytes | memoryview]:
    """OB for up to 8 bits, else OW (PS3.5 A.2), padded to even length."""
    length = sum(len(frame) for frame in frames)
    padding = b"\0" * (length % 2)
    if length + len(padding) > _MAX_VALUE:
        raise BadInput("the native pixel data are longer than an element can be")
    encoding = EXPLICIT_LITTLE_ENCODING
    vr = b"OB" if bits_allocated <= 8 else b"OW"
    header = encoding.element.pack(0x7FE0, 0x0010, vr, 0) + encoding.u32.pack(length + len(padding))
    return [header, *frames, padding]
