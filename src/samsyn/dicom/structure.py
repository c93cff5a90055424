"""The bytes between values: element headers, nesting, encapsulated fragments. Iterative and bounded.

Everything that walks a data set stands on these functions, so that one set of rules says what is well formed:
each length must fit into what encloses it, delimiters come only where they are due, nesting and the number of
elements are limited, and nothing is allocated for a length that is only claimed.
"""

import struct
import zlib
from dataclasses import dataclass
from types import MappingProxyType

from samsyn.dicom.transfer_syntaxes import TransferSyntax, find
from samsyn.errors import BadInput, LimitExceeded, NotSupported
from samsyn.limits import (
    DEFLATE_FREE_BYTES,
    MAX_DEFLATE_RATIO,
    MAX_INFLATED_BYTES,
    MAX_SEQUENCE_DEPTH,
)

UNDEFINED = 0xFFFFFFFF
"""Length of a value that ends with a delimiter (PS3.5 7.1.1)."""
MAX_SHORT_LENGTH = 0xFFFF
"""Largest value, in bytes, of a VR whose length is told in 16 bits; a longer one is written as UN (PS3.5 6.2.2)."""
PIXEL_DATA = 0x7FE00010
ITEM = 0xFFFEE000
ITEM_DELIMITER = 0xFFFEE00D
SEQUENCE_DELIMITER = 0xFFFEE0DD

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
"""VRs with a 16-bit length (PS3.5 7.1.2)."""
FRAGMENT_VRS = frozenset((b"OB", b"OW"))
"""VRs whose undefined length means encapsulated fragments (PS3.5 A.4)."""
_UPPER = frozenset(range(65, 91))


@dataclass(frozen=True, slots=True)
class Encoding:
    """Explicit or implicit VR and byte order, with the structs that read them."""

    explicit: bool
    order: str
    """`<` or `>`, as in struct."""
    item: struct.Struct
    """group, element, 32-bit length: item headers and implicit VR elements."""
    element: struct.Struct
    """group, element, VR, 16-bit length: explicit VR elements."""
    u32: struct.Struct
    u16: struct.Struct


def _encoding(*, explicit: bool, order: str) -> Encoding:
    return Encoding(
        explicit,
        order,
        struct.Struct(order + "HHI"),
        struct.Struct(order + "HH2sH"),
        struct.Struct(order + "I"),
        struct.Struct(order + "H"),
    )


IMPLICIT_LITTLE_ENCODING = _encoding(explicit=False, order="<")
EXPLICIT_LITTLE_ENCODING = _encoding(explicit=True, order="<")
_EXPLICIT_BIG_ENCODING = _encoding(explicit=True, order=">")
_IMPLICIT_BIG_ENCODING = _encoding(explicit=False, order=">")
_AS_IMPLICIT = MappingProxyType({"<": IMPLICIT_LITTLE_ENCODING, ">": _IMPLICIT_BIG_ENCODING})


def encoding_of(transfer_syntax_uid: str) -> tuple[TransferSyntax, Encoding]:
    """The encoding of a data set in this transfer syntax; NotSupported for an unknown one."""
    syntax = find(transfer_syntax_uid)
    if syntax is None:
        raise NotSupported("the transfer syntax is not known")
    if not syntax.explicit:
        return syntax, IMPLICIT_LITTLE_ENCODING
    return syntax, EXPLICIT_LITTLE_ENCODING if syntax.little else _EXPLICIT_BIG_ENCODING


def implicit_twin(encoding: Encoding) -> Encoding:
    """Implicit VR in the same byte order: how UN of undefined length is encoded (PS3.5 6.2.2 note 2)."""
    return _AS_IMPLICIT[encoding.order]


def plain_data(data: bytes | memoryview, syntax: TransferSyntax) -> bytes | memoryview:
    """The data set itself, inflated if the transfer syntax is a deflated one."""
    return inflate(data) if syntax.deflated else data


def inflate(data: bytes | memoryview) -> memoryview:
    """The inflated data set (raw deflate, RFC 1951; PS3.5 A.5). Padding and gzip's trailer may follow.

    LimitExceeded as soon as MAX_INFLATED_BYTES is passed, or (beyond DEFLATE_FREE_BYTES) MAX_DEFLATE_RATIO by
    what was read so far; BadInput for a broken or unfinished stream. Never holds more than the output so far
    and one step.
    """
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    output = bytearray()
    pending: bytes | memoryview = data
    try:
        while not machine.eof:
            step = machine.decompress(pending, 1 << 20)
            pending = machine.unconsumed_tail
            output += step
            if len(output) > MAX_INFLATED_BYTES:
                raise LimitExceeded("MAX_INFLATED_BYTES")
            if len(output) > max(DEFLATE_FREE_BYTES, MAX_DEFLATE_RATIO * (len(data) - len(pending))):
                raise LimitExceeded("MAX_DEFLATE_RATIO")
            if not step and not pending and not machine.eof:
                raise BadInput("the deflated data set ends too early")
    except zlib.error as error:
        raise BadInput("the data set is not deflated as its transfer syntax says") from error
    rest = machine.unused_data
    trailer = struct.pack("<II", zlib.crc32(output), len(output) & 0xFFFFFFFF)
    if rest not in (b"", b"\0", trailer, trailer + b"\0"):
        raise BadInput("bytes follow the deflated data set")
    return memoryview(output)


def is_long(vr: bytes) -> bool:
    """Whether an explicit VR header is 12 bytes; also for VRs that were not yet invented (PS3.5 6.2).

    BadInput when the two bytes are no VR at all.
    """
    if vr in SHORT_VRS:
        return False
    if vr[0] in _UPPER and vr[1] in _UPPER:
        return True
    raise BadInput("an element has no legal value representation")


