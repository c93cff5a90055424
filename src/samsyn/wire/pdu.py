"""The seven protocol data units of the DICOM upper layer (PS3.8 9.3), bytes to values and back.

Decoders take the variable part after the 6-byte header, whole; its length has been checked before by
`check_header`, so that nobody can make us buffer more than a limit. All numbers are big-endian.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from samsyn.errors import BadInput, LimitExceeded
from samsyn.limits import MAX_CONTROL_PDU_BYTES
from samsyn.wire.user_information import (
    UserInformation,
    decode_uid,
    decode_user_information,
    encode_item,
    encode_uid,
    encode_user_information,
    split_items,
)

APPLICATION_CONTEXT_UID = "1.2.840.10008.3.1.1.1"
"""The DICOM application context name (PS3.7 A.2.1)."""
HEADER_BYTES = 6
"""Type, reserved byte, 32-bit length."""
PDV_HEADER_BYTES = 6
"""32-bit item length, presentation context id, message control header (PS3.8 9.3.5.1, Annex E)."""

_HEADER = struct.Struct(">BxI")
_ASSOCIATE = struct.Struct(">HH16s16s32s")
_CONTEXT_REQUEST = 0x20
_CONTEXT_ANSWER = 0x21
_APPLICATION_CONTEXT = 0x10
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50


class PduType(IntEnum):
    """First byte of a PDU."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class ContextResult(IntEnum):
    """Answer to a proposed presentation context (PS3.8 Table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """One presentation context of a request; `context_id` is odd, 1 to 255 (PS3.8 9.3.2.2)."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnsweredContext:
    """One presentation context of an acceptance; the transfer syntax counts only with ACCEPTANCE."""

    context_id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2). AE titles are without the padding spaces."""

    called_ae: str
    calling_ae: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT_UID
    protocol_version: int = 1
    """Bit 0 = version 1, the only one (PS3.8 9.3.2)."""


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC (PS3.8 9.3.3). The AE titles repeat those of the request and are not tested."""

    called_ae: str
    calling_ae: str
    contexts: tuple[AnsweredContext, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT_UID
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4, Table 9-21)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ (PS3.8 9.3.6)."""


@dataclass(frozen=True, slots=True)
class ReleaseResponse:
    """A-RELEASE-RP (PS3.8 9.3.7)."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 9.3.8, Table 9-26). `source` 0 = service user, 2 = service provider."""

    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class PresentationDataValue:
    """One PDV item (PS3.8 9.3.5.1, Annex E)."""

    context_id: int
    is_command: bool
    is_last: bool
    fragment: bytes


@dataclass(frozen=True, slots=True)
class PData:
    """P-DATA-TF (PS3.8 9.3.5), whole. The receiving path streams instead, see upper_layer."""

    values: tuple[PresentationDataValue, ...]


ControlPdu: TypeAlias = (
    AssociateRequest | AssociateAccept | AssociateReject | ReleaseRequest | ReleaseResponse | Abort
)

REJECT_PERMANENT = 1
REJECT_TRANSIENT = 2
NO_REASON_GIVEN = AssociateReject(REJECT_PERMANENT, 1, 1)
APPLICATION_CONTEXT_NOT_SUPPORTED = AssociateReject(REJECT_PERMANENT, 1, 2)
CALLING_AE_NOT_RECOGNIZED = AssociateReject(REJECT_PERMANENT, 1, 3)
CALLED_AE_NOT_RECOGNIZED = AssociateReject(REJECT_PERMANENT, 1, 7)
PROTOCOL_VERSION_NOT_SUPPORTED = AssociateReject(REJECT_PERMANENT, 2, 2)
TEMPORARY_CONGESTION = AssociateReject(REJECT_TRANSIENT, 3, 1)
LOCAL_LIMIT_EXCEEDED = AssociateReject(REJECT_TRANSIENT, 3, 2)

ABORT_BY_USER = Abort(0, 0)
ABORT_UNRECOGNIZED_PDU = Abort(2, 1)
ABORT_UNEXPECTED_PDU = Abort(2, 2)
ABORT_INVALID_VALUE = Abort(2, 6)


