"""DIMSE status codes with their meaning and the clause that defines them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class StatusKind(StrEnum):
    """Status types of PS3.7 C.1 to C.5."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    CANCEL = "cancel"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Status:
    """One status code and where it is defined."""

    code: int
    meaning: str
    clause: str


SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_INSTANCE: Final = 0x0111
NO_SUCH_INSTANCE: Final = 0x0112
INVALID_ARGUMENT: Final = 0x0115
INVALID_INSTANCE: Final = 0x0117
CLASS_INSTANCE_CONFLICT: Final = 0x0119
MISSING_ATTRIBUTE: Final = 0x0120
CLASS_NOT_SUPPORTED: Final = 0x0122
NO_SUCH_ACTION: Final = 0x0123
NOT_AUTHORIZED: Final = 0x0124
UNRECOGNIZED_OPERATION: Final = 0x0211
MISTYPED_ARGUMENT: Final = 0x0212
RESOURCE_LIMITATION: Final = 0x0213
OUT_OF_RESOURCES: Final = 0xA700
OUT_OF_RESOURCES_MATCHES: Final = 0xA701
OUT_OF_RESOURCES_SUB_OPERATIONS: Final = 0xA702
MOVE_DESTINATION_UNKNOWN: Final = 0xA801
DATA_SET_MISMATCH: Final = 0xA900
SUB_OPERATIONS_WITH_FAILURES: Final = 0xB000
CANNOT_UNDERSTAND: Final = 0xC000
CANCELLED: Final = 0xFE00
PENDING: Final = 0xFF00
PENDING_WITHOUT_OPTIONAL_KEYS: Final = 0xFF01

_GENERAL = (
    Status(SUCCESS, "Success", "PS3.7 Annex C"),
    Status(0x0105, "No such attribute", "PS3.7 Annex C"),
    Status(0x0106, "Invalid attribute value", "PS3.7 Annex C"),
    Status(0x0107, "Attribute list error", "PS3.7 Annex C"),
    Status(PROCESSING_FAILURE, "Processing failure", "PS3.7 Annex C"),
    Status(DUPLICATE_INSTANCE, "Duplicate SOP Instance", "PS3.7 Annex C"),
    Status(NO_SUCH_INSTANCE, "No such SOP Instance", "PS3.7 Annex C"),
    Status(0x0113, "No such event type", "PS3.7 Annex C"),
    Status(0x0114, "No such argument", "PS3.7 Annex C"),
    Status(0x0115, "Invalid argument value", "PS3.7 Annex C"),
    Status(0x0116, "Attribute value out of range", "PS3.7 Annex C"),
    Status(INVALID_INSTANCE, "Invalid SOP Instance", "PS3.7 Annex C"),
    Status(0x0118, "No such SOP Class", "PS3.7 Annex C"),
    Status(0x0119, "Class-Instance conflict", "PS3.7 Annex C"),
    Status(MISSING_ATTRIBUTE, "Missing attribute", "PS3.7 Annex C"),
    Status(0x0121, "Missing attribute value", "PS3.7 Annex C"),
    Status(CLASS_NOT_SUPPORTED, "SOP Class not supported", "PS3.7 Annex C"),
    Status(0x0123, "No such action", "PS3.7 Annex C"),
    Status(NOT_AUTHORIZED, "Refused: not authorized", "PS3.7 Annex C"),
    Status(0x0210, "Duplicate invocation", "PS3.7 Annex C"),
    Status(UNRECOGNIZED_OPERATION, "Unrecognized operation", "PS3.7 Annex C"),
    Status(MISTYPED_ARGUMENT, "Mistyped argument", "PS3.7 Annex C"),
    Status(RESOURCE_LIMITATION, "Resource limitation", "PS3.7 Annex C"),
)
_STORE = (
    Status(OUT_OF_RESOURCES, "Refused: out of resources", "PS3.4 Table B.2-1"),
    Status(DATA_SET_MISMATCH, "Error: data set does not match SOP Class", "PS3.4 Table B.2-1"),
    Status(CANNOT_UNDERSTAND, "Error: cannot understand", "PS3.4 Table B.2-1"),
    Status(0xB000, "Warning: coercion of data elements", "PS3.4 Table B.2-1"),
    Status(0xB006, "Warning: elements discarded", "PS3.4 Table B.2-1"),
    Status(0xB007, "Warning: data set does not match SOP Class", "PS3.4 Table B.2-1"),
)
_FIND = (
    Status(OUT_OF_RESOURCES, "Refused: out of resources", "PS3.4 Table C.4-1"),
    Status(DATA_SET_MISMATCH, "Error: identifier does not match SOP Class", "PS3.4 Table C.4-1"),
    Status(CANNOT_UNDERSTAND, "Failed: unable to process", "PS3.4 Table C.4-1"),
    Status(CANCELLED, "Matching terminated due to cancel", "PS3.4 Table C.4-1"),
    Status(PENDING, "Matches are continuing", "PS3.4 Table C.4-1"),
    Status(
        PENDING_WITHOUT_OPTIONAL_KEYS,
        "Matches are continuing, optional keys unsupported",
        "PS3.4 Table C.4-1",
    ),
)
_RETRIEVE = (
    Status(OUT_OF_RESOURCES_MATCHES, "Refused: unable to calculate number of matches", "PS3.4 Table C.4-2"),
    Status(OUT_OF_RESOURCES_SUB_OPERATIONS, "Refused: unable to perform sub-operations", "PS3.4 Table C.4-2"),
    Status(MOVE_DESTINATION_UNKNOWN, "Refused: move destination unknown", "PS3.4 Table C.4-2"),
    Status(DATA_SET_MISMATCH, "Error: identifier does not match SOP Class", "PS3.4 Table C.4-2"),
    Status(CANNOT_UNDERSTAND, "Failed: unable to process", "PS3.4 Table C.4-2"),
    Status(CANCELLED, "Sub-operations terminated due to cancel", "PS3.4 Table C.4-2"),
    Status(SUB_OPERATIONS_WITH_FAILURES, "Sub-operations complete, some failed", "PS3.4 Table C.4-2"),
    Status(PENDING, "Sub-operations are continuing", "PS3.4 Table C.4-2"),
)


