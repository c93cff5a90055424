"""Which presentation contexts and roles a known system gets. Pure."""

from collections.abc import Container
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from samsyn.dicom import transfer_syntaxes
from samsyn.dicom.sop_classes import (
    STORAGE_COMMITMENT,
    VERIFICATION,
    is_private,
    is_storage_class,
)
from samsyn.providers.connections import System
from samsyn.wire.pdu import ContextResult, ProposedContext
from samsyn.wire.user_information import ExtendedNegotiation, RoleSelection

PATIENT_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
FIND_MODELS: Final = frozenset({PATIENT_ROOT_FIND, STUDY_ROOT_FIND})
RETRIEVE_MODELS: Final = frozenset({PATIENT_ROOT_MOVE, PATIENT_ROOT_GET, STUDY_ROOT_MOVE, STUDY_ROOT_GET})
PATIENT_ROOT: Final = frozenset({PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET})


class Right(StrEnum):
    """What a system must be allowed to, to get a context."""

    NONE = "any known system"
    STORE = "may store"
    QUERY = "may query"
    RETRIEVE = "may retrieve"


SERVICES: Final = MappingProxyType(
    {
        VERIFICATION: ("Verification", Right.NONE),
        STORAGE_COMMITMENT: ("Storage Commitment Push Model", Right.STORE),
        PATIENT_ROOT_FIND: ("Patient Root Query/Retrieve - FIND", Right.QUERY),
        PATIENT_ROOT_MOVE: ("Patient Root Query/Retrieve - MOVE", Right.RETRIEVE),
        PATIENT_ROOT_GET: ("Patient Root Query/Retrieve - GET", Right.RETRIEVE),
        STUDY_ROOT_FIND: ("Study Root Query/Retrieve - FIND", Right.QUERY),
        STUDY_ROOT_MOVE: ("Study Root Query/Retrieve - MOVE", Right.RETRIEVE),
        STUDY_ROOT_GET: ("Study Root Query/Retrieve - GET", Right.RETRIEVE),
    }
)
"""SOP classes that are taken besides storage -> (name, right)."""

SMALL_SYNTAXES: Final = (
    transfer_syntaxes.EXPLICIT_LITTLE,
    transfer_syntaxes.IMPLICIT_LITTLE,
    transfer_syntaxes.EXPLICIT_BIG,
)
"""For all of SERVICES, whose messages are never compressed."""


def _has(system: System, right: Right) -> bool:
    match right:
        case Right.NONE:
            return True
        case Right.STORE:
            return system.may_store
        case Right.QUERY:
            return system.may_query
        case Right.RETRIEVE:
            return system.may_retrieve


def choose(system: System, context: ProposedContext) -> str | ContextResult:
    """The first proposed transfer syntax that works, or why the context is refused.

    Storage takes every syntax that Samsyn knows, compressed ones too, since objects are kept as they come.
    A system may lack the right to what it proposes: that is a refusal by the user (PS3.8 Table 9-18).
    """
    uid = context.abstract_syntax
    if uid in SERVICES:
        _, right = SERVICES[uid]
        return _first(context, SMALL_SYNTAXES) if _has(system, right) else ContextResult.USER_REJECTION
    if is_storage_class(uid) or (is_private(uid) and system.sender.private_classes):
        if not (system.may_store or system.may_retrieve):
            return ContextResult.USER_REJECTION
        return _first(context, transfer_syntaxes.TRANSFER_SYNTAXES.keys())
    return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED


def grant(system: System, role: RoleSelection) -> RoleSelection | None:
    """For C-GET a peer may also be the SCP of storage classes (PS3.4 C.5.3); else the default roles stand."""
    if not (is_storage_class(role.sop_class_uid) or is_private(role.sop_class_uid)):
        return None
    scu = role.scu and system.may_store
    scp = role.scp and system.may_retrieve
    return RoleSelection(role.sop_class_uid, scu, scp)


QUERY_OPTIONS: Final[tuple[int, ...]] = (1, 1, 1, 1, 0, 1, 1)
"""What C-FIND takes of Table C.5-1: relational, date-time, fuzzy names, time zone, no conversion of enhanced
multi-frame images, empty values, lists of values. Byte by byte as the peer proposes them."""
RETRIEVE_OPTIONS: Final[tuple[int, ...]] = (1, 0)
"""C-GET and C-MOVE (Table C.5-3): relational, no conversion of enhanced multi-frame images."""
STORE_OPTIONS: Final[tuple[int, ...]] = (2, 0, 3, 0, 0, 0)
"""Storage (Table B.3-2): all attributes kept, signatures of all levels kept since every byte is, no coercion."""


def extend(system: System, proposed: ExtendedNegotiation) -> ExtendedNegotiation | None:
    """The answer to SOP class extended negotiation (PS3.4 B.3.1, C.5.1.1); None for other classes.

    An option is granted only when it was asked for, and no more bytes are answered than were sent.
    """
    uid, asked = proposed.sop_class_uid, proposed.application_information
    if uid in FIND_MODELS and system.may_query:
        options = QUERY_OPTIONS
    elif uid in RETRIEVE_MODELS and system.may_retrieve:
        options = RETRIEVE_OPTIONS
    elif is_storage_class(uid) and system.may_store:
        return ExtendedNegotiation(uid, bytes(STORE_OPTIONS))
    else:
        return None
    answer = bytes(int(each == 1) & ours for each, ours in zip(asked, options, strict=False))
    return ExtendedNegotiation(uid, answer)


def matching_of(application_information: bytes) -> tuple[bool, bool, bool, bool]:
    """(combined date and time, fuzzy names, time zone, empty values) of what C-FIND agreed on."""
    granted = application_information.ljust(len(QUERY_OPTIONS), b"\0")
    return granted[1] == 1, granted[2] == 1, granted[3] == 1, granted[5] == 1


def _first(context: ProposedContext, taken: Container[str]) -> str | ContextResult:
    for uid in context.transfer_syntaxes:
        if uid in taken:
            return uid
    return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
