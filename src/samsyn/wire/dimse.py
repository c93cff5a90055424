"""DIMSE messages (PS3.7 9 and 10): command sets as values and back.

Only what a message cannot be understood without is required when decoding (command field, message id, data set
type); a missing UID comes out as an empty string, so that the sender can be told in a response instead of losing
the association.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from samsyn.errors import BadInput
from samsyn.model.value import value
from samsyn.wire.command_set import (
    NO_DATA_SET,
    Element,
    decode_elements,
    decode_text,
    decode_u16,
    encode_data_set_type,
    encode_elements,
    encode_text,
    encode_u16,
    encode_uid,
    repeat_uid,
    value_length,
    value_place,
)

VERIFICATION_UID = "1.2.840.10008.1.1"
"""Verification SOP Class (PS3.4 A.4)."""
PRIORITY_MEDIUM = 0
MAX_COMMENT_CHARACTERS: Final = 64
"""Error Comment (0000,0902) is an LO (PS3.7 C)."""


@dataclass(frozen=True, slots=True)
class EchoRequest:
    """C-ECHO-RQ (PS3.7 9.3.5.1)."""

    message_id: int
    sop_class_uid: str = VERIFICATION_UID


@dataclass(frozen=True, slots=True)
class EchoResponse:
    """C-ECHO-RSP (PS3.7 9.3.5.2)."""

    message_id: int
    status: int
    sop_class_uid: str = VERIFICATION_UID
    error_comment: str = ""


@value
class StoreRequest:
    """C-STORE-RQ (PS3.7 9.3.1.1)."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    priority: int = PRIORITY_MEDIUM
    move_originator_ae: str = ""
    move_originator_message_id: int | None = None


@value
class StoreResponse:
    """C-STORE-RSP (PS3.7 9.3.1.2)."""

    message_id: int
    status: int
    sop_class_uid: str
    sop_instance_uid: str
    error_comment: str = ""


@dataclass(frozen=True, slots=True)
class FindRequest:
    """C-FIND-RQ (PS3.7 9.3.2.1)."""

    message_id: int
    sop_class_uid: str
    priority: int = PRIORITY_MEDIUM


@dataclass(frozen=True, slots=True)
class FindResponse:
    """C-FIND-RSP (PS3.7 9.3.2.2); an identifier follows with Pending."""

    message_id: int
    status: int
    sop_class_uid: str
    error_comment: str = ""


@dataclass(frozen=True, slots=True)
class GetRequest:
    """C-GET-RQ (PS3.7 9.3.3.1)."""

    message_id: int
    sop_class_uid: str
    priority: int = PRIORITY_MEDIUM


@dataclass(frozen=True, slots=True)
class GetResponse:
    """C-GET-RSP (PS3.7 9.3.3.2); the four numbers count sub-operations, None = not told."""

    message_id: int
    status: int
    sop_class_uid: str
    error_comment: str = ""
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """C-MOVE-RQ (PS3.7 9.3.4.1)."""

    message_id: int
    sop_class_uid: str
    destination: str
    priority: int = PRIORITY_MEDIUM


@dataclass(frozen=True, slots=True)
class MoveResponse:
    """C-MOVE-RSP (PS3.7 9.3.4.2); the four numbers count sub-operations, None = not told."""

    message_id: int
    status: int
    sop_class_uid: str
    error_comment: str = ""
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """C-CANCEL-RQ (PS3.7 9.3.2.3): stop answering the request `message_id`."""

    message_id: int


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """N-ACTION-RQ (PS3.7 10.3.5.1)."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    action_type: int


@dataclass(frozen=True, slots=True)
class ActionResponse:
    """N-ACTION-RSP (PS3.7 10.3.5.2)."""

    message_id: int
    status: int
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    action_type: int | None = None
    error_comment: str = ""


@dataclass(frozen=True, slots=True)
class EventReportRequest:
    """N-EVENT-REPORT-RQ (PS3.7 10.3.1.1)."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    event_type: int


