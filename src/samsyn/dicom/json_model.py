"""From the DICOM JSON model (PS3.18 annex F) to a data set: what STOW-RS with metadata and bulk data takes in.

Data sets come out in Explicit VR Little Endian with text in UTF-8. A bulk value is asked for by its BulkDataURI.
"""

import base64
import binascii
import re
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import orjson

from samsyn.dicom.dictionary import vr_of
from samsyn.dicom.encoding import encode
from samsyn.dicom.structure import PIXEL_DATA, UNDEFINED
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE
from samsyn.dicom.values import BINARY_VRS, NUMBER_CODES, TEXT_VRS
from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_ELEMENTS, MAX_SEQUENCE_DEPTH
from samsyn.model.attributes import Attributes

Model = Mapping[str, Mapping[str, object]]
"""One data set in the JSON model: tag -> vr and Value, BulkDataURI or InlineBinary."""
Bulk = Callable[[str], bytes]
"""The bytes of a BulkDataURI; BadInput when nothing came for it."""

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_VRS: Final = TEXT_VRS | BINARY_VRS | NUMBER_CODES.keys() | {"AT", "SQ"}
_CHARSET: Final = 0x00080005
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_SPECIAL: Final = MappingProxyType(
    {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
)


def read_models(body: bytes) -> list[Model]:
    """The data sets of a JSON document, an array or a single object. BadInput: no JSON, or none of the model."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadInput("the metadata are no JSON") from None
    models = found if isinstance(found, list) else [found]
    if not models or not all(isinstance(each, dict) for each in models):
        raise BadInput("the metadata hold no data set")
    return models


def text_of(model: Model, tag: int) -> str:
    """The first value of a text attribute, "" when it has none."""
    entry = model.get(f"{tag:08X}")
    values = entry.get("Value") if isinstance(entry, Mapping) else None
    first = values[0] if isinstance(values, list) and values else ""
    return first.strip() if isinstance(first, str) else ""


def bulk_address(model: Model, tag: int) -> str:
    """The BulkDataURI of an attribute, "" when it has none."""
    entry = model.get(f"{tag:08X}")
    address = entry.get("BulkDataURI") if isinstance(entry, Mapping) else None
    return address if isinstance(address, str) else ""


def attributes_of(model: Model, tags: Collection[int]) -> Attributes:
    """Those of the attributes that the data set has, without bulk values. BadInput as `encode_model`."""

    def no_bulk(address: str) -> bytes:
        raise BadInput("bulk data are not read here")

    wanted = {key: entry for key, entry in model.items() if int(key, 16) in tags}
    return _Reader(no_bulk).attributes(wanted, 0)


def encode_model(model: Model, bulk: Bulk, pixels: bytes | None = None) -> bytes:
    """The data set in Explicit VR Little Endian, without group lengths and group 0002.

    `pixels`: the whole element (7FE0,0010) already encoded, in the place of the model's own (`encapsulated`).
    BadInput: an entry that is none of the model, or a value that does not fit its VR. LimitExceeded: MAX_ELEMENTS,
    MAX_SEQUENCE_DEPTH.
    """
    if pixels is None:
        return encode(_Reader(bulk).attributes(model, 0), EXPLICIT_LITTLE)
    attributes = _Reader(bulk).attributes({key: model[key] for key in model if key != f"{PIXEL_DATA:08X}"}, 0)
    before = {tag: value for tag, value in attributes.items() if tag < PIXEL_DATA}
    behind = {tag: value for tag, value in attributes.items() if tag > PIXEL_DATA}
    return encode(before, EXPLICIT_LITTLE) + pixels + encode(behind, EXPLICIT_LITTLE)


def encapsulated(frames: Sequence[bytes]) -> bytes:
    """The element (7FE0,0010) with one fragment for each frame and an empty offset table (PS3.5 A.4)."""
    pieces = [
        struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, UNDEFINED),
        struct.pack("<HHI", 0xFFFE, 0xE000, 0),
    ]
    for frame in frames:
        pieces += (
            struct.pack("<HHI", 0xFFFE, 0xE000, len(frame) + len(frame) % 2),
            frame,
            b"\0" * (len(frame) % 2),
        )
    return b"".join((*pieces, struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)))


class _Reader:
    """One conversion: where bulk values come from, and how many elements may still come."""

    def __init__(self, bulk: Bulk) -> None:
        self._bulk = bulk
        self._left = MAX_ELEMENTS

    def attributes(self, model: object, depth: int) -> Attributes:
        """The elements of a data set or item."""
        if not isinstance(model, Mapping):
            raise BadInput("the metadata hold something that is no data set")
        if depth > MAX_SEQUENCE_DEPTH:
            raise LimitExceeded("MAX_SEQUENCE_DEPTH")
        found: Attributes = {}
        for key, entry in model.items():
            self._left -= 1
            if self._left < 0:
                raise LimitExceeded("MAX_ELEMENTS")
            if not isinstance(key, str) or not _TAG.fullmatch(key) or not isinstance(entry, Mapping):
                raise BadInput("the metadata hold something that is no attribute")
            tag = int(key, 16)
            if tag >> 16 == 0xFFFE or tag >> 16 < 2:
                raise BadInput(f"{key} is no attribute of a data set")
            # Items are written in the character set of the whole.
            if tag >> 16 == 2 or not tag & 0xFFFF or (depth and tag == _CHARSET):
                continue
            if tag in found:
                raise BadInput(f"element {key} stands twice")
            vr = entry.get("vr", vr_of(tag))
            if not isinstance(vr, str) or vr not in _VRS:
                raise BadInput(f"{key} has an unknown value representation")
            found[tag] = (vr, self._values(key, vr, entry, depth))
        return found

    def _values(self, key: str, vr: str, entry: Mapping[str, object], depth: int) -> tuple[object, ...]:
        address, inline, values = (entry.get(name) for name in ("BulkDataURI", "InlineBinary", "Value"))
        if sum(each is not None for each in (address, inline, values)) > 1:
            raise BadInput(f"{key} has more than one value")
        if address is not None:
            return self._bulk_values(key, vr, address)
        if inline is not None:
            if vr not in BINARY_VRS or not isinstance(inline, str):
                raise BadInput(f"{key} is no binary value")
            return (_from_base64(key, inline),)
        if values is None:
            return ()
        if not isinstance(values, list) or vr in BINARY_VRS:
            raise BadInput(f"the value of {key} is no list")
        if vr == "SQ":
            return tuple(self.attributes(item, depth + 1) if item else {} for item in values)
        return tuple(_value(key, vr, value) for value in values)

    def _bulk_values(self, key: str, vr: str, address: object) -> tuple[object, ...]:
        if not isinstance(address, str):
            raise BadInput(f"the address of {key} is no text")
        if vr == "SQ":
            raise BadInput(f"{key} is a sequence and can not be bulk data")
        data = self._bulk(address)
        if vr in BINARY_VRS:
            return (data,)
        if vr in TEXT_VRS:
            try:
                return (data.decode("utf-8").rstrip(" \0"),)
            except UnicodeDecodeError:
                raise BadInput(f"the bulk data of {key} are no UTF-8") from None
        raise BadInput(f"{key} can not be bulk data")


def _from_base64(key: str, text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadInput(f"the binary value of {key} is no base64") from None


def _value(key: str, vr: str, value: object) -> object:
    if vr == "PN":
        return _person_name(key, value)
    if vr in TEXT_VRS:
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadInput(f"a value of {key} is no text")
        return value if isinstance(value, str) or vr == "DS" else _whole(value)
    if vr == "AT":
        if not isinstance(value, str) or not _TAG.fullmatch(value):
            raise BadInput(f"a value of {key} is no tag")
        return int(value, 16)
    return _number(key, vr, value)


def _whole(value: int | float) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(key: str, vr: str, value: object) -> int | float:
    if isinstance(value, str):
        if vr in ("FL", "FD") and value in _SPECIAL:
            return _SPECIAL[value]
        if re.fullmatch(r"[+-]?\d{1,20}", value, re.ASCII):
            return int(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if vr in ("FL", "FD"):
            return float(value)
        if isinstance(value, int) or value.is_integer():
            return int(value)
    raise BadInput(f"a value of {key} is no number")


def _person_name(key: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        raise BadInput(f"a value of {key} is no name")
    groups: Sequence[object] = [value.get(name, "") for name in _GROUPS]
    if not all(isinstance(group, str) for group in groups):
        raise BadInput(f"a value of {key} is no name")
    return "=".join(map(str, groups)).rstrip("=")
