"""One element's value: bytes to Python values and back, by its VR (PS3.5 6.2)."""

import math
import struct
from collections.abc import Sequence
from types import MappingProxyType

from samsyn.dicom.charsets import decode_text
from samsyn.errors import BadInput

CHARSET_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs whose text obeys Specific Character Set (PS3.5 6.1.2.3)."""
SINGLE_TEXT_VRS = frozenset({"LT", "ST", "UT", "UR"})
"""Text in which a backslash is a character."""
TEXT_VRS = CHARSET_VRS | SINGLE_TEXT_VRS | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"}
BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""VRs whose value is a run of bytes."""
NUMBER_CODES = MappingProxyType(
    {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
)
"""struct codes of the numeric VRs."""
WORD_BYTES = MappingProxyType({"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8})
"""Size of what the byte order turns round in the other-VRs."""

_MAX_DS_CHARACTERS = 16


def split_texts(vr: str, raw: bytes | memoryview, charsets: tuple[str, ...]) -> list[str]:
    """The texts of a value without their padding; an empty value has none.

    Leading spaces are kept where the standard makes them count (PN, and the long texts).
    """
    text = decode_text(raw, charsets if vr in CHARSET_VRS else ())
    if vr in SINGLE_TEXT_VRS:
        text = text.rstrip(" \0")
        return [text] if text else []
    text = text.rstrip(" \0") if "\\" not in text else text.rstrip("\0")
    if not text:
        return []
    return [part.strip(" \0") for part in text.split("\\")]


def read_numbers(vr: str, raw: bytes | memoryview, order: str) -> tuple[int | float, ...]:
    """The numbers of a numeric VR; bytes left over at the end are no number and are dropped."""
    code = NUMBER_CODES[vr]
    count = len(raw) // struct.calcsize("=" + code)
    return struct.unpack_from(f"{order}{count}{code}", raw)


def read_tags(raw: bytes | memoryview, order: str) -> list[int]:
    """The tags of an AT value."""
    numbers = struct.unpack_from(f"{order}{len(raw) // 4 * 2}H", raw)
    return [group << 16 | element for group, element in zip(numbers[::2], numbers[1::2], strict=True)]


def read_values(
    vr: str, raw: bytes | memoryview, order: str, charsets: tuple[str, ...]
) -> tuple[object, ...]:
    """Values as model.attributes.Attributes has them: IS as int where it is one, DS as sent."""
    if vr in NUMBER_CODES:
        return read_numbers(vr, raw, order)
    if vr == "AT":
        return tuple(read_tags(raw, order))
    if vr in TEXT_VRS:
        texts = split_texts(vr, raw, charsets)
        return tuple(_integer(text) for text in texts) if vr == "IS" else tuple(texts)
    return (bytes(raw),) if len(raw) else ()


def _integer(text: str) -> int | str:
    """The int, or the text itself when it is none (an empty part, a wildcard, another's mistake)."""
    return int(text) if len(text) <= 12 and text.lstrip("+-").isdecimal() and text.isascii() else text


def write_values(vr: str, values: Sequence[object], order: str, codec: str) -> bytes:
    """The bytes of a value, padded to even length. `codec` is used for CHARSET_VRS.

    BadInput for values that do not belong to the VR.
    """
    if not values:
        return b""
    try:
        if vr in NUMBER_CODES:
            return struct.pack(f"{order}{len(values)}{NUMBER_CODES[vr]}", *values)
        if vr == "AT":
            return b"".join(_tag(value, order) for value in values)
        if vr in TEXT_VRS:
            text = "\\".join(decimal_text(value) if vr == "DS" else str(value) for value in values)
            raw = text.encode(codec if vr in CHARSET_VRS else "latin-1")
        else:
            raw = b"".join(_run(value) for value in values)
    except (struct.error, UnicodeEncodeError, TypeError, ValueError) as error:
        raise BadInput(f"a value does not fit its representation {vr}") from error
    filler = b"\0" if vr in ("UI", *BINARY_VRS) else b" "
    return raw + filler if len(raw) % 2 else raw


def _tag(value: object, order: str) -> bytes:
    if not isinstance(value, int):
        raise TypeError
    return struct.pack(order + "HH", value >> 16, value & 0xFFFF)


def _run(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError
    return bytes(value)


def decimal_text(value: object) -> str:
    """A DS of at most 16 characters (PS3.5 6.2), as exact as they allow; text stays as it is."""
    if isinstance(value, str):
        return value
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    text = repr(value)
    digits = 17
    while len(text) > _MAX_DS_CHARACTERS:
        digits -= 1
        text = f"{value:.{digits}g}"
    return text
