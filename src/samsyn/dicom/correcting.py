"""A data set with corrected attributes, and what they were before inside it (Original Attributes Sequence).

PS3.3 C.12.1.1.9: the values that were replaced or taken out stand, byte for byte, in an item of (0400,0561)
together with when, by which system and why. Everything else, pixel data above all, keeps its bytes.
"""

import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from samsyn.dicom.charsets import codec_of, read_charsets
from samsyn.dicom.dictionary import vr_of
from samsyn.dicom.structure import (
    UNDEFINED,
    Encoding,
    encoding_of,
    implicit_twin,
    is_long,
    plain_data,
    read_header,
    skip_value,
)
from samsyn.dicom.values import CHARSET_VRS, write_values
from samsyn.errors import BadInput
from samsyn.limits import MAX_ELEMENTS

_CHARSET: Final = 0x00080005
_ORIGINAL: Final = 0x04000561
_MODIFIED: Final = 0x04000550
_UNICODE: Final = "ISO_IR 192"

Corrections = Mapping[int, tuple[str, tuple[object, ...]] | None]
"""By tag: VR and new values (no values = empty), or None to take the attribute out. Top level, no sequences."""


@dataclass(frozen=True, slots=True)
class Modification:
    """What is told about a correction inside the object."""

    moment: str
    """DT, e.g. 20260131101500+0100."""
    system: str
    source: str
    """Who had sent the former values."""
    reason: str = "CORRECT"


def corrected(
    data: bytes | memoryview, transfer_syntax_uid: str, corrections: Corrections, modification: Modification
) -> bytes:
    """The data set in the same transfer syntax with the corrections made.

    An attribute that had no value before is told as empty among the former ones. Text goes into the data set's
    own character set; where it does not fit, into ISO_IR 192 when nothing but ASCII stands in the data set, without
    its accents otherwise. BadInput, LimitExceeded: the data set is not well formed.
    """
    syntax, encoding = encoding_of(transfer_syntax_uid)
    plain = memoryview(plain_data(data, syntax))
    pieces = _walk(plain, encoding)
    codec, charset = _codec(pieces, corrections)
    elements: dict[int, bytes | memoryview] = {piece.tag: piece.whole for piece in pieces}
    former: dict[int, bytes] = {}
    for tag, change in corrections.items():
        former[tag] = bytes(elements.pop(tag, _element(tag, _vr(change), b"", encoding)))
        if change is not None:
            vr, values = change
            if codec == "ascii":
                values = tuple(_without_accents(value) for value in values)
            elements[tag] = _element(tag, vr, write_values(vr, values, encoding.order, codec), encoding)
    if charset is not None:
        former[_CHARSET] = bytes(elements.pop(_CHARSET, _element(_CHARSET, "CS", b"", encoding)))
        elements[_CHARSET] = _element(
            _CHARSET, "CS", write_values("CS", (charset,), encoding.order, "ascii"), encoding
        )
    earlier = next((bytes(piece.value) for piece in pieces if piece.tag == _ORIGINAL), b"")
    elements[_ORIGINAL] = _element(
        _ORIGINAL, "SQ", earlier + _original(former, modification, encoding), encoding
    )
    whole = b"".join(elements[tag] for tag in sorted(elements))
    if not syntax.deflated:
        return whole
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = machine.compress(whole) + machine.flush()
    return packed + b"\0" * (len(packed) % 2)


@dataclass(frozen=True, slots=True)
class _Piece:
    tag: int
    vr: str
    whole: memoryview
    value: memoryview
    encoding: Encoding
    """Of what lies inside, for a sequence."""


