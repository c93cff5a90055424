"""Settings of prefetching: which earlier examinations a PACS gets before a booked one."""

from pydantic import Field

from samsyn.settings.section import Section


class PrefetchSettings(Section):
    """A rule: before an examination that is booked at the provider, earlier ones are sent to one of its archives.

    What the archive's unit may not see is not sent; a booking gives its unit the care relation, not the consent.
    """

    to: str = Field(
        min_length=1, description="AE title of the provider's DICOM peer that gets them; needs its host."
    )
    units: tuple[str, ...] = Field(
        default=(), description="HSA-ids of the units whose bookings count; empty = all of the provider's."
    )
    hours_before: int = Field(
        default=24, ge=1, le=720, description="How long before the booked time, at most."
    )
    modalities: tuple[str, ...] = Field(
        default=(), description="Only studies with one of these modalities; empty = any."
    )
    years: int = Field(default=5, ge=1, le=100, description="Only studies that are not older.")
    most: int = Field(default=10, ge=1, le=100, description="Studies for one booking, the newest first.")
    own: bool = Field(
        default=False,
        description="The provider's own studies too, for an archive that keeps the latest years only.",
    )
    again_after_days: int = Field(
        default=30, ge=1, le=3650, description="A study that was sent there so long ago is sent again."
    )
