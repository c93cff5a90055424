"""DIMSE command sets (PS3.7 6.3, Annex E): implicit VR little endian elements of group 0000, and their values."""

import struct
from enum import IntEnum

from samsyn.errors import BadInput

_ELEMENT = struct.Struct("<HHI")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")

NO_DATA_SET = 0x0101
"""Command Data Set Type (0000,0800) of a message without data set; every other value means that one follows."""
_DATA_SET_PRESENT = 0x0001


class Element(IntEnum):
    """Element numbers of group 0000 (PS3.7 E.1)."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_RESPONDED = 0x0120
    MOVE_DESTINATION = 0x0600
    PRIORITY = 0x0700
    DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    OFFENDING_ELEMENT = 0x0901
    ERROR_COMMENT = 0x0902
    ERROR_ID = 0x0903
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ACTION_TYPE_ID = 0x1008
    REMAINING = 0x1020
    COMPLETED = 0x1021
    FAILED = 0x1022
    WARNING = 0x1023
    MOVE_ORIGINATOR_AE = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID = 0x1031


def encode_elements(elements: dict[int, bytes]) -> bytes:
    """A command set from element numbers and encoded values; adds the group length, pads nothing."""
    parts: list[bytes] = []
    for element in sorted(elements):
        value = elements[element]
        parts.append(_ELEMENT.pack(0, element, len(value)))
        parts.append(value)
    body = b"".join(parts)
    return _ELEMENT.pack(0, 0, 4) + _U32.pack(len(body)) + body


def decode_elements(data: bytes | bytearray) -> dict[int, bytes]:
    """Element numbers and raw values, group length left out.

    BadInput: an element outside group 0000, twice the same, or a length that passes the end. The group length's
    value is not relied upon, since some peers tell it wrong.
    """
    elements: dict[int, bytes] = {}
    data = bytes(data)
    position, end = 0, len(data)
    while position < end:
        if end - position < 8:
            raise BadInput(f"command set: {end - position} stray bytes at the end")
        group, element, length = _ELEMENT.unpack_from(data, position)
        position += 8
        if group != 0:
            raise BadInput(f"command set with an element of group {group:04X}")
        if length > end - position:
            raise BadInput(
                f"command set: element 0000,{element:04X} tells {length} bytes, {end - position} left"
            )
        if element in elements:
            raise BadInput(f"command set: element 0000,{element:04X} comes twice")
        elements[element] = data[position : position + length]
        position += length
    elements.pop(0, None)  # the group length
    return elements


def value_place(data: bytes, element: int) -> int:
    """Where the value of an element begins in a command set that `decode_elements` takes; -1 = it has none."""
    position = 0
    while position < len(data):
        _, number, length = _ELEMENT.unpack_from(data, position)
        position += _ELEMENT.size
        if number == element:
            return position
        position += length
    return -1


def value_length(data: bytes, place: int) -> int:
    """Bytes of the value that begins there."""
    return int(_U32.unpack_from(data, place - _U32.size)[0])


def encode_u16(value: int) -> bytes:
    """A US value."""
    if not 0 <= value <= 0xFFFF:
        raise BadInput(f"{value} does not fit 16 bits")
    return _U16.pack(value)


def decode_u16(value: bytes, element: int) -> int:
    """A US value; BadInput when it has not two bytes."""
    if len(value) != 2:
        raise BadInput(f"command element 0000,{element:04X} has {len(value)} bytes instead of 2")
    number: int = _U16.unpack(value)[0]
    return number


def encode_uid(value: str) -> bytes:
    """A UI value, padded with NUL to even length (PS3.5 9.1)."""
    data = _ascii(value)
    return data + b"\0" if len(data) % 2 else data


def repeat_uid(value: str) -> bytes:
    """The UI value that `decode_text` made `value` from, whatever bytes it had; BadInput for what it never makes."""
    try:
        data = value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise BadInput("a UID that did not come from a command set") from error
    return data + b"\0" if len(data) % 2 else data


def encode_text(value: str, maximum: int) -> bytes:
    """An AE or LO value, padded with a space; BadInput over `maximum` characters or outside ASCII."""
    data = _ascii(value)
    if len(data) > maximum:
        raise BadInput(f"a command text of {len(data)} characters; {maximum} are possible")
    return data + b" " if len(data) % 2 else data


def decode_text(value: bytes | bytearray) -> str:
    """A UI, AE or LO value without padding. Never fails: what is no ASCII can not equal anything known."""
    return value.decode("latin-1").strip("\0 ")


def encode_data_set_type(has_data: bool) -> bytes:
    """The value of Command Data Set Type (0000,0800)."""
    return _U16.pack(_DATA_SET_PRESENT if has_data else NO_DATA_SET)


def _ascii(value: str) -> bytes:
    try:
        return value.encode("ascii")
    except UnicodeEncodeError as error:
        raise BadInput("a command set holds ASCII only") from error
