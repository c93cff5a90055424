"""The DICOM JSON model (PS3.18 annex F) of whole data sets, and the bulk values that it points to.

A reader first asks for metadata and then for what its BulkDataURIs name; both come from the same rules here:
binary values above BULK_BYTES, and pixel data always, are left out and addressed by a path of eight-digit tags
and item numbers from 0, such as 54000100/0/54001010.
"""

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import orjson

from samsyn.dicom.charsets import DEFAULT_CHARSETS, decode_text, read_charsets
from samsyn.dicom.dictionary import AMBIGUOUS_VRS, dictionary_vr, private_vr
from samsyn.dicom.frames import swapped_words
from samsyn.dicom.structure import (
    FRAGMENT_VRS,
    ITEM,
    ITEM_DELIMITER,
    PIXEL_DATA,
    SEQUENCE_DELIMITER,
    UNDEFINED,
    Encoding,
    encoding_of,
    implicit_twin,
    is_long,
    plain_data,
    read_header,
    skip_fragments,
    skip_sequence,
    skip_value,
)
from samsyn.dicom.values import BINARY_VRS, NUMBER_CODES, TEXT_VRS, WORD_BYTES, read_numbers, read_tags
from samsyn.errors import BadInput, LimitExceeded, NotFound, NotSupported, SamsynError
from samsyn.limits import MAX_ELEMENTS, MAX_SEQUENCE_DEPTH
from samsyn.model.attributes import Attributes

BULK_BYTES = 1_024
"""Longest binary value that stands in the JSON itself."""