def read_header(
    data: bytes | memoryview, position: int, limit: int, encoding: Encoding
) -> tuple[int, bytes, int, int]:
    """(tag, VR or b"" where none is written, first byte of the value, its length which may be UNDEFINED).

    For walks that are not hot. Item and delimiter tags have no VR. BadInput when the header is torn or a
    defined length reaches beyond `limit`.
    """
    if position + 8 > limit:
        raise BadInput("an element header is torn")
    group, element, length = encoding.item.unpack_from(data, position)
    vr = b""
    begin = position + 8
    if encoding.explicit and group != 0xFFFE:
        _, _, vr, length = encoding.element.unpack_from(data, position)
        if is_long(vr):
            if begin + 4 > limit:
                raise BadInput("an element header is torn")
            length = encoding.u32.unpack_from(data, begin)[0]
            begin += 4
    if length != UNDEFINED and length > limit - begin:
        raise BadInput("an element is longer than what encloses it")
    return group << 16 | element, vr, begin, length


def skip_value(
    data: bytes | memoryview,
    tag: int,
    vr: bytes,
    begin: int,
    length: int,
    limit: int,
    encoding: Encoding,
    left: int,
) -> tuple[int, int]:
    """Past a value whose header `read_header` gave, and how many elements are still allowed."""
    if length != UNDEFINED:
        return begin + length, left
    if vr in FRAGMENT_VRS or tag == PIXEL_DATA:
        return skip_fragments(data, begin, limit, encoding, left)
    if vr not in (b"SQ", b"UN", b""):
        raise BadInput("an element that is no sequence has undefined length")
    inner = implicit_twin(encoding) if vr == b"UN" else encoding
    return skip_sequence(data, begin, length, limit, inner, left)


def skip_fragments(
    data: bytes | memoryview, position: int, end: int, encoding: Encoding, left: int
) -> tuple[int, int]:
    """Past the sequence delimiter of encapsulated data whose first item is at `position`.

    Returns the next position and how many elements are still allowed.
    """
    unpack = encoding.item.unpack_from
    while position + 8 <= end:
        group, element, length = unpack(data, position)
        position += 8
        if group != 0xFFFE:
            break
        if element == 0xE0DD:
            if length:
                break
            return position, left
        if element != 0xE000 or length > end - position:
            break
        position += length
        left -= 1
        if left < 0:
            raise LimitExceeded("MAX_ELEMENTS")
    raise BadInput("encapsulated data are torn or end too early")


def skip_sequence(
    data: bytes | memoryview, position: int, length: int, end: int, encoding: Encoding, left: int
) -> tuple[int, int]:
    """Past a sequence whose value begins at `position`, checking everything in it.

    `length` may be UNDEFINED; `end` is where the enclosing value ends; `left` is how many elements and items
    are still allowed. Returns the next position and the new `left`. Nesting deeper than MAX_SEQUENCE_DEPTH
    and too many elements raise LimitExceeded, everything that does not fit BadInput.
    """
    stack: list[tuple[bool, int, int, Encoding]] = []
    in_item, stop, limit = False, *_bounds(position, length, end)
    while True:
        if position == stop:
            if not stack:
                return position, left
            in_item, stop, limit, encoding = stack.pop()
            continue
        if position + 8 > limit:
            raise BadInput("a sequence ends too early")
        left -= 1
        if left < 0:
            raise LimitExceeded("MAX_ELEMENTS")
        if not in_item:
            group, element, length = encoding.item.unpack_from(data, position)
            position += 8
            if group != 0xFFFE:
                raise BadInput("a sequence holds something that is no item")
            if element == 0xE000:
                if len(stack) >= 2 * MAX_SEQUENCE_DEPTH:
                    raise LimitExceeded("MAX_SEQUENCE_DEPTH")
                stack.append((in_item, stop, limit, encoding))
                in_item, (stop, limit) = True, _bounds(position, length, limit)
                continue
            if element != 0xE0DD or length or stop >= 0:
                raise BadInput("a sequence has a delimiter where none is due")
        else:
            vr = b""
            if encoding.explicit:
                group, element, vr, length = encoding.element.unpack_from(data, position)
                position += 8
                if vr not in SHORT_VRS and group != 0xFFFE:
                    if not is_long(vr) or position + 4 > limit:
                        raise BadInput("an element header is torn")
                    length = encoding.u32.unpack_from(data, position)[0]
                    position += 4
            else:
                group, element, length = encoding.item.unpack_from(data, position)
                position += 8
            if group != 0xFFFE:
                if length == UNDEFINED and vr in FRAGMENT_VRS:
                    position, left = skip_fragments(data, position, limit, encoding, left)
                elif vr == b"SQ" or length == UNDEFINED:
                    if vr not in (b"SQ", b"UN", b""):
                        raise BadInput("an element that is no sequence has undefined length")
                    stack.append((in_item, stop, limit, encoding))
                    if vr == b"UN":
                        encoding = implicit_twin(encoding)
                    in_item, (stop, limit) = False, _bounds(position, length, limit)
                elif length > limit - position:
                    raise BadInput("an element is longer than what encloses it")
                else:
                    position += length
                continue
            if element != 0xE00D or stop >= 0 or data[position - 4 : position] != b"\0\0\0\0":
                raise BadInput("an item has a delimiter where none is due")
        if not stack:
            return position, left
        in_item, stop, limit, encoding = stack.pop()


def _bounds(position: int, length: int, limit: int) -> tuple[int, int]:
    """(where the value stops or -1 when a delimiter says so, how far reading may go)."""
    if length == UNDEFINED:
        return -1, limit
    if length > limit - position:
        raise BadInput("a sequence or item is longer than what encloses it")
    return position + length, position + length
