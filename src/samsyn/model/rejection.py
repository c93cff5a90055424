"""Words of taking instances back (IHE RAD IOCM)."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

REJECTION_CODES: Final = MappingProxyType(
    {
        "113001": "Rejected for Quality Reasons",
        "113037": "Rejected for Patient Safety Reasons",
        "113038": "Incorrect Modality Worklist Entry",
        "113039": "Data Retention Policy Expired",
    }
)
"""Document titles of rejection notes (PS3.16 CID 7011), coding scheme DCM."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One instance that a note names."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str


@dataclass(frozen=True, slots=True)
class RejectionNote:
    """What is taken back, and why (a key of REJECTION_CODES)."""

    code: str
    references: tuple[Reference, ...]
