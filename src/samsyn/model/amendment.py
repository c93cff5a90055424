"""Words of correcting attributes: what was sent stays, and the right value is laid over it."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

AMENDABLE: Final = MappingProxyType(
    {
        0x00080020: ("DA", "study_date"),
        0x00080030: ("TM", "study_time"),
        0x00080050: ("SH", "accession"),
        0x00080090: ("PN", "referring"),
        0x00081030: ("LO", "description"),
        0x00100010: ("PN", ""),
        0x00100030: ("DA", ""),
        0x00100040: ("CS", ""),
        0x00200010: ("SH", "study_id"),
    }
)
"""tag -> (VR, column of the study's row; "" = searches answer it from the patient register). The patient's id is no
attribute to correct: another id is another patient."""
MODIFYING_SYSTEM: Final = "SAMSYN"
"""Modifying System (0400,0563)."""
REASON: Final = "CORRECT"
"""Reason for the Attribute Modification (0400,0565), PS3.3 C.12.1.1.9."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """One attribute of all instances of a study."""

    tag: int
    vr: str
    value: str
    """One value as text; "" = empty."""
    time: str
    """DT of the correction, with its offset from UTC."""
    source: str
    """Source of Previous Values (0400,0564): the provider that owns the study."""
