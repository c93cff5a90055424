"""Where each frame of an instance lies (PS3.5 8.2, A.4): byte ranges, found without loading the pixels."""

import struct
from collections.abc import Callable
from typing import TypeAlias

from samsyn.dicom.structure import EXPLICIT_LITTLE_ENCODING
from samsyn.dicom.transfer_syntaxes import RLE_LOSSLESS, TransferSyntax, find
from samsyn.errors import BadInput, LimitExceeded, NotSupported
from samsyn.limits import MAX_ELEMENTS, MAX_HEADER_BYTES
from samsyn.model.imaging import PixelLayout

Range: TypeAlias = tuple[int, int]
"""(offset in the data set, length) in bytes."""
Read: TypeAlias = Callable[[int, int], bytes | memoryview]
"""read(offset, length) gives those bytes of the data set, fewer only at its end."""

_WINDOW_BYTES = 4_096
"""One read of this size serves many small fragments, and costs no more than eight bytes."""
_CODESTREAM_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ")
"""SOI of the JPEG family, SOC+SIZ of JPEG 2000, JPEG XL bare and boxed, JP2 box."""
_SUBSAMPLED_BITS = {"YBR_FULL_422": 16, "YBR_PARTIAL_422": 16, "YBR_PARTIAL_420": 12}
"""Bits per pixel of 8-bit native colour with shared chroma (PS3.3 C.7.6.3.1.2)."""


def frame_bits(layout: PixelLayout) -> int:
    """Bits of one native frame. 0 when the layout lacks its facts."""
    pixels = layout.rows * layout.columns
    if layout.samples == 3 and layout.bits_allocated == 8 and layout.photometric in _SUBSAMPLED_BITS:
        return pixels * _SUBSAMPLED_BITS[layout.photometric]
    return pixels * layout.samples * layout.bits_allocated


def frame_ranges(
    source: bytes | memoryview | Read, total_bytes: int, layout: PixelLayout, transfer_syntax_uid: str
) -> list[list[Range]]:
    """For each frame, in order, the ranges that make up its bytes when put one after the other.

    `total_bytes` is the size of the data set; no range ends behind it.
    Native: one range each. With bits allocated 1 a frame may begin inside a byte; its range then covers every
    byte that it touches and begins at bit `n * frame_bits % 8` of it (n from 0).
    Encapsulated: the fragments of the frame; a video is one "frame". An Extended Offset Table is not needed:
    it demands one fragment per frame (PS3.3 C.7.6.3.1.8), which the fragments themselves show.
    In a deflated transfer syntax `source` is the inflated data set.

    BadInput: too few bytes for the frames, or no way to tell which fragment belongs to which frame.
    """
    syntax = find(transfer_syntax_uid)
    if syntax is None:
        raise NotSupported("the transfer syntax is not known")
    if layout.length >= 0:
        if layout.offset + layout.length > total_bytes:
            raise BadInput("the pixel data are longer than the data set")
        return _native(layout)
    if not syntax.encapsulated:
        raise BadInput("pixel data of undefined length in a native transfer syntax")
    read = _reader(source)
    fragments, table = _fragments(read, layout.offset, total_bytes)
    if syntax.video or layout.frames == 1:
        return [[(offset + 8, length) for offset, length in fragments]]
    return _group(read, fragments, table, layout, syntax)


def native_frame(layout: PixelLayout, total_bytes: int, number: int) -> Range | None:
    """Where frame `number` (from 1) of uncompressed pixels lies, as `frame_ranges` tells it, by arithmetic alone.

    None: there is no such frame, or `frame_ranges` has to find out or to refuse.
    """
    bits = frame_bits(layout)
    if not bits or layout.length < 0 or not 1 <= number <= layout.frames:
        return None
    if layout.offset + layout.length > total_bytes or bits * layout.frames > layout.length * 8:
        return None
    begin, end = bits * (number - 1) // 8, (bits * number + 7) // 8
    return layout.offset + begin, end - begin