_PIXEL_TAGS = frozenset({PIXEL_DATA, 0x7FE00008, 0x7FE00009})
_PIXEL_ELEMENTS = frozenset((tag >> 16, tag & 0xFFFF) for tag in _PIXEL_TAGS)
_CHARSET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103
_LUT_DESCRIPTOR = 0x00283002
_LUT_DATA = 0x00283006
_REMEMBERED = frozenset({_CHARSET, _PIXEL_REPRESENTATION, _LUT_DESCRIPTOR})
ALWAYS_WANTED = frozenset({_CHARSET, _PIXEL_REPRESENTATION})
"""What tells at the top level how other values are to be read."""
_VR_NAMES = MappingProxyType(
    {name.encode("ascii"): name for name in TEXT_VRS | BINARY_VRS | NUMBER_CODES.keys() | {"AT", "SQ"}}
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_PATH = re.compile(r"[0-9A-Fa-f]{8}(?:/[0-9]{1,7}/[0-9A-Fa-f]{8})*", re.ASCII)
_PN_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

_Object = dict[str, dict[str, object]]


def to_dicom_json(
    data: bytes | memoryview,
    transfer_syntax_uid: str,
    bulk_prefix: str,
    wanted: frozenset[int] | None = None,
) -> bytes:
    """One JSON object for a whole data set that intake accepted, as UTF-8; of `wanted` tags alone, if they are told.

    Group lengths are left out. Numbers that are none (an IS of `1A`, NaN) stand as strings, so that one bad
    value never costs the document. UN values of tags that the dictionary knows are shown by what it says.
    BulkDataURI = bulk_prefix + "/" + path. Errors as in reading.summarize. The tags in ALWAYS_WANTED are among
    what is wanted, and no private ones; Pixel Data end it, of which the VR alone is told, so `data` may end at its
    value.
    """
    syntax, encoding = encoding_of(transfer_syntax_uid)
    plain = plain_data(data, syntax)
    made, _ = _Writer(plain, bulk_prefix, wanted).build(0, len(plain), _Scope(encoding), "", 0)
    return orjson.dumps(made)


@dataclass(slots=True)
class _Scope:
    """What the elements of one data set or item say about those behind them, and how they are encoded."""

    encoding: Encoding
    charsets: tuple[str, ...] = DEFAULT_CHARSETS
    signed: bool = False
    single_entry_lut: bool = False
    creators: dict[int, str] = field(default_factory=dict)
    """Private creator by group and block (PS3.5 7.8.1)."""

    def of_item(self, encoding: Encoding) -> "_Scope":
        """What an item inherits (PS3.5 7.5.3)."""
        return _Scope(encoding, self.charsets, self.signed)

    def remember(self, tag: int, raw: bytes | memoryview, values: list[object]) -> None:
        """Takes note of an element that tells how others are to be read."""
        if tag == _CHARSET:
            self.charsets = read_charsets(raw)
        elif tag == _PIXEL_REPRESENTATION:
            self.signed = values == [1]
        elif tag == _LUT_DESCRIPTOR:
            self.single_entry_lut = values[:1] == [1]
        elif 0x10 <= tag & 0xFFFF <= 0xFF and values:
            self.creators[tag >> 16 << 8 | tag & 0xFF] = str(values[0])

    def vr_of(self, tag: int) -> str:
        """The VR that implicit encoding leaves out (PS3.5 A.1)."""
        if tag & 0x10000 and tag & 0xFFFF > 0xFF:
            creator = self.creators.get(tag >> 16 << 8 | (tag & 0xFFFF) >> 8)
            vr = private_vr(tag, creator) if creator else "UN"
        else:
            vr = dictionary_vr(tag)
        if vr not in AMBIGUOUS_VRS:
            return vr
        if vr == "OB or OW":
            return "OW"
        if tag == _LUT_DATA:
            return "US" if self.single_entry_lut else "OW"
        return "SS" if self.signed else "US"


class _Writer:
    """One conversion: the bytes, where bulk data are found, and how many elements may still come."""

    def __init__(
        self, data: bytes | memoryview, bulk_prefix: str, wanted: frozenset[int] | None = None
    ) -> None:
        self.data = data
        self.prefix = bulk_prefix
        self.wanted = wanted
        self.left = MAX_ELEMENTS

    def build(self, position: int, end: int, scope: _Scope, path: str, depth: int) -> tuple[_Object, int]:
        """The elements of one data set or item up to `end` or its delimiter, and the position behind it."""
        data, encoding = self.data, scope.encoding
        wanted = None if depth else self.wanted
        made: _Object = {}
        while position < end:
            if wanted is not None:
                position = self._past_unwanted(position, end, encoding, wanted)
                if tag := self._pixels_at(position, end, encoding):
                    made[f"{tag:08X}"] = {"vr": self._pixel_vr(tag, position, scope)}
                    break
                if position >= end:
                    break
            self.left -= 1
            if self.left < 0:
                raise LimitExceeded("MAX_ELEMENTS")
            tag, name, position, length = read_header(data, position, end, encoding)
            if tag & 0xFFFF == 0 and length != UNDEFINED:
                position += length
                continue
            if tag >> 16 == 0xFFFE:
                if tag == ITEM_DELIMITER and depth:
                    return made, position
                raise BadInput("an item or delimiter stands outside a sequence")
            if wanted is not None and tag not in wanted:
                position, self.left = skip_value(data, tag, name, position, length, end, encoding, self.left)
                continue
            vr = _VR_NAMES.get(name, "UN")
            if vr == "UN":
                vr = self._known_vr(tag, name, length, scope)
            key = f"{tag:08X}"
            read = _READERS.get(vr)
            if vr == "SQ" or length == UNDEFINED:
                made[key], position = self._nested(tag, name, position, length, end, scope, path + key, depth)
            elif read is None:
                made[key] = self._binary(tag, vr, position, length, encoding.order, path + key)
                position += length
            else:
                raw = data[position : position + length]
                position += length
                values = read(raw, scope)
                made[key] = {"vr": vr, "Value": values} if values else {"vr": vr}
                if tag & 0x10000 or tag in _REMEMBERED:
                    scope.remember(tag, raw, values)
        return made, position

    def _past_unwanted(self, position: int, end: int, encoding: Encoding, wanted: frozenset[int]) -> int:
        """Where the first element stands that is wanted, or is not as short and plain as most are."""
        if not encoding.explicit:
            return position
        data, unpack, left = self.data, encoding.element.unpack_from, self.left
        while position + 8 <= end:
            group, element, vr, length = unpack(data, position)
            if (
                group << 16 | element in wanted
                or group == 0xFFFE
                or is_long(vr)
                or length > end - position - 8
            ):
                break
            position += 8 + length
            left -= 1
        self.left = left
        return position

    def _pixels_at(self, position: int, end: int, encoding: Encoding) -> int:
        """The tag of the pixels that stand here, whole numbers or floats; 0 = something else does."""
        place = encoding.item.unpack_from(self.data, position)[:2] if position + 8 <= end else ()
        return place[0] << 16 | place[1] if place in _PIXEL_ELEMENTS else 0

    def _pixel_vr(self, tag: int, position: int, scope: _Scope) -> str:
        encoding = scope.encoding
        if not encoding.explicit:
            return scope.vr_of(tag)
        return _VR_NAMES.get(encoding.element.unpack_from(self.data, position)[2], "UN")

    @staticmethod
    def _known_vr(tag: int, name: bytes, length: int, scope: _Scope) -> str:
        """The VR of an element that came without one: implicit, as UN (PS3.5 6.2.2), or with a newer one."""
        if name not in (b"", b"UN"):
            return name.decode("ascii")
        if name == b"UN" and not tag & 0x10000 and length >= 0xFFFF:
            return "UN"
        return scope.vr_of(tag)

    def _nested(
        self,
        tag: int,
        name: bytes,
        position: int,
        length: int,
        end: int,
        scope: _Scope,
        path: str,
        depth: int,
    ) -> tuple[dict[str, object], int]:
        """A sequence, an UN that is one, or encapsulated data."""
        encoding = scope.encoding
        if length == UNDEFINED and (tag == PIXEL_DATA or name in FRAGMENT_VRS):
            position, self.left = skip_fragments(self.data, position, end, encoding, self.left)
            vr = name.decode("ascii") if name in FRAGMENT_VRS else "OB"
            return {"vr": vr, "BulkDataURI": f"{self.prefix}/{path}"}, position
        if length == UNDEFINED and name not in (b"SQ", b"UN", b""):
            raise BadInput("an element that is no sequence has undefined length")
        if name == b"UN":
            encoding = implicit_twin(encoding)
            if length != UNDEFINED and not self._is_sequence(position, length, end, encoding):
                return self._binary(tag, "UN", position, length, encoding.order, path), position + length
        items, position = self._items(position, length, end, scope, encoding, path, depth)
        return ({"vr": "SQ", "Value": items} if items else {"vr": "SQ"}), position

    def _is_sequence(self, position: int, length: int, end: int, encoding: Encoding) -> bool:
        """Whether the bytes of an UN can be read as what the dictionary says; intake did not look into it."""
        try:
            skip_sequence(self.data, position, length, end, encoding, self.left)
        except SamsynError:
            return False
        return True

    def _items(
        self, position: int, length: int, end: int, scope: _Scope, encoding: Encoding, path: str, depth: int
    ) -> tuple[list[_Object], int]:
        if depth >= MAX_SEQUENCE_DEPTH:
            raise LimitExceeded("MAX_SEQUENCE_DEPTH")
        stop = end if length == UNDEFINED else position + length
        items: list[_Object] = []
        while position < stop:
            tag, _, position, item_length = read_header(self.data, position, stop, encoding)
            if tag == SEQUENCE_DELIMITER and length == UNDEFINED:
                return items, position
            if tag != ITEM:
                raise BadInput("a sequence holds something that is no item")
            self.left -= 1
            item_end = stop if item_length == UNDEFINED else position + item_length
            item, position = self.build(
                position, item_end, scope.of_item(encoding), f"{path}/{len(items)}/", depth + 1
            )
            items.append(item)
        if length == UNDEFINED:
            raise BadInput("a sequence ends too early")
        return items, position

    def _binary(
        self, tag: int, vr: str, position: int, length: int, order: str, path: str
    ) -> dict[str, object]:
        if not length:
            return {"vr": vr}
        if length > BULK_BYTES or tag in _PIXEL_TAGS:
            return {"vr": vr, "BulkDataURI": f"{self.prefix}/{path}"}
        value = _little_endian(self.data[position : position + length], vr, order)
        return {"vr": vr, "InlineBinary": base64.b64encode(value).decode("ascii")}


def _decoded(raw: bytes | memoryview, charsets: tuple[str, ...]) -> str:
    try:
        text = str(raw, "ascii")
    except UnicodeDecodeError:
        return decode_text(raw, charsets)
    return decode_text(raw, charsets) if "\x1b" in text else text


def _codes(raw: bytes | memoryview, scope: _Scope) -> list[object]:
    """Texts of the default repertoire: codes, dates, UIDs, titles."""
    return _parts(_decoded(raw, DEFAULT_CHARSETS).strip(" \0"))


def _texts(raw: bytes | memoryview, scope: _Scope) -> list[object]:
    return _parts(_decoded(raw, scope.charsets).strip(" \0"))


def _parts(text: str) -> list[object]:
    """The values of a trimmed text; an empty one among several is null (PS3.18 F.2.5)."""
    if "\\" in text:
        return [part.strip(" \0") or None for part in text.split("\\")]
    return [text] if text else []


def _long_texts(raw: bytes | memoryview, scope: _Scope) -> list[object]:
    """One text in which leading spaces and backslashes count."""
    text = _decoded(raw, scope.charsets).rstrip(" \0")
    return [text] if text else []


def _unlimited_texts(raw: bytes | memoryview, scope: _Scope) -> list[object]:
    """UC: several texts, leading spaces count."""
    text = _decoded(raw, scope.charsets).rstrip(" \0")
    return [part.rstrip(" \0") or None for part in text.split("\\")] if text else []


def _names(raw: bytes | memoryview, scope: _Scope) -> list[object]:
    text = _decoded(raw, scope.charsets).rstrip(" \0")
    return [_person_name(part) if part else None for part in text.split("\\")] if text else []


def _integers(raw: bytes | memoryview, scope: _Scope) -> list[object]:
    return [_integer(part) if isinstance(part, str) else None for part in _codes(raw, scope)]


def _decimals(raw: bytes | memoryview, scope: _Scope) -> list[object]:
    return [_decimal(part) if isinstance(part, str) else None for part in _codes(raw, scope)]


def _tags(raw: bytes | memoryview, scope: _Scope) -> list[object]:
    return [f"{value:08X}" for value in read_tags(raw, scope.encoding.order)]


def _whole_numbers(vr: str) -> "_Reader":
    return lambda raw, scope: list(read_numbers(vr, raw, scope.encoding.order))


def _floats(vr: str) -> "_Reader":
    def read(raw: bytes | memoryview, scope: _Scope) -> list[object]:
        numbers = read_numbers(vr, raw, scope.encoding.order)
        return [number if math.isfinite(number) else _not_finite(number) for number in numbers]

    return read


_Reader = Callable[[bytes | memoryview, _Scope], list[object]]
_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "TM", "UI"), _codes),
        **dict.fromkeys(("LO", "SH"), _texts),
        **dict.fromkeys(("LT", "ST", "UT", "UR"), _long_texts),
        **{vr: _whole_numbers(vr) for vr in ("SL", "SS", "SV", "UL", "US", "UV")},
        **{vr: _floats(vr) for vr in ("FD", "FL")},
        "AT": _tags,
        "DS": _decimals,
        "IS": _integers,
        "PN": _names,
        "UC": _unlimited_texts,
    }
)
"""How the values of each VR become JSON values; a VR that is not here is binary."""


