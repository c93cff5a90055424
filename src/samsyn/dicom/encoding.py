"""Attributes to data sets and back: the small identifiers of queries and answers, not stored objects."""

from collections.abc import Callable
from functools import partial

from samsyn.dicom.charsets import codec_of, read_charsets
from samsyn.dicom.dictionary import vr_of
from samsyn.dicom.structure import (
    ITEM_DELIMITER,
    MAX_SHORT_LENGTH,
    UNDEFINED,
    Encoding,
    encoding_of,
    implicit_twin,
    inflate,
    is_long,
    read_header,
    skip_sequence,
)
from samsyn.dicom.values import CHARSET_VRS, TEXT_VRS, read_values, write_values
from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_ELEMENTS, MAX_IDENTIFIER_BYTES, MAX_SEQUENCE_DEPTH
from samsyn.model.attributes import Attributes

_CHARSET = 0x00080005
UNICODE = "ISO_IR 192"
LATIN_1 = "ISO_IR 100"


def encode(attributes: Attributes, transfer_syntax_uid: str, charset: str = UNICODE) -> bytes:
    """The data set, tags ascending, sequences and items with defined length.

    Text that is not ASCII makes Specific Character Set `charset` (a defined term without code extensions) if all of it
    fits in that, else ISO_IR 192, whatever the attributes say; without such text a stated one stays. Text that is too
    long for its VR is written as UN. BadInput for values that do not fit their VR, and for others too long for it.
    """
    _, encoding = encoding_of(transfer_syntax_uid)
    if not _all_texts(attributes, str.isascii):
        if charset != UNICODE and not _all_texts(attributes, partial(_fits, codec_of(charset))):
            charset = UNICODE
        attributes = {**attributes, _CHARSET: ("CS", (charset,))}
    return _encode(attributes, encoding, codec_of(charset))


def _all_texts(attributes: Attributes, holds: Callable[[str], bool]) -> bool:
    """Whether it holds of every text that obeys Specific Character Set."""
    for vr, values in attributes.values():
        if vr == "SQ":
            if not all(_all_texts(item, holds) for item in values if isinstance(item, dict)):
                return False
        elif vr in CHARSET_VRS and not all(holds(str(value)) for value in values):
            return False
    return True


def _fits(codec: str, text: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _encode(attributes: Attributes, encoding: Encoding, codec: str) -> bytes:
    pieces: list[bytes] = []
    for tag in sorted(attributes):
        vr, values = attributes[tag]
        if vr == "SQ":
            value = b"".join(_item(item, encoding, codec) for item in values)
        else:
            value = write_values(vr, values, encoding.order, codec)
        pieces.append(_header(tag, vr, len(value), encoding))
        pieces.append(value)
    return b"".join(pieces)


def _item(item: object, encoding: Encoding, codec: str) -> bytes:
    if not isinstance(item, dict):
        raise BadInput("a sequence holds something that is no item")
    content = _encode(item, encoding, codec)
    return encoding.item.pack(0xFFFE, 0xE000, len(content)) + content


def _header(tag: int, vr: str, length: int, encoding: Encoding) -> bytes:
    group, element = tag >> 16, tag & 0xFFFF
    if not encoding.explicit:
        return encoding.item.pack(group, element, length)
    name = vr.encode("ascii")
    if not is_long(name) and length <= MAX_SHORT_LENGTH:
        return encoding.element.pack(group, element, name, length)
    if not is_long(name):
        if vr not in TEXT_VRS:
            raise BadInput(f"a value is too long for its representation {vr}")
        # A thousand UIDs are sound all the same, and one object with a text that is none must not end every answer
        # that it stands in: this is the way to write them (PS3.5 6.2.2).
        name = b"UN"
    return encoding.element.pack(group, element, name, 0) + encoding.u32.pack(length)


def decode(data: bytes | memoryview, transfer_syntax_uid: str) -> Attributes:
    """A whole identifier. Group lengths are left out; in implicit VR the dictionary tells the VR.

    LimitExceeded: MAX_IDENTIFIER_BYTES, MAX_SEQUENCE_DEPTH, MAX_ELEMENTS. BadInput: not well formed.
    """
    syntax, encoding = encoding_of(transfer_syntax_uid)
    if len(data) > MAX_IDENTIFIER_BYTES:
        raise LimitExceeded("MAX_IDENTIFIER_BYTES")
    if syntax.deflated:
        data = inflate(data)
    attributes, _ = _decode(data, 0, len(data), encoding, (), 0)
    return attributes


def _decode(
    data: bytes | memoryview,
    position: int,
    end: int,
    encoding: Encoding,
    charsets: tuple[str, ...],
    depth: int,
) -> tuple[Attributes, int]:
    """The elements up to `end`, or up to an item delimiter, and the position behind them."""
    attributes: Attributes = {}
    while position < end:
        tag, vr_bytes, position, length = read_header(data, position, end, encoding)
        if tag >> 16 == 0xFFFE:
            if tag == ITEM_DELIMITER and depth and not length:
                return attributes, position
            raise BadInput("an item or delimiter stands outside a sequence")
        vr = vr_bytes.decode("ascii") or vr_of(tag)
        if vr == "UN" and vr_of(tag) in TEXT_VRS and length != UNDEFINED:
            vr = vr_of(tag)  # It was too long for it.
        if tag in attributes:
            raise BadInput(f"element {tag:08X} stands twice")
        if vr == "SQ" or length == UNDEFINED:
            inner = implicit_twin(encoding) if vr == "UN" else encoding
            if vr not in ("SQ", "UN"):
                raise BadInput("an element that is no sequence has undefined length")
            items, position = _items(data, position, length, end, inner, charsets, depth)
            attributes[tag] = ("SQ", items)
            continue
        raw = data[position : position + length]
        position += length
        if tag == _CHARSET:
            charsets = read_charsets(raw)
        if tag & 0xFFFF:
            attributes[tag] = (vr, read_values(vr, raw, encoding.order, charsets))
    return attributes, position


def _items(
    data: bytes | memoryview,
    position: int,
    length: int,
    end: int,
    encoding: Encoding,
    charsets: tuple[str, ...],
    depth: int,
) -> tuple[tuple[Attributes, ...], int]:
    """The items of a sequence. At the outermost one everything below is checked before it is built."""
    if depth >= MAX_SEQUENCE_DEPTH:
        raise LimitExceeded("MAX_SEQUENCE_DEPTH")
    if depth == 0:
        skip_sequence(data, position, length, end, encoding, MAX_ELEMENTS)
    stop = end if length == UNDEFINED else position + length
    items: list[Attributes] = []
    while position < stop:
        _, element, item_length = encoding.item.unpack_from(data, position)
        position += 8
        if element == 0xE0DD:
            break
        item_end = stop if item_length == UNDEFINED else position + item_length
        item, position = _decode(data, position, item_end, encoding, charsets, depth + 1)
        items.append(item)
    return tuple(items), position
