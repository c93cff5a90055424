"""Storage SOP classes (PS3.4 B.5 and its retired ones, PS3.6 table A-1)."""

from types import MappingProxyType

from samsyn.dicom.published import UIDS

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The one well-known instance that requests and reports name (PS3.4 J.3)."""
INSTANCE_AVAILABILITY_NOTIFICATION = "1.2.840.10008.5.1.4.33"
PRIVATE_ROOT_TAKEN = "1.2.840.10008."
"""UIDs under it are the standard's own; all others are private."""

_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
_OTHER_STORAGE = frozenset(
    {"1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.34.10"}
)  # RT delivery instructions


def _is_storage(uid: str, name: str) -> bool:
    return uid in _OTHER_STORAGE or (uid.startswith(_STORAGE_ROOT) and "Storage" in name)


_NEWER_STORAGE = MappingProxyType(
    {
        "1.2.840.10008.5.1.4.1.1.9.100.1": "Waveform Presentation State Storage",
        "1.2.840.10008.5.1.4.1.1.9.100.2": "Waveform Acquisition Presentation State Storage",
        "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
        "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
    }
)
"""Classes of editions that the dictionary does not have yet."""

STORAGE_CLASSES = MappingProxyType(
    dict(_NEWER_STORAGE)
    | {uid: name for uid, (name, kind) in UIDS.items() if kind == "SOP Class" and _is_storage(uid, name)}
)
"""uid -> name of every storage SOP class of the standard, retired ones too: old archives are full of them."""


def is_storage_class(uid: str) -> bool:
    """Whether the SOP class is one of the standard's for storage."""
    return uid in STORAGE_CLASSES


def is_private(uid: str) -> bool:
    """Whether the UID is outside the standard's root, so that a private SOP class may have it."""
    return not uid.startswith(PRIVATE_ROOT_TAKEN)