def _walk(data: memoryview, encoding: Encoding) -> list[_Piece]:
    """The top level's elements; group lengths, which would be wrong afterwards, are left out."""
    pieces: list[_Piece] = []
    position, left = 0, MAX_ELEMENTS
    while position < len(data):
        tag, vr, begin, length = read_header(data, position, len(data), encoding)
        if tag >> 16 == 0xFFFE:
            raise BadInput("an item or delimiter stands outside a sequence")
        end, left = skip_value(data, tag, vr, begin, length, len(data), encoding, left - 1)
        if tag & 0xFFFF:
            last = end - 8 if length == UNDEFINED else end
            name = vr.decode("ascii") or vr_of(tag)
            inner = implicit_twin(encoding) if name == "UN" and length == UNDEFINED else encoding
            kind = "SQ" if name == "UN" and length == UNDEFINED else name
            pieces.append(_Piece(tag, kind, data[position:end], data[begin:last], inner))
        position = end
    return pieces


def _is_ascii(piece: _Piece) -> bool:
    """Whether no text in it (in the items of a sequence too) has a byte above 127."""
    if piece.vr != "SQ":
        return piece.vr not in CHARSET_VRS or bytes(piece.value).isascii()
    data, encoding, position = piece.value, piece.encoding, 0
    while position < len(data):
        tag, vr, begin, length = read_header(data, position, len(data), encoding)
        if tag >> 16 == 0xFFFE:
            # Items are entered, their delimiters passed: only what holds text matters here.
            position = begin
            continue
        position, _ = skip_value(data, tag, vr, begin, length, len(data), encoding, MAX_ELEMENTS)
        name = vr.decode("ascii") or vr_of(tag)
        if name == "SQ" or (name in CHARSET_VRS and not bytes(data[begin:position]).isascii()):
            inside = _Piece(tag, name, data[begin:position], data[begin:position], encoding)
            if name != "SQ" or not _is_ascii(inside):
                return False
    return True


def _codec(pieces: list[_Piece], corrections: Corrections) -> tuple[str, str | None]:
    """How new text is encoded, and the character set to declare when the present one can not hold it."""
    texts = "".join(
        str(value)
        for change in corrections.values()
        if change is not None and change[0] in CHARSET_VRS
        for value in change[1]
    )
    declared = next((bytes(piece.value) for piece in pieces if piece.tag == _CHARSET), b"")
    charsets = read_charsets(declared)
    codec = codec_of(charsets[0]) if charsets and charsets[0] else "ascii"
    try:
        texts.encode(codec)
    except (UnicodeEncodeError, LookupError):
        if len(charsets) < 2 and all(_is_ascii(piece) for piece in pieces):
            return "utf-8", _UNICODE
        return "ascii", None
    return codec, None


def _without_accents(value: object) -> object:
    if not isinstance(value, str) or value.isascii():
        return value
    apart = unicodedata.normalize("NFKD", value)
    return apart.encode("ascii", "ignore").decode()


def _vr(change: tuple[str, tuple[object, ...]] | None) -> str:
    return change[0] if change is not None else "LO"


def _original(former: dict[int, bytes], modification: Modification, encoding: Encoding) -> bytes:
    """One item of the Original Attributes Sequence."""
    before = b"".join(former[tag] for tag in sorted(former))

    def text(tag: int, vr: str, value: str) -> bytes:
        return _element(tag, vr, write_values(vr, (value,), encoding.order, "ascii"), encoding)

    content = _element(_MODIFIED, "SQ", _item(before, encoding), encoding)
    content += text(0x04000562, "DT", modification.moment)
    content += text(0x04000563, "LO", modification.system)
    content += text(0x04000564, "LO", modification.source.encode("ascii", "replace").decode()[:64])
    content += text(0x04000565, "CS", modification.reason)
    return _item(content, encoding)


def _item(content: bytes, encoding: Encoding) -> bytes:
    return encoding.item.pack(0xFFFE, 0xE000, len(content)) + content


def _element(tag: int, vr: str, value: bytes, encoding: Encoding) -> bytes:
    group, element, name = tag >> 16, tag & 0xFFFF, vr.encode("ascii")
    if not encoding.explicit:
        return encoding.item.pack(group, element, len(value)) + value
    if is_long(name):
        return encoding.element.pack(group, element, name, 0) + encoding.u32.pack(len(value)) + value
    return encoding.element.pack(group, element, name, len(value)) + value
