"""The one table from Samsyn's errors to DIMSE status, and the response that tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from samsyn import errors
from samsyn.wire import dimse
from samsyn.wire import dimse_status as status
from samsyn.wire.dimse import MAX_COMMENT_CHARACTERS


@dataclass(frozen=True, slots=True)
class Statuses:
    """What one error is told as, by service (PS3.7 Annex C; PS3.4 Tables B.2-1, C.4-1, C.4-2)."""

    store: int
    find: int
    retrieve: int
    normalized: int
    """Of the DIMSE-N services."""


IDENTITY_CONFLICT: Final = 0xC001
"""Cannot Understand, own digits: the object contradicts what is known about its patient."""
UNKNOWN_ISSUER: Final = 0xC002
"""Cannot Understand, own digits: the patient identifier could not be resolved."""


def _everywhere(code: int) -> Statuses:
    return Statuses(code, code, code, code)


STATUSES: Final[Mapping[type[errors.SamsynError], Statuses]] = MappingProxyType(
    {
        errors.SamsynError: _everywhere(status.PROCESSING_FAILURE),
        errors.BadInput: Statuses(
            status.CANNOT_UNDERSTAND,
            status.DATA_SET_MISMATCH,
            status.DATA_SET_MISMATCH,
            status.INVALID_ARGUMENT,
        ),
        errors.LimitExceeded: Statuses(
            status.OUT_OF_RESOURCES,
            status.OUT_OF_RESOURCES,
            status.OUT_OF_RESOURCES_MATCHES,
            status.RESOURCE_LIMITATION,
        ),
        errors.NotSupported: _everywhere(status.CLASS_NOT_SUPPORTED),
        errors.Mismatch: Statuses(
            status.DATA_SET_MISMATCH,
            status.DATA_SET_MISMATCH,
            status.DATA_SET_MISMATCH,
            status.CLASS_INSTANCE_CONFLICT,
        ),
        errors.DifferentBytes: _everywhere(status.DUPLICATE_INSTANCE),
        errors.IdentityConflict: _everywhere(IDENTITY_CONFLICT),
        errors.UnknownIssuer: _everywhere(UNKNOWN_ISSUER),
        errors.NotFound: _everywhere(status.NO_SUCH_INSTANCE),
        errors.NotAuthenticated: _everywhere(status.NOT_AUTHORIZED),
        errors.NotAllowed: _everywhere(status.NOT_AUTHORIZED),
        errors.Conflict: _everywhere(status.PROCESSING_FAILURE),
        errors.OutOfResources: Statuses(
            status.OUT_OF_RESOURCES,
            status.OUT_OF_RESOURCES,
            status.OUT_OF_RESOURCES_SUB_OPERATIONS,
            status.RESOURCE_LIMITATION,
        ),
        errors.StoreFailed: _everywhere(status.PROCESSING_FAILURE),
        errors.DamagedData: _everywhere(status.PROCESSING_FAILURE),
        errors.ConfigurationError: _everywhere(status.PROCESSING_FAILURE),
    }
)
"""Every type of errors.py. DIMSE has no code for "later may help" but A7xx, so that is what full disks get."""

HELD: Final[Mapping[str, int]] = MappingProxyType(
    {
        kind.code: STATUSES[kind].store
        for kind in (errors.DifferentBytes, errors.IdentityConflict, errors.UnknownIssuer)
    }
)
"""Reason code of a held instance -> status of its C-STORE: never success."""

SENTENCES: Final[Mapping[str, str]] = MappingProxyType({kind.code: kind.sentence for kind in STATUSES})
"""Error code -> public sentence."""


def comment(error: errors.SamsynError) -> str:
    """The Error Comment (0000,0902): what went wrong, in at most 64 ASCII characters without patient data."""
    text = error.detail or error.sentence
    return text.encode("ascii", "replace").decode("ascii")[:MAX_COMMENT_CHARACTERS]


def failure(request: dimse.Request, error: errors.SamsynError) -> dimse.Response | None:
    """The response that tells the peer about an error; None for C-CANCEL, which has none."""
    codes = STATUSES[type(error)]
    text = comment(error)
    match request:
        case dimse.StoreRequest(message_id, sop_class, sop_instance):
            return dimse.StoreResponse(message_id, codes.store, sop_class, sop_instance, text)
        case dimse.FindRequest(message_id, sop_class):
            return dimse.FindResponse(message_id, codes.find, sop_class, text)
        case dimse.GetRequest(message_id, sop_class):
            return dimse.GetResponse(message_id, codes.retrieve, sop_class, text)
        case dimse.MoveRequest(message_id, sop_class):
            return dimse.MoveResponse(message_id, codes.retrieve, sop_class, text)
        case dimse.EchoRequest(message_id, sop_class):
            return dimse.EchoResponse(message_id, codes.store, sop_class, text)
        case dimse.ActionRequest(message_id, sop_class, sop_instance, action):
            return dimse.ActionResponse(message_id, codes.normalized, sop_class, sop_instance, action, text)
        case dimse.EventReportRequest(message_id, sop_class, sop_instance, event):
            return dimse.EventReportResponse(
                message_id, codes.normalized, sop_class, sop_instance, event, text
            )
        case dimse.CreateRequest(message_id, sop_class, sop_instance):
            return dimse.CreateResponse(message_id, codes.normalized, sop_class, sop_instance, text)
        case dimse.UnknownRequest(command_field, message_id, sop_class):
            return dimse.UnknownResponse(command_field, message_id, codes.store, sop_class, text)
    return None


def unrecognized(request: dimse.Request) -> dimse.Response | None:
    """The response to an operation that this door does not have (0211H)."""
    text = "this service does not have the operation"
    match request:
        case dimse.ActionRequest(message_id, sop_class, sop_instance, action):
            return dimse.ActionResponse(
                message_id, status.UNRECOGNIZED_OPERATION, sop_class, sop_instance, action, text
            )
        case dimse.EventReportRequest(message_id, sop_class, sop_instance, event):
            return dimse.EventReportResponse(
                message_id, status.UNRECOGNIZED_OPERATION, sop_class, sop_instance, event, text
            )
        case dimse.CreateRequest(message_id, sop_class, sop_instance):
            return dimse.CreateResponse(
                message_id, status.UNRECOGNIZED_OPERATION, sop_class, sop_instance, text
            )
        case dimse.UnknownRequest(command_field, message_id, sop_class):
            return dimse.UnknownResponse(
                command_field, message_id, status.UNRECOGNIZED_OPERATION, sop_class, text
            )
    return failure(request, errors.NotSupported(text))
