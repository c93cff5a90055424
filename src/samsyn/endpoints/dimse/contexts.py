"""Which presentation contexts and roles a known system gets. Pure."""

from collections.abc import Container
from typing import Final

from samsyn.dicom import transfer_syntaxes
from samsyn.dicom.sop_classes import VERIFICATION, is_private, is_storage_class
from samsyn.providers.connections import System
from samsyn.wire.pdu import ContextResult, ProposedContext
from samsyn.wire.user_information import RoleSelection

PATIENT_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
FIND_MODELS: Final = frozenset({PATIENT_ROOT_FIND, STUDY_ROOT_FIND})
RETRIEVE_MODELS: Final = frozenset({PATIENT_ROOT_MOVE, PATIENT_ROOT_GET, STUDY_ROOT_MOVE, STUDY_ROOT_GET})
PATIENT_ROOT: Final = frozenset({PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET})

_SMALL_SYNTAXES: Final = frozenset(
    {
        transfer_syntaxes.EXPLICIT_LITTLE,
        transfer_syntaxes.IMPLICIT_LITTLE,
        transfer_syntaxes.EXPLICIT_BIG,
    }
)
"""For identifiers and C-ECHO, which are never compressed."""


def choose(system: System, context: ProposedContext) -> str | ContextResult:
    """The first proposed transfer syntax that works, or why the context is refused.

    Storage takes every syntax that Samsyn knows, compressed ones too, since objects are kept as they come.
    A system may lack the right to what it proposes: that is a refusal by the user (PS3.8 Table 9-18).
    """
    uid = context.abstract_syntax
    if uid == VERIFICATION:
        return _first(context, _SMALL_SYNTAXES)
    if uid in FIND_MODELS:
        return _first(context, _SMALL_SYNTAXES) if system.may_query else ContextResult.USER_REJECTION
    if uid in RETRIEVE_MODELS:
        return _first(context, _SMALL_SYNTAXES) if system.may_retrieve else ContextResult.USER_REJECTION
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


def _first(context: ProposedContext, taken: Container[str]) -> str | ContextResult:
    for uid in context.transfer_syntaxes:
        if uid in taken:
            return uid
    return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
