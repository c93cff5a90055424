"""DICOM files put together from elements that are encoded already (PS3.10; explicit VR little endian)."""

import struct

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

Elements = dict[int, bytes]
"""Tag -> the whole encoded element: tag, VR, length, value."""

PIXEL_DATA = 0x7FE00010
_LONG = frozenset(("OB", "OW", "UN", "UT", "SQ"))


def encode(data: Dataset, charset: str) -> Elements:
    """Every element of `data` by itself, texts in `charset` (a defined term of Specific Character Set)."""
    encodings = convert_encodings(charset)
    found = {}
    for element in data:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_data_element(buffer, element, encodings)
        found[int(element.tag)] = buffer.getvalue()
    return found


def element(tag: int, vr: str, value: str | bytes) -> bytes:
    """One element with an ASCII or binary value, padded to even length (PS3.5 6.2)."""
    raw = value.encode("ascii") if isinstance(value, str) else value
    if len(raw) % 2:
        raw += b"\0" if vr in ("UI", "OB", "OW") else b" "
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode("ascii")
    if vr in _LONG:
        return head + struct.pack("<HI", 0, len(raw)) + raw
    return head + struct.pack("<H", len(raw)) + raw


def encapsulated(frames: list[bytes]) -> bytes:
    """Pixel data of compressed frames: undefined length and its delimiter (PS3.5 A.4)."""
    head = struct.pack("<HH", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF) + b"OB\0\0\xff\xff\xff\xff"
    return head + encapsulate(frames) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def file_of(sop_class: str, sop_instance: str, syntax: str, elements: Elements) -> bytes:
    """Preamble, file meta information and the data set in the order of tags (PS3.10 7.1)."""
    meta = b"".join(
        (
            element(0x00020001, "OB", b"\0\1"),
            element(0x00020002, "UI", sop_class),
            element(0x00020003, "UI", sop_instance),
            element(0x00020010, "UI", syntax),
            element(0x00020012, "UI", str(PYDICOM_IMPLEMENTATION_UID)),
        )
    )
    head = element(0x00020000, "UL", struct.pack("<I", len(meta)))
    return b"".join((b"\0" * 128, b"DICM", head, meta, *(elements[tag] for tag in sorted(elements))))