@dataclass(frozen=True, slots=True)
class EventReportResponse:
    """N-EVENT-REPORT-RSP (PS3.7 10.3.1.2)."""

    message_id: int
    status: int
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    event_type: int | None = None
    error_comment: str = ""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """N-CREATE-RQ (PS3.7 10.3.6.1)."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str = ""
    """Empty: the peer gives it one."""


@dataclass(frozen=True, slots=True)
class CreateResponse:
    """N-CREATE-RSP (PS3.7 10.3.6.2)."""

    message_id: int
    status: int
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    error_comment: str = ""


@dataclass(frozen=True, slots=True)
class UnknownRequest:
    """A request with a command field that we do not speak; only ever decoded."""

    command_field: int
    message_id: int
    sop_class_uid: str


@dataclass(frozen=True, slots=True)
class UnknownResponse:
    """The answer 0211H to an UnknownRequest (PS3.7 Annex C); `command_field` is that of the request."""

    command_field: int
    message_id: int
    status: int
    sop_class_uid: str = ""
    error_comment: str = ""


Request: TypeAlias = (
    EchoRequest
    | StoreRequest
    | FindRequest
    | GetRequest
    | MoveRequest
    | CancelRequest
    | ActionRequest
    | EventReportRequest
    | CreateRequest
    | UnknownRequest
)
Response: TypeAlias = (
    EchoResponse
    | StoreResponse
    | FindResponse
    | GetResponse
    | MoveResponse
    | ActionResponse
    | EventReportResponse
    | CreateResponse
    | UnknownResponse
)
Command: TypeAlias = Request | Response

RESPONSE_BIT: Final = 0x8000
_UID, _NUMBER, _AE, _COMMENT = range(4)
_Field: TypeAlias = tuple[str, Element, int, bool]
"""Attribute, element, kind of value, whether a message without it can not be understood."""

_CLASS: _Field = ("sop_class_uid", Element.AFFECTED_SOP_CLASS_UID, _UID, False)
_INSTANCE: _Field = ("sop_instance_uid", Element.AFFECTED_SOP_INSTANCE_UID, _UID, False)
_REQUESTED: tuple[_Field, ...] = (
    ("sop_class_uid", Element.REQUESTED_SOP_CLASS_UID, _UID, False),
    ("sop_instance_uid", Element.REQUESTED_SOP_INSTANCE_UID, _UID, False),
)
_ID: _Field = ("message_id", Element.MESSAGE_ID, _NUMBER, True)
_PRIORITY: _Field = ("priority", Element.PRIORITY, _NUMBER, False)
_ANSWER: tuple[_Field, ...] = (
    ("message_id", Element.MESSAGE_ID_RESPONDED, _NUMBER, True),
    ("status", Element.STATUS, _NUMBER, True),
    ("error_comment", Element.ERROR_COMMENT, _COMMENT, False),
)
_COUNTS: tuple[_Field, ...] = (
    ("remaining", Element.REMAINING, _NUMBER, False),
    ("completed", Element.COMPLETED, _NUMBER, False),
    ("failed", Element.FAILED, _NUMBER, False),
    ("warning", Element.WARNING, _NUMBER, False),
)
_ORIGINATOR: tuple[_Field, ...] = (
    ("move_originator_ae", Element.MOVE_ORIGINATOR_AE, _AE, False),
    ("move_originator_message_id", Element.MOVE_ORIGINATOR_MESSAGE_ID, _NUMBER, False),
)
_ACTION: _Field = ("action_type", Element.ACTION_TYPE_ID, _NUMBER, False)
_EVENT: _Field = ("event_type", Element.EVENT_TYPE_ID, _NUMBER, False)

_MESSAGES: Final[Mapping[type[Any], tuple[int, tuple[_Field, ...]]]] = MappingProxyType(
    {
        StoreRequest: (0x0001, (_CLASS, _ID, _PRIORITY, _INSTANCE, *_ORIGINATOR)),
        StoreResponse: (0x8001, (_CLASS, *_ANSWER, _INSTANCE)),
        GetRequest: (0x0010, (_CLASS, _ID, _PRIORITY)),
        GetResponse: (0x8010, (_CLASS, *_ANSWER, *_COUNTS)),
        FindRequest: (0x0020, (_CLASS, _ID, _PRIORITY)),
        FindResponse: (0x8020, (_CLASS, *_ANSWER)),
        MoveRequest: (
            0x0021,
            (_CLASS, _ID, _PRIORITY, ("destination", Element.MOVE_DESTINATION, _AE, False)),
        ),
        MoveResponse: (0x8021, (_CLASS, *_ANSWER, *_COUNTS)),
        EchoRequest: (0x0030, (_CLASS, _ID)),
        EchoResponse: (0x8030, (_CLASS, *_ANSWER)),
        CancelRequest: (0x0FFF, (("message_id", Element.MESSAGE_ID_RESPONDED, _NUMBER, True),)),
        EventReportRequest: (0x0100, (_CLASS, _ID, _INSTANCE, _EVENT)),
        EventReportResponse: (0x8100, (_CLASS, *_ANSWER, _INSTANCE, _EVENT)),
        CreateRequest: (0x0140, (_CLASS, _ID, _INSTANCE)),
        CreateResponse: (0x8140, (_CLASS, *_ANSWER, _INSTANCE)),
        ActionRequest: (0x0130, (*_REQUESTED, _ID, _ACTION)),
        ActionResponse: (0x8130, (_CLASS, *_ANSWER, _INSTANCE, _ACTION)),
    }
)
"""Command field and fields of each message (PS3.7 Tables 9.3-1 to 9.3-13, 10.3-1 to 10.3-12)."""
_BY_COMMAND_FIELD: Final = MappingProxyType(
    {field: (message, fields) for message, (field, fields) in _MESSAGES.items()}
)


def encode_command(command: Command, has_data: bool) -> bytes:
    """The command set of a message; `has_data` tells whether a data set will follow.

    BadInput when a value has no form on the wire. Not so in a response, which must not fail because of what it
    answers: an error comment is cut to 64 ASCII characters, and the UIDs of a request are repeated as they came.
    """
    if isinstance(command, StoreResponse) and not command.error_comment and not has_data:
        uid = repeat_uid(command.sop_instance_uid)
        if uid:
            before, between = _around_message_id(command.sop_class_uid, command.status, len(uid))
            return b"".join((before, encode_u16(command.message_id), between, uid))
    if isinstance(command, StoreRequest) and command.sop_instance_uid:
        return _store_request(command, has_data)
    if isinstance(command, UnknownRequest):
        raise BadInput("a request of unknown kind can not be written")
    if isinstance(command, UnknownResponse):
        number, fields = command.command_field | RESPONSE_BIT, (_CLASS, *_ANSWER)
    else:
        number, fields = _MESSAGES[type(command)]
    return _encoded(command, number, fields, has_data)


def _encoded(command: Command, number: int, fields: tuple[_Field, ...], has_data: bool) -> bytes:
    elements = {
        int(Element.COMMAND_FIELD): encode_u16(number),
        int(Element.DATA_SET_TYPE): encode_data_set_type(has_data),
    }
    for attribute, element, kind, _ in fields:
        value = getattr(command, attribute)
        if value is None or value == "":
            continue
        repeats = kind == _UID and isinstance(command, Response)
        elements[element] = repeat_uid(value) if repeats else _encode_value(kind, value)
    return encode_elements(elements)


@lru_cache(maxsize=256)
def _around_message_id(sop_class_uid: str, status: int, uid_bytes: int) -> tuple[bytes, bytes]:
    """What stands before and behind the message id of a C-STORE-RSP without comment, to where its last value begins,
    the UID. A series is answered with the same bytes again and again."""
    whole = encode_elements(
        {
            int(Element.COMMAND_FIELD): encode_u16(_MESSAGES[StoreResponse][0]),
            int(Element.DATA_SET_TYPE): encode_data_set_type(False),
            int(Element.MESSAGE_ID_RESPONDED): b"\0\0",
            int(Element.STATUS): encode_u16(status),
            int(Element.AFFECTED_SOP_INSTANCE_UID): bytes(uid_bytes),
        }
        | ({int(Element.AFFECTED_SOP_CLASS_UID): repeat_uid(sop_class_uid)} if sop_class_uid else {})
    )
    place = value_place(whole, Element.MESSAGE_ID_RESPONDED)
    return whole[:place], whole[place + 2 : len(whole) - uid_bytes]


def _store_request(command: StoreRequest, has_data: bool) -> bytes:
    uid = encode_uid(command.sop_instance_uid)
    before, between, behind = _around_store(
        command.sop_class_uid,
        command.priority,
        command.move_originator_ae,
        command.move_originator_message_id,
        len(uid),
        has_data,
    )
    return b"".join((before, encode_u16(command.message_id), between, uid, behind))


@lru_cache(maxsize=256)
def _around_store(
    sop_class_uid: str,
    priority: int,
    originator_ae: str,
    originator_id: int | None,
    uid_bytes: int,
    has_data: bool,
) -> tuple[bytes, bytes, bytes]:
    """What stands before the message id of a C-STORE-RQ, between that and its instance, and behind it. A series is
    sent with the same bytes again and again."""
    alike = StoreRequest(0, sop_class_uid, "0" * uid_bytes, priority, originator_ae, originator_id)
    whole = _encoded(alike, *_MESSAGES[StoreRequest], has_data)
    id_at = value_place(whole, Element.MESSAGE_ID)
    uid_at = value_place(whole, Element.AFFECTED_SOP_INSTANCE_UID)
    return whole[:id_at], whole[id_at + 2 : uid_at], whole[uid_at + uid_bytes :]


class CommandReader:
    """`decode_command` for one association: a C-STORE-RQ, or an answer to one, that is like the one before but for
    message id and instance is known by comparing its bytes."""

    __slots__ = ("_before", "_behind", "_between", "_id_at", "_known", "_size", "_uid_at", "_uid_ends")

    def __init__(self) -> None:
        self._size = -1
        self._id_at = self._uid_at = self._uid_ends = 0
        self._before = self._between = self._behind = b""
        self._known: tuple[StoreRequest | StoreResponse, bool] | None = None

    def decode(self, data: bytearray) -> tuple[Command, bool]:
        """See decode_command."""
        id_at, uid_at, uid_ends = self._id_at, self._uid_at, self._uid_ends
        if (
            self._known is not None
            and len(data) == self._size
            and data[:id_at] == self._before
            and data[id_at + 2 : uid_at] == self._between
            and data[uid_ends:] == self._behind
        ):
            known, has_data = self._known
            message_id, uid = data[id_at] | data[id_at + 1] << 8, decode_text(data[uid_at:uid_ends])
            if isinstance(known, StoreResponse):
                answer = StoreResponse(
                    message_id, known.status, known.sop_class_uid, uid, known.error_comment
                )
                return answer, has_data
            request = StoreRequest(
                message_id,
                known.sop_class_uid,
                uid,
                known.priority,
                known.move_originator_ae,
                known.move_originator_message_id,
            )
            return request, has_data
        command, has_data = decode_command(data)
        if isinstance(command, StoreRequest):
            self._learn(bytes(data), command, has_data, Element.MESSAGE_ID)
        elif isinstance(command, StoreResponse):
            self._learn(bytes(data), command, has_data, Element.MESSAGE_ID_RESPONDED)
        return command, has_data

    def _learn(
        self, data: bytes, command: StoreRequest | StoreResponse, has_data: bool, numbered_by: Element
    ) -> None:
        id_at = value_place(data, numbered_by)
        uid_at = value_place(data, Element.AFFECTED_SOP_INSTANCE_UID)
        if not 0 < id_at < uid_at:
            return
        uid_ends = uid_at + value_length(data, uid_at)
        self._size, self._id_at, self._uid_at, self._uid_ends = len(data), id_at, uid_at, uid_ends
        self._before, self._between, self._behind = data[:id_at], data[id_at + 2 : uid_at], data[uid_ends:]
        self._known = command, has_data


def decode_command(data: bytes | bytearray) -> tuple[Command, bool]:
    """The message of a command set, and whether a data set follows.

    BadInput when it can not be understood: broken elements, no command field, message id, status or data set
    type, or a response of a kind that we never asked for.
    """
    elements = decode_elements(data)
    number = _required(elements, Element.COMMAND_FIELD)
    has_data = _required(elements, Element.DATA_SET_TYPE) != NO_DATA_SET
    if number not in _BY_COMMAND_FIELD:
        if number & RESPONSE_BIT:
            raise BadInput(f"response with unknown command field {number:04X}H")
        uid = elements.get(Element.AFFECTED_SOP_CLASS_UID, elements.get(Element.REQUESTED_SOP_CLASS_UID, b""))
        return UnknownRequest(number, _required(elements, Element.MESSAGE_ID), decode_text(uid)), has_data
    message, fields = _BY_COMMAND_FIELD[number]
    values: dict[str, Any] = {}
    for attribute, element, kind, required in fields:
        raw = elements.get(element)
        if kind == _NUMBER:
            if required:
                values[attribute] = _required(elements, element)
            elif raw:
                values[attribute] = decode_u16(raw, element)
            elif attribute in ("action_type", "event_type"):
                values[attribute] = None if number & RESPONSE_BIT else 0
        else:
            values[attribute] = decode_text(raw) if raw else ""
    command: Command = message(**values)
    return command, has_data


def _required(elements: dict[int, bytes], element: Element) -> int:
    raw = elements.get(element)
    if raw is None:
        raise BadInput(f"command set without 0000,{element:04X}")
    return decode_u16(raw, element)


def _encode_value(kind: int, value: Any) -> bytes:
    if kind == _UID:
        return encode_uid(value)
    if kind == _NUMBER:
        return encode_u16(value)
    if kind == _AE:
        return encode_text(value, 16)
    comment = value.encode("ascii", "replace").decode("ascii")[:MAX_COMMENT_CHARACTERS]
    return encode_text(comment, MAX_COMMENT_CHARACTERS)
