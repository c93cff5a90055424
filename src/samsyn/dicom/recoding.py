"""The same data set in another uncompressed little endian transfer syntax, for peers that take nothing else.

Only headers change: every value keeps its bytes, but for big endian numbers, which are turned round. Sequences and
items come out with defined length.
"""

from array import array
from types import MappingProxyType
from typing import Final

from samsyn.dicom.dictionary import dictionary_vr
from samsyn.dicom.structure import (
    ITEM_DELIMITER,
    MAX_SHORT_LENGTH,
    PIXEL_DATA,
    UNDEFINED,
    Encoding,
    encoding_of,
    implicit_twin,
    inflate,
    is_long,
    read_header,
    skip_sequence,
)
from samsyn.dicom.transfer_syntaxes import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
)
from samsyn.errors import BadInput, LimitExceeded, NotSupported
from samsyn.limits import MAX_ELEMENTS, MAX_SEQUENCE_DEPTH

RECODABLE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED_LITTLE, EXPLICIT_BIG})
"""What `recode` reads."""
RECODED: Final = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
"""What `recode` writes, the one that loses no value representation first."""

_ICON_IMAGES: Final = 0x00880200
_ENCAPSULATED: Final = tuple(b"\xe0\x7f\x10\0" + vr + b"\0\0\xff\xff\xff\xff" for vr in (b"OB", b"OW", b"UN"))
"""Headers of encapsulated pixel data."""
_PIXEL_REPRESENTATION: Final = 0x00280103
_WORDS: Final = MappingProxyType(
    dict.fromkeys((b"US", b"SS", b"OW", b"AT"), "H")
    | dict.fromkeys((b"UL", b"SL", b"FL", b"OL", b"OF"), "I")
    | dict.fromkeys((b"FD", b"OD", b"SV", b"UV", b"OV"), "Q")
)
"""Array codes of the VRs whose bytes the byte order turns round (PS3.5 7.3). Values of VR UN stay as they are."""


def recode(data: bytes | memoryview, source_uid: str, target_uid: str) -> bytes:
    """The data set of `source_uid` as `target_uid`.

    NotSupported: syntaxes outside RECODABLE and RECODED. BadInput, LimitExceeded: the data set is not well
    formed or too deep. Group lengths (gggg,0000), which would be wrong afterwards, are left out.
    """
    if source_uid not in RECODABLE or target_uid not in RECODED:
        raise NotSupported("this change of transfer syntax")
    if source_uid == target_uid:
        return bytes(data)
    plain: bytes | memoryview = inflate(data) if source_uid == DEFLATED_LITTLE else data
    if source_uid == DEFLATED_LITTLE and target_uid == EXPLICIT_LITTLE:
        return bytes(plain)
    source, target = encoding_of(source_uid)[1], encoding_of(target_uid)[1]
    return b"".join(_Recoder(memoryview(plain), target).elements(0, len(plain), source, 0)[0])


def without_coded_icons(elements: memoryview) -> bytes | memoryview:
    """Elements in explicit VR little endian without the icons (0088,0200) whose pixels are compressed, which have no
    place among native ones (PS3.5 A.4); an icon is never needed (PS3.3 C.7.6.1). As they are when there is none.

    BadInput, LimitExceeded: as `recode`.
    """
    if not _has_encapsulated(elements):
        return elements
    _, encoding = encoding_of(EXPLICIT_LITTLE)
    recoder = _Recoder(elements, encoding, keeps_coded_icons=False)
    return b"".join(recoder.elements(0, len(elements), encoding, 0)[0])


def _has_encapsulated(elements: memoryview) -> bool:
    whole = bytes(elements)
    return any(header in whole for header in _ENCAPSULATED)


class _Recoder:
    """One walk over a data set."""

    def __init__(self, data: memoryview, target: Encoding, keeps_coded_icons: bool = True) -> None:
        self._data = data
        self._target = target
        self._keeps_coded_icons = keeps_coded_icons
        self._signed = False

    def elements(
        self, position: int, end: int, source: Encoding, depth: int
    ) -> tuple[list[bytes | memoryview], int]:
        """The elements up to `end` or an item delimiter as pieces, and the position behind them."""
        pieces: list[bytes | memoryview] = []
        while position < end:
            tag, vr_bytes, position, length = read_header(self._data, position, end, source)
            if tag == ITEM_DELIMITER and depth and not length:
                return pieces, position
            if tag >> 16 == 0xFFFE:
                raise BadInput("an item or delimiter stands outside a sequence")
            vr = vr_bytes or self._vr_of(tag)
            if vr == b"SQ" or length == UNDEFINED:
                if tag == PIXEL_DATA or vr not in (b"SQ", b"UN"):
                    raise BadInput("an element that is no sequence has undefined length")
                inner = implicit_twin(source) if vr == b"UN" else source
                if tag == _ICON_IMAGES and not self._keeps_coded_icons:
                    behind = skip_sequence(self._data, position, length, end, inner, MAX_ELEMENTS)[0]
                    if _has_encapsulated(self._data[position:behind]):
                        position = behind
                        continue
                content, position = self._sequence(position, length, end, inner, depth)
                pieces += (self._header(tag, b"SQ", len(content)), content)
                continue
            if tag == _PIXEL_REPRESENTATION and length == 2:
                self._signed = bool(self._data[position])
            if tag & 0xFFFF:
                pieces += (self._header(tag, vr, length), self._value(vr, position, length, source))
            position += length
        return pieces, position

    def _value(self, vr: bytes, position: int, length: int, source: Encoding) -> bytes | memoryview:
        value = self._data[position : position + length]
        code = _WORDS.get(vr) if source.order == ">" else None
        if code is None:
            return value
        words = array(code)
        whole = length - length % words.itemsize
        words.frombytes(value[:whole])
        words.byteswap()
        return words.tobytes() + bytes(value[whole:])

    def _sequence(
        self, position: int, length: int, end: int, source: Encoding, depth: int
    ) -> tuple[bytes, int]:
        if depth >= MAX_SEQUENCE_DEPTH:
            raise LimitExceeded("MAX_SEQUENCE_DEPTH")
        if depth == 0:
            # Checks all that lies below before anything of it is built.
            skip_sequence(self._data, position, length, end, source, MAX_ELEMENTS)
        stop = end if length == UNDEFINED else position + length
        pieces: list[bytes | memoryview] = []
        while position < stop:
            _, element, item_length = source.item.unpack_from(self._data, position)
            position += 8
            if element == 0xE0DD:
                break
            item_end = stop if item_length == UNDEFINED else position + item_length
            content, position = self.elements(position, item_end, source, depth + 1)
            item = b"".join(content)
            pieces += (self._target.item.pack(0xFFFE, 0xE000, len(item)), item)
        return b"".join(pieces), position

    def _header(self, tag: int, vr: bytes, length: int) -> bytes:
        group, element = tag >> 16, tag & 0xFFFF
        target = self._target
        if not target.explicit:
            return target.item.pack(group, element, length)
        if not is_long(vr):
            if length <= MAX_SHORT_LENGTH:
                return target.element.pack(group, element, vr, length)
            vr = b"UN"  # The one way to write a value that is too long for its representation (PS3.5 6.2.2).
        return target.element.pack(group, element, vr, 0) + target.u32.pack(length)

    def _vr_of(self, tag: int) -> bytes:
        """The VR of an element that was sent without one (PS3.5 A.1)."""
        vr = dictionary_vr(tag)
        if vr == "US or SS":
            vr = "SS" if self._signed else "US"
        elif " or " in vr:
            vr = "OW"
        return vr.encode("ascii")