def _integer(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) else text


def _decimal(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) and "_" not in text and text.isascii() else text


def _person_name(text: str) -> dict[str, str]:
    groups = text.split("=", 2)
    return {name: group.rstrip(" ") for name, group in zip(_PN_GROUPS, groups, strict=False) if group}


_CONVERSIONS: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {"IS": _integer, "DS": _decimal, "PN": _person_name}
)


def _not_finite(number: float) -> str:
    """As PS3.18 F.2.2 and XML Schema spell them."""
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _little_endian(value: bytes | memoryview, vr: str, order: str) -> bytes | memoryview:
    """Binary values are little endian in JSON and over HTTP (PS3.18 8.7.3.2, F.2.7)."""
    if order == "<" or vr not in WORD_BYTES:
        return value
    return swapped_words(value, WORD_BYTES[vr] * 8)


def bulk_value(data: bytes | memoryview, transfer_syntax_uid: str, path: str) -> bytes | memoryview:
    """The value at a path as metadata names it, little endian; a slice of `data` where that is possible.

    Of encapsulated data inside a sequence (a compressed icon) it is the fragments, joined.
    NotFound: no such path or it names no binary value. NotSupported: encapsulated Pixel Data, which frames.py reads.
    """
    if not _PATH.fullmatch(path) or path.count("/") > 2 * MAX_SEQUENCE_DEPTH:
        raise NotFound
    syntax, encoding = encoding_of(transfer_syntax_uid)
    plain = plain_data(data, syntax)
    steps = path.split("/")
    position, end = 0, len(plain)
    for tag_text, number in zip(steps[:-1:2], steps[1::2], strict=True):
        found = _find(plain, position, end, encoding, int(tag_text, 16))
        name, position, length = found
        if name not in (b"SQ", b"UN", b""):
            raise NotFound
        if name == b"UN":
            encoding = implicit_twin(encoding)
        position, end = _find_item(plain, position, length, end, encoding, int(number))
    tag = int(steps[-1], 16)
    name, position, length = _find(plain, position, end, encoding, tag)
    if length == UNDEFINED:
        if name not in FRAGMENT_VRS and tag != PIXEL_DATA:
            raise NotFound
        if len(steps) == 1 and tag == PIXEL_DATA:
            raise NotSupported("encapsulated data are read frame by frame")
        return _joined_fragments(plain, position, end, encoding)
    vr = name.decode("ascii") or _Scope(encoding).vr_of(tag)
    if vr not in BINARY_VRS:
        raise NotFound
    return _little_endian(memoryview(plain)[position : position + length], vr, encoding.order)


