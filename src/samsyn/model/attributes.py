"""DICOM attributes as plain values, shared by search (which makes them) and the doors (which encode them)."""

from typing import TypeAlias

Attributes: TypeAlias = dict[int, tuple[str, tuple[object, ...]]]
"""tag (0xGGGGEEEE) -> (VR, values).

Values are str for all text VRs (PN as one string with `=` between component groups), int for IS/US/SS/UL/SL,
float for FL/FD/DS (DS may also be str), Attributes for SQ items. No values = present but empty.
"""
