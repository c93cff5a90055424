"""Which SOP classes are documents: objects that tell in words what somebody has found. Pure."""

from typing import Final

from samsyn.dicom.measurements import DOSE_CLASSES

PREFIX_CHARACTERS: Final = 27
DOCUMENT_PREFIXES: Final = ("1.2.840.10008.5.1.4.1.1.104", "1.2.840.10008.5.1.4.1.1.88.")
"""How the UIDs of encapsulated documents, and of structured reports with key object selections, begin (PS3.4 B.5)."""
NO_DOCUMENTS: Final = tuple(sorted(DOSE_CLASSES))
"""Radiation dose is a machine's own count."""


def is_document(sop_class_uid: str) -> bool:
    """Whether objects of the class may hold the words of a report."""
    return sop_class_uid[:PREFIX_CHARACTERS] in DOCUMENT_PREFIXES and sop_class_uid not in DOSE_CLASSES