def _joined_fragments(data: bytes | memoryview, position: int, end: int, encoding: Encoding) -> bytes:
    """The fragments behind the offset table (PS3.5 A.4), one after the other."""
    after, _ = skip_fragments(data, position, end, encoding, MAX_ELEMENTS)
    fragments: list[bytes] = []
    while position < after:
        _, element, length = encoding.item.unpack_from(data, position)
        if element == 0xE000:
            fragments.append(bytes(data[position + 8 : position + 8 + length]))
        position += 8 + length
    return b"".join(fragments[1:])


def _find(
    data: bytes | memoryview, position: int, end: int, encoding: Encoding, wanted: int
) -> tuple[bytes, int, int]:
    """(VR, first byte, length) of a tag among the elements up to `end` or their delimiter."""
    left = MAX_ELEMENTS
    while position < end:
        tag, vr, begin, length = read_header(data, position, end, encoding)
        if tag == wanted and tag >> 16 != 0xFFFE:
            return vr, begin, length
        if tag == ITEM_DELIMITER:
            break
        left -= 1
        if left < 0:
            raise LimitExceeded("MAX_ELEMENTS")
        position, left = skip_value(data, tag, vr, begin, length, end, encoding, left)
    raise NotFound


def _find_item(
    data: bytes | memoryview, position: int, length: int, end: int, encoding: Encoding, number: int
) -> tuple[int, int]:
    """(first byte, end) of an item; the end of one with undefined length is that of what encloses it."""
    stop = end if length == UNDEFINED else position + length
    count = 0
    while position < stop:
        tag, _, begin, item_length = read_header(data, position, stop, encoding)
        if tag != ITEM:
            break
        if count == number:
            return begin, (stop if item_length == UNDEFINED else begin + item_length)
        count += 1
        if item_length != UNDEFINED:
            position = begin + item_length
            continue
        position = _item_end(data, begin, stop, encoding)
    raise NotFound