def check_header(kind: int, length: int, maximum_p_data: int) -> None:
    """Whether a PDU with this header may be read at all, before one byte of it is buffered.

    BadInput: unknown type, or a length that its type can not have. LimitExceeded: larger than
    MAX_CONTROL_PDU_BYTES, or than `maximum_p_data` (what we told the peer) for P-DATA-TF.
    """
    if kind == PduType.P_DATA_TF:
        if length < PDV_HEADER_BYTES:
            raise BadInput(f"P-DATA-TF of {length} bytes has no room for a presentation data value")
        if length > maximum_p_data:
            raise LimitExceeded(f"P-DATA-TF of {length} bytes, agreed maximum {maximum_p_data}")
    elif kind in (PduType.ASSOCIATE_RQ, PduType.ASSOCIATE_AC):
        if length < _ASSOCIATE.size:
            raise BadInput(f"A-ASSOCIATE of {length} bytes is shorter than its fixed fields")
        if length > MAX_CONTROL_PDU_BYTES:
            raise LimitExceeded(f"MAX_CONTROL_PDU_BYTES: A-ASSOCIATE of {length} bytes")
    elif kind in (PduType.ASSOCIATE_RJ, PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT):
        if length != 4:
            raise BadInput(f"PDU type {kind} with length {length} instead of 4")
    else:
        raise BadInput(f"{kind:02X}H is no PDU type")


def encode_control(pdu: ControlPdu) -> bytes:
    """The whole PDU, header included. BadInput when a value can not be written (AE title over 16 bytes ...)."""
    match pdu:
        case AssociateRequest():
            contexts = b"".join(_encode_proposed(context) for context in pdu.contexts)
            return _encode_associate(PduType.ASSOCIATE_RQ, pdu, contexts)
        case AssociateAccept():
            contexts = b"".join(_encode_answered(context) for context in pdu.contexts)
            return _encode_associate(PduType.ASSOCIATE_AC, pdu, contexts)
        case AssociateReject(result, source, reason):
            return _HEADER.pack(PduType.ASSOCIATE_RJ, 4) + bytes((0, result, source, reason))
        case ReleaseRequest():
            return _HEADER.pack(PduType.RELEASE_RQ, 4) + bytes(4)
        case ReleaseResponse():
            return _HEADER.pack(PduType.RELEASE_RP, 4) + bytes(4)
        case Abort(source, reason):
            return _HEADER.pack(PduType.ABORT, 4) + bytes((0, 0, source, reason))


def decode_control(kind: int, content: bytes) -> ControlPdu:
    """The PDU of type `kind` (not P-DATA-TF) with this content. BadInput when it contradicts PS3.8 9.3."""
    if kind in (PduType.ASSOCIATE_RQ, PduType.ASSOCIATE_AC):
        return _decode_associate(kind, content)
    if len(content) != 4:
        raise BadInput(f"PDU type {kind} with length {len(content)} instead of 4")
    if kind == PduType.ASSOCIATE_RJ:
        return AssociateReject(content[1], content[2], content[3])
    if kind == PduType.RELEASE_RQ:
        return ReleaseRequest()
    if kind == PduType.RELEASE_RP:
        return ReleaseResponse()
    if kind == PduType.ABORT:
        return Abort(content[2], content[3])
    raise BadInput(f"{kind:02X}H is no control PDU type")


def encode_p_data(pdu: PData) -> bytes:
    """A P-DATA-TF PDU, header included."""
    parts = []
    for value in pdu.values:
        control = (1 if value.is_command else 0) | (2 if value.is_last else 0)
        parts.append(struct.pack(">IBB", len(value.fragment) + 2, value.context_id, control))
        parts.append(value.fragment)
    content = b"".join(parts)
    return _HEADER.pack(PduType.P_DATA_TF, len(content)) + content


def decode_p_data(content: bytes) -> PData:
    """A P-DATA-TF's content. BadInput when a PDV is too short or passes the end of the PDU."""
    values: list[PresentationDataValue] = []
    position, end = 0, len(content)
    while position < end:
        if end - position < PDV_HEADER_BYTES:
            raise BadInput(f"P-DATA-TF: {end - position} stray bytes after the last value")
        length, context_id, control = struct.unpack_from(">IBB", content, position)
        if not 2 <= length <= end - position - 4:
            raise BadInput(f"presentation data value of {length} bytes, {end - position - 4} are left")
        fragment = content[position + PDV_HEADER_BYTES : position + 4 + length]
        values.append(PresentationDataValue(context_id, bool(control & 1), bool(control & 2), fragment))
        position += 4 + length
    return PData(tuple(values))


def _encode_ae(title: str) -> bytes:
    try:
        data = title.encode("ascii")
    except UnicodeEncodeError as error:
        raise BadInput("an AE title holds ASCII only") from error
    if len(data) > 16:
        raise BadInput(f"an AE title of {len(data)} characters; 16 are possible")
    return data.ljust(16)


def _decode_ae(data: bytes) -> str:
    # Latin-1 never fails; a title outside ASCII can not equal a configured one and is refused as unknown.
    return data.rstrip(b"\0").decode("latin-1").strip(" ")