def _native(layout: PixelLayout) -> list[list[Range]]:
    bits = frame_bits(layout)
    if not bits:
        raise BadInput("the picture's size is not known")
    if bits * layout.frames > layout.length * 8:
        raise BadInput("fewer pixels than the frames need")
    if bits % 8 == 0:
        size = bits // 8
        return [[(layout.offset + size * number, size)] for number in range(layout.frames)]
    edges = [(bits * number // 8, (bits * (number + 1) + 7) // 8) for number in range(layout.frames)]
    return [[(layout.offset + begin, end - begin)] for begin, end in edges]


def _reader(source: bytes | memoryview | Read) -> Read:
    if callable(source):
        return source
    data = source
    return lambda offset, length: data[offset : offset + length]


def _fragments(read: Read, offset: int, total_bytes: int) -> tuple[list[Range], tuple[int, ...]]:
    """The items after the Basic Offset Table as (offset of the item's tag, length of its value), and the table."""
    unpack = EXPLICIT_LITTLE_ENCODING.item.unpack_from
    fragments: list[Range] = []
    table: tuple[int, ...] | None = None
    position, window_start, window = offset, offset, read(offset, _WINDOW_BYTES)
    while True:
        if position + 8 > window_start + len(window):
            window_start, window = position, read(position, _WINDOW_BYTES)
            if len(window) < 8:
                raise BadInput("encapsulated pixel data end too early")
        group, element, length = unpack(window, position - window_start)
        if group != 0xFFFE or element not in (0xE000, 0xE0DD):
            raise BadInput("encapsulated pixel data are torn")
        if element == 0xE0DD:
            return fragments, table or ()
        if length > total_bytes - position - 8:
            raise BadInput("a fragment is longer than the data set")
        if table is None:
            table = _offset_table(read, position + 8, length)
        else:
            fragments.append((position, length))
            if len(fragments) > MAX_ELEMENTS:
                raise LimitExceeded("MAX_ELEMENTS")
        position += 8 + length


def _offset_table(read: Read, position: int, length: int) -> tuple[int, ...]:
    if length % 4 or length > MAX_HEADER_BYTES:
        raise BadInput("the offset table has an impossible length")
    value = read(position, length)
    if len(value) < length:
        raise BadInput("encapsulated pixel data end too early")
    return struct.unpack(f"<{length // 4}I", value)


def _group(
    read: Read, fragments: list[Range], table: tuple[int, ...], layout: PixelLayout, syntax: TransferSyntax
) -> list[list[Range]]:
    if len(fragments) < layout.frames:
        raise BadInput("fewer fragments than frames")
    if len(fragments) == layout.frames:
        return [[(offset + 8, length)] for offset, length in fragments]
    starts = _starts_by_table(fragments, table)
    if len(starts) != layout.frames and syntax.uid != RLE_LOSSLESS:
        starts = _starts_by_content(read, fragments)
    if len(starts) != layout.frames or starts[0] != 0:
        raise BadInput("which fragments make up a frame can not be told")
    ends = [*starts[1:], len(fragments)]
    return [
        [(offset + 8, length) for offset, length in fragments[begin:end]]
        for begin, end in zip(starts, ends, strict=True)
    ]


def _starts_by_table(fragments: list[Range], table: tuple[int, ...]) -> list[int]:
    """Index of each frame's first fragment, or nothing when the table does not fit the fragments."""
    if not table:
        return []
    index = {offset - fragments[0][0]: number for number, (offset, _) in enumerate(fragments)}
    starts = [index.get(entry, -1) for entry in table]
    return starts if -1 not in starts and sorted(set(starts)) == starts else []


def _starts_by_content(read: Read, fragments: list[Range]) -> list[int]:
    return [
        number
        for number, (offset, length) in enumerate(fragments)
        if bytes(read(offset + 8, min(8, length))).startswith(_CODESTREAM_STARTS)
    ]


def swapped_words(pixels: bytes | memoryview, bits_allocated: int) -> bytes:
    """Big endian native pixels as little endian ones: what every octet stream over HTTP is (PS3.18 8.7.3.2).

    NotSupported: a frame of odd length whose 8-bit pixels were written as words shares one with its neighbour.
    """
    width = bits_allocated // 8
    if len(pixels) % max(width, 1):
        raise NotSupported("frames that share big endian words with their neighbours")
    if width < 2:
        return bytes(pixels)
    swapped = bytearray(len(pixels))
    for byte in range(width):
        swapped[byte::width] = pixels[width - 1 - byte :: width]
    return bytes(swapped)


def aligned(frame: bytes | memoryview, layout: PixelLayout, number: int) -> bytes | memoryview:
    """Native frame `number` (from 1), as `frame_ranges` finds it, from its first bit on: where frames of one bit a
    pixel begin inside a byte, the bits of their neighbours are taken away, and zeros fill up the last byte."""
    bits = frame_bits(layout)
    if layout.bits_allocated != 1 or not bits % 8:
        return frame
    found = int.from_bytes(frame, "little") >> (number - 1) * bits % 8
    return (found & (1 << bits) - 1).to_bytes((bits + 7) // 8, "little")
