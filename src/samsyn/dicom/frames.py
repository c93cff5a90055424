"""Where each frame of an instance lies (PS3.5 8.2, A.4): byte ranges, found without loading the pixels."""

import struct
from collections.abc import Callable
from typing import TypeAlias

from samsyn.dicom.structure import EXPLICIT_LITTLE_ENCODING
from samsyn.dicom.transfer_syntaxes import (
    EXPLICIT_BIG,
    RLE_LOSSLESS,
    WRAPPED,
    TransferSyntax,
    find,
)
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
_WITHOUT_MARKS = WRAPPED | {RLE_LOSSLESS}
"""Frames that begin with nothing of their own. Each is one fragment (PS3.5 A.4.2, A.4.11, A.4.13)."""
_SUBSAMPLED_BITS = {"YBR_FULL_422": 16, "YBR_PARTIAL_422": 16, "YBR_PARTIAL_420": 12}
"""Bits per pixel of 8-bit native colour with shared chroma (PS3.3 C.7.6.3.1.2)."""


def frame_bits(layout: PixelLayout) -> int:
    """Bits of one native frame. 0 when the layout lacks its facts.

    Objects are met that tell of shared chroma and hold every sample, decompressed by who forgot to say so: their frames
    are as long as their value says.
    """
    pixels = layout.rows * layout.columns
    every = pixels * layout.samples * layout.bits_allocated
    if layout.samples == 3 and layout.bits_allocated == 8 and layout.photometric in _SUBSAMPLED_BITS:
        is_whole = every * max(layout.frames, 1) <= layout.length * 8
        return every if is_whole else pixels * _SUBSAMPLED_BITS[layout.photometric]
    return every


def frame_ranges(
    source: bytes | memoryview | Read, total_bytes: int, layout: PixelLayout, transfer_syntax_uid: str
) -> list[list[Range]]:
    """For each frame, in order, the ranges that make up its bytes when put one after the other.

    `total_bytes` is the size of the data set; no range ends behind it.
    Native: one range each. With bits allocated 1 a frame may begin inside a byte; its range then covers every
    byte that it touches and begins at bit `n * frame_bits % 8` of it (n from 0). Big endian cells may have been
    written as words, so there it covers every word that it touches: see `octets`.
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
        return _native(layout, transfer_syntax_uid)
    if not syntax.encapsulated:
        raise BadInput("pixel data of undefined length in a native transfer syntax")
    read = _reader(source)
    fragments, table = _fragments(read, layout.offset, total_bytes)
    if syntax.video or layout.frames == 1:
        return [[(offset + 8, length) for offset, length in fragments]]
    return _group(read, fragments, table, layout, syntax)


def native_frame(
    layout: PixelLayout, total_bytes: int, number: int, transfer_syntax_uid: str
) -> Range | None:
    """Where frame `number` (from 1) of uncompressed pixels lies, as `frame_ranges` tells it, by arithmetic alone.

    None: there is no such frame, or `frame_ranges` has to find out or to refuse.
    """
    bits = frame_bits(layout)
    if not bits or layout.length < 0 or not 1 <= number <= layout.frames:
        return None
    if layout.offset + layout.length > total_bytes or bits * layout.frames > layout.length * 8:
        return None
    return _lies(layout, bits, number, transfer_syntax_uid)


def _native(layout: PixelLayout, syntax: str) -> list[list[Range]]:
    bits = frame_bits(layout)
    if not bits:
        raise BadInput("the picture's size is not known")
    if bits * layout.frames > layout.length * 8:
        raise BadInput("fewer pixels than the frames need")
    return [[_lies(layout, bits, number, syntax)] for number in range(1, layout.frames + 1)]


def _lies(layout: PixelLayout, bits: int, number: int, syntax: str) -> Range:
    begin, end = bits * (number - 1) // 8, (bits * number + 7) // 8
    if syntax == EXPLICIT_BIG:
        begin, end = begin - begin % 2, min(end + end % 2, layout.length)
    return layout.offset + begin, end - begin


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
    if syntax.uid not in _WITHOUT_MARKS:
        is_told = len(starts) == layout.frames and all(_has_mark(read, fragments[start]) for start in starts)
        found = [] if is_told else [n for n, each in enumerate(fragments) if _has_mark(read, each)]
        # A table may be wrong and point to fragments all the same.
        if len(found) == layout.frames or len(starts) != layout.frames:
            starts = found
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


def _has_mark(read: Read, fragment: Range) -> bool:
    """Whether a codestream begins in it."""
    offset, length = fragment
    return bytes(read(offset + 8, min(8, length))).startswith(_CODESTREAM_STARTS)


def swapped_words(value: bytes | memoryview, word_bits: int) -> bytes:
    """Big endian numbers as little endian ones: what every octet stream over HTTP is (PS3.18 8.7.3.2). What is left of
    a word at the end stays as it is."""
    width = word_bits // 8
    if width < 2:
        return bytes(value)
    swapped = bytearray(value)
    whole = len(value) - len(value) % width
    for byte in range(width):
        swapped[byte:whole:width] = value[width - 1 - byte : whole : width]
    return bytes(swapped)


def octets(frame: bytes | memoryview, layout: PixelLayout, number: int, word_bits: int) -> bytes:
    """Native frame `number` (from 1) of big endian explicit VR, as `frame_ranges` finds it, as it would lie in little
    endian.

    `word_bits`: of the VR of its pixels (PS3.5 7.3), which is all that is turned round: OW 16, OF 32, OD 64, OB 8. In
    OW cells of at most eight bits are two or more to a word, the first one in its low bits (PS3.5 8.1.1, A.3), and a
    frame of an odd number of bytes has a half of one word; cells of 32 bits are two words, the lower one first. Larger
    cells than eight bits are never OB; what says so nevertheless is taken for OW.
    """
    bits = frame_bits(layout)
    begin, end = bits * (number - 1) // 8, (bits * number + 7) // 8
    value = swapped_words(frame, max(word_bits, 16) if layout.bits_allocated > 8 else word_bits)
    return value[begin % 2 :][: end - begin]


def aligned(frame: bytes | memoryview, layout: PixelLayout, number: int) -> bytes | memoryview:
    """Native frame `number` (from 1), as `frame_ranges` finds it, from its first bit on: where frames of one bit a
    pixel begin inside a byte, the bits of their neighbours are taken away, and zeros fill up the last byte."""
    bits = frame_bits(layout)
    if layout.bits_allocated != 1 or not bits % 8:
        return frame
    found = int.from_bytes(frame, "little") >> (number - 1) * bits % 8
    return (found & (1 << bits) - 1).to_bytes((bits + 7) // 8, "little")
