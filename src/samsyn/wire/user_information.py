"""User information items of A-ASSOCIATE-RQ and -AC (PS3.8 D.1, PS3.7 D.3.3), bytes to values and back.

Items of unknown type are kept as they came: a newer peer must not be refused for telling more than we know.
"""

import struct
from dataclasses import dataclass

from samsyn.errors import BadInput

MAXIMUM_LENGTH = 0x51
IMPLEMENTATION_CLASS = 0x52
ASYNCHRONOUS_OPERATIONS = 0x53
ROLE_SELECTION = 0x54
IMPLEMENTATION_VERSION = 0x55
EXTENDED_NEGOTIATION = 0x56
COMMON_EXTENDED_NEGOTIATION = 0x57
USER_IDENTITY_REQUEST = 0x58
USER_IDENTITY_RESPONSE = 0x59

_ITEM = struct.Struct(">BxH")
_U16 = struct.Struct(">H")
_U16X2 = struct.Struct(">HH")
_U32 = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class AsynchronousOperations:
    """Window of outstanding operations (PS3.7 D.3.3.3); 0 = unlimited."""

    invoked: int
    performed: int


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """Which roles the requestor wants, or the acceptor grants, for one SOP class (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """Service class application information of one SOP class, undecoded (PS3.7 D.3.3.5)."""

    sop_class_uid: str
    application_information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """The service class of a SOP class and the general classes it may be treated as (PS3.7 D.3.3.6)."""

    sop_class_uid: str
    service_class_uid: str
    related_general_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserIdentityRequest:
    """User identity as sent (PS3.7 D.3.3.7). Holds secrets: it is never logged, nor shown by repr."""

    kind: int
    """1 user name, 2 user name and passcode, 3 Kerberos, 4 SAML, 5 JSON web token."""
    response_requested: bool
    primary: bytes
    secondary: bytes = b""

    def __repr__(self) -> str:
        """Only the kind: an identity in a traceback would reach a log."""
        return f"UserIdentityRequest(kind={self.kind})"


@dataclass(frozen=True, slots=True)
class UnknownItem:
    """An item of a type that we do not know, kept and otherwise ignored."""

    kind: int
    content: bytes


@dataclass(frozen=True, slots=True)
class UserInformation:
    """All user information of one side."""

    maximum_length: int = 0
    """Largest P-DATA-TF variable field that this side takes, in bytes; 0 = no limit told (PS3.8 D.1)."""
    implementation_class_uid: str = ""
    implementation_version: str = ""
    asynchronous_operations: AsynchronousOperations | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    identity_request: UserIdentityRequest | None = None
    identity_response: bytes | None = None
    unknown: tuple[UnknownItem, ...] = ()


def encode_item(kind: int, content: bytes) -> bytes:
    """One item: type, reserved byte, 16-bit length, content. BadInput when the content is over 65535 bytes."""
    if len(content) > 0xFFFF:
        raise BadInput(f"item {kind:02X}H of {len(content)} bytes does not fit its 16-bit length")
    return _ITEM.pack(kind, len(content)) + content


def split_items(data: bytes, where: str) -> list[tuple[int, bytes]]:
    """(type, content) of items lying back to back; BadInput when one passes the end. `where` names the parent."""
    items: list[tuple[int, bytes]] = []
    position, end = 0, len(data)
    while position < end:
        if end - position < 4:
            raise BadInput(f"{where}: {end - position} stray bytes after the last item")
        kind, length = _ITEM.unpack_from(data, position)
        position += 4
        if length > end - position:
            raise BadInput(f"{where}: item {kind:02X}H tells {length} bytes, {end - position} are left")
        items.append((kind, data[position : position + length]))
        position += length
    return items


def encode_uid(uid: str) -> bytes:
    """A UID as in PDUs: ASCII without padding (PS3.8 Annex F)."""
    try:
        return uid.encode("ascii")
    except UnicodeEncodeError as error:
        raise BadInput("a UID holds ASCII only") from error


def decode_uid(data: bytes) -> str:
    """A UID as text; some peers pad to even length, so trailing NUL and space are dropped.

    Whether it is a possible UID is for the user to judge; other bytes than ASCII are refused here.
    """
    try:
        return data.rstrip(b"\0 ").decode("ascii")
    except UnicodeDecodeError as error:
        raise BadInput("a UID holds bytes that are no ASCII") from error


def encode_user_information(info: UserInformation) -> bytes:
    """The content of a 50H item, sub-items in the order of their types."""
    parts = [encode_item(MAXIMUM_LENGTH, _U32.pack(info.maximum_length))]
    if info.implementation_class_uid:
        parts.append(encode_item(IMPLEMENTATION_CLASS, encode_uid(info.implementation_class_uid)))
    if info.asynchronous_operations is not None:
        window = info.asynchronous_operations
        parts.append(encode_item(ASYNCHRONOUS_OPERATIONS, _U16X2.pack(window.invoked, window.performed)))
    for role in info.roles:
        content = _with_length(encode_uid(role.sop_class_uid)) + bytes((role.scu, role.scp))
        parts.append(encode_item(ROLE_SELECTION, content))
    if info.implementation_version:
        parts.append(encode_item(IMPLEMENTATION_VERSION, encode_uid(info.implementation_version)))
    for extended in info.extended:
        content = _with_length(encode_uid(extended.sop_class_uid)) + extended.application_information
        parts.append(encode_item(EXTENDED_NEGOTIATION, content))
    parts.extend(_encode_common(common) for common in info.common_extended)
    if info.identity_request is not None:
        identity = info.identity_request
        content = bytes((identity.kind, identity.response_requested))
        content += _with_length(identity.primary) + _with_length(identity.secondary)
        parts.append(encode_item(USER_IDENTITY_REQUEST, content))
    if info.identity_response is not None:
        parts.append(encode_item(USER_IDENTITY_RESPONSE, _with_length(info.identity_response)))
    parts.extend(encode_item(item.kind, item.content) for item in info.unknown)
    return b"".join(parts)


def decode_user_information(data: bytes) -> UserInformation:
    """The values of a 50H item's content. BadInput when a sub-item contradicts itself or comes twice."""
    single: dict[int, bytes] = {}
    roles: list[RoleSelection] = []
    extended: list[ExtendedNegotiation] = []
    common: list[CommonExtendedNegotiation] = []
    unknown: list[UnknownItem] = []
    for kind, content in split_items(data, "user information"):
        if kind == ROLE_SELECTION:
            roles.append(_decode_role(content))
        elif kind == EXTENDED_NEGOTIATION:
            uid, position = _counted(content, 0, "SOP class extended negotiation")
            extended.append(ExtendedNegotiation(decode_uid(uid), content[position:]))
        elif kind == COMMON_EXTENDED_NEGOTIATION:
            common.append(_decode_common(content))
        elif kind in _SINGLE:
            if kind in single:
                raise BadInput(f"user information item {kind:02X}H comes twice")
            single[kind] = content
        else:
            unknown.append(UnknownItem(kind, content))
    return UserInformation(
        maximum_length=_decode_maximum_length(single.get(MAXIMUM_LENGTH)),
        implementation_class_uid=decode_uid(single.get(IMPLEMENTATION_CLASS, b"")),
        implementation_version=decode_uid(single.get(IMPLEMENTATION_VERSION, b"")),
        asynchronous_operations=_decode_window(single.get(ASYNCHRONOUS_OPERATIONS)),
        roles=tuple(roles),
        extended=tuple(extended),
        common_extended=tuple(common),
        identity_request=_decode_identity(single.get(USER_IDENTITY_REQUEST)),
        identity_response=_decode_identity_response(single.get(USER_IDENTITY_RESPONSE)),
        unknown=tuple(unknown),
    )


