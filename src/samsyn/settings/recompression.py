"""Settings of lossless recompression at rest: which settled series are stored smaller."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from samsyn.settings.section import Section

UNCOMPRESSED: Final = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Implicit VR Little Endian, Explicit VR Little Endian and Explicit VR Big Endian."""


def _uncompressed(uid: str) -> str:
    if uid not in UNCOMPRESSED:
        raise ValueError(
            f"{uid} is no uncompressed transfer syntax: only {', '.join(UNCOMPRESSED)} are coded"
        )
    return uid


class RecompressSettings(Section):
    """A rule: uncompressed pixels of settled series are stored coded without loss, and leave as they came.

    The first rule that fits a series counts. Nothing fits when there is no rule: then everything is stored as it came.
    """

    codec: Literal["jpeg-ls", "jpeg-2000", "htj2k"] = Field(
        description="How frames are stored: jpeg-ls is the smallest for its time, htj2k the quickest to read."
    )
    modalities: tuple[str, ...] = Field(default=(), description="Only series of these; empty = any.")
    providers: tuple[str, ...] = Field(
        default=(), description="HSA-ids of the providers whose series; empty = of all."
    )
    transfer_syntaxes: tuple[Annotated[str, AfterValidator(_uncompressed)], ...] = Field(
        default=(), description="Only objects that came in these uncompressed ones; empty = in any of them."
    )
    older_than_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Only studies whose date is at least so many days ago when they settle; 0 = any.",
    )