def _encode_associate(kind: PduType, pdu: AssociateRequest | AssociateAccept, contexts: bytes) -> bytes:
    if isinstance(pdu, AssociateAccept):
        # They only repeat what the peer sent, whatever that was (PS3.8 Table 9-17).
        called, calling = (
            title.encode("latin-1", "replace").ljust(16) for title in (pdu.called_ae, pdu.calling_ae)
        )
    else:
        called, calling = _encode_ae(pdu.called_ae), _encode_ae(pdu.calling_ae)
    content = (
        _ASSOCIATE.pack(pdu.protocol_version, 0, called, calling, bytes(32))
        + encode_item(_APPLICATION_CONTEXT, encode_uid(pdu.application_context))
        + contexts
        + encode_item(_USER_INFORMATION, encode_user_information(pdu.user))
    )
    return _HEADER.pack(kind, len(content)) + content


def _encode_proposed(context: ProposedContext) -> bytes:
    content = bytes((context.context_id, 0, 0, 0))
    content += encode_item(_ABSTRACT_SYNTAX, encode_uid(context.abstract_syntax))
    content += b"".join(encode_item(_TRANSFER_SYNTAX, encode_uid(uid)) for uid in context.transfer_syntaxes)
    return encode_item(_CONTEXT_REQUEST, content)


def _encode_answered(context: AnsweredContext) -> bytes:
    content = bytes((context.context_id, 0, context.result, 0))
    return encode_item(
        _CONTEXT_ANSWER, content + encode_item(_TRANSFER_SYNTAX, encode_uid(context.transfer_syntax))
    )


def _decode_associate(kind: int, content: bytes) -> AssociateRequest | AssociateAccept:
    if len(content) < _ASSOCIATE.size:
        raise BadInput(f"A-ASSOCIATE of {len(content)} bytes is shorter than its fixed fields")
    version, _, called, calling, _ = _ASSOCIATE.unpack_from(content)
    wanted = _CONTEXT_REQUEST if kind == PduType.ASSOCIATE_RQ else _CONTEXT_ANSWER
    application: str | None = None
    user: UserInformation | None = None
    contexts: list[bytes] = []
    for item, value in split_items(content[_ASSOCIATE.size :], "A-ASSOCIATE"):
        if item == _APPLICATION_CONTEXT:
            if application is not None:
                raise BadInput("A-ASSOCIATE with two application context items")
            application = decode_uid(value)
        elif item == wanted:
            contexts.append(value)
        elif item == _USER_INFORMATION:
            if user is not None:
                raise BadInput("A-ASSOCIATE with two user information items")
            user = decode_user_information(value)
        # Other types: a later edition's item, or the wrong one of 20H and 21H; PS3.8 9.3.1 has us ignore it.
    if application is None or user is None:
        raise BadInput("A-ASSOCIATE without application context or user information item")
    _check_context_ids(contexts)
    titles = _decode_ae(called), _decode_ae(calling)
    if kind == PduType.ASSOCIATE_RQ:
        proposed = tuple(_decode_proposed(value) for value in contexts)
        return AssociateRequest(*titles, proposed, user, application, version)
    answered = tuple(_decode_answered(value) for value in contexts)
    return AssociateAccept(*titles, answered, user, application, version)


def _check_context_ids(contexts: list[bytes]) -> None:
    """At least one context, ids odd and different: so there are never more than 128 of them."""
    if not contexts:
        raise BadInput("A-ASSOCIATE without presentation context")
    seen: set[int] = set()
    for value in contexts:
        if len(value) < 4:
            raise BadInput(f"presentation context item of {len(value)} bytes")
        context_id = value[0]
        if context_id % 2 == 0 or context_id in seen:
            raise BadInput(f"presentation context id {context_id} is even or comes twice")
        seen.add(context_id)


def _decode_proposed(value: bytes) -> ProposedContext:
    abstract: str | None = None
    transfer: list[str] = []
    for item, uid in split_items(value[4:], "presentation context"):
        if item == _ABSTRACT_SYNTAX:
            if abstract is not None:
                raise BadInput(f"presentation context {value[0]} with two abstract syntaxes")
            abstract = decode_uid(uid)
        elif item == _TRANSFER_SYNTAX:
            transfer.append(decode_uid(uid))
    if abstract is None or not transfer:
        raise BadInput(f"presentation context {value[0]} without abstract or transfer syntax")
    return ProposedContext(value[0], abstract, tuple(transfer))


def _decode_answered(value: bytes) -> AnsweredContext:
    transfer = [
        uid for item, uid in split_items(value[4:], "presentation context") if item == _TRANSFER_SYNTAX
    ]
    if value[2] == ContextResult.ACCEPTANCE and len(transfer) != 1:
        raise BadInput(f"accepted presentation context {value[0]} with {len(transfer)} transfer syntaxes")
    # With a refusal the transfer syntax "shall not be tested" (PS3.8 9.3.3.2), and some peers leave rubbish.
    accepted = value[2] == ContextResult.ACCEPTANCE
    return AnsweredContext(value[0], value[2], decode_uid(transfer[0]) if accepted else "")
