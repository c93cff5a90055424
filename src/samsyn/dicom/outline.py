"""A data set that is too large for memory, without its large values: everything else in its place.

The outline is as long as the data set; where a large binary value was left out its bytes are zero, so offsets and
lengths are the data set's own, and whoever walks elements (`reading.summarize`, `json.to_dicom_json`) may walk it.
Fragments of encapsulated data stand as one item over all of them: each was looked at, none is copied.
"""

from collections.abc import Callable
from typing import Final

from samsyn.dicom.structure import (
    EXPLICIT_LITTLE_ENCODING,
    FRAGMENT_VRS,
    PIXEL_DATA,
    UNDEFINED,
    encoding_of,
    implicit_twin,
    read_header,
    skip_sequence,
)
from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_ELEMENTS, MAX_HEADER_BYTES, MIB

Read = Callable[[int, int], bytes]
"""read(offset, length) gives those bytes of the data set, fewer only at its end."""

_LARGE: Final = 1 * MIB
_WINDOW: Final = 64 * 1024
_ITEM_WINDOW: Final = 4 * 1024
"""One read of this size serves many small fragments, and costs no more than eight bytes."""
_BINARY: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"})
_BULK_TAGS: Final = frozenset({PIXEL_DATA, 0x7FE00008, 0x7FE00009, 0x00420011, 0x54001010})
"""What is binary where no VR is written: pixels, encapsulated documents, waveforms; and what is private."""
_FIRST_BULK_GROUP: Final = 0x0042
"""Values of the groups below are names, numbers and tables: none of them is as long as this."""


class Outline:
    """Draws the outline of one data set into a buffer of zeros."""

    def __init__(
        self, read: Read, into: memoryview, transfer_syntax_uid: str, last: int = 0xFFFFFFFF
    ) -> None:
        """`into`: as long as the data set, all zero, best of pages that cost nothing until they are written. `last`:
        what comes behind this tag is not looked at.

        BadInput: not well formed at its top level. NotSupported: unknown transfer syntax. LimitExceeded: a deflated
        data set (MAX_INSTANCE_IN_MEMORY_BYTES), or what can not be left out is more than MAX_HEADER_BYTES.
        """
        syntax, self._encoding = encoding_of(transfer_syntax_uid)
        if syntax.deflated:
            raise LimitExceeded("MAX_INSTANCE_IN_MEMORY_BYTES")
        self._read = read
        self._into = into
        self._copied = 0
        self._filled = 0
        self._left = MAX_ELEMENTS
        self.left_out: dict[int, tuple[int, int]] = {}
        """Tag -> (offset, length) of the value, item tags of encapsulated data among it."""
        self._draw(last)

    def _draw(self, last: int) -> None:
        position, end = 0, len(self._into)
        while position < end:
            self._left -= 1
            if self._left < 0:
                raise LimitExceeded("MAX_ELEMENTS")
            self._fill(min(position + 12, end))
            tag, vr, begin, length = read_header(self._into, position, end, self._encoding)
            if tag > last:
                return
            position = self._value(tag, vr, begin, length)
            # What was left out needs no filling.
            self._filled = max(self._filled, position)

    def _value(self, tag: int, vr: bytes, begin: int, length: int) -> int:
        """Takes the value or leaves it out; where the next element begins."""
        if length == UNDEFINED:
            if vr in FRAGMENT_VRS or tag == PIXEL_DATA:
                return self._fragments(tag, begin)
            return self._sequence(vr, begin)
        if length > _LARGE and self._is_binary(tag, vr):
            if tag >> 16 < _FIRST_BULK_GROUP:
                raise BadInput("an element that matters is longer than any such value")
            self.left_out[tag] = (begin, length)
            return begin + length
        self._fill(begin + length)
        return begin + length

    @staticmethod
    def _is_binary(tag: int, vr: bytes) -> bool:
        return vr in _BINARY if vr else tag in _BULK_TAGS or bool(tag >> 16 & 1)

    def _fill(self, end: int) -> None:
        """Takes over everything up to `end`, and some more, since elements are small."""
        if end <= self._filled:
            return
        end = min(max(end, self._filled + _WINDOW), len(self._into))
        self._copied += end - self._filled
        if self._copied > MAX_HEADER_BYTES:
            raise LimitExceeded("MAX_HEADER_BYTES")
        for offset in range(self._filled, end, _LARGE):
            piece = self._read(offset, min(_LARGE, end - offset))
            self._into[offset : offset + len(piece)] = piece
        self._filled = end

    def _sequence(self, vr: bytes, begin: int) -> int:
        """A sequence of undefined length is taken over until its end is found."""
        inner = implicit_twin(self._encoding) if vr == b"UN" else self._encoding
        size, end = _LARGE, len(self._into)
        while True:
            self._fill(min(begin + size, end))
            try:
                after, _ = skip_sequence(self._into, begin, UNDEFINED, self._filled, inner, self._left)
            except BadInput:
                if self._filled >= end:
                    raise
                size *= 4
            else:
                return after

    def _fragments(self, tag: int, begin: int) -> int:
        """Looks at each item, and draws them as the offset table and one item over all the others."""
        items, delimiter = self._items(begin)
        pack = EXPLICIT_LITTLE_ENCODING.item.pack_into
        if items:
            second = items[0][0] + 8 + items[0][1]
            pack(self._into, items[0][0], 0xFFFE, 0xE000, items[0][1])
            if second < delimiter:
                pack(self._into, second, 0xFFFE, 0xE000, delimiter - second - 8)
        pack(self._into, delimiter, 0xFFFE, 0xE0DD, 0)
        self.left_out[tag] = (begin, delimiter + 8 - begin)
        return delimiter + 8

    def _items(self, begin: int) -> tuple[list[tuple[int, int]], int]:
        """The first item as (offset, length), if there is one, and where the sequence delimiter lies."""
        end, position, first = len(self._into), begin, list[tuple[int, int]]()
        window_start, window = begin, self._read(begin, _ITEM_WINDOW)
        while True:
            if not window_start <= position <= window_start + len(window) - 8:
                window_start, window = position, self._read(position, _ITEM_WINDOW)
                if len(window) < 8:
                    raise BadInput("encapsulated data are torn or end too early")
            group, element, length = EXPLICIT_LITTLE_ENCODING.item.unpack_from(
                window, position - window_start
            )
            if (group, element, length) == (0xFFFE, 0xE0DD, 0):
                return first, position
            if (group, element) != (0xFFFE, 0xE000) or length > end - position - 8:
                raise BadInput("encapsulated data are torn or end too early")
            if not first:
                first.append((position, length))
            position += 8 + length
            self._left -= 1
            if self._left < 0:
                raise LimitExceeded("MAX_ELEMENTS")