_SINGLE = frozenset(
    {
        MAXIMUM_LENGTH,
        IMPLEMENTATION_CLASS,
        ASYNCHRONOUS_OPERATIONS,
        IMPLEMENTATION_VERSION,
        USER_IDENTITY_REQUEST,
        USER_IDENTITY_RESPONSE,
    }
)


def _with_length(data: bytes) -> bytes:
    if len(data) > 0xFFFF:
        raise BadInput(f"a field of {len(data)} bytes does not fit its 16-bit length")
    return _U16.pack(len(data)) + data


def _counted(data: bytes, position: int, where: str) -> tuple[bytes, int]:
    """A field with a 16-bit length before it, and the position after it."""
    if len(data) - position < 2:
        raise BadInput(f"{where}: a length field is missing")
    length: int = _U16.unpack_from(data, position)[0]
    position += 2
    if length > len(data) - position:
        raise BadInput(f"{where}: a field tells {length} bytes, {len(data) - position} are left")
    return data[position : position + length], position + length


def _encode_common(common: CommonExtendedNegotiation) -> bytes:
    related = b"".join(_with_length(encode_uid(uid)) for uid in common.related_general_uids)
    content = (
        _with_length(encode_uid(common.sop_class_uid))
        + _with_length(encode_uid(common.service_class_uid))
        + _with_length(related)
    )
    return encode_item(COMMON_EXTENDED_NEGOTIATION, content)


def _decode_common(content: bytes) -> CommonExtendedNegotiation:
    where = "SOP class common extended negotiation"
    sop_class, position = _counted(content, 0, where)
    service_class, position = _counted(content, position, where)
    related, _ = _counted(content, position, where)
    uids: list[str] = []
    position = 0
    while position < len(related):
        uid, position = _counted(related, position, where)
        uids.append(decode_uid(uid))
    return CommonExtendedNegotiation(decode_uid(sop_class), decode_uid(service_class), tuple(uids))


def _decode_role(content: bytes) -> RoleSelection:
    uid, position = _counted(content, 0, "role selection")
    if len(content) - position < 2:
        raise BadInput("role selection: the two roles are missing")
    return RoleSelection(decode_uid(uid), content[position] == 1, content[position + 1] == 1)


def _decode_maximum_length(content: bytes | None) -> int:
    if content is None:
        return 0
    if len(content) != 4:
        raise BadInput(f"maximum length item of {len(content)} bytes instead of 4")
    length: int = _U32.unpack(content)[0]
    return length


def _decode_window(content: bytes | None) -> AsynchronousOperations | None:
    if content is None:
        return None
    if len(content) != 4:
        raise BadInput(f"asynchronous operations item of {len(content)} bytes instead of 4")
    invoked, performed = _U16X2.unpack(content)
    return AsynchronousOperations(invoked, performed)


def _decode_identity(content: bytes | None) -> UserIdentityRequest | None:
    if content is None:
        return None
    if len(content) < 2:
        raise BadInput("user identity item without type")
    primary, position = _counted(content, 2, "user identity")
    secondary, _ = _counted(content, position, "user identity")
    return UserIdentityRequest(content[0], content[1] == 1, primary, secondary)


def _decode_identity_response(content: bytes | None) -> bytes | None:
    return None if content is None else _counted(content, 0, "user identity response")[0]
