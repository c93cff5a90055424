"""Samsyn: a region's shared imaging record (Swedish: "shared view")."""

__version__ = "0.1.0"

IMPLEMENTATION_CLASS_UID = "2.25.211548613046212316318171236530441953293"
"""Samsyn's DICOM Implementation Class UID (PS3.7 D.3.3.2), a UUID-derived UID (PS3.5 B.2)."""

IMPLEMENTATION_VERSION_NAME = "SAMSYN_0_1"
"""DICOM Implementation Version Name: at most 16 characters (PS3.7 D.3.3.2)."""