def _table(*rows: tuple[Status, ...]) -> Mapping[int, Status]:
    return MappingProxyType({status.code: status for group in rows for status in group})


GENERAL_STATUSES: Final = _table(_GENERAL)
"""Status codes that every DIMSE service may use (PS3.7 Annex C)."""
STORE_STATUSES: Final = _table(_GENERAL, _STORE)
"""Status codes of C-STORE."""
FIND_STATUSES: Final = _table(_GENERAL, _FIND)
"""Status codes of C-FIND."""
RETRIEVE_STATUSES: Final = _table(_GENERAL, _RETRIEVE)
"""Status codes of C-GET and C-MOVE."""


def status_kind(code: int) -> StatusKind:
    """The type of any status code, known or not, by its range (PS3.7 Annex C)."""
    if code == SUCCESS:
        return StatusKind.SUCCESS
    if code == CANCELLED:
        return StatusKind.CANCEL
    if code in (PENDING, PENDING_WITHOUT_OPTIONAL_KEYS):
        return StatusKind.PENDING
    if code in (0x0001, 0x0107, 0x0116) or 0xB000 <= code <= 0xBFFF:
        return StatusKind.WARNING
    return StatusKind.FAILURE


def describe(code: int, statuses: Mapping[int, Status]) -> str:
    """A status for a log line: its number, meaning and clause."""
    # A7xx, A9xx and Cxxx are ranges: the low digits are the implementation's own (PS3.4 Table B.2-1).
    known = statuses.get(code) or statuses.get(code & 0xFF00) or statuses.get(code & 0xF000)
    text = f"{known.meaning} ({known.clause})" if known else status_kind(code).value
    return f"{code:04X}H {text}"
