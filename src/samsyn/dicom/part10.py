"""The DICOM file format (PS3.10 chapter 7): preamble and file meta information before a data set."""

import struct
from dataclasses import dataclass
from functools import lru_cache

from samsyn.dicom.structure import EXPLICIT_LITTLE_ENCODING, UNDEFINED, read_header
from samsyn.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, read_uid
from samsyn.errors import BadInput

MEDIA_STORAGE_SOP_CLASS = 0x00020002
MEDIA_STORAGE_SOP_INSTANCE = 0x00020003
TRANSFER_SYNTAX = 0x00020010

_PREAMBLE_BYTES = 128
_MAX_META_ELEMENTS = 256
"""File meta information has a dozen elements; private ones are single."""


@dataclass(frozen=True, slots=True)
class Part10:
    """What stands before the data set of a file."""

    values: dict[int, str]
    """Text of the UI, SH and AE elements of group 0002, without padding."""
    transfer_syntax_uid: str
    dataset_offset: int
    """First byte of the data set."""


def file_preamble_and_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """The bytes to put before a stored data set to make a file of it. The preamble is zero: what a sender
    wrote into it may be a program (PS3.10 7.1 allows anything) and is never passed on."""
    meta = b"".join(
        (
            b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01",
            _element(0x0002, sop_class_uid, b"UI"),
            _element(0x0003, sop_instance_uid, b"UI"),
            _own_tail(transfer_syntax_uid),
        )
    )
    return _HEAD + struct.pack("<I", len(meta)) + meta


_HEAD = bytes(_PREAMBLE_BYTES) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00"


@lru_cache(maxsize=128)
def _own_tail(transfer_syntax_uid: str) -> bytes:
    return b"".join(
        (
            _element(0x0010, transfer_syntax_uid, b"UI"),
            _element(0x0012, IMPLEMENTATION_CLASS_UID, b"UI"),
            _element(0x0013, IMPLEMENTATION_VERSION_NAME, b"SH"),
        )
    )


def _element(number: int, text: str, vr: bytes) -> bytes:
    value = text.encode("ascii")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 0x0002, number, vr, len(value)) + value


def split_part10(data: bytes | memoryview) -> Part10:
    """Find the data set in a file's bytes. The preamble is not looked at.

    The group length decides where it begins, if there is one: the first bytes of a deflated data set may look
    like group 0002. Without one, the meta information ends with its last element of that group.
    BadInput: no DICM prefix, torn meta information, or no legal transfer syntax.
    """
    position = _PREAMBLE_BYTES + 4
    if bytes(data[_PREAMBLE_BYTES:position]) != b"DICM":
        raise BadInput("the file has no DICM prefix")
    values: dict[int, str] = {}
    syntax_value: bytes | memoryview = b""
    stop: int | None = None
    for _ in range(_MAX_META_ELEMENTS):
        if position == stop or (stop is None and not _is_group_two(data, position)):
            return Part10(values, read_uid(syntax_value, "Transfer Syntax UID"), position)
        tag, vr, begin, length = read_header(
            data, position, len(data) if stop is None else stop, EXPLICIT_LITTLE_ENCODING
        )
        if tag >> 16 != 0x0002 or length == UNDEFINED:
            raise BadInput("the file meta information is torn")
        end = begin + length
        value = data[begin:end]
        if tag == 0x00020000 and vr == b"UL" and len(value) == 4 and position == _PREAMBLE_BYTES + 4:
            stop = end + int(struct.unpack("<I", value)[0])
            if stop > len(data):
                raise BadInput("the file meta information is longer than the file")
        elif tag == TRANSFER_SYNTAX:
            if syntax_value:
                raise BadInput("the file names two transfer syntaxes")
            syntax_value = value
        if vr in (b"UI", b"SH", b"AE"):
            values[tag] = str(value, "latin-1").strip(" \0")
        position = end
    raise BadInput("the file meta information has too many elements")


def _is_group_two(data: bytes | memoryview, position: int) -> bool:
    return bytes(data[position : position + 2]) == b"\x02\x00"