def _item_end(data: bytes | memoryview, position: int, stop: int, encoding: Encoding) -> int:
    """Behind the delimiter of an item of undefined length."""
    left = MAX_ELEMENTS
    while True:
        tag, vr, begin, length = read_header(data, position, stop, encoding)
        if tag == ITEM_DELIMITER:
            return begin
        left -= 1
        if left < 0:
            raise LimitExceeded("MAX_ELEMENTS")
        position, left = skip_value(data, tag, vr, begin, length, stop, encoding, left)


def attributes_to_json(attributes: Attributes) -> dict[str, dict[str, object]]:
    """Attributes (search answers) as one object of the DICOM JSON model, tags ascending."""
    return {f"{tag:08X}": _attribute(*attributes[tag]) for tag in sorted(attributes)}


def _attribute(vr: str, values: tuple[object, ...]) -> dict[str, object]:
    if not values or values == ("",):
        return {"vr": vr}
    if vr in BINARY_VRS:
        joined = b"".join(value for value in values if isinstance(value, bytes))
        return {"vr": vr, "InlineBinary": base64.b64encode(joined).decode("ascii")}
    return {"vr": vr, "Value": list(_plain_values(vr, values))}


def _plain_values(vr: str, values: tuple[object, ...]) -> Iterable[object]:
    for value in values:
        if value is None or value == "":
            yield None
        elif isinstance(value, dict):
            yield attributes_to_json(value)
        elif vr == "AT" and isinstance(value, int):
            yield f"{value:08X}"
        elif isinstance(value, float):
            yield value if math.isfinite(value) else _not_finite(value)
        elif isinstance(value, str) and vr in _CONVERSIONS:
            yield _CONVERSIONS[vr](value)
        else:
            yield value
